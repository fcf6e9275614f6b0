/* SPDX-License-Identifier: MIT */
/* A cache on a real queue, over the test's own directory, and what it answers. */
#ifndef TESTS_SERVER_CACHE_WORLD_H
#define TESTS_SERVER_CACHE_WORLD_H

#include "cache/cache.h"
#include "support.h"

enum { WORLD_BATCH = 64 };

struct world {
    errand_queue *queue;
    struct cache *cache;
    int root;
    unsigned made; /* heads */
    unsigned data; /* events of other sources */
};

/* One who asks. */
struct asker {
    struct cache_waiter waiter;
    struct world *world;
    bool told;
    enum cache_answer answer;
    struct cache_entry *entry;
};

static inline int world_make(void *context, const struct cache_file *file, char *head, uint64_t *notes)
{
    struct world *world = context;
    CHECK_INT(file->body_length, file->stat->bytes);
    notes[0] = ++world->made;
    return snprintf(head, CACHE_HEAD_MOST, "<%zu>", file->body_length);
}

static inline struct world *world_open(enum errand_backend backend, uint64_t bytes, unsigned directories)
{
    struct world *world = calloc(1, sizeof *world);
    world->queue = open_queue(backend, NULL);
    world->root = add_root(world->queue, harness_directory(), 0);
    struct cache_options options = {.queue = world->queue, .roots = &world->root, .hosts = 1, .bytes = bytes,
                                    .directories = directories, .make = world_make, .context = world};
    REQUIRE_INT(cache_open(&world->cache, &options), 0);
    return world;
}

static inline void world_close(struct world *world)
{
    cache_stop(world->cache);
    errand_queue_close(world->queue);
    cache_close(world->cache);
    free(world);
}

/* One wait, as a worker does it. */
static inline void world_wait(struct world *world, int64_t limit)
{
    struct errand_event events[WORLD_BATCH];
    int count = errand_queue_wait(world->queue, events, WORLD_BATCH, limit);
    REQUIRE(count >= 0);
    cache_turn(world->cache, events, (unsigned)count, WORLD_BATCH);
    for (int i = 0; i < count; i++)
        world->data += events[i].kind == ERRAND_EVENT_DATA;
}

static inline void asker_told(struct cache_waiter *waiter, enum cache_answer answer, struct cache_entry *entry)
{
    struct asker *asker = LINK_OF(waiter, struct asker, waiter);
    CHECK(!asker->told);
    asker->told = true;
    asker->answer = answer;
    asker->entry = entry;
}

static inline enum cache_answer ask(struct world *world, struct asker *asker, const char *path)
{
    *asker = (struct asker){.waiter.told = asker_told, .world = world};
    asker->answer = cache_find(world->cache, 0, path, strlen(path), &asker->waiter, &asker->entry);
    asker->told = false;
    return asker->answer;
}

/* Asks, and waits for the answer if need be. */
static inline enum cache_answer ask_and_wait(struct world *world, struct asker *asker, const char *path)
{
    if (ask(world, asker, path) == CACHE_WAIT)
        while (!asker->told)
            world_wait(world, ERRAND_MILLISECOND); /* being told is no event: a wait would go on */
    return asker->answer;
}

static inline void release(struct asker *asker)
{
    if (asker->entry != NULL)
        cache_release(asker->world->cache, asker->entry);
    asker->entry = NULL;
}

/* What is served for a path: its contents, "absent", or "pass". Static storage. */
static inline const char *served(struct world *world, const char *path)
{
    static char text[256];
    struct asker asker;
    switch (ask_and_wait(world, &asker, path)) {
    case CACHE_HIT:
        snprintf(text, sizeof text, "%.*s", (int)asker.entry->body_length,
                 asker.entry->head + asker.entry->head_length);
        release(&asker);
        return text;
    case CACHE_ABSENT: return "absent";
    default: return "pass";
    }
}

/* Only what is there already: "wait" if it would have to be read. */
static inline const char *served_at_once(struct world *world, const char *path)
{
    static char text[256];
    struct asker asker;
    snprintf(text, sizeof text, "%s", "pass");
    switch (ask(world, &asker, path)) {
    case CACHE_HIT:
        snprintf(text, sizeof text, "%.*s", (int)asker.entry->body_length,
                 asker.entry->head + asker.entry->head_length);
        release(&asker);
        return text;
    case CACHE_ABSENT: return "absent";
    case CACHE_WAIT: cache_leave(&asker.waiter); return "wait";
    default: return "pass";
    }
}

static inline void put(const char *name, const char *text)
{
    int fd = (int)REQUIRE_CALL(open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* Over what a file begins with. */
static inline void overwrite(const char *name, const char *text)
{
    int fd = (int)REQUIRE_CALL(open(path_of(name), O_WRONLY | O_CLOEXEC));
    CHECK_INT(pwrite(fd, text, strlen(text), 0), strlen(text));
    close(fd);
}

static inline struct cache_figures figures_of(struct world *world)
{
    struct cache_figures figures;
    cache_figures(world->cache, &figures);
    return figures;
}

#endif
