/* SPDX-License-Identifier: MIT */
/* The cache where inotify does not tell: changes that it cannot see, mounts; and how a cache is closed. */
#include "cache_world.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>

/* ---- what no directory's watch sees */

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

/* Until the new text is served; it must not take longer than an entry is valid (and the machine is slow). */
static void check_bound(struct world *world, const char *text, const char *kind)
{
    int64_t changed = now_ns(), took = 0;
    unsigned asked = 0;
    while (strcmp(served(world, "file"), text) != 0 && took < 20 * ERRAND_SECOND) {
        world_wait(world, 5 * ERRAND_MILLISECOND);
        took = now_ns() - changed;
        asked++;
    }
    printf("# %s: served after %lld ms, %u times asked\n", kind, (long long)(took / ERRAND_MILLISECOND), asked);
    CHECK(took < CACHE_VALID_NS + harness_slowness() * 500 * ERRAND_MILLISECOND);
}

TEST_EACH_BACKEND(blind_changes_are_bounded)
{
    put("file", "first");
    REQUIRE_CALL(mkdir(path_of("d"), 0755));
    char other[256];
    snprintf(other, sizeof other, "%s", path_of("d/other")); /* a directory that nobody watches */
    REQUIRE_CALL(link(path_of("file"), other));
    struct world *world = world_open(backend, 4 << 20, 0);
    int fd = (int)REQUIRE_CALL(open(path_of("file"), O_RDWR | O_CLOEXEC));
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(map != MAP_FAILED);
    close(fd);
    CHECK_STR(served(world, "file"), "first");
    memcpy(map, "store", 5);
    check_bound(world, "store", "a store through mmap");
    memcpy(map, "again", 5); /* the page is dirty already: the time of modification stays */
    check_bound(world, "again", "another to the same page");
    int away = (int)REQUIRE_CALL(open(other, O_WRONLY | O_CLOEXEC));
    CHECK_INT(pwrite(away, "other", 5, 0), 5);
    check_bound(world, "other", "a write through a hard link");
    close(away);
    munmap(map, 4096);
    CHECK(figures_of(world).refreshes_differed >= 3);
    world_close(world);
}

/* ---- mounts */

static void mount_at(const char *name, const char *type)
{
    if (mount("none", path_of(name), type, 0, NULL) != 0)
        SKIP("cannot mount %s: %s", type, strerror(errno));
}

/* A filesystem that the watch source does not take for one that tells all: passed. */
TEST_EACH_BACKEND(no_events_no_cache)
{
    REQUIRE_CALL(mkdir(path_of("d"), 0755));
    mount_at("d", "ramfs");
    put("d/file", "text");
    put("file", "text");
    struct world *world = world_open(backend, 4 << 20, 0);
    CHECK_STR(served(world, "d/file"), "pass");
    CHECK_STR(served_at_once(world, "d/file"), "pass");
    CHECK_STR(served(world, "file"), "text");
    CHECK_STR(served_at_once(world, "file"), "text");
    world_close(world);
    REQUIRE_CALL(umount(path_of("d")));
}

/* What is mounted over a directory is seen within the time that an entry is valid, and watched from then on. */
TEST_EACH_BACKEND(a_mount_over_it)
{
    REQUIRE_CALL(mkdir(path_of("d"), 0755));
    put("d/file", "under");
    struct world *world = world_open(backend, 4 << 20, 0);
    CHECK_STR(served(world, "d/file"), "under");
    mount_at("d", "tmpfs");
    put("d/file", "over!");
    int64_t end = now_ns() + CACHE_VALID_NS + harness_slowness() * 500 * ERRAND_MILLISECOND;
    while (strcmp(served(world, "d/file"), "under") == 0 && now_ns() < end)
        world_wait(world, 5 * ERRAND_MILLISECOND);
    CHECK(now_ns() < end);
    for (unsigned i = 0; i < 20; i++) {
        char text[32];
        snprintf(text, sizeof text, "over %u", i);
        CHECK_STR(served(world, "d/file"), i == 0 ? "over!" : text);
        snprintf(text, sizeof text, "over %u", i + 1);
        put("d/file", text);
        world_wait(world, 0);
    }
    world_close(world);
    REQUIRE_CALL(umount(path_of("d")));
}

/* Closed while files are read and many wait; entries in use are given back in between. */
TEST_EACH_BACKEND(closed_in_between)
{
    REQUIRE_CALL(mkdir(path_of("d"), 0755));
    REQUIRE_CALL(mkdir(path_of("d/e"), 0755));
    put("file", "text");
    for (unsigned turns = 0; turns < 8; turns++) {
        struct asker asker[3], held;
        struct world *world = world_open(backend, 4 << 20, 0);
        CHECK_INT(ask_and_wait(world, &held, "file"), CACHE_HIT);
        ask(world, &asker[0], "d/e/none");
        ask(world, &asker[1], "other");
        ask(world, &asker[2], "other");
        for (unsigned i = 0; i < turns; i++)
            world_wait(world, 0);
        cache_stop(world->cache);
        CHECK_STR(served(world, "file"), "pass");
        bool told = asker[1].told;
        CHECK_INT(errand_queue_close(world->queue), 0);
        CHECK_INT(asker[1].told, told);
        cache_leave(&asker[1].waiter);
        CHECK_BYTES(held.entry->head, "<4>text", 7);
        release(&held);
        CHECK_INT(figures_of(world).lent, 0);
        cache_close(world->cache);
        free(world);
    }
}
