/* SPDX-License-Identifier: MIT */
/*
 * A hash table in parts, each with its lock, so that workers seldom meet. Its hash is keyed: a client who can choose an
 * address among 2^64 networks cannot choose a bucket. Only those who come and go take a lock; a request is one atomic
 * exchange on an entry that its connection holds.
 */
#include "peers.h"
#include "cache/hash.h"
#include "errand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS = 64,
    FIRST_SIZE = 64,   /* buckets of a part at first */
    SPARES_MAX = 1024, /* entries of a part that nobody is connected by */
};

struct peer {
    struct peer *next;          /* in its bucket */
    struct peer *newer, *older; /* among those that nobody is connected by */
    struct address address;     /* address_of_one_client() */
    uint64_t hash;
    _Atomic int64_t paid; /* until when its requests are paid for: a second ago or earlier, the bucket is full */
    int64_t forgiven;     /* when all its guesses will be */
    uint32_t connections;
};

struct part {
    _Alignas(64) pthread_mutex_t lock;
    struct peer **buckets;
    size_t size, count; /* size: a power of two */
    struct peer *oldest, *newest;
    unsigned spares;
};

struct peers {
    uint32_t connections; /* of one address */
    int64_t cost;         /* of one request; 0: nothing */
    struct hash_key key;
    struct part parts[PARTS];
};

struct peers *peers_open(uint32_t connections, uint32_t requests)
{
    struct peers *peers = aligned_alloc(64, sizeof *peers);
    if (peers == NULL)
        return NULL;
    memset(peers, 0, sizeof *peers);
    peers->connections = connections;
    peers->cost = requests ? (int64_t)(ERRAND_SECOND / requests) : 0;
    bool good = hash_key_make(&peers->key) == 0;
    for (unsigned i = 0; i < PARTS; i++) {
        struct part *part = &peers->parts[i];
        pthread_mutex_init(&part->lock, NULL);
        part->size = FIRST_SIZE;
        part->buckets = calloc(part->size, sizeof *part->buckets);
        good = good && part->buckets != NULL;
    }
    if (good)
        return peers;
    peers_close(peers);
    return NULL;
}

void peers_close(struct peers *peers)
{
    for (unsigned i = 0; peers != NULL && i < PARTS; i++) {
        struct part *part = &peers->parts[i];
        for (size_t b = 0; part->buckets != NULL && b < part->size; b++) {
            while (part->buckets[b] != NULL) {
                struct peer *next = part->buckets[b]->next;
                free(part->buckets[b]);
                part->buckets[b] = next;
            }
        }
        free(part->buckets);
        pthread_mutex_destroy(&part->lock);
    }
    free(peers);
}

/* ------------------------------------------------------------------------------------------ a part; it is locked */

static struct part *part_of(struct peers *peers, uint64_t hash)
{
    return &peers->parts[hash % PARTS];
}

static struct peer **bucket_of(const struct part *part, uint64_t hash)
{
    return &part->buckets[hash / PARTS & (part->size - 1)];
}

/* Twice as many buckets. Without memory for them the old ones do, with longer lists. */
static void grow(struct part *part)
{
    struct part larger = {.size = 2 * part->size};
    larger.buckets = calloc(larger.size, sizeof *larger.buckets);
    if (larger.buckets == NULL)
        return;
    for (size_t b = 0; b < part->size; b++) {
        for (struct peer *peer = part->buckets[b], *next; peer != NULL; peer = next) {
            struct peer **bucket = bucket_of(&larger, peer->hash);
            next = peer->next;
            peer->next = *bucket;
            *bucket = peer;
        }
    }
    free(part->buckets);
    part->buckets = larger.buckets;
    part->size = larger.size;
}

static struct peer *add(struct part *part, const struct address *address, uint64_t hash)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    if (part->count >= part->size)
        grow(part);
    struct peer **bucket = bucket_of(part, hash);
    peer->address = *address;
    peer->hash = hash;
    peer->next = *bucket;
    *bucket = peer;
    part->count++;
    return peer;
}

static void drop(struct part *part, struct peer *peer)
{
    struct peer **at = bucket_of(part, peer->hash);
    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    part->count--;
    free(peer);
}

static void add_spare(struct part *part, struct peer *peer)
{
    peer->newer = NULL;
    peer->older = part->newest;
    *(part->newest ? &part->newest->newer : &part->oldest) = peer;
    part->newest = peer;
    part->spares++;
}

static void take_spare(struct part *part, struct peer *peer)
{
    *(peer->older ? &peer->older->newer : &part->oldest) = peer->newer;
    *(peer->newer ? &peer->newer->older : &part->newest) = peer->older;
    part->spares--;
}

static bool is_full(const struct peer *peer, int64_t now)
{
    return atomic_load_explicit(&peer->paid, memory_order_relaxed) <= now - ERRAND_SECOND && peer->forgiven <= now;
}

/* Some of those that have come to nothing, at each visit; and the oldest, if there are too many. */
static void tidy(struct part *part, int64_t now)
{
    for (unsigned i = 0; i < 4 && part->oldest != NULL; i++) {
        struct peer *peer = part->oldest;
        if (!is_full(peer, now) && part->spares <= SPARES_MAX)
            return;
        take_spare(part, peer);
        drop(part, peer);
    }
}

/* ------------------------------------------------------------------------------------------ those who come and go */

static struct peer *find(const struct part *part, const struct address *address, uint64_t hash)
{
    for (struct peer *peer = *bucket_of(part, hash); peer != NULL; peer = peer->next)
        if (peer->hash == hash && memcmp(&peer->address, address, sizeof *address) == 0)
            return peer;
    return NULL;
}

struct peer *peers_join(struct peers *peers, const struct address *address, int64_t now)
{
    struct address one = address_of_one_client(address);
    uint64_t hash = hash_bytes(&peers->key, 0, &one, sizeof one);
    struct part *part = part_of(peers, hash);
    pthread_mutex_lock(&part->lock);
    tidy(part, now);
    struct peer *peer = find(part, &one, hash);
    bool spare = peer != NULL && peer->connections == 0;
    if (peer == NULL)
        peer = add(part, &one, hash);
    else if (peers->connections != 0 && peer->connections >= peers->connections)
        peer = NULL;
    if (spare)
        take_spare(part, peer);
    if (peer != NULL)
        peer->connections++;
    pthread_mutex_unlock(&part->lock);
    return peer;
}

void peers_leave(struct peers *peers, struct peer *peer, int64_t now)
{
    struct part *part = part_of(peers, peer->hash);
    pthread_mutex_lock(&part->lock);
    if (--peer->connections == 0) {
        if (is_full(peer, now))
            drop(part, peer);
        else
            add_spare(part, peer);
    }
    tidy(part, now);
    pthread_mutex_unlock(&part->lock);
}

bool peers_request(const struct peers *peers, struct peer *peer, int64_t now)
{
    if (peers->cost == 0)
        return true;
    int64_t paid = atomic_load_explicit(&peer->paid, memory_order_relaxed), next;
    do {
        next = (paid > now - ERRAND_SECOND ? paid : now - ERRAND_SECOND) + peers->cost;
        if (next > now)
            return false;
    } while (
        !atomic_compare_exchange_weak_explicit(&peer->paid, &paid, next, memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* ------------------------------------------------------------------------------------------ guesses */

bool peers_guess(struct peers *peers, const struct address *address, uint32_t most, int64_t now)
{
    struct address one = address_of_one_client(address);
    uint64_t hash = hash_bytes(&peers->key, 0, &one, sizeof one);
    struct part *part = part_of(peers, hash);
    pthread_mutex_lock(&part->lock);
    tidy(part, now);
    struct peer *peer = find(part, &one, hash);
    if (peer == NULL && (peer = add(part, &one, hash)) != NULL)
        add_spare(part, peer);
    int64_t from = peer != NULL && peer->forgiven > now ? peer->forgiven : now;
    bool may = peer != NULL && from + PEERS_FORGIVE_NS <= now + most * PEERS_FORGIVE_NS;
    if (may)
        peer->forgiven = from + PEERS_FORGIVE_NS;
    pthread_mutex_unlock(&part->lock);
    return may;
}

void peers_guessed_right(struct peers *peers, const struct address *address)
{
    struct address one = address_of_one_client(address);
    uint64_t hash = hash_bytes(&peers->key, 0, &one, sizeof one);
    struct part *part = part_of(peers, hash);
    pthread_mutex_lock(&part->lock);
    struct peer *peer = find(part, &one, hash);
    if (peer != NULL)
        peer->forgiven -= PEERS_FORGIVE_NS;
    pthread_mutex_unlock(&part->lock);
}

size_t peers_count(struct peers *peers)
{
    size_t count = 0;
    for (unsigned i = 0; i < PARTS; i++) {
        pthread_mutex_lock(&peers->parts[i].lock);
        count += peers->parts[i].count;
        pthread_mutex_unlock(&peers->parts[i].lock);
    }
    return count;
}
