/* SPDX-License-Identifier: MIT */
/* The cache over real files: who waits, what is passed, and that a change of any kind is not served over. */
#include "cache_world.h"

TEST_EACH_BACKEND(hits)
{
    REQUIRE_CALL(mkdir(path_of("a"), 0755));
    REQUIRE_CALL(mkdir(path_of("a/b"), 0755));
    put("top", "at the top");
    put("a/b/deep", "deep down");
    put("empty", "");
    struct world *world = world_open(backend, 4 << 20, 0);
    struct asker asker;
    CHECK_STR(served_at_once(world, "top"), "wait");
    CHECK_STR(served(world, "top"), "at the top");
    CHECK_STR(served_at_once(world, "top"), "at the top");
    CHECK_STR(served(world, "a/b/deep"), "deep down");
    CHECK_STR(served(world, "empty"), "");
    CHECK_INT(ask(world, &asker, "a/b/deep"), CACHE_HIT);
    CHECK_BYTES(asker.entry->head, "<9>deep down", 12); /* in one piece */
    CHECK_INT(asker.entry->stat.bytes, 9);
    CHECK_INT(asker.entry->notes[0], 2);
    CHECK(cache_is_sole(asker.entry));
    release(&asker);
    CHECK_STR(served(world, "a/none"), "absent");
    CHECK_STR(served_at_once(world, "a/none"), "absent");
    CHECK_INT(figures_of(world).directories, 3);
    CHECK_STR(served(world, "none/none"), "absent"); /* answered, not kept */
    CHECK_STR(served_at_once(world, "none/none"), "wait");
    static const char *const improper[] = {"", "/top", "a//b/deep", "a/../top", "./top", "..", "a/b/deep/"};
    for (unsigned i = 0; i < sizeof improper / sizeof improper[0]; i++)
        CHECK_STR(served(world, improper[i]), "pass");
    struct cache_figures figures = figures_of(world);
    CHECK_INT(figures.entries, 4);
    CHECK_INT(figures.lent, 0);
    world_close(world);
}

TEST_EACH_BACKEND(passed)
{
    REQUIRE_CALL(mkdir(path_of("a"), 0755));
    put("a/file", "real");
    make_file("large", 70000, 1);
    REQUIRE_CALL(symlink("a/file", path_of("link")));
    REQUIRE_CALL(symlink("a", path_of("links")));
    REQUIRE_CALL(mkfifo(path_of("fifo"), 0644));
    struct world *world = world_open(backend, 8 << 20, 0);
    static const char *const names[] = {"large", "link", "links/file", "fifo", "a"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        harness_at("%s", names[i]);
        CHECK_STR(served(world, names[i]), "pass");
        CHECK_STR(served_at_once(world, names[i]), "pass"); /* which is remembered */
    }
    /* And forgotten when it changes. */
    REQUIRE_CALL(truncate(path_of("large"), 0));
    REQUIRE_CALL(unlink(path_of("links")));
    REQUIRE_CALL(mkdir(path_of("links"), 0755));
    put("links/file", "directory");
    put("new", "small");
    REQUIRE_CALL(rename(path_of("new"), path_of("link")));
    world_wait(world, ERRAND_FOREVER);
    CHECK_STR(served(world, "large"), "");
    CHECK_STR(served(world, "link"), "small");
    CHECK_STR(served(world, "links/file"), "directory");
    world_close(world);
}

/* A thousand who ask for what is not there yet, in a directory that nobody has watched, share one chain. */
TEST_EACH_BACKEND(many_wait_for_one)
{
    enum { MANY = 1000 };
    static struct asker askers[MANY];
    REQUIRE_CALL(mkdir(path_of("a"), 0755));
    put("a/file", "one");
    struct world *world = world_open(backend, 4 << 20, 0);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MANY; i++)
            CHECK_INT(ask(world, &askers[i], round ? "a/none" : "a/file"), CACHE_WAIT);
        for (unsigned i = 0; i < MANY; i += 10) /* some leave */
            cache_leave(&askers[i].waiter);
        while (!askers[MANY - 1].told)
            world_wait(world, ERRAND_MILLISECOND);
        const struct cache_entry *entry = askers[1].entry;
        for (unsigned i = 0; i < MANY; i++) {
            CHECK_INT(askers[i].told, i % 10 != 0);
            if (!askers[i].told)
                continue;
            CHECK_INT(askers[i].answer, round ? CACHE_ABSENT : CACHE_HIT);
            CHECK(askers[i].entry == entry);
            release(&askers[i]);
        }
        CHECK_INT(figures_of(world).loads, round + 1);
    }
    world_close(world);
}

/* ---- changes: before, the change, one wait, and what is served must be what is there */

static void change_write(void)
{
    overwrite("d/e/file", "new!");
}

static void change_truncate(void)
{
    REQUIRE_CALL(truncate(path_of("d/e/file"), 2));
}

static void change_permission(void)
{
    REQUIRE_CALL(chmod(path_of("d/e/file"), 0600));
}

static void change_rename_over(void)
{
    put("other", "over");
    REQUIRE_CALL(rename(path_of("other"), path_of("d/e/file")));
}

static void change_unlink(void)
{
    REQUIRE_CALL(unlink(path_of("d/e/file")));
}

static void change_appears(void)
{
    put("d/e/none", "now");
}

static void change_linked(void)
{
    put("other", "linked");
    REQUIRE_CALL(link(path_of("other"), path_of("d/e/none")));
}

static void change_parent(void)
{
    REQUIRE_CALL(rename(path_of("d/e"), path_of("moved")));
    REQUIRE_CALL(mkdir(path_of("d/e"), 0755));
    put("d/e/file", "elsewhere");
}

static void change_grandparent(void)
{
    REQUIRE_CALL(rename(path_of("d"), path_of("moved")));
}

static void change_exchange(void)
{
    REQUIRE_CALL(mkdir(path_of("x"), 0755));
    REQUIRE_CALL(mkdir(path_of("x/e"), 0755));
    put("x/e/file", "exchanged");
    REQUIRE_CALL(renameat2(AT_FDCWD, path_of("d"), AT_FDCWD, path_of("x"), RENAME_EXCHANGE));
}

static void change_to_symlink(void)
{
    change_exchange();
    REQUIRE_CALL(rename(path_of("d"), path_of("y")));
    REQUIRE_CALL(symlink("y", path_of("d")));
}

static void change_file_to_symlink(void)
{
    put("other", "pointed at");
    REQUIRE_CALL(symlink("../../other", path_of("link")));
    REQUIRE_CALL(rename(path_of("link"), path_of("d/e/file")));
}

static void change_removed(void)
{
    REQUIRE_CALL(unlink(path_of("d/e/file")));
    REQUIRE_CALL(rmdir(path_of("d/e")));
    REQUIRE_CALL(rmdir(path_of("d")));
}

static const struct {
    const char *name;
    void (*change)(void);
    const char *file, *none; /* served afterwards */
} changes[] = {
    {"write", change_write, "new!t", "absent"},
    {"truncate", change_truncate, "fi", "absent"},
    {"chmod", change_permission, "first", "absent"},
    {"rename over", change_rename_over, "over", "absent"},
    {"unlink", change_unlink, "absent", "absent"},
    {"appears", change_appears, "first", "now"},
    {"linked", change_linked, "first", "linked"},
    {"parent renamed", change_parent, "elsewhere", "absent"},
    {"grandparent renamed", change_grandparent, "absent", "absent"},
    {"exchanged", change_exchange, "exchanged", "absent"},
    {"directory to symlink", change_to_symlink, "pass", "pass"},
    {"file to symlink", change_file_to_symlink, "pass", "absent"},
    {"removed", change_removed, "absent", "absent"},
};

TEST_EACH_BACKEND(every_change_is_seen)
{
    for (unsigned i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char command[512];
        harness_at("%s", changes[i].name);
        snprintf(command, sizeof command, "rm -rf %s/*", harness_directory());
        CHECK_INT(system(command), 0);
        REQUIRE_CALL(mkdir(path_of("d"), 0755));
        REQUIRE_CALL(mkdir(path_of("d/e"), 0755));
        put("d/e/file", "first");
        struct world *world = world_open(backend, 4 << 20, 0);
        CHECK_STR(served(world, "d/e/file"), "first");
        CHECK_STR(served(world, "d/e/none"), "absent");
        CHECK_STR(served_at_once(world, "d/e/file"), "first");
        CHECK_STR(served_at_once(world, "d/e/none"), "absent");
        changes[i].change();
        unsigned made = world->made;
        world_wait(world, 0); /* its events can be read now */
        CHECK_STR(served(world, "d/e/file"), changes[i].file);
        CHECK_STR(served(world, "d/e/none"), changes[i].none);
        if (changes[i].change == change_permission) /* the head is made anew, as its owner may want */
            CHECK_INT(world->made, made + 1);
        for (unsigned turn = 0; turn < 3; turn++) {
            world_wait(world, 0);
            CHECK_STR(served(world, "d/e/file"), changes[i].file);
            CHECK_STR(served(world, "d/e/none"), changes[i].none);
        }
        world_close(world);
    }
}

/* What was read while the file changed is not kept. */
TEST_EACH_BACKEND(a_change_during_the_load)
{
    put("file", "first");
    struct world *world = world_open(backend, 4 << 20, 0);
    CHECK_STR(served(world, "other"), "absent"); /* the directory is watched */
    for (unsigned i = 0; i < 200; i++) {
        char text[32];
        struct asker asker;
        snprintf(text, sizeof text, "text %u", i);
        ask(world, &asker, "file");
        overwrite("file", text);
        while (asker.answer == CACHE_WAIT && !asker.told)
            world_wait(world, ERRAND_MILLISECOND);
        release(&asker);
        world_wait(world, 0);
        const char *now = served(world, "file");
        CHECK(strcmp(now, "pass") == 0 || strcmp(now, text) == 0);
    }
    world_close(world);
}

/* A client that changes a file and then asks, through a socket of the same queue, never gets what was before. */
TEST_EACH_BACKEND(who_wrote_reads_it)
{
    int sockets[2];
    errand_source *source;
    put("file", "number 0");
    struct world *world = world_open(backend, 4 << 20, 0);
    make_pair(PAIR_UNIX, sockets);
    CHECK_INT(errand_source_receive(world->queue, sockets[0], NULL, &source), 0);
    unsigned stale = 0, hits = 0;
    for (unsigned i = 1; i <= 3000; i++) {
        char text[32];
        snprintf(text, sizeof text, "number %u", i);
        if (i % 2) { /* the batch just before was of another change */
            put("noise", text);
            world_wait(world, ERRAND_SECOND);
        }
        if (i % 3)
            overwrite("file", text);
        else
            snprintf(text, sizeof text, "%.31s", served(world, "file"));
        CHECK_INT(write(sockets[1], "?", 1), 1);
        for (world->data = 0; world->data == 0;)
            world_wait(world, ERRAND_FOREVER);
        const char *now = served_at_once(world, "file");
        bool hit = now[0] == 'n';
        hits += hit;
        stale += hit && i % 3 && strcmp(now, text) != 0;
        served(world, "file");
    }
    printf("# %u hits, %u stale\n", hits, stale);
    CHECK_INT(stale, 0);
    CHECK(hits > 100);
    errand_source_stop(source);
    close(sockets[0]);
    close(sockets[1]);
    world_close(world);
}

/* The same while every batch comes full, of other sockets' data. */
TEST_EACH_BACKEND(who_wrote_reads_it_among_many)
{
    enum { SOCKETS = 12, MOST = 4, ROUNDS = 1000 };
    int sockets[SOCKETS][2];
    errand_source *sources[SOCKETS];
    put("file", "number 0");
    put("noise", "");
    struct world *world = world_open(backend, 4 << 20, 0);
    for (unsigned i = 0; i < SOCKETS; i++) {
        make_pair(PAIR_UNIX, sockets[i]);
        CHECK_INT(errand_source_receive(world->queue, sockets[i][0], sockets[i], &sources[i]), 0);
    }
    unsigned stale = 0, hits = 0, full = 0;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        char text[32];
        bool asked = false;
        snprintf(text, sizeof text, "number %u", round);
        served(world, "file");
        for (unsigned i = 1; i < SOCKETS; i++) {
            if (i == round % SOCKETS)
                put("noise", text);
            CHECK_INT(write(sockets[i][1], "abc", 3), 3);
        }
        for (unsigned turn = 0; !asked; turn++) {
            struct errand_event events[MOST];
            if (turn == round % 5) {
                overwrite("file", text);
                CHECK_INT(write(sockets[0][1], "?", 1), 1);
            }
            int count = errand_queue_wait(world->queue, events, MOST, 0);
            REQUIRE(count >= 0);
            cache_turn(world->cache, events, (unsigned)count, MOST);
            full += count == MOST;
            for (int i = 0; i < count; i++)
                asked = asked || events[i].user_data == sockets[0];
        }
        const char *now = served_at_once(world, "file");
        hits += now[0] == 'n';
        stale += now[0] == 'n' && strcmp(now, text) != 0;
        world_wait(world, 0);
        world_wait(world, 0);
        hits += served_at_once(world, "file")[0] == 'n';
        CHECK_STR(served(world, "file"), text);
    }
    printf("# %u full batches, %u hits, %u stale\n", full, hits, stale);
    CHECK_INT(stale, 0);
    CHECK(full > ROUNDS);
    for (unsigned i = 0; i < SOCKETS; i++) {
        errand_source_stop(sources[i]);
        close(sockets[i][0]);
        close(sockets[i][1]);
    }
    world_close(world);
}

/* More events than the kernel keeps: all is forgotten. */
TEST_EACH_BACKEND(overflow)
{
    unsigned most = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    REQUIRE(file != NULL && fscanf(file, "%u", &most) == 1);
    fclose(file);
    if (most > 100000)
        SKIP("fs.inotify.max_queued_events is %u", most);
    REQUIRE_CALL(mkdir(path_of("d"), 0755));
    put("file", "first");
    put("d/file", "first");
    put("noise1", "");
    put("noise2", "");
    struct world *world = world_open(backend, 4 << 20, 0);
    CHECK_STR(served(world, "file"), "first");
    CHECK_STR(served(world, "d/file"), "first");
    for (unsigned i = 0; i < most + 10; i++)
        REQUIRE_CALL(chmod(path_of(i % 2 ? "noise1" : "noise2"), 0600 + i % 8));
    overwrite("file", "other"); /* untold */
    overwrite("d/file", "other");
    /* While there is more to read than was read, nothing is served unread. */
    for (unsigned turns = 0; figures_of(world).overflows == 0 && harness_failures() == 0; turns++) {
        world_wait(world, ERRAND_FOREVER);
        CHECK(strcmp(served_at_once(world, "file"), "first") != 0);
        CHECK(strcmp(served_at_once(world, "d/file"), "first") != 0);
    }
    CHECK_INT(figures_of(world).overflows, 1);
    for (unsigned turn = 0; turn < 4; turn++)
        world_wait(world, 0);
    CHECK_STR(served(world, "file"), "other");
    CHECK_STR(served(world, "d/file"), "other");
    CHECK_STR(served_at_once(world, "file"), "other");
    world_close(world);
}
