/* SPDX-License-Identifier: MIT */
/*
 * A run of file steps, handed to a worker as one: it owns all that the worker touches (descriptor, path, buffer), so
 * that its chain can end without it, whatever the filesystem does. Who has the run, has the duty to free it.
 */
#ifndef CHAIN_FILE_RUN_H
#define CHAIN_FILE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "errand.h"

#define RUN_CALLS 4

enum file_call { CALL_OPEN = 1, CALL_STAT, CALL_READ, CALL_CLOSE };

enum run_state { RUN_WAITING, RUN_RUNNING, RUN_DONE };

/*
 * Where a root's or a plain directory's descriptor comes from. Chains are counted without atomic operations, which
 * would
 * cost a fifth of what the library does for a chain: all of them, and the registration, hold one reference together.
 */
struct root {
    _Atomic uint32_t references; /* of runs, on any thread; one for chains and registration */
    uint32_t chains;             /* queue's thread only */
    bool removed;
    void (*dispose)(struct root *);
    int fd;           /* ours */
    uint32_t lane;    /* of its device */
    bool open_inline; /* cached names may be opened on the queue's thread */
    bool read_inline; /* reads of compact files may be tried there */
    bool one_mount;
    bool beneath; /* paths are confined; not for a plain descriptor */
};

struct file_run {
    struct list node;     /* in a lane, or among the done */
    struct op *op;        /* NULL: the chain has ended without it */
    uint8_t state;        /* enum run_state, under the pool's lock */
    uint8_t count;        /* calls asked for */
    _Atomic uint8_t done; /* calls that succeeded; a run stops at the first failure */
    bool borrowed;        /* fd is the caller's: to be duplicated when the run is handed over */
    bool crossed;         /* the path led onto another mount */
    int error;            /* of call number `done` */
    int fd;
    uint32_t lane; /* key: device, or a hash for paths that cross mounts */
    struct {
        uint8_t call; /* enum file_call */
        uint8_t step; /* whose result it is */
    } calls[RUN_CALLS];
    struct root *root; /* CALL_OPEN: a reference; NULL: made from dir_fd when the run is handed over */
    int dir_fd;
    char *path; /* allocated with the run */
    int open_flags;
    unsigned mode;
    struct errand_stat stat;
    void *buffer; /* CALL_READ: a transfer buffer, taken by the worker; what is read begins at buffer + lead */
    bool reads;
    size_t buffer_size; /* granted when the run begins; 0: not yet */
    size_t lead;
    size_t length; /* asked for; cut to what the granted buffer holds, and the run with it, when the run begins */
    int64_t offset;
    size_t moved;
};

/* The path is copied; NULL: memory is out. */
struct file_run *run_new(const char *path);
/* Frees the run and all that it owns but its descriptor, which must be closed or taken. On a worker, buffers is
 * NULL. */
void run_free(struct file_run *run, struct buffer_pool *buffers);
void root_release(struct root *root);

/* A chain begins to use a root, and ends. */
static inline void root_use(struct root *root)
{
    root->chains++;
}

static inline void root_leave(struct root *root)
{
    if (--root->chains == 0 && root->removed)
        root_release(root);
}

#endif
