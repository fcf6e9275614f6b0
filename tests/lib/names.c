/* SPDX-License-Identifier: MIT */
/* The steps of names: what they do, wherever their paths begin, and that beneath a root they stay beneath it. */
#include "support.h"

#include <dirent.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

/* How a name reaches the test's directory. */
enum way { BY_ROOT, BY_UNCONFINED, BY_DESCRIPTOR, BY_PATH, BY_RELATIVE, WAYS };
static const char *const way_names[WAYS] = {"root", "unconfined root", "descriptor", "path", "relative"};

struct scene {
    errand_queue *queue;
    int place, directory, root, unconfined;
    enum way way;
};

static void set_scene(struct scene *s, enum errand_backend backend)
{
    *s = (struct scene){.queue = open_queue(backend, &(struct errand_queue_options){.chain_steps = 64})};
    s->directory = open_directory();
    s->root = add_root(s->queue, harness_directory(), 0);
    s->unconfined = add_root(s->queue, harness_directory(), ERRAND_UNCONFINED);
    REQUIRE_CALL(chdir(harness_directory()));
}

static void end_scene(struct scene *s)
{
    REQUIRE_CALL(chdir("/"));
    close(s->directory);
    errand_root_remove(s->queue, s->root);
    errand_root_remove(s->queue, s->unconfined);
    close_queue(s->queue);
}

static void choose(struct scene *s, enum way way)
{
    s->way = way;
    s->place = way == BY_ROOT         ? s->root
               : way == BY_UNCONFINED ? s->unconfined
               : way == BY_DESCRIPTOR ? s->directory
                                      : AT_FDCWD;
}

/* Of the last eight. */
static const char *at(const struct scene *s, const char *name)
{
    static char paths[8][500];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s%s%s", s->way == BY_PATH ? harness_directory() : "",
             s->way == BY_PATH ? "/" : "", name);
    return path;
}

static struct errand_event run(struct scene *s, errand_chain *chain)
{
    submit(chain, NULL, 0);
    struct errand_event event = next_event(s->queue);
    CHECK_INT(stats_of(s->queue).descriptors, 0);
    return event;
}

static struct stat look(const char *name)
{
    struct stat stat = {0};
    CHECK_INT(lstat(path_of(name), &stat), 0);
    return stat;
}

static bool is_there(const char *name)
{
    struct stat stat;
    return lstat(path_of(name), &stat) == 0;
}

static int check_link(errand_chain *chain, void *context)
{
    (void)context;
    CHECK_INT(errand_chain_result(chain, 11), 6);
    CHECK_INT(errand_chain_result(chain, 12), 3);
    return 0;
}

/* All of them in one chain, by every way. */
TEST_EACH_BACKEND(do_what_they_say)
{
    struct scene s;
    set_scene(&s, backend);
    for (enum way way = 0; way < WAYS; way++) {
        char target[16] = "................", part[4] = "....";
        harness_at("%s", way_names[way]);
        choose(&s, way);
        umask(022);
        errand_chain *chain = new_chain(s.queue);
        errand_step_mkdir(chain, s.place, at(&s, "d"), 0777);
        errand_step_mkdir(chain, s.place, at(&s, "d/e/"), 01700);
        errand_step_open(chain, s.place, at(&s, "d/e/f"), O_RDWR | O_CREAT | O_EXCL, 0640);
        errand_step_write(chain, ERRAND_SLOT(2), "data", 4, 0);
        errand_step_link(chain, s.place, at(&s, "d/e/f"), s.place, at(&s, "d/linked"));
        errand_step_link_file(chain, ERRAND_SLOT(2), s.place, at(&s, "d/again"));
        errand_step_close(chain, ERRAND_SLOT(2));
        errand_step_symlink(chain, "e/none", s.place, at(&s, "d/sym"));
        errand_step_mknod(chain, s.place, at(&s, "d/fifo"), S_IFIFO | 0604, 0);
        errand_step_mknod(chain, s.place, at(&s, "d/null"), S_IFCHR | 0600, makedev(1, 3));
        errand_step_mknod(chain, s.place, at(&s, "d/sock"), S_IFSOCK | 0600, 0);
        errand_step_read_link(chain, s.place, at(&s, "d/sym"), target, sizeof target);
        errand_step_read_link(chain, s.place, at(&s, "d/sym"), part, 3);
        errand_step_call(chain, check_link, NULL);
        errand_step_link(chain, s.place, at(&s, "d/sym"), s.place, at(&s, "d/sym2"));
        errand_step_rename(chain, s.place, at(&s, "d/e"), s.place, at(&s, "moved"), 0);
        errand_step_rename(chain, s.place, at(&s, "d/again"), s.place, at(&s, "d/fifo"), RENAME_NOREPLACE);
        errand_step_optional(chain, 16);
        errand_step_rename(chain, s.place, at(&s, "d/linked"), s.place, at(&s, "d/fifo"), RENAME_EXCHANGE);
        errand_step_rename(chain, s.place, at(&s, "d/sym"), s.place, at(&s, "renamed"), 0);
        struct errand_event event = run(&s, chain);
        CHECK_EVENT(event, 0, -1, 4);
        CHECK_BYTES(target, "e/none..........", 16);
        CHECK_BYTES(part, "e/n.", 4);
        CHECK_INT(look("d").st_mode, S_IFDIR | 0755);
        CHECK_INT(look("moved").st_mode, S_IFDIR | 01700);
        CHECK_INT(look("moved/f").st_mode, S_IFREG | 0640);
        CHECK_INT(look("moved/f").st_nlink, 3);
        CHECK_INT(look("d/again").st_ino, look("moved/f").st_ino);
        CHECK_INT(look("d/fifo").st_ino, look("moved/f").st_ino);
        CHECK_INT(look("d/linked").st_mode, S_IFIFO | 0604);
        CHECK_INT(look("d/null").st_rdev, makedev(1, 3));
        CHECK_INT(look("d/sock").st_mode, S_IFSOCK | 0600);
        CHECK_INT(look("renamed").st_ino, look("d/sym2").st_ino);
        CHECK(S_ISLNK(look("renamed").st_mode));

        chain = new_chain(s.queue);
        static const char *const files[] = {"d/again", "d/fifo", "d/linked", "d/null",
                                            "d/sock",  "d/sym2", "moved/f",  "renamed"};
        for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
            errand_step_unlink(chain, s.place, at(&s, files[i]));
        event = run(&s, chain);
        CHECK_EVENT(event, 0, -1, 0);
        chain = new_chain(s.queue);
        errand_step_rmdir(chain, s.place, at(&s, "d"));
        errand_step_rmdir(chain, s.place, at(&s, "moved//"));
        event = run(&s, chain);
        CHECK_EVENT(event, 0, -1, 0);
        CHECK(!is_there("d") && !is_there("moved"));
    }
    end_scene(&s);
}

/* A file without a name gets one. */
TEST_EACH_BACKEND(names_a_file_of_tmpfile)
{
    struct scene s;
    set_scene(&s, backend);
    choose(&s, BY_ROOT);
    errand_chain *chain = new_chain(s.queue);
    errand_step_open(chain, s.root, ".", O_RDWR | O_TMPFILE, 0600);
    errand_step_write(chain, ERRAND_SLOT(0), "whole", 5, 0);
    errand_step_sync(chain, ERRAND_SLOT(0), 0);
    errand_step_link_file(chain, ERRAND_SLOT(0), s.root, "named");
    errand_step_open(chain, s.root, ".", O_RDONLY | O_DIRECTORY, 0);
    errand_step_sync(chain, ERRAND_SLOT(4), 0);
    struct errand_event event = run(&s, chain);
    CHECK_EVENT(event, 0, -1, 5);
    CHECK_INT(look("named").st_size, 5);
    end_scene(&s);
}

enum kind {
    MKDIR,
    RMDIR,
    UNLINK,
    SYMLINK,
    MKNOD,
    READ_LINK,
    LINK_FROM,
    LINK_TO,
    RENAME_FROM,
    RENAME_TO,
    LINK_FILE,
    OPEN,
    CREATE,
    KINDS
};
static const char *const kind_names[KINDS] = {"mkdir",     "rmdir",     "unlink",  "symlink",     "mknod",
                                              "read_link", "link from", "link to", "rename from", "rename to",
                                              "link_file", "open",      "create"};

/* Appends that step, of a path beneath a directory; where it needs another, that is "own". */
static void append(errand_chain *chain, enum kind kind, int place, const char *path, int file)
{
    static char buffer[64];
    switch (kind) {
    case MKDIR: errand_step_mkdir(chain, place, path, 0700); break;
    case RMDIR: errand_step_rmdir(chain, place, path); break;
    case UNLINK: errand_step_unlink(chain, place, path); break;
    case SYMLINK: errand_step_symlink(chain, "/etc", place, path); break;
    case MKNOD: errand_step_mknod(chain, place, path, S_IFREG | 0600, 0); break;
    case READ_LINK: errand_step_read_link(chain, place, path, buffer, sizeof buffer); break;
    case LINK_FROM: errand_step_link(chain, place, path, place, "stolen"); break;
    case LINK_TO: errand_step_link(chain, place, "own", place, path); break;
    case RENAME_FROM: errand_step_rename(chain, place, path, place, "stolen", 0); break;
    case RENAME_TO: errand_step_rename(chain, place, "own", place, path, 0); break;
    case LINK_FILE: errand_step_link_file(chain, file, place, path); break;
    case CREATE: errand_step_open(chain, place, path, O_RDWR | O_CREAT, 0600); break;
    default: errand_step_open(chain, place, path, O_RDONLY, 0); break;
    }
}

/* What is outside, as text: names, kinds, sizes, links. */
static void describe(const char *name, char *text, size_t size)
{
    struct dirent **entries;
    int count = scandir(path_of(name), &entries, NULL, alphasort);
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        struct stat stat;
        char path[300];
        snprintf(path, sizeof path, "%s/%s", name, entries[i]->d_name);
        bool dots = entries[i]->d_name[0] == '.';
        if (!dots && lstat(path_of(path), &stat) == 0)
            length += (size_t)snprintf(text + length, size - length, "%s %o %ld %ld\n", entries[i]->d_name,
                                       stat.st_mode, (long)stat.st_size, (long)stat.st_nlink);
        free(entries[i]);
    }
    free(entries);
}

/* Nothing beneath a root leads out of it, whichever step, whichever way. */
TEST_EACH_BACKEND(stay_beneath_their_root)
{
    struct scene s;
    set_scene(&s, backend);
    REQUIRE_CALL(mkdir(path_of("outside"), 0700));
    REQUIRE_CALL(mkdir(path_of("outside/empty"), 0700));
    make_file("outside/secret", 100, 1);
    REQUIRE_CALL(symlink("secret", path_of("outside/link")));
    REQUIRE_CALL(mkdir(path_of("root"), 0700));
    REQUIRE_CALL(mkdir(path_of("root/sub"), 0700));
    REQUIRE_CALL(symlink("../outside", path_of("root/up")));
    REQUIRE_CALL(symlink(path_of("outside"), path_of("root/absolute")));
    REQUIRE_CALL(symlink("../../outside/secret", path_of("root/sub/file")));
    REQUIRE_CALL(symlink("../outside/none", path_of("root/dangling")));
    REQUIRE_CALL(symlink("/proc/self/root", path_of("root/magic")));
    int root = add_root(s.queue, path_of("root"), 0);
    char before[1000] = "", after[1000] = "", absolute[2][400];
    describe("outside", before, sizeof before);
    CHECK(strlen(before) > 20);
    snprintf(absolute[0], sizeof absolute[0], "%s", path_of("outside/secret"));
    snprintf(absolute[1], sizeof absolute[1], "%s", path_of("outside/new"));
    const char *paths[] = {
        "../outside/secret",
        "../outside/new",
        "../outside/empty",
        "../outside/link",
        "sub/../../outside/secret",
        "sub/../../outside/new",
        "up/secret",
        "up/new",
        "up/empty",
        "up/link",
        "absolute/secret",
        "absolute/new",
        "absolute/empty/",
        "up/../outside/new",
        "/etc/hostname",
        "/new",
        absolute[0],
        absolute[1],
        "up/",
        "up/.",
        "up/..",
        "absolute/",
        "dangling/",
        "..",
        "../",
        "sub/../..",
        "sub/../../",
        "/",
        "//",
        "magic/etc/passwd",
        "magic/tmp/new",
        "sub/file/",
        "dangling/new",
        ".//..//outside//new",
    };
    for (enum kind kind = 0; kind < KINDS; kind++) {
        for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
            harness_at("%s %s", kind_names[kind], paths[i]);
            int own = open(path_of("root/own"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
            errand_chain *chain = new_chain(s.queue);
            append(chain, kind, root, paths[i], own);
            struct errand_event event = run(&s, chain);
            CHECK(event.error < 0);
            bool may_differ = kind != READ_LINK && kind != LINK_FROM && kind != OPEN; /* it does not look there */
            if (event.error != -EXDEV && event.error != -ELOOP && !may_differ)
                FAIL("%s", errand_error_name(event.error));
            close(own);
            CHECK(!is_there("root/stolen"));
        }
    }
    describe("outside", after, sizeof after);
    CHECK_STR(after, before);
    CHECK_INT(look("root/up").st_mode & S_IFMT, S_IFLNK);
    CHECK(!is_there("new") && access("/new", F_OK) < 0 && access("/tmp/new", F_OK) < 0);
    errand_root_remove(s.queue, root);
    end_scene(&s);
}

/* A last name that is a symlink is meant itself, also one that leads outside. */
TEST_EACH_BACKEND(symlinks_as_last_names)
{
    struct scene s;
    set_scene(&s, backend);
    for (enum way way = 0; way < WAYS; way++) {
        harness_at("%s", way_names[way]);
        choose(&s, way);
        char target[16];
        REQUIRE_CALL(symlink("/etc", path_of("out")));
        errand_chain *chain = new_chain(s.queue);
        errand_step_read_link(chain, s.place, at(&s, "out"), target, sizeof target);
        errand_step_link(chain, s.place, at(&s, "out"), s.place, at(&s, "two"));
        errand_step_rename(chain, s.place, at(&s, "out"), s.place, at(&s, "three"), 0);
        errand_step_unlink(chain, s.place, at(&s, "two"));
        errand_step_mkdir(chain, s.place, at(&s, "three"), 0700);
        errand_step_optional(chain, 4);
        errand_step_rmdir(chain, s.place, at(&s, "three"));
        errand_step_optional(chain, 5);
        errand_step_open(chain, s.place, at(&s, "three"), O_PATH | O_NOFOLLOW, 0);
        errand_step_chown(chain, ERRAND_SLOT(6), UINT32_MAX, 1234);
        errand_step_utimes(chain, ERRAND_SLOT(6), ERRAND_TIME_KEEP, 5 * ERRAND_SECOND + 7);
        struct errand_event event = run(&s, chain);
        CHECK_EVENT(event, 0, -1, 0);
        CHECK(S_ISLNK(look("three").st_mode));
        CHECK_INT(look("three").st_gid, 1234);
        CHECK_INT(look("three").st_mtim.tv_sec, 5);
        CHECK_INT(look("three").st_mtim.tv_nsec, 7);
        CHECK(!is_there("two") && !is_there("out"));
        REQUIRE_CALL(unlink(path_of("three")));
    }
    end_scene(&s);
}

/* Another mount beneath the root: its names are reached, it is not renamed or linked across, and ONE_MOUNT forbids
 * it. */
TEST_EACH_BACKEND(across_mounts)
{
    struct scene s;
    set_scene(&s, backend);
    REQUIRE_CALL(mkdir(path_of("mount"), 0700));
    if (mount("tmpfs", path_of("mount"), "tmpfs", 0, "size=1m") < 0)
        SKIP("no mount here");
    int one = add_root(s.queue, harness_directory(), ERRAND_ONE_MOUNT);
    make_file("own", 10, 1);
    for (enum way way = 0; way < WAYS; way++) {
        harness_at("%s", way_names[way]);
        choose(&s, way);
        char target[4];
        errand_chain *chain = new_chain(s.queue);
        errand_step_mkdir(chain, s.place, at(&s, "mount/d"), 0700);
        errand_step_open(chain, s.place, at(&s, "mount/d/f"), O_RDWR | O_CREAT, 0600);
        errand_step_write(chain, ERRAND_SLOT(1), "data", 4, 0);
        errand_step_close(chain, ERRAND_SLOT(1));
        errand_step_symlink(chain, "x", s.place, at(&s, "mount/l"));
        errand_step_read_link(chain, s.place, at(&s, "mount/l"), target, 4);
        errand_step_link(chain, s.place, at(&s, "mount/d/f"), s.place, at(&s, "mount/g"));
        errand_step_rename(chain, s.place, at(&s, "mount/g"), s.place, at(&s, "mount/d/h"), 0);
        errand_step_rename(chain, s.place, at(&s, "mount/d/h"), s.place, at(&s, "h"), 0);
        errand_step_optional(chain, 8);
        errand_step_link(chain, s.place, at(&s, "own"), s.place, at(&s, "mount/own"));
        errand_step_optional(chain, 9);
        errand_step_unlink(chain, s.place, at(&s, "mount/d/h"));
        errand_step_unlink(chain, s.place, at(&s, "mount/d/f"));
        errand_step_rmdir(chain, s.place, at(&s, "mount/d"));
        errand_step_unlink(chain, s.place, at(&s, "mount/l"));
        errand_step_rmdir(chain, s.place, at(&s, "mount"));
        struct errand_event event = run(&s, chain);
        CHECK_EVENT(event, -EBUSY, 14, 4);
        CHECK(!is_there("h") && !is_there("mount/own") && !is_there("mount/d"));
    }
    for (enum kind kind = 0; kind < KINDS; kind++) {
        int own = open(path_of("own"), O_RDWR | O_CLOEXEC);
        harness_at("one mount, %s", kind_names[kind]);
        errand_chain *chain = new_chain(s.queue);
        append(chain, kind, one, "mount/new", own);
        struct errand_event event = run(&s, chain);
        CHECK_EVENT(event, -EXDEV, 0, 0);
        close(own);
    }
    CHECK(!is_there("mount/new"));
    errand_root_remove(s.queue, one);
    end_scene(&s);
    REQUIRE_CALL(umount2(path_of("mount"), MNT_DETACH));
}

static void expect(struct scene *s, errand_chain *chain, int error)
{
    struct errand_event event = run(s, chain);
    CHECK_EVENT(event, error, 0, 0);
}

TEST_EACH_BACKEND(documented_errors)
{
    struct scene s;
    set_scene(&s, backend);
    make_file("file", 1, 1);
    REQUIRE_CALL(mkdir(path_of("dir"), 0700));
    make_file("dir/inner", 1, 1);
    char longest[300], far[PATH_MAX + 10], buffer[4];
    memset(longest, 'n', 299);
    longest[299] = 0;
    memset(far, 'f', sizeof far - 1);
    far[sizeof far - 1] = 0;
    for (enum way way = 0; way < 3; way++) {
        choose(&s, way);
        harness_at("%s", way_names[way]);
        static const struct {
            enum kind kind;
            const char *path;
            int error;
        } cases[] = {
            {MKDIR, "file", -EEXIST},     {MKDIR, "none/d", -ENOENT},     {MKDIR, "file/d", -ENOTDIR},
            {MKDIR, "", -ENOENT},         {RMDIR, "dir", -ENOTEMPTY},     {RMDIR, "file", -ENOTDIR},
            {UNLINK, "dir", -EISDIR},     {UNLINK, "none", -ENOENT},      {UNLINK, "file/", -ENOTDIR},
            {SYMLINK, "file", -EEXIST},   {MKNOD, "file", -EEXIST},       {READ_LINK, "file", -EINVAL},
            {READ_LINK, "dir/", -EINVAL}, {READ_LINK, "none", -ENOENT},   {READ_LINK, "file/", -ENOTDIR},
            {LINK_FROM, "dir", -EPERM},   {LINK_FROM, "dir/", -EPERM},    {LINK_FROM, "none", -ENOENT},
            {LINK_TO, "file", -ENOENT},   {RENAME_FROM, "none", -ENOENT}, {RENAME_TO, "none/x", -ENOENT},
            {OPEN, "none", -ENOENT},      {RMDIR, ".", -EINVAL},          {RMDIR, "dir/..", -ENOTEMPTY},
        };
        for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
            harness_at("%s, %s %s", way_names[way], kind_names[cases[i].kind], cases[i].path);
            errand_chain *chain = new_chain(s.queue);
            append(chain, cases[i].kind, s.place, cases[i].path, -1);
            expect(&s, chain, cases[i].error);
        }
        errand_chain *chain = new_chain(s.queue);
        errand_step_mkdir(chain, s.place, longest, 0700);
        expect(&s, chain, -ENAMETOOLONG);
        chain = new_chain(s.queue);
        CHECK_INT(errand_step_unlink(chain, s.place, far), -ENAMETOOLONG);
        CHECK_INT(errand_submit(chain, NULL, NULL), -ENAMETOOLONG);
        chain = new_chain(s.queue);
        CHECK_INT(errand_step_rename(chain, s.place, "file", s.place, NULL, 0), -EINVAL);
        errand_chain_drop(chain);
        chain = new_chain(s.queue);
        CHECK_INT(errand_step_read_link(chain, s.place, "file", buffer, 0), -EINVAL);
        errand_chain_drop(chain);
        chain = new_chain(s.queue);
        CHECK_INT(errand_step_mkdir(chain, s.place, "x", 0170000), -EINVAL);
        errand_chain_drop(chain);
    }
    end_scene(&s);
}
