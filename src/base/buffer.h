/* SPDX-License-Identifier: MIT */
/*
 * The library's own transfer buffers, in three sizes. Nobody ever waits for one: when much memory is in use there are
 * only smaller ones, and a small one there always is, so the sum is bounded by the limit and a small one for each
 * chain. Granted on any thread, because a worker takes its buffer when its run's turn has come, not while it waits in
 * its lane.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pipe.h"

#define BUFFER_SMALL       ((size_t)16 << 10)
#define BUFFER_MIDDLE      ((size_t)64 << 10)
#define BUFFER_LARGE       ((size_t)256 << 10)
#define BUFFER_ALIGNMENT   ((size_t)4096) /* what O_DIRECT may ask for */
#define BUFFER_CLASSES     3
#define BUFFER_SPARE_BYTES ((size_t)1 << 20) /* kept of each size for the next taker */

struct buffer_pool {
    _Atomic uint64_t used; /* bytes taken */
    uint64_t limit;
    struct buffer_spare *spare[BUFFER_CLASSES];
    uint32_t spares[BUFFER_CLASSES];
    struct buffer_spare *lent[BUFFER_CLASSES]; /* to workers, under their lock */
    uint32_t lents[BUFFER_CLASSES];
    struct pipe_pool pipes;
};

/* The size of the buffer that length bytes get now: it is counted as used. On any thread. */
size_t buffer_grant(struct buffer_pool *pool, size_t length);

/* Takes a grant of that size back. On any thread. */
void buffer_return(struct buffer_pool *pool, size_t size);

/* A buffer for a grant; NULL: no memory, and the grant is taken back. On the queue's thread. */
void *buffer_take(struct buffer_pool *pool, size_t size);

/* On the queue's thread. */
void buffer_free(struct buffer_pool *pool, void *buffer, size_t size);

/* Buffers of workers come back through the queue's thread. It lends them its spares, with each run that will want one:
 * fresh memory would cost page faults each time. Both under one lock of the caller's; buffer_lent(): on any thread, for
 * a grant; NULL: none of that size was lent, allocate one. */
void buffer_lend(struct buffer_pool *pool, size_t length);
void *buffer_lent(struct buffer_pool *pool, size_t size);

/* Gives the spares back to the system. */
void buffer_trim(struct buffer_pool *pool);

#endif
