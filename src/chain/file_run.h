/* SPDX-License-Identifier: MIT */
/*
 * A run of file steps, handed to a worker as one: it owns all that the worker touches (descriptors, paths, data), so
 * that its chain can end without it, whatever the filesystem does. Who has the run, has the duty to free it.
 */
#ifndef CHAIN_FILE_RUN_H
#define CHAIN_FILE_RUN_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/list.h"
#include "errand.h"

#define RUN_CALLS  12
#define RUN_FILES  4
#define RUN_PLACES 4
#define RUN_ROOM   256 /* for paths; what does not fit is allocated */

#define LANE_WORK UINT32_MAX /* of the caller's own functions */

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

/* An open file of a run. */
struct run_file {
    int fd;        /* -1: not yet, or no longer */
    uint8_t step;  /* the one whose slot it is */
    bool borrowed; /* the caller's: duplicated when the run begins, and the duplicate closed at its end */
    bool closes;   /* one of the calls closes it */
};

/* Where paths begin. */
struct run_place {
    struct root *root; /* a reference; NULL: */
    int dir_fd;        /* AT_FDCWD, or the caller's */
    bool borrowed;     /* as above */
    const char *first; /* a path that begins there: an absolute one begins elsewhere */
};

/* One step, or a part of it. A call may be the library's own: a stat of what an open step opened. */
struct run_call {
    uint8_t kind;            /* enum errand_step_kind */
    uint8_t step;            /* whose result it is */
    bool optional;           /* the run goes on if it fails */
    uint8_t file, to;        /* in files: the operand, or what it opens; copy: from and to */
    uint8_t place, to_place; /* in places, of path and to_path */
    uint8_t choices, choice; /* open: path is so many paths, one behind the other; which was it? */
    bool like;               /* open: with the permissions of the file `to` */
    bool whole;              /* copy: to the end of the file, whatever length says; list: from its beginning */
    bool told;               /* stat: the caller gets what was found */
    bool ended;              /* copy: that was met */
    bool fits;               /* read: the file must end before length bytes, or it is too big: -EFBIG */
    uint32_t flags;          /* as the step's kind has them */
    uint32_t mode;
    const char *path, *to_path; /* or an attribute's name; a symlink's target */
    void *value;                /* an errand_stat, an attribute's value, a symlink's target: in the run's memory */
    errand_work work;
    void *context;
    int64_t offset, to_offset;
    int64_t length;
    int64_t result; /* or a negative errno */
};

/* Which path led onto another mount. */
struct run_crossing {
    uint8_t place;
    const char *path;
};

struct run_block {
    struct run_block *next;
    char bytes[];
};

struct file_run {
    struct list node;       /* in a lane, or among the done */
    struct lane *waits;     /* the pool's: where, while it waits */
    struct op *op;          /* NULL: the chain has ended without it */
    uint8_t state;          /* enum run_state, under the pool's lock */
    uint8_t count;          /* calls asked for */
    _Atomic uint8_t done;   /* calls that are over; a run stops at the first failure that is not optional */
    _Atomic bool abandoned; /* its chain has ended: what was not begun must not be done any more */
    uint8_t file_count, place_count;
    bool crossed; /* the path of call number `done` led onto another mount */
    struct run_crossing crossing;
    bool begun;        /* what it borrowed was duplicated */
    bool unhurried;    /* the queue need not be woken for it while many of its lane wait */
    bool wants_buffer; /* read and list: into a transfer buffer, granted when its turn has come */
    int error;         /* of call number `done` */
    uint32_t lane;     /* key: device, or a hash for paths that cross mounts, or of several devices */
    void *buffer; /* a transfer buffer: write: filled beforehand; read, list: what is read begins at buffer + lead */
    size_t buffer_size; /* granted when the run begins; 0: not yet */
    size_t lead;
    struct pipe *pipe; /* sendfile: what is to be filled */
    size_t moved;      /* read, write, list: bytes */
    struct run_block *blocks;
    uint32_t room_used;
    _Alignas(8) char room[RUN_ROOM]; /* from here on nothing is cleared */
    struct run_file files[RUN_FILES];
    struct run_place places[RUN_PLACES];
    struct run_call calls[RUN_CALLS];
};

/* NULL: memory is out. */
struct file_run *run_new(void);

/* Memory that lives as long as the run; filled with a copy of bytes unless that is NULL. NULL: memory is out. */
void *run_keep(struct file_run *run, const void *bytes, size_t size);

/* The next call, to be filled in; it is part of the run when count is raised. */
struct run_call *run_next_call(struct file_run *run, unsigned kind, unsigned step);

/* A run that only closes a descriptor. NULL: memory is out. */
struct file_run *run_close(int fd, uint32_t lane, unsigned step);

/* Whether a file is what ERRAND_REGULAR and ERRAND_ONE_LINK expect: 0, or the error that says what it is. */
static inline int run_expects(unsigned expected, const struct errand_stat *stat)
{
    if ((expected & ERRAND_REGULAR) && !S_ISREG(stat->mode))
        return S_ISDIR(stat->mode) ? -EISDIR : -ESPIPE;
    return (expected & ERRAND_ONE_LINK) && stat->links > 1 ? -EMLINK : 0;
}

/* Frees the run's memory and buffer; its descriptors must have been closed or taken, its references to roots dropped.
 * buffers: on the queue's thread; NULL elsewhere, where the grant must be returned by hand. */
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
