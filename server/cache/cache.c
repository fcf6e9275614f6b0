/* SPDX-License-Identifier: MIT */
/* Finding, loading, and who waits for what: the store and the watches put together. */
#include "cache.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    LOAD_BUCKETS = 256, /* of files that are being read: few */
    SETTLING = 8,       /* batches; one that is not full ends it at once */
    SHARE = 64,         /* no entry takes more than this part of the bytes */
    /* A batch that the library read of inotify's events, at most 4 KiB, was perhaps not all of them if one more of the
     * longest would not have fitted. */
    BATCH_BYTES = 4096 - (int)sizeof(struct inotify_event) - 256,
};

#define LOAD_NS (5 * ERRAND_SECOND)  /* a device that takes longer: everybody goes by himself */
#define PASS_NS (10 * ERRAND_SECOND) /* then what was not to be cached is looked at again */

/* A chain that reads a file, new or to be compared. Those who ask meanwhile wait for it. */
struct cache_load {
    struct watch_user user;
    struct cache_load *next; /* in its bucket */
    struct cache *cache;
    struct cache_entry *entry; /* to be compared, in use; NULL: new */
    struct link waiters;
    uint64_t hash;
    int64_t began_ns;
    uint64_t turn;
    uint32_t host, path_length;
    struct errand_stat stat;
    char path[];
};

struct cache {
    struct store store;
    struct watch watch;
    struct cache_options options;
    struct cache_load *loads[LOAD_BUCKETS];
    uint64_t turn;         /* batches of events so far */
    unsigned change_bytes; /* of inotify's events, of those that the library read at once */
    unsigned settling;     /* changes came with the last batch, or not long before it and all were full since */
    bool full;             /* the last batch was: there may be more in the queue */
    bool unsure;           /* more may be there to be read: whatever is served now has to be read first */
    bool stopped;
    struct cache_figures figures;
};

static void changed(void *context, uint32_t host, const char *path, size_t length);

int cache_open(struct cache **out, const struct cache_options *options)
{
    if (options->hosts == 0 || options->make == NULL)
        return -EINVAL;
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return -ENOMEM;
    cache->options = *options;
    int error = store_open(&cache->store, options->bytes, watch_entry_gone);
    if (error) {
        free(cache);
        return error;
    }
    store_charge(&cache->store, (int64_t)store_weight(cache));
    size_t most = options->file_most ? options->file_most : CACHE_FILE_MOST;
    cache->options.file_most = most < cache->store.limit / SHARE ? most : cache->store.limit / SHARE;
    cache->watch = (struct watch){.queue = options->queue,
                                  .store = &cache->store,
                                  .roots = options->roots,
                                  .hosts = options->hosts,
                                  .most = options->directories ? options->directories : 4096,
                                  .context = cache,
                                  .changed = changed};
    error = watch_open(&cache->watch, cache);
    if (error) {
        store_close(&cache->store);
        free(cache);
        return error;
    }
    *out = cache;
    return 0;
}

void cache_stop(struct cache *cache)
{
    if (cache == NULL)
        return;
    cache->stopped = true;
    watch_stop(&cache->watch);
}

/* ------------------------------------------------------------------------------------------------ loads */

static struct cache_load **bucket_of(struct cache *cache, uint64_t hash)
{
    return &cache->loads[hash % LOAD_BUCKETS];
}

/* A new one that is being read. */
static struct cache_load *find_load(struct cache *cache, uint64_t hash, uint32_t host, const char *path, size_t length)
{
    struct cache_load *load = *bucket_of(cache, hash);
    while (load != NULL && (load->hash != hash || load->host != host || load->path_length != length ||
                            memcmp(load->path, path, length) != 0))
        load = load->next;
    return load;
}

static void tell(struct cache_load *load, enum cache_answer answer, struct cache_entry *entry)
{
    while (!link_none(&load->waiters)) {
        struct cache_waiter *waiter = LINK_OF(load->waiters.next, struct cache_waiter, link);
        link_out(&waiter->link);
        if (!load->cache->stopped)
            waiter->told(waiter, answer, answer == CACHE_HIT ? store_use(entry) : NULL);
    }
}

/* The load is over. Nobody finds it from now on, which comes before anybody is told. */
static void finish(struct cache_load *load, enum cache_answer answer, struct cache_entry *entry)
{
    struct cache *cache = load->cache;
    struct cache_entry *compared = load->entry;
    struct cache_load **at = bucket_of(cache, load->hash);
    while (*at != load)
        at = &(*at)->next;
    *at = load->next;
    watch_leave(&load->user);
    if (compared != NULL)
        compared->refresh = NULL;
    tell(load, answer, entry);
    if (compared != NULL)
        store_release(&cache->store, compared);
    store_charge(&cache->store, -(int64_t)store_weight(load));
    free(load);
}

/* Makes an entry and puts it in where the load stands. NULL: it could not be made, and is not in. */
static struct cache_entry *new_entry(struct cache_load *load, enum entry_kind kind, const void *body, size_t length)
{
    struct cache *cache = load->cache;
    struct cache_file file = {load->host, load->path, load->path_length, &load->stat, body, length};
    char head[CACHE_HEAD_MOST];
    uint64_t notes[CACHE_NOTES] = {0};
    int head_length = kind == ENTRY_FILE ? cache->options.make(cache->options.context, &file, head, notes) : 0;
    if (head_length < 0)
        return NULL;
    struct cache_entry *entry =
        store_make(&cache->store, load->hash, load->host, load->path, load->path_length, (size_t)head_length + length);
    if (entry == NULL)
        return NULL;
    memcpy(entry->head, head, (size_t)head_length);
    if (length > 0)
        memcpy(entry->head + head_length, body, length);
    memcpy(entry->notes, notes, sizeof notes);
    entry->head_length = (uint32_t)head_length;
    entry->body_length = (uint32_t)length;
    entry->kind = (uint8_t)kind;
    entry->stat = load->stat;
    entry->valid_ns = load->began_ns;
    watch_entry(load->user.directory, entry);
    if (!store_put(&cache->store, entry))
        watch_entry_gone(entry); /* it serves those who wait, and nobody else */
    return entry;
}

/* What the chain read, or why it did not, becomes an entry. */
static void take_in(struct cache_load *load, enum entry_kind kind, const void *body, size_t length)
{
    static const enum cache_answer answers[] = {CACHE_HIT, CACHE_ABSENT, CACHE_PASS};
    struct store *store = &load->cache->store;
    struct cache_entry *entry = new_entry(load, kind, body, length);
    if (entry == NULL && kind == ENTRY_FILE) {
        kind = ENTRY_PASS;
        entry = new_entry(load, kind, NULL, 0);
    }
    finish(load, answers[kind], entry);
    if (entry != NULL)
        store_release(store, entry);
}

static bool is_same(const struct cache_entry *entry, const struct cache_load *load, enum entry_kind kind,
                    const void *body, size_t length)
{
    const struct errand_stat *old = &entry->stat, *now = &load->stat;
    if (entry->kind != kind || kind != ENTRY_FILE)
        return entry->kind == kind;
    return old->device == now->device && old->inode == now->inode && old->modified_ns == now->modified_ns &&
           old->changed_ns == now->changed_ns && entry->body_length == length &&
           memcmp(entry->head + entry->head_length, body, length) == 0;
}

static void compared(struct cache_load *load, enum entry_kind kind, const void *body, size_t length)
{
    static const enum cache_answer answers[] = {CACHE_HIT, CACHE_ABSENT, CACHE_PASS};
    struct cache *cache = load->cache;
    struct cache_entry *entry = load->entry;
    if (is_same(entry, load, kind, body, length)) {
        entry->valid_ns = load->began_ns;
        finish(load, answers[kind], entry);
        return;
    }
    /* No event told of it, or it is still to be read. */
    cache->figures.refreshes_differed++;
    struct directory *directory = load->user.directory;
    if (entry->kind == ENTRY_FILE && kind == ENTRY_FILE && entry->stat.device != load->stat.device) {
        /* A mount was put over a directory on the way, or taken off: what is watched is not what paths mean. */
        while (directory->parent != NULL)
            directory = directory->parent;
        watch_forget(directory);
    } else if (entry->queue != ENTRY_OUT) {
        store_drop(&cache->store, entry);
    }
    finish(load, CACHE_PASS, NULL);
}

/* The chain's event. */
static void loaded(const struct errand_event *event)
{
    struct cache_load *load = event->user_data;
    enum entry_kind kind = ENTRY_FILE;
    switch (-event->error) {
    case 0: break;
    case ENOENT: kind = ENTRY_ABSENT; break;
    case ELOOP: /* a symlink */
    case EFBIG:
    case EISDIR:
    case ESPIPE: kind = ENTRY_PASS; break;
    default: finish(load, CACHE_PASS, NULL); return;
    }
    bool changed_between = kind == ENTRY_FILE && event->bytes != load->stat.bytes;
    if (load->user.lost || load->cache->stopped || changed_between)
        finish(load, CACHE_PASS, NULL);
    else if (load->entry != NULL)
        compared(load, kind, event->data, kind == ENTRY_FILE ? event->bytes : 0);
    else
        take_in(load, kind, event->data, kind == ENTRY_FILE ? event->bytes : 0);
}

/* The directories are watched: now what is read cannot change unnoticed. The file is looked at before it is read, so
 * that a stat never is younger than the bytes. */
static int start_reading(struct cache_load *load)
{
    struct cache *cache = load->cache;
    errand_chain *chain;
    int error = errand_chain_new(cache->options.queue, &chain);
    if (error)
        return error;
    int flags = O_RDONLY | O_NOCTTY | O_NOFOLLOW;
    int step = errand_step_open(chain, cache->options.roots[load->host], load->path, flags, 0);
    errand_step_expect(chain, ERRAND_SLOT(step), ERRAND_REGULAR, &load->stat);
    errand_step_load(chain, ERRAND_SLOT(step), cache->options.file_most);
    errand_step_close(chain, ERRAND_SLOT(step));
    struct errand_submit options = {.size = sizeof options, .user_data = load, .timeout_ns = LOAD_NS, .ended = loaded};
    if (load->entry != NULL)
        cache->figures.refreshes++;
    else
        cache->figures.loads++;
    load->began_ns = errand_queue_now(cache->options.queue);
    load->turn = cache->turn;
    return errand_submit(chain, &options, NULL);
}

static void directory_ready(struct watch_user *user, int result)
{
    struct cache_load *load = LINK_OF(user, struct cache_load, user);
    if (result == 0)
        result = start_reading(load);
    if (result < 0)
        finish(load, result == -ENOENT ? CACHE_ABSENT : CACHE_PASS, NULL);
}

/* Begins to read a file. NULL: it cannot be cached now. */
static struct cache_load *start(struct cache *cache, uint64_t hash, uint32_t host, const char *path, size_t length,
                                struct cache_entry *entry)
{
    struct cache_load *load = malloc(sizeof *load + length + 1);
    if (load == NULL)
        return NULL;
    const char *slash = memrchr(path, '/', length);
    *load = (struct cache_load){.cache = cache,
                                .hash = hash,
                                .host = host,
                                .path_length = (uint32_t)length,
                                .turn = cache->turn,
                                .began_ns = errand_queue_now(cache->options.queue)};
    memcpy(load->path, path, length);
    load->path[length] = '\0';
    load->user = (struct watch_user){.host = host,
                                     .path = load->path,
                                     .ready = directory_ready,
                                     .length = slash == NULL ? 0 : (uint32_t)(slash - path)};
    link_head(&load->waiters);
    int result = watch_want(&cache->watch, &load->user);
    if (result > 0 && start_reading(load) < 0) {
        watch_leave(&load->user);
        result = -EAGAIN;
    }
    if (result < 0) {
        free(load);
        return NULL;
    }
    load->next = *bucket_of(cache, hash);
    *bucket_of(cache, hash) = load;
    store_charge(&cache->store, (int64_t)store_weight(load));
    if (entry != NULL) {
        load->entry = entry;
        entry->references++;
        entry->refresh = load;
    }
    return load;
}

/* ---------------------------------------------------------------------------------------------- finding */

static enum cache_answer passed(struct cache *cache)
{
    cache->figures.passed++;
    return CACHE_PASS;
}

/* Joins those who wait for a load, unless what it gives would be too old for who asks now. */
static enum cache_answer join(struct cache *cache, struct cache_load *load, struct cache_waiter *waiter)
{
    int64_t now = errand_queue_now(cache->options.queue);
    if (load == NULL || load->user.lost || now - load->began_ns >= CACHE_VALID_NS ||
        (cache->unsure && load->turn != cache->turn))
        return passed(cache);
    cache->figures.waits++;
    link_last(&load->waiters, &waiter->link);
    return CACHE_WAIT;
}

static bool is_proper(const char *path, size_t length)
{
    if (length == 0 || length > CACHE_PATH_MOST || memchr(path, '\0', length) != NULL)
        return false;
    for (size_t at = 0; at <= length;) { /* each name: not empty, "." or ".." */
        const char *slash = memchr(path + at, '/', length - at);
        size_t name = slash == NULL ? length - at : (size_t)(slash - path) - at;
        if (name == 0 || (path[at] == '.' && (name == 1 || (name == 2 && path[at + 1] == '.'))))
            return false;
        at += name + 1;
    }
    return true;
}

static enum cache_answer found(struct cache *cache, struct cache_entry *entry, struct cache_waiter *waiter,
                               struct cache_entry **out)
{
    int64_t age = errand_queue_now(cache->options.queue) - entry->valid_ns;
    bool valid = age < CACHE_VALID_NS && !cache->unsure;
    if (entry->refresh == NULL && (!valid || age >= CACHE_REFRESH_NS))
        start(cache, entry->hash, entry->host, entry->path, entry->path_length, entry);
    if (!valid)
        return join(cache, entry->refresh, waiter);
    if (entry->kind == ENTRY_ABSENT) {
        cache->figures.absent++;
        entry->frequency = entry->frequency < 3 ? entry->frequency + 1 : 3;
        return CACHE_ABSENT;
    }
    cache->figures.hits++;
    *out = store_use(entry);
    return CACHE_HIT;
}

enum cache_answer cache_find(struct cache *cache, uint32_t host, const char *path, size_t length,
                             struct cache_waiter *waiter, struct cache_entry **out)
{
    *out = NULL;
    if (cache->stopped || length == 0 || length > CACHE_PATH_MOST || host >= cache->options.hosts)
        return passed(cache);
    uint64_t hash = store_hash(&cache->store, host, path, length);
    struct cache_entry *entry = store_find(&cache->store, hash, host, path, length);
    if (entry != NULL && entry->kind != ENTRY_PASS)
        return found(cache, entry, waiter, out);
    if (entry != NULL) {
        if (errand_queue_now(cache->options.queue) - entry->valid_ns < PASS_NS) {
            entry->frequency = entry->frequency < 3 ? entry->frequency + 1 : 3;
            return passed(cache);
        }
        store_drop(&cache->store, entry);
    }
    struct cache_load *load = find_load(cache, hash, host, path, length);
    if (load == NULL && is_proper(path, length))
        load = start(cache, hash, host, path, length, NULL);
    return join(cache, load, waiter);
}

void cache_leave(struct cache_waiter *waiter)
{
    link_out(&waiter->link);
}

void cache_release(struct cache *cache, struct cache_entry *entry)
{
    store_release(&cache->store, entry);
}

/* ---------------------------------------------------------------------------------------------- changes */

void cache_changed(struct cache *cache, uint32_t host, const char *path, size_t length)
{
    uint64_t hash = store_hash(&cache->store, host, path, length);
    struct cache_entry *entry = store_find(&cache->store, hash, host, path, length);
    if (entry != NULL)
        store_drop(&cache->store, entry);
    /* Both a new load and one that compares are found by their path; there is one of each at most. */
    for (struct cache_load *load = find_load(cache, hash, host, path, length); load != NULL; load = load->next)
        if (load->hash == hash && load->host == host && load->path_length == length &&
            memcmp(load->path, path, length) == 0)
            load->user.lost = true;
}

static void changed(void *context, uint32_t host, const char *path, size_t length)
{
    cache_changed(context, host, path, length);
}

/*
 * Unsure is a batch with changes that was perhaps not all of them, and one after it as long as batches come full: the
 * library polls for the next changes only when its caller waits again, and what it finds stands behind the rest.
 */
void cache_turn(struct cache *cache, const struct errand_event *events, unsigned count, unsigned most)
{
    bool any = false;
    cache->turn++;
    if (!cache->settling || !cache->full)
        cache->change_bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        if (events[i].kind != ERRAND_EVENT_WATCH || events[i].user_data != cache)
            continue;
        any = true;
        if (events[i].error != 0 || events[i].data == NULL) {
            watch_forget_all(&cache->watch);
            continue;
        }
        const struct inotify_event *change = events[i].data;
        cache->change_bytes += (unsigned)sizeof *change + change->len;
        watch_take(&cache->watch, change);
    }
    bool full = count == most;
    cache->unsure = any ? full || cache->change_bytes >= BATCH_BYTES : cache->settling && (full || cache->full);
    cache->settling = any ? SETTLING : full && cache->settling > 0 ? cache->settling - 1 : 0;
    cache->full = full;
}

void cache_figures(const struct cache *cache, struct cache_figures *figures)
{
    *figures = cache->figures;
    figures->bytes = store_used(&cache->store);
    figures->limit = cache->store.limit;
    figures->entries = cache->store.counts[ENTRY_SMALL] + cache->store.counts[ENTRY_MAIN];
    figures->directories = cache->watch.count;
    figures->changes = cache->watch.changes;
    figures->overflows = cache->watch.overflows;
    figures->evictions = cache->store.evictions;
    figures->ghost_hits = cache->store.ghost_hits;
    figures->lent = cache->store.bytes[ENTRY_OUT];
}

void cache_close(struct cache *cache)
{
    if (cache == NULL)
        return;
    watch_close(&cache->watch);
    store_close(&cache->store);
    free(cache);
}
