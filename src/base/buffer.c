/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <stdlib.h>

struct buffer_spare {
    struct buffer_spare *next;
};

static int class_of(size_t size)
{
    return size <= BUFFER_SMALL ? 0 : size <= BUFFER_MIDDLE ? 1 : 2;
}

size_t buffer_grant(struct buffer_pool *pool, size_t length)
{
    uint64_t used = atomic_load_explicit(&pool->used, memory_order_relaxed);
    size_t size = BUFFER_SMALL;
    if (length > BUFFER_MIDDLE && used < pool->limit / 2)
        size = BUFFER_LARGE;
    else if (length > BUFFER_SMALL && used < pool->limit)
        size = BUFFER_MIDDLE;
    atomic_fetch_add_explicit(&pool->used, size, memory_order_relaxed);
    return size;
}

void buffer_return(struct buffer_pool *pool, size_t size)
{
    atomic_fetch_sub_explicit(&pool->used, size, memory_order_relaxed);
}

void *buffer_take(struct buffer_pool *pool, size_t size)
{
    int class = class_of(size);
    struct buffer_spare *spare = pool->spare[class];
    if (spare) {
        pool->spare[class] = spare->next;
        pool->spares[class]--;
        return spare;
    }
    void *buffer = malloc(size);
    if (!buffer)
        buffer_return(pool, size);
    return buffer;
}

void buffer_free(struct buffer_pool *pool, void *buffer, size_t size)
{
    int class = class_of(size);
    buffer_return(pool, size);
    if ((pool->spares[class] + 1) * size > BUFFER_SPARE_BYTES) {
        free(buffer);
        return;
    }
    struct buffer_spare *spare = buffer;
    spare->next = pool->spare[class];
    pool->spare[class] = spare;
    pool->spares[class]++;
}

void buffer_trim(struct buffer_pool *pool)
{
    pipe_trim(&pool->pipes);
    for (int class = 0; class < BUFFER_CLASSES; class ++) {
        while (pool->spare[class]) {
            struct buffer_spare *spare = pool->spare[class];
            pool->spare[class] = spare->next;
            free(spare);
        }
        pool->spares[class] = 0;
    }
}
