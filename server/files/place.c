/* SPDX-License-Identifier: MIT */
/* Where a name lies: see place.h. */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

size_t place_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

const char *place_parent(errand_chain *chain, const char *path)
{
    size_t length = place_directory(path);
    char *parent = errand_chain_memory(chain, length + 2);
    if (parent == NULL)
        return NULL;
    return length > 0 ? memcpy(parent, path, length) : memcpy(parent, ".", 1);
}

int place_sync(errand_chain *chain, int root, const char *path)
{
    const char *parent = place_parent(chain, path);
    if (parent == NULL)
        return -ENOMEM;
    int step = errand_step_open(chain, root, parent, O_RDONLY | O_DIRECTORY, 0);
    return errand_step_sync(chain, ERRAND_SLOT(step), 0);
}
