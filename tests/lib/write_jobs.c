/* SPDX-License-Identifier: MIT */
/* The jobs that write, copy, receive and load files: what they do, and what is left when they fail. */
#include "support.h"

#include <dirent.h>
#include <sys/stat.h>

#include "base/fault.h"

static void check_file(const char *name, size_t size, uint64_t seed)
{
    unsigned char *data = malloc(size + 1);
    int fd = (int)REQUIRE_CALL(open(path_of(name), O_RDONLY | O_CLOEXEC));
    CHECK_INT(read(fd, data, size + 1), size);
    CHECK_INT(pattern_check(data, size, seed, 0), size);
    close(fd);
    free(data);
}

static unsigned names_in(const char *path)
{
    unsigned count = 0;
    DIR *directory = opendir(path);
    REQUIRE(directory != NULL);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

static unsigned mode_of(const char *name)
{
    struct stat st;
    REQUIRE_CALL(stat(path_of(name), &st));
    return st.st_mode & 07777;
}

static const size_t sizes[] = {0, 1, 5000, 300000, 2000000};
enum { sizes_count = sizeof sizes / sizeof *sizes };

TEST_EACH_BACKEND(write_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    unsigned char *data = malloc(2000000);
    umask(022);
    for (unsigned i = 0; i < sizes_count; i++) {
        harness_at("%zu bytes", sizes[i]);
        pattern_fill(data, sizes[i], i, 0);
        struct errand_write_file job = {.size = sizeof job,
                                        .dir_fd = i % 2 ? root : AT_FDCWD,
                                        .mode = 0640,
                                        .path = i % 2 ? "written" : path_of("written"),
                                        .data = data,
                                        .length = sizes[i],
                                        .flags = i == 0   ? ERRAND_NEW
                                                 : i == 1 ? ERRAND_SYNC
                                                          : 0};
        CHECK_INT(errand_write_file(queue, &job, NULL), 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, sizes[i]);
        check_file("written", sizes[i], i);
        job.flags = ERRAND_NEW;
        CHECK_INT(errand_write_file(queue, &job, NULL), 0);
        event = next_event(queue);
        CHECK_EVENT(event, -EEXIST, 0, 0);
        check_file("written", sizes[i], i);
    }
    CHECK_INT(mode_of("written"), 0640);
    free(data);
    errand_root_remove(queue, root);
    close_queue(queue);
}

static int64_t fail_at(void *context, unsigned place, uint64_t *length)
{
    unsigned *left = context;
    (void)length;
    return place >= FAULT_CALL && place<FAULT_SETUP && * left> 0 && --*left == 0 ? -EIO : 0;
}

/* As a filesystem without O_TMPFILE: the second open fails. */
static unsigned opens, fails;
static int64_t no_unnamed(void *context, unsigned place, uint64_t *length)
{
    if (place == FAULT_CALL + ERRAND_STEP_OPEN && ++opens == 2)
        return -EOPNOTSUPP;
    return fail_at(context, place, length);
}

static struct errand_event replace(errand_queue *queue, const void *data, size_t size)
{
    struct errand_replace_file job = {.size = sizeof job,
                                      .dir_fd = AT_FDCWD,
                                      .mode = 0600,
                                      .path = path_of("inner/replaced"),
                                      .data = data,
                                      .length = size};
    REQUIRE_INT(errand_replace_file(queue, &job, NULL), 0);
    return next_event(queue);
}

/* Every operation fails in turn: the old file stays, or the new one is there; nothing else is. */
TEST_EACH_BACKEND(replace_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    unsigned char *data = malloc(2000000);
    REQUIRE_CALL(mkdir(path_of("inner"), 0755));
    for (unsigned named = 0; named < 2; named++) {
        for (unsigned i = 0; i < sizes_count; i++) {
            for (unsigned nth = 1;; nth++) {
                harness_at("%zu bytes, %s, a failure at %u", sizes[i], named ? "named" : "unnamed", nth);
                REQUIRE(nth < 100);
                pattern_fill(data, 70, 70, 0);
                REQUIRE_INT(replace(queue, data, 70).error, 0);
                check_file("inner/replaced", 70, 70);
                pattern_fill(data, sizes[i], i, 0);
                opens = 0;
                fails = nth;
                errand_fault = (struct fault){named ? no_unnamed : fail_at, &fails};
                struct errand_event event = replace(queue, data, sizes[i]);
                errand_fault = (struct fault){0};
                CHECK_INT(names_in(path_of("inner")), 1);
                struct stat st;
                REQUIRE_CALL(stat(path_of("inner/replaced"), &st));
                bool old = st.st_size == 70;
                check_file("inner/replaced", old ? 70 : sizes[i], old ? 70 : i);
                if (fails > 0) { /* it was not reached */
                    CHECK_EVENT(event, 0, -1, sizes[i]);
                    CHECK(!old);
                    break;
                }
                CHECK(event.error == -EIO || event.error == 0); /* a close that fails is none of ours to undo */
            }
        }
    }
    CHECK_INT(mode_of("inner/replaced"), 0600);
    free(data);
    close_queue(queue);
}

TEST_EACH_BACKEND(copy_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned i = 0; i < sizes_count; i++) {
        harness_at("%zu bytes", sizes[i]);
        make_file("from", sizes[i], i);
        REQUIRE_CALL(chmod(path_of("from"), 0751));
        struct errand_copy_file job = {.size = sizeof job,
                                       .from_dir_fd = root,
                                       .to_dir_fd = AT_FDCWD,
                                       .from = "from",
                                       .to = path_of("to"),
                                       .flags = i == 0 ? ERRAND_NEW : ERRAND_SYNC};
        CHECK_INT(errand_copy_file(queue, &job, NULL), 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, sizes[i]);
        check_file("to", sizes[i], i);
        CHECK_INT(mode_of("to"), 0751);
    }
    struct errand_copy_file directory = {
        .size = sizeof directory, .from_dir_fd = root, .to_dir_fd = root, .from = ".", .to = "to"};
    CHECK_INT(errand_copy_file(queue, &directory, NULL), 0);
    CHECK_INT(next_event(queue).error, -EISDIR);
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(receive_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        size_t size = 50000, length = turn == 1 ? 20000 : 60000;
        unsigned char *data = malloc(size);
        int sockets[2];
        harness_at("turn %u", turn);
        make_pair(PAIR_UNIX, sockets);
        pattern_fill(data, size, turn, 0);
        CHECK_INT(send(sockets[1], data, size, 0), size);
        shutdown(sockets[1], SHUT_WR);
        struct errand_receive_file job = {.size = sizeof job,
                                          .dir_fd = root,
                                          .socket = sockets[0],
                                          .mode = 0600,
                                          .flags = ERRAND_EXACT | ERRAND_SYNC,
                                          .path = "received",
                                          .length = turn == 0 ? ERRAND_TO_END : (int64_t)length};
        CHECK_INT(errand_receive_file(queue, &job, NULL), 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, turn == 2 ? -ENODATA : 0, turn == 2 ? 1 : -1, turn == 1 ? length : size);
        check_file("received", turn == 1 ? length : size, turn);
        free(data);
        close(sockets[0]);
        close(sockets[1]);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(load_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned turn = 0; turn < 2 * sizes_count; turn++) {
        size_t size = sizes[turn / 2];
        bool rooted = turn & 1;
        harness_at("%zu bytes, %s", size, rooted ? "root" : "path");
        make_file("file", size, turn);
        struct errand_load_file job = {.size = sizeof job,
                                       .dir_fd = rooted ? root : AT_FDCWD,
                                       .path = rooted ? "file" : path_of("file"),
                                       .most = size};
        CHECK_INT(errand_load_file(queue, &job, NULL), 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, size);
        REQUIRE(event.data != NULL);
        CHECK_INT(pattern_check(event.data, size, turn, 0), size);
        if (size == 0)
            continue;
        job.most = size - 1;
        CHECK_INT(errand_load_file(queue, &job, NULL), 0);
        event = next_event(queue);
        CHECK_EVENT(event, -EFBIG, 1, 0);
        CHECK(event.data == NULL);
    }
    /* A file that does not say how big it is. */
    struct errand_load_file job = {.size = sizeof job, .dir_fd = AT_FDCWD, .path = "/proc/self/status", .most = 100000};
    CHECK_INT(errand_load_file(queue, &job, NULL), 0);
    struct errand_event event = next_event(queue);
    CHECK_INT(event.error, 0);
    CHECK(event.bytes > 100);
    job.most = 50;
    CHECK_INT(errand_load_file(queue, &job, NULL), 0);
    CHECK_INT(next_event(queue).error, -EFBIG);
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* A queue can be closed on more of what was loaded than it could ever lend at once. */
TEST_EACH_BACKEND(loaded_and_never_fetched)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.receive_buffers = 1});
    make_file("file", 5000, 1);
    for (unsigned i = 0; i < 40; i++) {
        struct errand_load_file job = {.size = sizeof job, .dir_fd = AT_FDCWD, .path = path_of("file"), .most = 5000};
        REQUIRE_INT(errand_load_file(queue, &job, NULL), 0);
    }
    struct errand_event event = next_event(queue); /* the others have ended, or end while the queue closes */
    CHECK_EVENT(event, 0, -1, 5000);
    CHECK_INT(errand_queue_close(queue), 0);
}
