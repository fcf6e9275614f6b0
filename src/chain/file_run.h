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
 * A registered root. Chains are counted without atomic operations, which would cost a fifth of what the library does
 * for a chain: all of them, and the registration, hold one reference together. Who drops the last one closes fd, which
 * may wait, and frees the record.
 */
struct root {
    _Atomic uint32_t references; /* of runs, on any thread; one for chains and registration */
    uint32_t chains;             /* queue's thread only */
    bool removed;
    int fd;           /* ours */
    struct list node; /* in chain_context.unused_roots */
    uint32_t lane;    /* of its device */
    bool open_inline; /* cached names may be opened on the queue's thread */
    bool read_inline; /* reads of compact files may be tried there */
    bool one_mount;
    uint64_t resolve; /* RESOLVE_BENEATH, or 0: paths may lead out of it */
};

struct file_run {
    struct list node;     /* in a lane, or among the done */
    struct lane *waits;   /* the pool's: where, while it waits */
    struct op *op;        /* NULL: the chain has ended without it */
    uint8_t state;        /* enum run_state, under the pool's lock */
    uint8_t count;        /* calls asked for */
    _Atomic uint8_t done; /* calls that succeeded; a run stops at the first failure */
    bool borrowed;        /* fd (dir_fd, for CALL_OPEN) is the caller's: duplicated when the run begins */
    bool crossed;         /* the path led onto another mount */
    int error;            /* of call number `done` */
    int fd;
    uint32_t lane; /* key: device, or a hash for paths that cross mounts */
    struct {
        uint8_t call; /* enum file_call */
        uint8_t step; /* whose result it is */
    } calls[RUN_CALLS];
    struct root *root; /* CALL_OPEN: a reference; NULL: dir_fd */
    int dir_fd;        /* AT_FDCWD: the working directory, or none */
    char *path;        /* allocated with the run */
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
/* Frees the run and its buffer; its descriptor must have been closed or taken, its reference to a root dropped. On the
 * queue's thread. */
void run_free(struct file_run *run, struct buffer_pool *buffers);

/* Drops a reference. Returns true if it was the last. */
static inline bool root_unused(struct root *root)
{
    return atomic_fetch_sub_explicit(&root->references, 1, memory_order_acq_rel) == 1;
}

/* A chain begins to use a root; ends: returns true if nobody uses it any more. */
static inline void root_use(struct root *root)
{
    root->chains++;
}

static inline bool root_leave(struct root *root)
{
    return --root->chains == 0 && root->removed && root_unused(root);
}

#endif
