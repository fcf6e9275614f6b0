/* SPDX-License-Identifier: MIT */
/*
 * SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; one round a word and three at the end,
 * as hash tables take it): with a secret key nobody outside can make paths that collide.
 */
#ifndef SERVER_CACHE_HASH_H
#define SERVER_CACHE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t words[2];
};

/* A new random key. Returns 0 or a negative errno. */
int hash_key_make(struct hash_key *key);

/* Of `first`, as eight bytes, and what follows it. */
uint64_t hash_bytes(const struct hash_key *key, uint64_t first, const void *bytes, size_t length);

#endif
