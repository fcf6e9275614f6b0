/* SPDX-License-Identifier: MIT */
#include "chain/seen.h"

#include <string.h>

/* Multiply and fold: two multiplications for 16 bytes, good enough for a table whose false hit costs only time. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)(a ^ UINT64_C(0x9e3779b97f4a7c15)) * (b ^ UINT64_C(0xd6e8feb86659fd93));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t seen_hash(uint64_t root, const char *path)
{
    size_t left = strlen(path);
    uint64_t hash = mix(root, left);
    while (left > 0) {
        uint64_t words[2] = {0, 0};
        size_t n = left < sizeof words ? left : sizeof words;
        memcpy(words, path, n);
        hash = mix(hash ^ words[0], words[1]);
        path += n;
        left -= n;
    }
    return hash;
}

#define SECOND_MASK UINT64_C(0xffffff)

static uint64_t second(int64_t now)
{
    return (uint64_t)(now / INT64_C(1000000000)) & SECOND_MASK;
}

static uint64_t age(uint64_t entry, int64_t now)
{
    return (second(now) - entry) & SECOND_MASK;
}

static bool is_of(uint64_t entry, uint64_t hash)
{
    return ((entry ^ hash) & ~SECOND_MASK) == 0;
}

bool seen_holds(const struct seen *seen, uint64_t hash, int64_t now)
{
    const struct seen_bucket *bucket = &seen->buckets[hash % SEEN_BUCKETS];
    for (int i = 0; i < SEEN_WAYS; i++)
        if (is_of(bucket->ways[i], hash))
            return age(bucket->ways[i], now) < SEEN_SECONDS;
    return false;
}

/* In the place of its last note, or of the oldest. */
void seen_note(struct seen *seen, uint64_t hash, int64_t now)
{
    struct seen_bucket *bucket = &seen->buckets[hash % SEEN_BUCKETS];
    int place = 0;
    for (int i = 0; i < SEEN_WAYS; i++) {
        if (is_of(bucket->ways[i], hash)) {
            place = i;
            break;
        }
        if (bucket->ways[i] == 0 || age(bucket->ways[i], now) > age(bucket->ways[place], now))
            place = i;
    }
    bucket->ways[place] = (hash & ~SECOND_MASK) | second(now);
}
