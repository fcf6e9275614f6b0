/* SPDX-License-Identifier: MIT */
/*
 * Random changes to a small tree of files, and random questions. After a change and one wait the cache must serve what
 * is there; only what a change gave that no directory's watch can see (through a hard link, through mmap) may be served
 * as it was, for as long as an entry is valid.
 */
#include "cache_world.h"

#include <sys/mman.h>
#include <time.h>

enum { DIRECTORIES = 4, FILES = 3, PATHS = DIRECTORIES * FILES, TEXT = 200, HISTORY = 128 };

static const char *const directories[DIRECTORIES] = {".", "d", "d/e", "x"};

/* What a path had until a change that its directory's watch could not see. */
struct former {
    char text[TEXT];
    int64_t until;
};

struct model {
    struct world *world;
    char paths[PATHS][32];
    char now[PATHS][TEXT]; /* what is there; "absent" */
    struct former former[PATHS][HISTORY];
    unsigned formers[PATHS];
    uint64_t random;
    unsigned serial, hits, blind, passes;
};

static unsigned draw(struct model *model, unsigned below)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (unsigned)((model->random >> 11) % below);
}

static int64_t clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

static void look(const char *path, char text[TEXT])
{
    int fd = open(path_of(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        snprintf(text, TEXT, "absent");
    else
        text[n] = '\0';
}

/* The change is done: what differs, and was not told to be (bit by path), differs unseen. */
static void take_in(struct model *model, unsigned told)
{
    int64_t now = clock_ns();
    for (unsigned i = 0; i < PATHS; i++) {
        char text[TEXT];
        look(model->paths[i], text);
        if (told >> i & 1)
            model->formers[i] = 0;
        else if (strncmp(text, model->now[i], TEXT - 1) != 0) {
            struct former *former = &model->former[i][model->formers[i]++ % HISTORY];
            memcpy(former->text, model->now[i], TEXT);
            former->until = now;
            model->blind++;
        }
        memcpy(model->now[i], text, TEXT);
    }
}

static unsigned everything_in(unsigned directory)
{
    unsigned bits = ((1u << FILES) - 1) << (directory * FILES);
    return directory == 1 ? bits | ((1u << FILES) - 1) << (2 * FILES) : bits;
}

static bool write_file(struct model *model, const char *path, int flags)
{
    char text[TEXT];
    int fd = open(path_of(path), O_WRONLY | O_CLOEXEC | O_NONBLOCK | flags, 0644);
    if (fd < 0)
        return false;
    int length = snprintf(text, TEXT, "text %u%.*s", model->serial++, (int)draw(model, 20), "....................");
    CHECK_INT(write(fd, text, (size_t)length), length);
    if (draw(model, 2) && ftruncate(fd, length) != 0)
        FAIL("ftruncate");
    close(fd);
    return true;
}

/* A store through a mapping; the last close of the file, which is after it, tells of it. */
static bool store_mapped(struct model *model, const char *path)
{
    int fd = open(path_of(path), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct stat about;
    if (fd < 0)
        return false;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size >= 8) {
        char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        REQUIRE(map != MAP_FAILED);
        for (unsigned i = 0; i < 4; i++)
            map[4 + i] = (char)('a' + draw(model, 26));
        munmap(map, 4096);
    }
    close(fd);
    return true;
}

/* Renames, unless both are one file: then nothing is done, and nothing told. */
static bool move(const char *from, const char *to)
{
    struct stat one, other;
    if (stat(from, &one) == 0 && stat(to, &other) == 0 && one.st_ino == other.st_ino)
        return false;
    return rename(from, to) == 0;
}

/* One random change. Returns which paths' watches tell of it. */
static unsigned change(struct model *model)
{
    unsigned a = draw(model, PATHS), b = draw(model, PATHS), d = 1 + draw(model, DIRECTORIES - 1);
    const char *file = model->paths[a];
    char from[512], to[512], directory[512];
    snprintf(from, sizeof from, "%s", path_of(file));
    snprintf(to, sizeof to, "%s", path_of(model->paths[b]));
    snprintf(directory, sizeof directory, "%s", path_of(directories[d]));
    switch (draw(model, 14)) {
    case 0:
    case 1: return write_file(model, file, O_CREAT | (draw(model, 2) ? O_TRUNC : 0)) ? 1u << a : 0;
    case 2: return write_file(model, file, O_APPEND) ? 1u << a : 0;
    case 3: return move(from, to) ? 1u << a | 1u << b : 0;
    case 4: return unlink(from) == 0 ? 1u << a : 0;
    case 5: return link(from, to) == 0 ? 1u << b : 0;
    case 6: return write_file(model, "temporary", O_CREAT) && move(path_of("temporary"), from) ? 1u << a : 0;
    case 7: return chmod(from, draw(model, 2) ? 0600 : 0644) == 0 ? 1u << a : 0;
    case 8: return store_mapped(model, file) ? 1u << a : 0;
    case 9: /* a second name elsewhere, by which it is written later */
        unlink(path_of("away"));
        (void)!link(from, path_of("away"));
        return 0;
    case 10: write_file(model, "away", 0); return 0;
    case 11:
        if (!move(directory, path_of("moved")))
            return 0;
        if (draw(model, 2))
            REQUIRE_CALL(mkdir(directory, 0755));
        return everything_in(d);
    case 12: return move(path_of("moved"), directory) || mkdir(directory, 0755) == 0 ? everything_in(d) : 0;
    default:
        if (draw(model, 4) != 0 || (unlink(path_of("x")) != 0 && !move(path_of("x"), path_of("moved"))))
            return 0;
        REQUIRE_CALL(symlink("d", path_of("x")));
        return everything_in(3);
    }
}

static bool was_so(const struct model *model, unsigned path, const char *text, int64_t at)
{
    for (unsigned i = 0; i < model->formers[path] && i < HISTORY; i++)
        if (strncmp(model->former[path][i].text, text, TEXT - 1) == 0 &&
            at - model->former[path][i].until < CACHE_VALID_NS + 100 * ERRAND_MILLISECOND)
            return true;
    return false;
}

static void question(struct model *model, unsigned path)
{
    int64_t at = clock_ns();
    const char *text = draw(model, 2) ? served(model->world, model->paths[path])
                                      : served_at_once(model->world, model->paths[path]);
    if (strcmp(text, "pass") == 0 || strcmp(text, "wait") == 0) {
        model->passes++;
        return;
    }
    model->hits++;
    if (strncmp(text, model->now[path], TEXT - 1) != 0 && !was_so(model, path, text, at))
        FAIL("%s serves \"%s\", but there is \"%s\"", model->paths[path], text, model->now[path]);
}

static void campaign(enum errand_backend backend, uint64_t seed, unsigned rounds, uint64_t bytes, unsigned watches)
{
    struct model *model = calloc(1, sizeof *model);
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s/*", harness_directory());
    CHECK_INT(system(command), 0);
    model->random = seed * 0x9e3779b97f4a7c15u + 1;
    for (unsigned i = 0; i < PATHS; i++) {
        const char *directory = directories[i / FILES];
        snprintf(model->paths[i], sizeof model->paths[i], "%s%sf%u", i < FILES ? "" : directory, i < FILES ? "" : "/",
                 i % FILES);
        memcpy(model->now[i], "absent", 7);
    }
    for (unsigned i = 1; i < DIRECTORIES; i++)
        REQUIRE_CALL(mkdir(path_of(directories[i]), 0755));
    model->world = world_open(backend, bytes, watches);
    for (unsigned round = 0; round < rounds && harness_failures() < 5; round++) {
        harness_at("seed %llu, round %u", (unsigned long long)seed, round);
        for (unsigned count = draw(model, 4); count > 0; count--)
            take_in(model, change(model));
        if (draw(model, 8) == 0) /* asked before its event can be read: only that it does no harm */
            served_at_once(model->world, model->paths[draw(model, PATHS)]);
        world_wait(model->world, draw(model, 50) ? 0 : 30 * ERRAND_MILLISECOND);
        for (unsigned count = draw(model, 8); count > 0; count--)
            question(model, draw(model, PATHS));
    }
    struct cache_figures figures = figures_of(model->world);
    printf("# seed %llu: %u hits, %u not, %u blind changes, %llu of them found by reading again, %llu events\n",
           (unsigned long long)seed, model->hits, model->passes, model->blind,
           (unsigned long long)figures.refreshes_differed, (unsigned long long)figures.changes);
    CHECK(model->hits > rounds / 10);
    CHECK_INT(figures.lent, 0);
    CHECK(figures.bytes <= figures.limit);
    world_close(model->world);
    free(model);
}

TEST_EACH_BACKEND(campaign)
{
    harness_limit(300);
    for (uint64_t seed = 1; seed <= (long_runs() ? 40 : 4); seed++)
        campaign(backend, seed, 3000, 4 << 20, 0);
}

/* With fewer watches than directories. */
TEST_EACH_BACKEND(few_watches)
{
    campaign(backend, 101, 2000, 4 << 20, 2);
}
