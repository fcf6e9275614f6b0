/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <stdbool.h>
#include <stdlib.h>

struct buffer_spare {
    struct buffer_spare *next;
};

static int class_of(size_t size)
{
    return size <= BUFFER_SMALL ? 0 : size <= BUFFER_MIDDLE ? 1 : 2;
}

static bool may_keep(uint32_t spares, size_t size)
{
    return (spares + 1) * size <= BUFFER_SPARE_BYTES;
}

static void push(struct buffer_spare **list, uint32_t *count, void *buffer)
{
    struct buffer_spare *spare = buffer;
    spare->next = *list;
    *list = spare;
    ++*count;
}

/* NULL: it is empty. */
static void *pop(struct buffer_spare **list, uint32_t *count)
{
    struct buffer_spare *spare = *list;
    if (!spare)
        return NULL;
    *list = spare->next;
    --*count;
    return spare;
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
    void *buffer = pop(&pool->spare[class], &pool->spares[class]);
    if (!buffer && !(buffer = malloc(size)))
        buffer_return(pool, size);
    return buffer;
}

void buffer_free(struct buffer_pool *pool, void *buffer, size_t size)
{
    int class = class_of(size);
    buffer_return(pool, size);
    if (may_keep(pool->spares[class], size))
        push(&pool->spare[class], &pool->spares[class], buffer);
    else
        free(buffer);
}

void buffer_lend(struct buffer_pool *pool, size_t length)
{
    static const size_t sizes[BUFFER_CLASSES] = {BUFFER_SMALL, BUFFER_MIDDLE, BUFFER_LARGE};
    int class = class_of(length);
    if (pool->spare[class] && may_keep(pool->lents[class], sizes[class]))
        push(&pool->lent[class], &pool->lents[class], pop(&pool->spare[class], &pool->spares[class]));
}

void *buffer_lent(struct buffer_pool *pool, size_t size)
{
    int class = class_of(size);
    return pop(&pool->lent[class], &pool->lents[class]);
}

void buffer_trim(struct buffer_pool *pool)
{
    pipe_trim(&pool->pipes);
    for (int class = 0; class < BUFFER_CLASSES; class ++) {
        void *buffer;
        while ((buffer = pop(&pool->spare[class], &pool->spares[class])))
            free(buffer);
        while ((buffer = pop(&pool->lent[class], &pool->lents[class])))
            free(buffer);
    }
}
