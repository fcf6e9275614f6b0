/* SPDX-License-Identifier: MIT */
/* The roots of a queue: a slab of pointers to them. Handles are negative numbers below every slot's, with so much of
 * the generation that one that was removed is not mistaken for a new one. */
#ifndef CHAIN_ROOTS_H
#define CHAIN_ROOTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "base/slab.h"
#include "chain/file_run.h"

enum { ROOTS_MAX = 1 << 16, ROOTS_GENERATIONS = 1 << 14, ROOTS_FIRST = -1000000 };

static inline bool is_root_handle(int handle)
{
    return handle <= ROOTS_FIRST;
}

static inline unsigned root_generation(const struct slab *roots, unsigned index)
{
    return roots->generations[index] / 2 % ROOTS_GENERATIONS; /* by one more each time that it is taken and freed */
}

static inline int root_handle(const struct slab *roots, struct root **entry)
{
    unsigned index = (unsigned)slab_handle(roots, entry);
    return ROOTS_FIRST - (int)(root_generation(roots, index) * ROOTS_MAX + index);
}

/* Where the root is; NULL: there is no such root. */
static inline struct root **root_find(const struct slab *roots, int handle)
{
    unsigned value = (unsigned)(ROOTS_FIRST - handle), index = value % ROOTS_MAX;
    if (!slab_is_taken(roots, index) || root_generation(roots, index) != value / ROOTS_MAX)
        return NULL;
    return slab_at(roots, index);
}

#endif
