/* SPDX-License-Identifier: MIT */
#include "chain/chain.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct file_run *run_new(const char *path)
{
    size_t path_size = path ? strlen(path) + 1 : 0;
    struct file_run *run = malloc(sizeof *run + path_size);
    if (!run)
        return NULL;
    *run = (struct file_run){.fd = -1, .dir_fd = AT_FDCWD, .path = path ? (char *)(run + 1) : NULL};
    if (path)
        memcpy(run->path, path, path_size);
    return run;
}

void run_free(struct file_run *run, struct buffer_pool *buffers)
{
    if (run->buffer)
        buffer_free(buffers, run->buffer, run->buffer_size);
    else
        buffer_return(buffers, run->buffer_size);
    free(run);
}
