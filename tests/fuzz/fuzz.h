/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer is a file with LLVMFuzzerTestOneInput(): linked with clang's libFuzzer it is given inputs without end
 * (tests/fuzz/run), linked with replay.c those that are kept in corpus/ (make test). What it promises of every input is
 * written with HOLDS().
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                             \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A copy in a block of exactly its size, so that a checker sees what is read beyond it. The caller's to free. */
static inline char *fuzz_exact(const void *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    HOLDS(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* Where to cut an input is drawn from the input. */
static inline uint32_t fuzz_seed(const uint8_t *data, size_t size)
{
    uint32_t seed = 2166136261u;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 16777619u;
    return seed;
}

static inline uint32_t fuzz_draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 16) % below;
}

#endif
