/* SPDX-License-Identifier: MIT */
/*
 * Replies of small files, ready in memory: one cache for each worker. It knows nothing of HTTP: an entry is what the
 * caller's `make` wrote (a head) and the file's bytes behind it, found by host and path.
 *
 *     switch (cache_find(cache, host, path, length, &waiter, &result)) {
 *     case CACHE_HIT:    send result.entry->head, head_length + body_length bytes; then cache_release()
 *     case CACHE_ABSENT: there is no such file
 *     case CACHE_PASS:   open it as if there were no cache
 *     case CACHE_WAIT:   somebody reads it (the cache's own chain): waiter.told() will say one of the other three
 *     }
 *
 * What is promised. A reply is of a file as it was when, or after, it was asked for, but for
 *   - the time until inotify's event of a change can be read: cache_turn() takes in those of a batch before anything
 *     else in it is looked at;
 *   - what no directory's watch can see: stores through mmap, writes through a hard link elsewhere, a mount put over a
 *     directory, another spelling in a directory that ignores case, a lower layer of overlayfs. For these an entry is
 *     read and compared again before it is served more than CACHE_VALID_NS after it was read. (Compared, not only
 *     looked at by stat: a store to a page that is dirty already does not change the time of modification.)
 * Whatever lies on a filesystem that gives no events (NFS, FUSE: all but those of errand_source_watch_add()), is
 * reached by a symlink beneath the root, is too large, or deeper than 32 directories, is passed.
 */
#ifndef SERVER_CACHE_CACHE_H
#define SERVER_CACHE_CACHE_H

#include "links.h"
#include "store.h"

struct cache;

enum {
    CACHE_HEAD_MOST = 2048,
    CACHE_FILE_MOST = 64 * 1024, /* the default of cache_options.file_most */
    CACHE_PATH_MOST = 1024,
};

#define CACHE_VALID_NS   ERRAND_SECOND
#define CACHE_REFRESH_NS (750 * ERRAND_MILLISECOND) /* a hit on one of this age has it read again, ahead of time */

/* A file that was read, for `make`. */
struct cache_file {
    uint32_t host;
    const char *path; /* no NUL follows */
    size_t path_length;
    const struct errand_stat *stat;
    const void *body;
    size_t body_length; /* = stat->bytes */
};

/* Writes the head of a file's reply, at most CACHE_HEAD_MOST bytes, and notes for the caller's own use. Returns its
 * length; negative: the file is not to be cached. */
typedef int (*cache_make)(void *context, const struct cache_file *file, char *head, uint64_t notes[CACHE_NOTES]);

struct cache_options {
    errand_queue *queue;
    const int *roots; /* by host, as errand_root_add() gave them; stays the caller's */
    uint32_t hosts;
    uint64_t bytes;       /* of this cache; at least 1 MiB */
    size_t file_most;     /* 0: CACHE_FILE_MOST; and no entry takes more than a 64th of the bytes */
    uint32_t directories; /* watched at most; 0: 4096 */
    cache_make make;
    void *context;
};

/* Returns 0, -ENOMEM, -EMFILE (fs.inotify.max_user_instances), -EINVAL. */
int cache_open(struct cache **cache, const struct cache_options *options);

/* Before errand_queue_close(): nobody is told anything any more. */
void cache_stop(struct cache *cache);

/* After it, and after all entries were released. NULL is allowed in both. */
void cache_close(struct cache *cache);

enum cache_answer {
    CACHE_HIT,
    CACHE_ABSENT,
    CACHE_PASS,
    CACHE_WAIT,
};

struct cache_waiter {
    struct link link;
    /* Called on the queue's thread, within errand_queue_wait(), at most once; it may do anything but close the cache.
     * The entry (of CACHE_HIT, else NULL) is in use by the waiter from then on. */
    void (*told)(struct cache_waiter *waiter, enum cache_answer answer, struct cache_entry *entry);
};

/*
 * Looks for a path (decoded and normalised, relative to the host's root, no slash at its ends). Never waits. CACHE_HIT:
 * *entry is in use until cache_release(): evicted or out of date, its bytes stay, so a send step may have them. Only
 * with CACHE_WAIT does the cache keep the waiter (set up but for its link); path is copied.
 */
enum cache_answer cache_find(struct cache *cache, uint32_t host, const char *path, size_t length,
                             struct cache_waiter *waiter, struct cache_entry **entry);

/* Waits no longer: told() will not be called. Allowed also when it was. */
void cache_leave(struct cache_waiter *waiter);

void cache_release(struct cache *cache, struct cache_entry *entry);

/* Is nobody else using the entry now, so that its head may be changed? */
static inline bool cache_is_sole(const struct cache_entry *entry)
{
    return entry->references == 1;
}

/*
 * To be called with every batch that errand_queue_wait() gave, of at most `most` events, before any of it is looked
 * at: takes in the events of the cache's watch, whose user_data is the cache.
 */
void cache_turn(struct cache *cache, const struct errand_event *events, unsigned count, unsigned most);

/* The file was changed by the caller himself: do not even wait for the event. */
void cache_changed(struct cache *cache, uint32_t host, const char *path, size_t length);

struct cache_figures {
    uint64_t bytes, limit; /* all memory of it */
    uint64_t entries, directories;
    uint64_t hits, absent, passed, waits; /* answers of cache_find() */
    uint64_t loads, refreshes;            /* chains that read a file: a new one, one to compare */
    uint64_t refreshes_differed;          /* changes that no event had told */
    uint64_t changes, overflows;          /* events of inotify, lost queues of events */
    uint64_t evictions, ghost_hits;
    uint64_t lent; /* bytes of entries that left and are still in use */
};

void cache_figures(const struct cache *cache, struct cache_figures *figures);

#endif
