/* SPDX-License-Identifier: MIT */
/* There is a system call here because: a pipe is memory of the kernel's, got and given back at once like any other. */
#include "base/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct pipe *pipe_take(struct pipe_pool *pool)
{
    struct pipe *pipe = pool->spare;
    if (pipe) {
        pool->spare = pipe->next;
        pool->spares--;
        return pipe;
    }
    if (atomic_load_explicit(&pool->count, memory_order_relaxed) >= PIPE_LIMIT)
        return NULL;
    pipe = malloc(sizeof *pipe);
    if (!pipe)
        return NULL;
    for (int i = 0; i < PIPE_PARTS; i++)
        pipe->parts[i] = (struct pipe_part){.from = -1, .into = -1};
    atomic_fetch_add_explicit(&pool->count, 1, memory_order_relaxed);
    return pipe;
}

void pipe_return(struct pipe_pool *pool)
{
    atomic_fetch_sub_explicit(&pool->count, 1, memory_order_relaxed);
}

void pipe_free(struct pipe_pool *pool, struct pipe *pipe)
{
    if (pipe_next(pipe) || pool->spares == PIPE_SPARE) {
        pipe_close(pipe);
        pipe_return(pool);
        return;
    }
    pipe->next = pool->spare;
    pool->spare = pipe;
    pool->spares++;
}

void pipe_trim(struct pipe_pool *pool)
{
    while (pool->spare) {
        struct pipe *pipe = pool->spare;
        pool->spare = pipe->next;
        pipe_close(pipe);
        pipe_return(pool);
    }
    pool->spares = 0;
}

void pipe_close(struct pipe *pipe)
{
    for (int i = 0; i < PIPE_PARTS; i++) {
        if (pipe->parts[i].from < 0)
            continue;
        close(pipe->parts[i].from);
        close(pipe->parts[i].into);
    }
    free(pipe);
}

int pipe_make(struct pipe_part *part)
{
    int ends[2];
    if (part->from >= 0)
        return 0;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    if (fcntl(ends[1], F_SETPIPE_SZ, (int)PIPE_SIZE) < 0) { /* who has many already gets small ones only */
        int error = -errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    part->from = ends[0];
    part->into = ends[1];
    return 0;
}
