/* SPDX-License-Identifier: MIT */
/*
 * The bounded store: entries by host and path, in a number of bytes that counts everything.
 *
 * What goes when room is needed: S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache
 * eviction", SOSP 2023). New entries come into a small queue, a tenth of the bytes; one that was asked for twice until
 * it reaches the end moves on to the main queue, any other leaves, and only its fingerprint is remembered (the ghost):
 * if it comes again soon it goes to the main queue at once. So a crawler that reads every file once passes through the
 * small queue and the hot files stay, which LRU does not do, nor SIEVE (Zhang and others, NSDI 2024: simpler, but by
 * its authors' own word not resistant to scans). A hit sets two bits and moves nothing; an eviction is O(1) amortised.
 */
#ifndef SERVER_CACHE_STORE_H
#define SERVER_CACHE_STORE_H

#include "errand.h"
#include "hash.h"
#include "links.h"

#include <stdbool.h>

struct directory;
struct cache_load;

enum { CACHE_NOTES = 4 };

enum entry_queue { ENTRY_OUT, ENTRY_SMALL, ENTRY_MAIN, ENTRY_QUEUES };

enum entry_kind {
    ENTRY_FILE,   /* a reply: head and body */
    ENTRY_ABSENT, /* no such file */
    ENTRY_PASS,   /* not to be cached: too large, a symlink, a directory */
};

struct cache_entry {
    struct cache_entry *next; /* in its bucket */
    uint64_t hash;
    uint32_t host, path_length;
    int64_t valid_ns;    /* it was what the file is at this time or later */
    uint32_t references; /* who has it in use; its bytes stay as long */
    uint8_t kind, queue, frequency;
    struct cache_load *refresh; /* under way, or NULL */
    size_t size;                /* all bytes of it, as accounted */
    struct link order;          /* of its queue */
    struct link sibling;        /* of its directory */
    struct directory *directory;
    /* The caller's to read, and `notes` and the head's bytes to change as well (see cache_is_sole()). */
    struct errand_stat stat;
    uint64_t notes[CACHE_NOTES];
    uint32_t head_length, body_length;
    char *head;  /* the body follows at once: one send for both */
    char path[]; /* path, head, body */
};

struct store {
    struct hash_key key;
    struct cache_entry **buckets;
    size_t mask;
    struct ghost *ghosts;
    size_t ghost_mask;
    uint32_t ghost_clock;
    struct link queues[ENTRY_QUEUES];
    uint64_t bytes[ENTRY_QUEUES]; /* ENTRY_OUT: of entries that left, or never came in, and are in use */
    uint64_t counts[ENTRY_QUEUES];
    uint64_t other; /* tables, and what store_charge() was told */
    uint64_t limit;
    uint64_t evictions, ghost_hits;
    void (*gone)(struct cache_entry *entry); /* it leaves, for whatever reason: called before */
};

/* Its tables take one or two hundredths of `limit`, which counts as 1 MiB if it is less. Returns 0, -ENOMEM or another
 * negative errno. */
int store_open(struct store *store, uint64_t limit, void (*gone)(struct cache_entry *entry));

/* Drops everything; entries in use live on until they are released, which must be before this. */
void store_close(struct store *store);

uint64_t store_hash(const struct store *store, uint32_t host, const char *path, size_t length);

/* NULL: it is not there. Does not count as use. */
struct cache_entry *store_find(const struct store *store, uint64_t hash, uint32_t host, const char *path,
                               size_t length);

/* Takes it into use: until store_release(). */
static inline struct cache_entry *store_use(struct cache_entry *entry)
{
    entry->frequency = entry->frequency < 3 ? entry->frequency + 1 : 3;
    entry->references++;
    return entry;
}

void store_release(struct store *store, struct cache_entry *entry);

/* A new one, in use, not in the store yet, with room for head and body behind its path. NULL: no memory. */
struct cache_entry *store_make(struct store *store, uint64_t hash, uint32_t host, const char *path, size_t length,
                               size_t reply);

/* Puts it in; there must be none of its key. False: there is no room, even after evictions. */
bool store_put(struct store *store, struct cache_entry *entry);

/* Takes it out. */
void store_drop(struct store *store, struct cache_entry *entry);

/* All bytes now; at most the limit, but for what is in use. */
uint64_t store_used(const struct store *store);

/* Memory of others that counts, too. store_weight(): what an allocation takes. */
static inline void store_charge(struct store *store, int64_t bytes)
{
    store->other += (uint64_t)bytes;
}
size_t store_weight(void *allocation);

#endif
