/* SPDX-License-Identifier: MIT */
#include "chain/file_run.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct file_run *run_new(void)
{
    struct file_run *run = malloc(sizeof *run);
    if (run)
        memset(run, 0, offsetof(struct file_run, room));
    return run;
}

void *run_keep(struct file_run *run, const void *bytes, size_t size)
{
    char *place;
    size_t aligned = (size + 7) & ~(size_t)7;
    if (aligned <= RUN_ROOM - run->room_used) {
        place = run->room + run->room_used;
        run->room_used += (uint32_t)aligned;
    } else {
        struct run_block *block = malloc(sizeof *block + size);
        if (!block)
            return NULL;
        block->next = run->blocks;
        run->blocks = block;
        place = block->bytes;
    }
    return bytes ? memcpy(place, bytes, size) : place;
}

struct run_call *run_next_call(struct file_run *run, unsigned kind, unsigned step)
{
    struct run_call *call = &run->calls[run->count];
    *call = (struct run_call){.kind = (uint8_t)kind, .step = (uint8_t)step};
    return call;
}

struct file_run *run_close(int fd, uint32_t lane, unsigned step)
{
    struct file_run *run = run_new();
    if (!run)
        return NULL;
    run->lane = lane;
    run->files[run->file_count++] = (struct run_file){.fd = fd, .step = (uint8_t)step};
    run_next_call(run, ERRAND_STEP_CLOSE, step);
    run->count++;
    return run;
}

void run_free(struct file_run *run, struct buffer_pool *buffers)
{
    if (!buffers)
        free(run->buffer);
    else if (run->buffer)
        buffer_free(buffers, run->buffer, run->buffer_size);
    else
        buffer_return(buffers, run->buffer_size);
    if (run->pipe && buffers)
        pipe_free(&buffers->pipes, run->pipe);
    else if (run->pipe)
        pipe_close(run->pipe);
    while (run->blocks) {
        struct run_block *block = run->blocks;
        run->blocks = block->next;
        free(block);
    }
    free(run);
}
