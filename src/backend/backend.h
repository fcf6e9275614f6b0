/* SPDX-License-Identifier: MIT */
/*
 * What a backend is: it takes operations (chain/op.h) and gives each back exactly once, when it is done. It is used
 * by one thread. uring/ and threads/ each fill in one table.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "chain/op.h"
#include "worker/pool.h"

struct backend;

struct backend_options {
    struct pool *pool;
    uint32_t receive_buffers, receive_size;
};

struct backend_ops {
    const char *name;

    /* Creates it and has it perform a real operation. Returns 0, or why not: the text names the failing call. */
    int (*open)(struct backend **backend, const struct backend_options *options, const char **why);

    /* Everything it had is back, or has been cancelled. */
    void (*close)(struct backend *backend);

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
};

struct backend {
    const struct backend_ops *ops;
    struct pool *pool;
    bool read_files; /* performs OP_READ_FILE */
    bool defers;     /* submit() performs no OP_OPEN, it only prepares it */
};

extern const struct backend_ops uring_backend, threads_backend;

/* calls.c: performs an immediate operation by system calls; sets op->result. */
void call_now(struct op *op);

/* OP_CONNECT: makes the socket if there is none (op->fd: it was made here). Returns false: op->result says why not. */
bool connect_begin(struct op *op);
/* Its end: 0 or an error. A socket that was made for it is closed on an error. */
void connect_end(struct op *op, int64_t result);

#endif
