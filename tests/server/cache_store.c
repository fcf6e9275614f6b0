/* SPDX-License-Identifier: MIT */
/* The cache's store: bytes that add up, who leaves and who stays, and entries in use that outlive their eviction. */
#include "cache/store.h"
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned left;

static void count_gone(struct cache_entry *entry)
{
    (void)entry;
    left++;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static size_t name_of(char *name, unsigned number)
{
    return (size_t)snprintf(name, 32, "some/file%u.html", number);
}

/* Asks for a file: a hit, or it is put in. */
static bool ask(struct store *store, unsigned number, size_t size)
{
    char name[32];
    size_t length = name_of(name, number);
    uint64_t hash = store_hash(store, 7, name, length);
    struct cache_entry *entry = store_find(store, hash, 7, name, length);
    bool hit = entry != NULL;
    if (hit) {
        store_use(entry);
    } else {
        entry = store_make(store, hash, 7, name, length, size);
        REQUIRE(entry != NULL);
        memset(entry->head, (int)number, size);
        store_put(store, entry);
    }
    store_release(store, entry);
    return hit;
}

/* What the queues hold, entry by entry, must be what the counters say. */
static void check_sums(const struct store *store)
{
    uint64_t sum = store->other;
    for (unsigned i = ENTRY_SMALL; i < ENTRY_QUEUES; i++) {
        uint64_t bytes = 0, count = 0;
        for (const struct link *at = store->queues[i].next; at != &store->queues[i]; at = at->next) {
            const struct cache_entry *entry = LINK_OF(at, struct cache_entry, order);
            CHECK_INT(entry->queue, i);
            bytes += entry->size;
            count++;
            CHECK(store_find(store, entry->hash, entry->host, entry->path, entry->path_length) == entry);
        }
        CHECK_INT(store->bytes[i], bytes);
        CHECK_INT(store->counts[i], count);
        sum += bytes;
    }
    CHECK_INT(store_used(store), sum + store->bytes[ENTRY_OUT]);
    CHECK(store_used(store) <= store->limit);
}

/* Reference vectors of SipHash-1-3, of lengths 8, 15 and 63; the first eight bytes are the first word. */
TEST(hash)
{
    struct hash_key key = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}}, other;
    unsigned char bytes[64];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    uint64_t first = UINT64_C(0x0706050403020100);
    CHECK(hash_bytes(&key, first, bytes + 8, 0) == UINT64_C(0x369095118d299a8e));
    CHECK(hash_bytes(&key, first, bytes + 8, 7) == UINT64_C(0xd320d86d2a519956));
    CHECK(hash_bytes(&key, first, bytes + 8, 55) == UINT64_C(0x9d199062b7bbb3a8));
    CHECK(hash_bytes(&key, first, bytes, 7) != hash_bytes(&key, first + 1, bytes, 7));
    CHECK_INT(hash_key_make(&other), 0);
    CHECK(memcmp(&key, &other, sizeof key) != 0);
}

TEST(counts_every_byte)
{
    struct store store;
    REQUIRE_INT(store_open(&store, 2 << 20, count_gone), 0);
    unsigned hits = 0;
    for (unsigned i = 0; i < 60000; i++) {
        hits += ask(&store, (unsigned)draw(draw(2) ? 50 : 5000), draw(4) ? draw(3000) : draw(60000));
        if (i % 1000 == 0) {
            harness_at("after %u", i);
            check_sums(&store);
        }
    }
    CHECK(hits > 10000);
    CHECK_INT(store.bytes[ENTRY_OUT], 0);
    CHECK(left > 0 && left == store.evictions);
    store_charge(&store, 1 << 20); /* others' memory makes entries leave */
    ask(&store, 1000000, 10);
    check_sums(&store);
    store_charge(&store, -(1 << 20));
    while (!link_none(&store.queues[ENTRY_MAIN]))
        store_drop(&store, LINK_OF(store.queues[ENTRY_MAIN].next, struct cache_entry, order));
    check_sums(&store);
    store_close(&store);
}

/* Too large for all: not taken, and gone with its user. What is in use is passed over by evictions, and outlives being
 * dropped. */
TEST(in_use)
{
    struct store store;
    REQUIRE_INT(store_open(&store, 1 << 20, count_gone), 0);
    struct cache_entry *large = store_make(&store, 1, 7, "large", 5, 2 << 20);
    CHECK(!store_put(&store, large));
    CHECK(store_find(&store, 1, 7, "large", 5) == NULL);
    CHECK(store.bytes[ENTRY_OUT] > 2 << 20);
    store_release(&store, large);
    CHECK_INT(store.bytes[ENTRY_OUT], 0);

    struct cache_entry *held[40];
    for (unsigned i = 0; i < 40; i++) {
        char name[32];
        size_t length = name_of(name, i);
        held[i] = store_make(&store, store_hash(&store, 7, name, length), 7, name, length, 1000);
        memset(held[i]->head, (int)i, 1000);
        CHECK(store_put(&store, held[i]));
    }
    for (unsigned i = 100; i < 5000; i++)
        ask(&store, i, 1000);
    check_sums(&store);
    for (unsigned i = 0; i < 40; i++) {
        CHECK(held[i]->queue != ENTRY_OUT);
        if (i % 2)
            store_drop(&store, held[i]);
    }
    CHECK(store.bytes[ENTRY_OUT] > 20000 && store.bytes[ENTRY_OUT] < 40000);
    for (unsigned i = 100; i < 5000; i++)
        ask(&store, i, 1000);
    for (unsigned i = 0; i < 40; i++) {
        char wanted[1000];
        memset(wanted, (int)i, sizeof wanted);
        CHECK_BYTES(held[i]->head, wanted, sizeof wanted);
        store_release(&store, held[i]);
    }
    CHECK_INT(store.bytes[ENTRY_OUT], 0);
    check_sums(&store);
    store_close(&store);
}

/* All in use: nothing can make room, and that is found out at once. */
TEST(all_in_use)
{
    struct store store;
    REQUIRE_INT(store_open(&store, 1 << 20, count_gone), 0);
    enum { MANY = 4000 };
    static struct cache_entry *held[MANY];
    unsigned taken = 0;
    for (unsigned i = 0; i < MANY; i++) {
        char name[32];
        size_t length = name_of(name, i);
        held[i] = store_make(&store, store_hash(&store, 7, name, length), 7, name, length, 1000);
        taken += store_put(&store, held[i]);
    }
    CHECK(taken > 500 && taken < 1024);
    for (unsigned i = 0; i < MANY; i++)
        store_release(&store, held[i]);
    check_sums(&store);
    store_close(&store);
}

/* ---- the same requests to an LRU of as many entries */

struct lru {
    unsigned *numbers, count, room;
};

static bool lru_ask(struct lru *lru, unsigned number)
{
    unsigned at = 0;
    while (at < lru->count && lru->numbers[at] != number)
        at++;
    bool hit = at < lru->count;
    if (!hit)
        at = lru->count < lru->room ? lru->count++ : lru->count - 1;
    memmove(lru->numbers + 1, lru->numbers, at * sizeof *lru->numbers);
    lru->numbers[0] = number;
    return hit;
}

/* A hot set that fills half of it, and one crawler that reads ten times the capacity, once. */
TEST(a_scan_leaves_the_hot_set)
{
    enum { HOT = 500, SIZE = 1000 };
    struct store store;
    REQUIRE_INT(store_open(&store, 1 << 20, count_gone), 0);
    unsigned room = (unsigned)((store.limit - store.other) / (SIZE + 300));
    struct lru lru = {calloc(room, sizeof(unsigned)), 0, room};
    for (unsigned i = 0; i < HOT * 10; i++) {
        unsigned number = (unsigned)draw(HOT);
        ask(&store, number, SIZE);
        lru_ask(&lru, number);
    }
    for (unsigned i = 0; i < 10 * room; i++) {
        ask(&store, 100000 + i, SIZE);
        lru_ask(&lru, 100000 + i);
    }
    unsigned stayed = 0, lru_stayed = 0;
    for (unsigned i = 0; i < HOT; i++) {
        stayed += ask(&store, i, SIZE);
        lru_stayed += lru_ask(&lru, i);
    }
    printf("# of %u hot files, after a scan of 10 times the capacity (%u): here %u, with LRU %u\n", HOT, room, stayed,
           lru_stayed);
    CHECK(stayed >= HOT * 9 / 10);
    CHECK_INT(lru_stayed, 0);
    check_sums(&store);
    free(lru.numbers);
    store_close(&store);
}

/* A crawler between requests that follow a power law: the share of hits, against LRU. */
TEST(a_mixed_load)
{
    enum { FILES = 4000, SIZE = 1000, ROUNDS = 100000 };
    struct store store;
    REQUIRE_INT(store_open(&store, 1 << 20, count_gone), 0);
    unsigned room = (unsigned)((store.limit - store.other) / (SIZE + 300));
    struct lru lru = {calloc(room, sizeof(unsigned)), 0, room};
    unsigned hits = 0, lru_hits = 0, asked = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 2) {
            ask(&store, 100000 + i, SIZE);
            lru_ask(&lru, 100000 + i);
            continue;
        }
        unsigned number = (unsigned)(draw(FILES) * draw(FILES) / FILES * draw(FILES) / FILES);
        hits += ask(&store, number, SIZE);
        lru_hits += lru_ask(&lru, number);
        asked++;
    }
    printf("# every second request a crawler's: %.1f %% of the others are hits, with LRU %.1f %%\n",
           100.0 * hits / asked, 100.0 * lru_hits / asked);
    CHECK(hits > lru_hits);
    free(lru.numbers);
    store_close(&store);
}
