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

#define PIPE_SIZE  ((size_t)1 << 20) /* of a part: what /proc/sys/fs/pipe-max-size allows everyone */
#define PIPE_PARTS 2                 /* filled by a worker as one, so that it is woken half as often */
#define PIPE_LIMIT 16 /* of a queue, with their parts half of what the kernel lets a user without privileges have */
#define PIPE_SPARE 4  /* kept for the next taker */

struct pipe_part {
    int from, into; /* its ends; -1: not made yet */
    size_t held;    /* bytes in it */
};

struct pipe {
    struct pipe *next;                  /* among the spares */
    struct pipe_part parts[PIPE_PARTS]; /* filled, and emptied, in their order */
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

/* Makes a part, unless it was made before. On any thread. Returns 0, -errno. */
int pipe_make(struct pipe_part *part);

/* The part whose bytes are next; NULL: it is empty. */
static inline struct pipe_part *pipe_next(struct pipe *pipe)
{
    for (int i = 0; i < PIPE_PARTS; i++)
        if (pipe->parts[i].held > 0)
            return &pipe->parts[i];
    return NULL;
}

/* Closes it, which does not wait, whatever it holds, and frees it; pipe_return() is still due. On any thread. */
void pipe_close(struct pipe *pipe);

/* One is no more. On any thread. */
void pipe_return(struct pipe_pool *pool);

#endif
