/* SPDX-License-Identifier: MIT */
/*
 * The library's own transfer buffers: a bounded sum of memory in three sizes. Taken on the queue's thread; freed there
 * or on a worker, because a buffer goes with the file operation that fills it, wherever that ends.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define BUFFER_SMALL       ((size_t)16 << 10)
#define BUFFER_MIDDLE      ((size_t)64 << 10)
#define BUFFER_LARGE       ((size_t)256 << 10)
#define BUFFER_CLASSES     3
#define BUFFER_SPARE_BYTES ((size_t)1 << 20) /* kept of each size for the next taker */

struct buffer_pool {
    _Atomic uint64_t used; /* bytes taken */
    uint64_t limit;
    struct buffer_spare *spare[BUFFER_CLASSES];
    uint32_t spares[BUFFER_CLASSES];
};

/* The size of the buffer that serves length best: at most BUFFER_LARGE. */
size_t buffer_class(size_t length);

/* A buffer of a class's size, or NULL: the limit is reached (or memory is out; that looks the same). */
void *buffer_take(struct buffer_pool *pool, size_t size);

/* On the queue's thread. */
void buffer_free(struct buffer_pool *pool, void *buffer, size_t size);

/* On any thread: keeps no spare. */
void buffer_free_anywhere(struct buffer_pool *pool, void *buffer, size_t size);

/* Gives the spares back to the system. */
void buffer_trim(struct buffer_pool *pool);

#endif
