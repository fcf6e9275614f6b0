/* SPDX-License-Identifier: MIT */
/* Contents that tell where they come from: every byte depends on the file's seed and its place. */
#ifndef TESTS_PATTERN_H
#define TESTS_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t pattern_word(uint64_t seed, uint64_t word)
{
    uint64_t x = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ word * UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 29;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 32;
}

/* Fills in what the file with this seed holds from offset on. */
static inline void pattern_fill(void *buffer, size_t length, uint64_t seed, uint64_t offset)
{
    unsigned char *bytes = buffer;
    while (length) {
        uint64_t word = pattern_word(seed, offset / 8);
        size_t skip = offset % 8, part = 8 - skip < length ? 8 - skip : length;
        memcpy(bytes, (unsigned char *)&word + skip, part);
        bytes += part, offset += part, length -= part;
    }
}

/* Returns the place of the first byte that is not as pattern_fill() would have it, or length. */
static inline size_t pattern_check(const void *buffer, size_t length, uint64_t seed, uint64_t offset)
{
    const unsigned char *bytes = buffer;
    for (size_t at = 0; at < length;) {
        uint64_t word = pattern_word(seed, (offset + at) / 8);
        size_t skip = (offset + at) % 8, part = 8 - skip < length - at ? 8 - skip : length - at;
        for (size_t i = 0; i < part; i++)
            if (bytes[at + i] != ((unsigned char *)&word)[skip + i])
                return at + i;
        at += part;
    }
    return length;
}

#endif
