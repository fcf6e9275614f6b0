/* SPDX-License-Identifier: MIT */
/* The roots of a queue: handles are negative numbers below every slot's. */
#ifndef CHAIN_ROOTS_H
#define CHAIN_ROOTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "chain/file_run.h"

#define ROOTS_LIMIT                    64
#define ROOT_HANDLE(index, generation) (-1000000 - (int)(generation)*ROOTS_LIMIT - (int)(index))

struct roots {
    struct root *entries[ROOTS_LIMIT];
    uint16_t generations[ROOTS_LIMIT]; /* so that a handle that was removed is not mistaken for a new one */
};

static inline bool is_root_handle(int handle)
{
    return handle <= ROOT_HANDLE(0, 0);
}

static inline struct root *root_find(const struct roots *roots, int handle)
{
    unsigned value = (unsigned)(ROOT_HANDLE(0, 0) - handle);
    unsigned index = value % ROOTS_LIMIT;
    return roots->generations[index] == value / ROOTS_LIMIT ? roots->entries[index] : NULL;
}

#endif
