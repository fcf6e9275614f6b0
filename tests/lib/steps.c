/* SPDX-License-Identifier: MIT */
/* What each step of a chain does when nothing goes wrong, and the errors that it is documented to give. */
#include "support.h"

#include <sys/uio.h>

TEST_EACH_BACKEND(open_stat_read_close)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("file", 10000, 1);
    struct errand_stat look = {0};
    struct stat status;
    unsigned char buffer[10000];
    int mark;

    errand_chain *chain = new_chain(queue);
    CHECK_INT(errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0), 0);
    CHECK_INT(errand_step_stat(chain, ERRAND_SLOT(0), &look), 1);
    CHECK_INT(errand_step_read(chain, ERRAND_SLOT(0), buffer, sizeof buffer, 0, 0), 2);
    CHECK_INT(errand_step_close(chain, ERRAND_SLOT(0)), 3);
    errand_id id = submit(chain, &mark, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 10000);
    CHECK(event.user_data == &mark);
    CHECK(event.id == id);
    CHECK_INT(event.fd, -1);
    CHECK_INT(event.step_kind, 0);
    CHECK_INT(pattern_check(buffer, 10000, 1, 0), 10000);

    REQUIRE_CALL(stat(path, &status));
    CHECK_INT(look.bytes, 10000);
    CHECK_INT(look.blocks, status.st_blocks);
    CHECK_INT(look.modified_ns, status.st_mtim.tv_sec * ERRAND_SECOND + status.st_mtim.tv_nsec);
    CHECK_INT(look.changed_ns, status.st_ctim.tv_sec * ERRAND_SECOND + status.st_ctim.tv_nsec);
    CHECK_INT(look.device, status.st_dev);
    CHECK_INT(look.inode, status.st_ino);
    CHECK_INT(look.mode, status.st_mode);
    CHECK_INT(look.links, 1);
    CHECK_INT(look.user, status.st_uid);
    CHECK_INT(look.group, status.st_gid);
    close_queue(queue);
}

/* The same through a descriptor of the caller's, which stays open, and through one of a directory. */
TEST_EACH_BACKEND(callers_descriptors)
{
    errand_queue *queue = open_queue(backend, NULL);
    unsigned char buffer[3000];
    make_file("file", 3000, 2);
    int directory = open_directory(), file = openat(directory, "file", O_RDONLY | O_CLOEXEC);

    errand_chain *chain = new_chain(queue);
    errand_step_stat(chain, file, NULL);
    errand_step_read(chain, file, buffer, 1000, 500, 0);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 1000);
    CHECK_INT(pattern_check(buffer, 1000, 2, 500), 1000);

    chain = new_chain(queue);
    errand_step_open(chain, directory, "file", O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(0), buffer, 3000, 0, 0);
    submit(chain, NULL, 0);
    event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 3000);
    CHECK_INT(pattern_check(buffer, 3000, 2, 0), 3000);

    CHECK(fcntl(file, F_GETFD) >= 0);
    close(file);
    close(directory);
    close_queue(queue);
}

/* Reads of every length at every place around the sizes at which something changes inside. */
static void read_around(errand_queue *queue, int root, size_t size)
{
    static const int around[] = {-1, 0, 1};
    char name[32];
    snprintf(name, sizeof name, "file%zu", size);
    make_file(name, size, size);
    unsigned char *buffer = malloc(size + 4097);
    for (unsigned one = 0; one < 3; one++) {
        for (unsigned other = 0; other < 2; other++) {
            size_t offset = other ? 4095 : 0, length = size || one ? size + (size_t)around[one] : 0;
            size_t expected = offset >= size ? 0 : size - offset < length ? size - offset : length;
            harness_at("size %zu, length %zu, offset %zu", size, length, offset);
            memset(buffer, 0xEE, size + 4097);
            errand_chain *chain = new_chain(queue);
            errand_step_open(chain, root, name, O_RDONLY, 0);
            errand_step_read(chain, ERRAND_SLOT(0), buffer, length, (int64_t)offset, 0);
            errand_step_close(chain, ERRAND_SLOT(0));
            submit(chain, NULL, 0);
            struct errand_event event = next_event(queue);
            CHECK_EVENT(event, 0, -1, expected);
            CHECK_INT(pattern_check(buffer, expected, size, offset), expected);
            CHECK_INT(buffer[expected], 0xEE);
        }
    }
    free(buffer);
}

TEST_EACH_BACKEND(reads_at_boundaries)
{
    static const size_t sizes[] = {0,      1,      4095,        4096,    4097,        16383,
                                   16384,  16385,  65535,       65536,   65537,       262143,
                                   262144, 262145, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB + 7};
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        read_around(queue, root, sizes[i]);
    CHECK_INT(errand_root_remove(queue, root), 0);
    close_queue(queue);
}

/* The same file many times: what the library learns of a path or a file must not change the result. */
TEST_EACH_BACKEND(reads_again_and_again)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    unsigned char buffer[9000];
    for (unsigned turn = 0; turn < 20; turn++) {
        size_t size = 4000 + 250 * turn;
        make_file("file", size, turn);
        for (unsigned again = 0; again < 4; again++) {
            harness_at("turn %u, again %u", turn, again);
            errand_chain *chain = new_chain(queue);
            errand_step_open(chain, root, "file", O_RDONLY, 0);
            errand_step_read(chain, ERRAND_SLOT(0), buffer, sizeof buffer, 0, 0);
            errand_step_close(chain, ERRAND_SLOT(0));
            submit(chain, NULL, 0);
            struct errand_event event = next_event(queue);
            CHECK_EVENT(event, 0, -1, size);
            CHECK_INT(pattern_check(buffer, size, turn, 0), size);
        }
        /* By another file of that name, and by one that is not there. */
        if (turn % 5 == 4)
            REQUIRE_CALL(unlink(path_of("file")));
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* A part of the file is in the page cache and a part is not: a read that may not wait then stops in the middle, and
 * that is not the end of the file. */
TEST_EACH_BACKEND(reads_through_gaps_in_the_cache)
{
    enum { page = 4096, pages = 12, size = pages * page - 100 };
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    static unsigned char buffer[size + 100];
    make_file("file", size, 6);
    int file = open(path_of("file"), O_RDONLY | O_CLOEXEC);
    REQUIRE_CALL(fdatasync(file));
    REQUIRE_CALL(posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM));
    unsigned gaps = 0;
    for (unsigned gap = 0; gap < pages; gap++) {
        for (unsigned again = 0; again < 3; again++) {
            harness_at("%u pages are there, turn %u", gap, again);
            struct errand_read_file job = {
                .size = sizeof job, .dir_fd = root, .path = "file", .buffer = buffer, .length = sizeof buffer};
            if (again == 2) { /* the first pages are there, the others are not (the kernel may see it otherwise) */
                REQUIRE_CALL(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
                REQUIRE(pread(file, buffer, gap * page, 0) == (ssize_t)gap * page);
                struct iovec all = {buffer, size};
                gaps += preadv2(file, &all, 1, 0, RWF_NOWAIT) == (gap ? (ssize_t)gap * page : -1);
                memset(buffer, 0, sizeof buffer);
            }
            REQUIRE_INT(errand_read_file(queue, &job, NULL), 0);
            struct errand_event event = next_event(queue);
            CHECK_EVENT(event, 0, -1, size);
            CHECK_INT(pattern_check(buffer, size, 6, 0), size);
        }
    }
    CHECK(gaps >= pages / 2); /* or nothing was shown */
    close(file);
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(read_exact)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("file", 5000, 3);
    unsigned char buffer[6000];
    for (size_t length = 4999; length <= 5001; length++) {
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(0), buffer, length, 0, ERRAND_EXACT);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        if (length <= 5000)
            CHECK_EVENT(event, 0, -1, length);
        else
            CHECK_EVENT(event, -ENODATA, 1, 5000);
        if (event.error)
            CHECK_INT(event.step_kind, ERRAND_STEP_READ);
    }
    close_queue(queue);
}

TEST_EACH_BACKEND(open_errors)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    make_file("file", 1, 1);
    REQUIRE_CALL(symlink("/etc/passwd", path_of("out")));
    REQUIRE_CALL(symlink("loop", path_of("loop")));
    const struct {
        int at;
        const char *path;
        int flags, error;
    } cases[] = {
        {root, "absent", O_RDONLY, -ENOENT},
        {root, "file/x", O_RDONLY, -ENOTDIR},
        {root, "", O_RDONLY, -ENOENT},
        {root, "../x", O_RDONLY, -EXDEV},
        {root, "/etc/passwd", O_RDONLY, -EXDEV},
        {root, "out", O_RDONLY, -EXDEV},
        {root, "loop", O_RDONLY, -ELOOP},
        {root, "file", O_CREAT | O_EXCL | O_WRONLY, -EEXIST},
        {AT_FDCWD, "/no/such", O_RDONLY, -ENOENT},
        {root, "file", O_DIRECTORY, -ENOTDIR},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        harness_at("%s", cases[i].path);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, cases[i].at, cases[i].path, cases[i].flags, 0600);
        errand_step_stat(chain, ERRAND_SLOT(0), NULL);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, cases[i].error, 0, 0);
        CHECK_INT(event.step_kind, ERRAND_STEP_OPEN);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* Where a root does not confine, paths lead where they say; the first time and when all names are cached. */
TEST_EACH_BACKEND(unconfined_root)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), ERRAND_UNCONFINED);
    REQUIRE_CALL(mkdir(path_of("directory"), 0755));
    make_file("file", 10, 1);
    REQUIRE_CALL(symlink(path_of("file"), path_of("away")));
    static char absolute[4096];
    snprintf(absolute, sizeof absolute, "%s", path_of("file"));
    const char *paths[] = {"file", "directory/../file", "away", absolute, "../absent", "/proc/self/no such"};
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
            harness_at("%s", paths[i]);
            unsigned char buffer[10];
            struct errand_read_file job = {
                .size = sizeof job, .dir_fd = root, .path = paths[i], .buffer = buffer, .length = sizeof buffer};
            REQUIRE_INT(errand_read_file(queue, &job, NULL), 0);
            struct errand_event event = next_event(queue);
            CHECK_EVENT(event, i < 4 ? 0 : -ENOENT, i < 4 ? -1 : 0, i < 4 ? 10 : 0);
        }
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* A new file is made, with its mode, and handed over. */
TEST_EACH_BACKEND(open_creates_and_hands_over)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    umask(022);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, root, "new", O_RDWR | O_CREAT | O_EXCL, 0640);
    CHECK_INT(errand_step_hand_over(chain, ERRAND_SLOT(0)), 1);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    REQUIRE(event.fd >= 0);
    CHECK(fcntl(event.fd, F_GETFD) & FD_CLOEXEC);
    CHECK(write(event.fd, "x", 1) == 1);
    struct stat status;
    REQUIRE_CALL(fstat(event.fd, &status));
    CHECK_INT(status.st_mode & 0777, 0640);
    close(event.fd);
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(hand_over_keeps_the_file_open)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("one", 100, 1);
    make_file("two", 200, 2);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned turn = 0; turn < 4; turn++) { /* the second time the path is known */
        unsigned char buffer[200];
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, root, "one", O_RDONLY, 0);
        errand_step_open(chain, root, "two", O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(1), buffer, 200, 0, 0);
        errand_step_hand_over(chain, ERRAND_SLOT(1));
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 200);
        REQUIRE(event.fd >= 0);
        CHECK_INT(pread(event.fd, buffer, 200, 0), 200);
        CHECK_INT(pattern_check(buffer, 200, 2, 0), 200);
        close(event.fd);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* A chain that fails after its hand_over step keeps nothing and hands nothing over. */
TEST_EACH_BACKEND(hand_over_of_a_chain_that_fails)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("one", 100, 1);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_hand_over(chain, ERRAND_SLOT(0));
    errand_step_open(chain, AT_FDCWD, path_of("absent"), O_RDONLY, 0);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -ENOENT, 2, 0);
    CHECK_INT(event.fd, -1);
    close_queue(queue);
}

TEST_EACH_BACKEND(close_twice)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("one", 100, 1);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_close(chain, ERRAND_SLOT(0));
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -EINVAL, 2, 0);
    CHECK_INT(event.step_kind, ERRAND_STEP_CLOSE);
    close_queue(queue);
}

TEST_EACH_BACKEND(use_after_close)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("one", 100, 1);
    char buffer[10];
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_read(chain, ERRAND_SLOT(0), buffer, 10, 0, 0);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK(event.error < 0);
    CHECK_INT(event.step, 2);
    CHECK_INT(event.bytes, 0);
    close_queue(queue);
}

/* Several files at once in one chain, closed in another order, or not at all. */
TEST_EACH_BACKEND(several_files)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    unsigned char buffers[3][1000];
    for (unsigned i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%u", i);
        make_file(name, 1000 + i, i);
    }
    for (unsigned turn = 0; turn < 3; turn++) {
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, root, "f0", O_RDONLY, 0);
        errand_step_open(chain, root, "f1", O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(1), buffers[1], 1000, 1, 0);
        errand_step_open(chain, root, "f2", O_RDONLY, 0);
        errand_step_close(chain, ERRAND_SLOT(1));
        errand_step_read(chain, ERRAND_SLOT(0), buffers[0], 1000, 0, 0);
        errand_step_read(chain, ERRAND_SLOT(3), buffers[2], 1000, 2, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 3000);
        for (unsigned i = 0; i < 3; i++)
            CHECK_INT(pattern_check(buffers[i], 1000, i, i), 1000);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* Paths and options are copied at submission; the caller may overwrite them. */
TEST_EACH_BACKEND(paths_are_copied)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    char long_name[256], path[256];
    memset(long_name, 'n', 255);
    long_name[255] = 0;
    make_file("f", 10, 1);
    make_file(long_name, 20, 1);
    for (unsigned turn = 0; turn < 4; turn++) {
        snprintf(path, sizeof path, "%s", turn % 2 ? long_name : "f");
        char buffer[20];
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, root, path, O_RDONLY, 0);
        memset(path, 'z', sizeof path - 1);
        errand_step_read(chain, ERRAND_SLOT(0), buffer, sizeof buffer, 0, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, turn % 2 ? 20 : 10);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST(names)
{
    CHECK_STR(errand_version(), "0.1.0");
    CHECK_STR(errand_error_name(-ENOENT), "ENOENT");
    CHECK_STR(errand_error_name(ENOENT), "ENOENT");
    CHECK_STR(errand_error_name(-ECANCELED), "ECANCELED");
    CHECK_STR(errand_error_name(0), "none");
    CHECK_STR(errand_error_name(-99999), "unknown error");
    CHECK_STR(errand_error_name(INT32_MIN), "unknown error");
    static const char *const steps[] = {"unknown step", "open",     "stat",     "read", "close",    "send",
                                        "receive",      "sendfile", "shutdown", "call", "hand_over"};
    CHECK_STR(errand_step_name(0), steps[0]);
    for (unsigned i = ERRAND_STEP_OPEN; i < ERRAND_STEP_HAND_OVER; i++)
        CHECK_STR(errand_step_name(i), steps[i]);
    CHECK(strncmp(errand_step_name(ERRAND_STEP_HAND_OVER), "hand", 4) == 0);
    CHECK_STR(errand_step_name(99999), "unknown step");
}

/* What is handed over is no longer the chain's to close, whoever does the close. */
TEST_EACH_BACKEND(close_after_hand_over)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("one", 100, 1);
    for (unsigned turn = 0; turn < 2; turn++) {
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
        errand_step_hand_over(chain, ERRAND_SLOT(0));
        if (turn == 1)
            errand_step_stat(chain, ERRAND_SLOT(0), NULL); /* a worker's, which might take the close along */
        errand_step_close(chain, ERRAND_SLOT(0));
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, -EINVAL, turn == 1 ? 3 : 2, 0);
        CHECK_INT(event.fd, -1);
        check_idle(queue);
    }
    close_queue(queue);
}

/* A buffer that the kernel refuses to look at: open, read and close in one segment must come back all the same. */
TEST_EACH_BACKEND(buffer_that_cannot_be)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("one", 5000, 1);
    int root = add_root(queue, harness_directory(), 0);
    unsigned char buffer[5000];
    uint64_t inline_before = 0;
    for (unsigned turn = 0; turn < 5; turn++) {
        bool bad = turn == 4;
        if (bad && stats_of(queue).inline_runs == inline_before)
            SKIP("files are not read inline on this filesystem");
        inline_before = stats_of(queue).inline_runs;
        struct errand_read_file job = {.size = sizeof job,
                                       .dir_fd = root,
                                       .path = "one",
                                       .buffer = bad ? (void *)UINT64_C(0xffff888000000000) : buffer,
                                       .length = sizeof buffer};
        REQUIRE_INT(errand_read_file(queue, &job, NULL), 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, bad ? -EFAULT : 0, bad ? 1 : -1, bad ? 0 : 5000);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}
