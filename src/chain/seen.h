/* SPDX-License-Identifier: MIT */
/*
 * Our own record of what was seen not to wait: paths that led to compact regular files a short time ago. It is what allows
 * open, read and close to go out as one linked segment, before anybody could look at the file in between. An entry holds
 * for SEEN_SECONDS, because a path can come to mean another file.
 */
#ifndef CHAIN_SEEN_H
#define CHAIN_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#define SEEN_ENTRIES 65536u
#define SEEN_SECONDS 10

struct seen {
    uint64_t entries[SEEN_ENTRIES]; /* 48 bits of a path's hash, 16 of the second in which it was noted */
};

uint64_t seen_hash(uint64_t root, const char *path);
static inline void seen_prefetch(const struct seen *seen, uint64_t hash)
{
    __builtin_prefetch(&seen->entries[hash % SEEN_ENTRIES]);
}
bool seen_holds(const struct seen *seen, uint64_t hash, int64_t now);
void seen_note(struct seen *seen, uint64_t hash, int64_t now);

#endif
