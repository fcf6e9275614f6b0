/* SPDX-License-Identifier: MIT */
/*
 * Our own record of what was seen not to wait: paths that led to compact regular files a short time ago. It is what
 * allows open, read and close to go out as one linked segment, before anybody could look at the file in between. An
 * entry holds for SEEN_SECONDS, because a path can come to mean another file.
 */
#ifndef CHAIN_SEEN_H
#define CHAIN_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#define SEEN_BUCKETS 4096u
#define SEEN_WAYS    8 /* a bucket is one cache line: a look-up that misses the cache brings in no more than that */
#define SEEN_SECONDS 10

struct seen {
    struct seen_bucket {
        uint64_t ways[SEEN_WAYS]; /* 40 bits of a path's hash, 24 of the second in which it was noted */
    } buckets[SEEN_BUCKETS];
};

uint64_t seen_hash(uint64_t root, const char *path);
static inline void seen_prefetch(const struct seen *seen, uint64_t hash)
{
    __builtin_prefetch(&seen->buckets[hash % SEEN_BUCKETS]);
}

bool seen_holds(const struct seen *seen, uint64_t hash, int64_t now);
void seen_note(struct seen *seen, uint64_t hash, int64_t now);

#endif
