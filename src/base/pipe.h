/* SPDX-License-Identifier: MIT */
/*
 * Pipes of the library's own, through which large pieces of files go to sockets: a worker, which may wait for the
 * disk, puts pages in; the queue's thread, which must not, takes them out, and nothing is copied. Nobody waits for a
 * pipe: who gets none does without.
 */
#ifndef BASE_PIPE_H
#define BASE_PIPE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PIPE_SIZE  ((size_t)1 << 20) /* what /proc/sys/fs/pipe-max-size allows everyone unless it was changed */
#define PIPE_LIMIT 32                /* of a queue: half of what the kernel lets a user without privileges have */
#define PIPE_SPARE 8                 /* kept for the next taker */

struct pipe {
    struct pipe *next; /* among the spares */
    int from, into;    /* its ends; -1: not made yet */
    size_t held;       /* bytes in it */
};

struct pipe_pool {
    _Atomic uint32_t count; /* of all, wherever they are */
    uint32_t spares;
    struct pipe *spare;
};

/* A pipe, perhaps still to be made; NULL: none is to be had. On the queue's thread. */
struct pipe *pipe_take(struct pipe_pool *pool);

/* Back to the pool; what still holds bytes is closed. On the queue's thread. */
void pipe_free(struct pipe_pool *pool, struct pipe *pipe);

/* Closes the spares. */
void pipe_trim(struct pipe_pool *pool);

/* Makes it, unless it was made before. On any thread. Returns 0, -errno. */
int pipe_make(struct pipe *pipe);

/* Closes it, which does not wait, whatever it holds, and frees it; pipe_return() is still due. On any thread. */
void pipe_close(struct pipe *pipe);

/* One is no more. On any thread. */
void pipe_return(struct pipe_pool *pool);

#endif
