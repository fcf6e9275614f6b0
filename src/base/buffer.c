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

size_t buffer_class(size_t length)
{
    return length <= BUFFER_SMALL ? BUFFER_SMALL : length <= BUFFER_MIDDLE ? BUFFER_MIDDLE : BUFFER_LARGE;
}

void *buffer_take(struct buffer_pool *pool, size_t size)
{
    int class = class_of(size);
    if (atomic_load_explicit(&pool->used, memory_order_relaxed) + size > pool->limit)
        return NULL;
    void *buffer = pool->spare[class];
    if (buffer) {
        pool->spare[class] = pool->spare[class]->next;
        pool->spares[class]--;
    } else if (!(buffer = malloc(size))) {
        return NULL;
    }
    atomic_fetch_add_explicit(&pool->used, size, memory_order_relaxed);
    return buffer;
}

void buffer_free(struct buffer_pool *pool, void *buffer, size_t size)
{
    int class = class_of(size);
    if ((pool->spares[class] + 1) * size > BUFFER_SPARE_BYTES) {
        buffer_free_anywhere(pool, buffer, size);
        return;
    }
    struct buffer_spare *spare = buffer;
    spare->next = pool->spare[class];
    pool->spare[class] = spare;
    pool->spares[class]++;
    atomic_fetch_sub_explicit(&pool->used, size, memory_order_relaxed);
}

void buffer_free_anywhere(struct buffer_pool *pool, void *buffer, size_t size)
{
    free(buffer);
    atomic_fetch_sub_explicit(&pool->used, size, memory_order_relaxed);
}

void buffer_trim(struct buffer_pool *pool)
{
    for (int class = 0; class < BUFFER_CLASSES; class ++) {
        while (pool->spare[class]) {
            struct buffer_spare *spare = pool->spare[class];
            pool->spare[class] = spare->next;
            free(spare);
        }
        pool->spares[class] = 0;
    }
}
