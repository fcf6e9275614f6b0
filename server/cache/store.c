/* SPDX-License-Identifier: MIT */
/* The store: a table with chains of fixed size (so that no hit ever waits for it to grow), and S3-FIFO over it. */
#include "store.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum {
    BYTES_A_BUCKET = 1024, /* of the limit: few entries are smaller */
    BYTES_A_GHOST = 2048,
    WAYS = 4,             /* places where a fingerprint can be */
    MOVES_ON = 2,         /* uses that bring an entry from the small queue to the main one */
    SKIPPED_IN_USE = 128, /* entries in use that an eviction passes over before it gives up */
    ALLOCATOR_BYTES = 8,  /* in front of each allocation */
    LEAST = 1 << 20,
};

/* What left the small queue: a part of its hash, and when, by a clock that counts such departures. */
struct ghost {
    uint32_t print, when; /* print 0: none */
};

static size_t power_of_two(uint64_t least)
{
    size_t size = 64;
    while (size < least)
        size *= 2;
    return size;
}

int store_open(struct store *store, uint64_t limit, void (*gone)(struct cache_entry *entry))
{
    *store = (struct store){.limit = limit < LEAST ? LEAST : limit, .gone = gone};
    size_t buckets = power_of_two(store->limit / BYTES_A_BUCKET), ghosts = power_of_two(store->limit / BYTES_A_GHOST);
    int error = hash_key_make(&store->key);
    if (error)
        return error;
    store->buckets = calloc(buckets, sizeof *store->buckets); /* pages that nobody used yet cost nothing */
    store->ghosts = calloc(ghosts, sizeof *store->ghosts);
    if (store->buckets == NULL || store->ghosts == NULL) {
        free(store->buckets);
        free(store->ghosts);
        return -ENOMEM;
    }
    store->mask = buckets - 1;
    store->ghost_mask = ghosts / WAYS - 1;
    store->other = buckets * sizeof *store->buckets + ghosts * sizeof *store->ghosts;
    for (unsigned i = 0; i < ENTRY_QUEUES; i++)
        link_head(&store->queues[i]);
    return 0;
}

void store_close(struct store *store)
{
    for (unsigned i = ENTRY_SMALL; i < ENTRY_QUEUES; i++)
        while (!link_none(&store->queues[i]))
            store_drop(store, LINK_OF(store->queues[i].next, struct cache_entry, order));
    free(store->buckets);
    free(store->ghosts);
}

uint64_t store_hash(const struct store *store, uint32_t host, const char *path, size_t length)
{
    return hash_bytes(&store->key, host, path, length);
}

struct cache_entry *store_find(const struct store *store, uint64_t hash, uint32_t host, const char *path, size_t length)
{
    struct cache_entry *entry = store->buckets[hash & store->mask];
    while (entry != NULL && (entry->hash != hash || entry->host != host || entry->path_length != length ||
                             memcmp(entry->path, path, length) != 0))
        entry = entry->next;
    return entry;
}

size_t store_weight(void *allocation)
{
    return malloc_usable_size(allocation) + ALLOCATOR_BYTES;
}

uint64_t store_used(const struct store *store)
{
    return store->bytes[ENTRY_OUT] + store->bytes[ENTRY_SMALL] + store->bytes[ENTRY_MAIN] + store->other;
}

/* ------------------------------------------------------------------------------------------- entries */

struct cache_entry *store_make(struct store *store, uint64_t hash, uint32_t host, const char *path, size_t length,
                               size_t reply)
{
    struct cache_entry *entry = malloc(sizeof *entry + length + reply);
    if (entry == NULL)
        return NULL;
    *entry = (struct cache_entry){.hash = hash, .host = host, .path_length = (uint32_t)length, .references = 1};
    memcpy(entry->path, path, length);
    entry->head = entry->path + length;
    entry->size = store_weight(entry);
    store->bytes[ENTRY_OUT] += entry->size;
    store->counts[ENTRY_OUT]++;
    return entry;
}

static void move_to(struct store *store, struct cache_entry *entry, enum entry_queue queue)
{
    store->bytes[entry->queue] -= entry->size;
    store->counts[entry->queue]--;
    link_out(&entry->order);
    entry->queue = (uint8_t)queue;
    store->bytes[queue] += entry->size;
    store->counts[queue]++;
    if (queue != ENTRY_OUT)
        link_first(&store->queues[queue], &entry->order);
}

static void free_entry(struct store *store, struct cache_entry *entry)
{
    store->bytes[ENTRY_OUT] -= entry->size;
    store->counts[ENTRY_OUT]--;
    free(entry);
}

void store_release(struct store *store, struct cache_entry *entry)
{
    if (--entry->references == 0 && entry->queue == ENTRY_OUT)
        free_entry(store, entry);
}

void store_drop(struct store *store, struct cache_entry *entry)
{
    struct cache_entry **at = &store->buckets[entry->hash & store->mask];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    store->gone(entry);
    move_to(store, entry, ENTRY_OUT);
    if (entry->references == 0)
        free_entry(store, entry);
}

/* -------------------------------------------------------------------------------------------- ghosts */

static struct ghost *ghosts_of(const struct store *store, uint64_t hash)
{
    return &store->ghosts[((hash >> 24) & store->ghost_mask) * WAYS];
}

/* The low bits choose the bucket, so the print is of the high ones. */
static uint32_t print_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) | 1;
}

static void ghost_remember(struct store *store, uint64_t hash)
{
    struct ghost *ghosts = ghosts_of(store, hash), *oldest = ghosts;
    uint32_t now = ++store->ghost_clock;
    for (unsigned i = 0; i < WAYS; i++) {
        if (ghosts[i].print == print_of(hash) || ghosts[i].print == 0) {
            oldest = &ghosts[i];
            break;
        }
        if (now - ghosts[i].when > now - oldest->when)
            oldest = &ghosts[i];
    }
    *oldest = (struct ghost){print_of(hash), now};
}

/* Did it leave not long ago, while fewer others did than the main queue holds? */
static bool ghost_take(struct store *store, uint64_t hash)
{
    struct ghost *ghosts = ghosts_of(store, hash);
    for (unsigned i = 0; i < WAYS; i++) {
        if (ghosts[i].print != print_of(hash))
            continue;
        ghosts[i].print = 0;
        if (store->ghost_clock - ghosts[i].when > store->counts[ENTRY_MAIN] + store->counts[ENTRY_SMALL])
            return false;
        store->ghost_hits++;
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------ evictions */

static struct cache_entry *oldest_of(const struct store *store, enum entry_queue queue)
{
    const struct link *head = &store->queues[queue];
    return link_none(head) ? NULL : LINK_OF(head->previous, struct cache_entry, order);
}

/* One step: an entry leaves, or moves. Returns false if it was passed over because it is in use: that would free
 * nothing. */
static bool evict_step(struct store *store)
{
    uint64_t room = store->bytes[ENTRY_SMALL] + store->bytes[ENTRY_MAIN];
    bool from_small =
        store->counts[ENTRY_MAIN] == 0 || (store->counts[ENTRY_SMALL] > 0 && store->bytes[ENTRY_SMALL] >= room / 10);
    enum entry_queue queue = from_small ? ENTRY_SMALL : ENTRY_MAIN;
    struct cache_entry *entry = oldest_of(store, queue);
    if (entry->references > 0) {
        move_to(store, entry, from_small && entry->frequency >= MOVES_ON ? ENTRY_MAIN : queue);
        return false;
    }
    if (from_small && entry->frequency >= MOVES_ON) {
        entry->frequency = 0;
        move_to(store, entry, ENTRY_MAIN);
    } else if (!from_small && entry->frequency > 0) {
        entry->frequency--;
        move_to(store, entry, ENTRY_MAIN);
    } else {
        if (from_small)
            ghost_remember(store, entry->hash);
        store->evictions++;
        store_drop(store, entry);
    }
    return true;
}

static bool make_room(struct store *store)
{
    unsigned skipped = 0;
    while (store_used(store) > store->limit) {
        if (store->counts[ENTRY_SMALL] + store->counts[ENTRY_MAIN] == 0)
            return false;
        if (!evict_step(store) && ++skipped > SKIPPED_IN_USE)
            return false;
    }
    return true;
}

bool store_put(struct store *store, struct cache_entry *entry)
{
    if (!make_room(store)) /* which counts it already */
        return false;
    move_to(store, entry, ghost_take(store, entry->hash) ? ENTRY_MAIN : ENTRY_SMALL);
    struct cache_entry **bucket = &store->buckets[entry->hash & store->mask];
    entry->next = *bucket;
    *bucket = entry;
    return true;
}
