/* SPDX-License-Identifier: MIT */
/* Structs that begin with their size: how an old library and a new program, or the reverse, understand each other. */
#ifndef BASE_SIZED_H
#define BASE_SIZED_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/*
 * Copies the caller's struct into one of ours. What the caller's lacks is 0; what it has beyond ours must be 0.
 * Returns 0; -EINVAL: its size cannot be right; -E2BIG: it asks for what we do not know.
 */
static inline int sized_copy(void *ours, size_t our_size, const void *theirs)
{
    size_t size;
    memcpy(&size, theirs, sizeof size);
    if (size == our_size) {
        memcpy(ours, theirs, our_size);
        return 0;
    }
    if (size < sizeof size || size > 65536)
        return -EINVAL;
    for (size_t i = our_size; i < size; i++)
        if (((const char *)theirs)[i])
            return -E2BIG;
    memset(ours, 0, our_size);
    memcpy(ours, theirs, size < our_size ? size : our_size);
    return 0;
}

/* The caller's struct itself if it is of our size, else a copy in *ours; NULL: *error says why not. */
static inline const void *sized_view(const void *theirs, void *ours, size_t our_size, int *error)
{
    size_t size;
    memcpy(&size, theirs, sizeof size);
    *error = size == our_size ? 0 : sized_copy(ours, our_size, theirs);
    return *error ? NULL : size == our_size ? theirs : ours;
}

#endif
