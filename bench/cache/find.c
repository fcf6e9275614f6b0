/* SPDX-License-Identifier: MIT */
/*
 * What a hit in the server's cache costs: the key's hash, the look-up, taking it into use and giving it back; with few
 * entries, which stay in the processor's caches, and with many, which do not. And what putting one in costs when
 * another has to leave.
 */
#include "server/cache/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void nothing(struct cache_entry *entry)
{
    (void)entry;
}

static size_t name_of(char *name, unsigned number)
{
    return (size_t)snprintf(name, 40, "assets/pages/file%07u.html", number);
}

static void put(struct store *store, unsigned number)
{
    char name[40];
    size_t length = name_of(name, number);
    struct cache_entry *entry = store_make(store, store_hash(store, 0, name, length), 0, name, length, 256);
    if (entry == NULL)
        exit(1);
    store_put(store, entry);
    store_release(store, entry);
}

static void measure(unsigned entries, unsigned rounds)
{
    struct store store;
    if (store_open(&store, UINT64_C(1) << 30, nothing) < 0)
        exit(1);
    char(*names)[40] = malloc(sizeof *names * entries);
    unsigned *order = malloc(sizeof *order * entries), hits = 0;
    for (unsigned i = 0; i < entries; i++) {
        put(&store, i);
        unsigned other = (unsigned)(((uint64_t)i * 2654435761u) % (i + 1));
        order[i] = order[other];
        order[other] = i;
    }
    for (unsigned i = 0; i < entries; i++)
        name_of(names[i], order[i]);
    size_t length = strlen(names[0]);
    double begin = now_ns();
    for (unsigned i = 0, at = 0; i < rounds; i++, at = at + 1 == entries ? 0 : at + 1) {
        uint64_t hash = store_hash(&store, 0, names[at], length);
        struct cache_entry *entry = store_find(&store, hash, 0, names[at], length);
        if (entry == NULL)
            continue;
        hits++;
        store_use(entry);
        store_release(&store, entry);
    }
    double took = now_ns() - begin;
    printf("%8u entries, %5.1f MiB: %6.1f ns a hit (%u of %u)\n", entries, (double)store_used(&store) / 1048576,
           took / rounds, hits, rounds);
    free(names);
    free(order);
    store_close(&store);
}

static void measure_evictions(void)
{
    struct store store;
    if (store_open(&store, 64 << 20, nothing) < 0)
        exit(1);
    enum { FILL = 200000, ROUNDS = 1000000 };
    for (unsigned i = 0; i < FILL; i++)
        put(&store, i);
    double begin = now_ns();
    for (unsigned i = 0; i < ROUNDS; i++)
        put(&store, FILL + i);
    printf("a new entry for an old one: %.1f ns (%llu left)\n", (now_ns() - begin) / ROUNDS,
           (unsigned long long)store.evictions);
    store_close(&store);
}

int main(void)
{
    measure(1000, 20000000);
    measure(100000, 5000000);
    measure(1000000, 5000000);
    measure_evictions();
    return 0;
}
