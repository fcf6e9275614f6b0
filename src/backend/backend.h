/* SPDX-License-Identifier: MIT */
/*
 * What a backend is: it takes operations (chain/op.h) and gives each back exactly once, when it is done. It is used
 * by one thread. uring/ and threads/ each fill in one table, sim/ a third, in which nothing is real: so all that the
 * queue wants of the system, be it the time, goes through the table.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "chain/op.h"
#include "worker/pool.h"

struct backend;

struct backend_options {
    struct pool *pool;
    struct buffer_pool *buffers; /* for the runs of who does not use the pool */
    uint32_t workers, lane_workers;
    uint32_t receive_buffers, receive_size;
};

struct backend_ops {
    const char *name;

    /* Creates it and has it perform a real operation. Returns 0, or why not: the text names the failing call. */
    int (*open)(struct backend **backend, const struct backend_options *options, const char **why);

    /* Everything it had is back, or has been cancelled, but for runs that nobody waits for: it waits for them up to
     * grace_ns. Returns the number of runs left to end by themselves. */
    uint32_t (*close)(struct backend *backend, int64_t grace_ns);

    /* The time, in ns. */
    int64_t (*now)(struct backend *backend);

    /* Returns true: the operation is done, op->result is set. Else next() will give it. */
    bool (*submit)(struct backend *backend, struct op *op);

    /* Has an operation of a peer's given back soon. Not for OP_FILES, nor for immediate ones. */
    void (*cancel)(struct backend *backend, struct op *op);

    /* Nobody waits for the descriptor any more; it may be closed, and its number be another's. */
    void (*forget)(struct backend *backend, int fd);

    /* The next operation that is done, without entering the kernel for new ones; NULL: none is known. */
    struct op *(*next)(struct backend *backend);

    /* Whether next() would give one. */
    bool (*has_next)(struct backend *backend);

    /* Enters the kernel: issues what was submitted, waits for at most timeout_ns (-1: no limit) for something to be
     * done. It comes back early when a signal was handled. */
    void (*wait)(struct backend *backend, int64_t timeout_ns);

    /* Another event loop will wait for the queue: from now on, whenever the thread has left, what would have ended
     * wait() makes the epoll descriptor readable, by what is added to it or by writing to `bell`, an eventfd that it
     * holds. Returns 0, -errno. */
    int (*announce)(struct backend *backend, int epoll_fd, int bell);

    /* The thread leaves, to wait elsewhere, until it comes with wait(): issues what was submitted. Returns false:
     * something is done by now, or cannot be announced. Only after announce(). */
    bool (*leave)(struct backend *backend);

    /* The data of an OP_RECEIVE_ANY is no longer needed. */
    void (*recycle)(struct backend *backend, void *buffer);

    /* Takes a run that nobody waits for: run->op is NULL. */
    void (*adopt)(struct backend *backend, struct file_run *run);

    /* Takes a run back that an OP_FILES gave, or has it go on without its chain: as pool_recall(). */
    enum pool_recall (*recall)(struct backend *backend, struct file_run *run, unsigned *step);
    void (*count)(struct backend *backend, struct pool_counts *counts);

    /* The lane of an open file or directory, or of where a path beneath it begins. Does not ask its filesystem. */
    uint32_t (*lane)(struct backend *backend, int fd, const char *path);

    /* Fills in the root's fd, a duplicate, and what is known of its filesystem. Does not ask it. Returns 0, -errno. */
    int (*root)(struct backend *backend, int dir_fd, struct root *root);

    /* Whether a source can stand on a descriptor: a listener, or a connection. Returns 0, -EBADF, -EINVAL. */
    int (*check)(struct backend *backend, int fd, bool listener);

    /* Closes what does not wait: a directory's duplicate, a connection. */
    void (*drop)(struct backend *backend, int fd);
};

struct backend {
    const struct backend_ops *ops;
    struct pool *pool;
    bool read_files; /* performs OP_READ_FILE */
    bool defers;     /* submit() performs no OP_OPEN, it only prepares it */
};

extern const struct backend_ops uring_backend, threads_backend;

#ifdef ERRAND_FAULTS
/* What queues that are opened from now on use, whatever they ask for: see sim/sim.h. */
extern const struct backend_ops *backend_installed;
#endif

/* system.c: what is the same for all that work on the real system. */
int64_t system_now(struct backend *backend);
void system_adopt(struct backend *backend, struct file_run *run);
enum pool_recall system_recall(struct backend *backend, struct file_run *run, unsigned *step);
void system_count(struct backend *backend, struct pool_counts *counts);
/* Looks at an open file without asking its filesystem, which may hang: what the kernel has in memory does. Returns 0,
 * -errno. */
int system_look(int fd, const char *path, struct statx *out);
/* The type of a mounted filesystem. False: not found. */
bool system_mount_type(uint64_t mount_id, char *type, size_t size);
uint32_t system_lane(struct backend *backend, int fd, const char *path);
int system_root(struct backend *backend, int dir_fd, struct root *root);
int system_check(struct backend *backend, int fd, bool listener);
void system_drop(struct backend *backend, int fd);

#define SYSTEM_OPS                                                                                                     \
    .now = system_now, .adopt = system_adopt, .recall = system_recall, .count = system_count, .lane = system_lane,     \
    .root = system_root, .check = system_check, .drop = system_drop

/* calls.c: performs an immediate operation by system calls; sets op->result. */
void call_now(struct op *op);

/* OP_CONNECT: makes the socket if there is none (op->fd: it was made here). Returns false: op->result says why not. */
bool connect_begin(struct op *op);
/* Its end: 0 or an error. A socket that was made for it is closed on an error. */
void connect_end(struct op *op, int64_t result);

#endif
