/* SPDX-License-Identifier: MIT */
#include "chain/chain.h"

#include <stdlib.h>
#include <string.h>

struct file_run *run_new(const char *path)
{
    size_t path_size = path ? strlen(path) + 1 : 0;
    struct file_run *run = malloc(sizeof *run + path_size);
    if (!run)
        return NULL;
    *run = (struct file_run){.fd = -1, .path = path ? (char *)(run + 1) : NULL};
    if (path)
        memcpy(run->path, path, path_size);
    return run;
}

void run_free(struct file_run *run, struct buffer_pool *buffers)
{
    if (!buffers || !run->buffer)
        free(run->buffer);
    else
        buffer_free(buffers, run->buffer, run->buffer_size);
    if (buffers && !run->buffer)
        buffer_return(buffers, run->buffer_size);
    if (run->root)
        root_release(run->root);
    free(run);
}

void root_release(struct root *root)
{
    if (atomic_fetch_sub_explicit(&root->references, 1, memory_order_acq_rel) == 1)
        root->dispose(root);
}
