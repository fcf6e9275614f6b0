/* SPDX-License-Identifier: MIT */
/* The copy step: sizes around its pieces, ranges, holes, filesystems that can share nothing, and what goes wrong. */
#include "support.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <signal.h>

enum { seed = 8 };

/* What a path holds, from `at` on, is that of the pattern from `offset` on. */
static void check_file(const char *path, size_t size, size_t at, size_t length, size_t offset)
{
    int fd = (int)REQUIRE_CALL(open(path, O_RDONLY | O_CLOEXEC));
    struct stat stat;
    REQUIRE_CALL(fstat(fd, &stat));
    if (CHECK_INT(stat.st_size, size) && length > 0) {
        unsigned char *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        REQUIRE(bytes != MAP_FAILED);
        CHECK_INT(pattern_check(bytes + at, length, seed, offset), length);
        munmap(bytes, size);
    }
    close(fd);
}

static bool is_zero(const char *path, size_t at, size_t length)
{
    int fd = (int)REQUIRE_CALL(open(path, O_RDONLY | O_CLOEXEC));
    bool zero = true;
    for (size_t i = 0; i < length && zero; i++) {
        char byte = 0;
        zero = pread(fd, &byte, 1, (off_t)(at + i)) == 1 && byte == 0;
        if (i == 100 && length > 300)
            i = length - 200;
    }
    close(fd);
    return zero;
}

struct result {
    int64_t copied;
};

static int note_result(errand_chain *chain, void *context)
{
    struct result *result = context;
    result->copied = errand_chain_result(chain, 2);
    return 0;
}

/* Opens both, copies, syncs, closes both: the steps behind the copy must come after all of it. */
static struct errand_event copy_paths(errand_queue *queue, const char *from, const char *to, int64_t to_offset,
                                      int64_t offset, int64_t length, unsigned flags, int64_t *copied)
{
    struct result result = {-1};
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, from, O_RDONLY, 0);
    errand_step_open(chain, AT_FDCWD, to, O_RDWR | O_CREAT, 0644);
    errand_step_copy(chain, ERRAND_SLOT(1), to_offset, ERRAND_SLOT(0), offset, length, flags);
    errand_step_sync(chain, ERRAND_SLOT(1), 0);
    errand_step_close(chain, ERRAND_SLOT(1));
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_call(chain, note_result, &result);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    if (copied)
        *copied = result.copied;
    return event;
}

TEST_EACH_BACKEND(sizes)
{
    static const size_t sizes[] = {0,      1,           16384,        16385,    65536,        65537,    262144,
                                   262145, 3 * MIB + 7, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1, 32 * MIB, 33 * MIB + 5};
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned turn = 0; turn < 4; turn++) {
            bool to_end = turn % 2;
            unsigned flags = turn / 2 ? ERRAND_HOLES : 0;
            int64_t copied;
            harness_at("%zu bytes%s%s", sizes[i], to_end ? ", to the end" : "", flags ? ", holes" : "");
            make_file("from", sizes[i], seed);
            unlink(path_of("to"));
            struct errand_event event = copy_paths(queue, path_of("from"), path_of("to"), 0, 0,
                                                   to_end ? ERRAND_TO_END : (int64_t)sizes[i], flags, &copied);
            CHECK_EVENT(event, 0, -1, sizes[i]);
            CHECK_INT(copied, sizes[i]);
            check_file(path_of("to"), sizes[i], 0, sizes[i], 0);
            if (harness_failures())
                return;
        }
    }
    close_queue(queue);
}

TEST_EACH_BACKEND(ranges)
{
    enum { size = 1 << 20 };
    static const struct {
        int64_t to, from, length, copied;
        unsigned flags;
        int error;
    } cases[] = {
        {0, 1000, 500, 500, 0, 0},
        {5000, 77, 300000, 300000, ERRAND_EXACT, 0},
        {0, size - 10, 100, 10, 0, 0},
        {0, size - 10, 100, 10, ERRAND_EXACT, -ENODATA},
        {0, size - 10, ERRAND_TO_END, 10, ERRAND_EXACT, 0},
        {3, size, ERRAND_TO_END, 0, 0, 0},
        {3, size + 100, 10, 0, 0, 0},
        {3, size + 100, 10, 0, ERRAND_EXACT, -ENODATA},
        {0, 0, 2 * size, size, ERRAND_EXACT, -ENODATA},
        {0, 0, 2 * size, size, ERRAND_EXACT | ERRAND_HOLES, -ENODATA},
        {0, size - 10, 100, 10, ERRAND_EXACT | ERRAND_HOLES, -ENODATA},
        {12345, 0, ERRAND_TO_END, size, ERRAND_HOLES, 0},
        {0, 0, 0, 0, ERRAND_EXACT, 0},
    };
    errand_queue *queue = open_queue(backend, NULL);
    make_file("from", size, seed);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t copied;
        harness_at("case %u", i);
        unlink(path_of("to"));
        struct errand_event event = copy_paths(queue, path_of("from"), path_of("to"), cases[i].to, cases[i].from,
                                               cases[i].length, cases[i].flags, &copied);
        CHECK_EVENT(event, cases[i].error, cases[i].error ? 2 : -1, cases[i].copied);
        if (!cases[i].error)
            CHECK_INT(copied, cases[i].copied);
        size_t moved = (size_t)cases[i].copied;
        check_file(path_of("to"), moved ? (size_t)cases[i].to + moved : 0, (size_t)cases[i].to, moved,
                   (size_t)cases[i].from);
    }
    close_queue(queue);
}

/* A longer file keeps its end. */
TEST_EACH_BACKEND(into_a_longer_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("from", 100000, seed);
    make_file("to", 300000, seed);
    struct errand_event event = copy_paths(queue, path_of("from"), path_of("to"), 1000, 1000, ERRAND_TO_END, 0, NULL);
    CHECK_EVENT(event, 0, -1, 99000);
    check_file(path_of("to"), 300000, 0, 300000, 0);
    close_queue(queue);
}

/* Data, holes between, a hole at the end: the copy reads the same, has the same length, and holes of its own. */
TEST_EACH_BACKEND(holes)
{
    enum { data = 100000, at = 8 << 20, size = 40 << 20 };
    errand_queue *queue = open_queue(backend, NULL);
    make_file("from", data, seed);
    int from = (int)REQUIRE_CALL(open(path_of("from"), O_RDWR | O_CLOEXEC));
    unsigned char *bytes = malloc(data);
    pattern_fill(bytes, data, seed, at);
    REQUIRE(pwrite(from, bytes, data, at) == data);
    REQUIRE_CALL(ftruncate(from, size));
    free(bytes);
    static const struct {
        int64_t offset, length, copied;
    } cases[] = {
        {0, ERRAND_TO_END, size},     {0, size, size},           {0, 5 << 20, 5 << 20},
        {0, at + 5, at + 5},          {data + 4096, 4096, 4096}, {at, size - at, size - at},
        {size - 5, ERRAND_TO_END, 5}, {0, 20 << 20, 20 << 20},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (unsigned flags = 0; flags <= ERRAND_HOLES; flags += ERRAND_HOLES) {
            int64_t copied;
            harness_at("case %u%s", i, flags ? ", holes" : "");
            unlink(path_of("to"));
            struct errand_event event =
                copy_paths(queue, path_of("from"), path_of("to"), 0, cases[i].offset, cases[i].length, flags, &copied);
            CHECK_EVENT(event, 0, -1, cases[i].copied);
            CHECK_INT(copied, cases[i].copied);
            struct stat stat;
            REQUIRE_CALL(lstat(path_of("to"), &stat));
            CHECK_INT(stat.st_size, cases[i].copied);
            if (flags)
                CHECK(stat.st_blocks * 512 <= 3 * data + 65536);
            if (cases[i].offset == 0) {
                check_file(path_of("to"), (size_t)cases[i].copied, 0, data, 0);
                CHECK(is_zero(path_of("to"), data, 1 << 20));
            }
            if (cases[i].offset == 0 && cases[i].copied >= at + data)
                check_file(path_of("to"), (size_t)cases[i].copied, at, data, at);
        }
    }
    close(from);
    close_queue(queue);
}

/* A hole is followed by a file that must not grow. */
TEST_EACH_BACKEND(holes_beyond_the_limit)
{
    enum { limit = 1 << 20 };
    errand_queue *queue = open_queue(backend, NULL);
    make_file("from", 1000, seed);
    REQUIRE_CALL(truncate(path_of("from"), 4 << 20));
    signal(SIGXFSZ, SIG_IGN);
    REQUIRE_CALL(setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit}));
    for (unsigned turn = 0; turn < 2; turn++) {
        unlink(path_of("to"));
        struct errand_event event =
            copy_paths(queue, path_of("from"), path_of("to"), 0, 0, turn ? 4 << 20 : ERRAND_TO_END, ERRAND_HOLES, NULL);
        CHECK_INT(event.error, -EFBIG);
        CHECK_INT(event.step, 2);
        CHECK(event.bytes <= limit);
    }
    close_queue(queue);
}

/* No space is left: the bytes that arrived are counted, nothing more. */
TEST_EACH_BACKEND(full_and_foreign_filesystem)
{
    errand_queue *queue = open_queue(backend, NULL);
    REQUIRE_CALL(mkdir(path_of("small"), 0700));
    if (mount("tmpfs", path_of("small"), "tmpfs", 0, "size=2m") < 0)
        SKIP("no mount here");
    make_file("from", 5 * MIB, seed);
    char to[400];
    snprintf(to, sizeof to, "%s/to", path_of("small"));
    int64_t copied;
    struct errand_event event = copy_paths(queue, path_of("from"), to, 0, 0, MIB, ERRAND_HOLES, &copied);
    CHECK_EVENT(event, 0, -1, MIB);
    CHECK_INT(copied, MIB);
    check_file(to, MIB, 0, MIB, 0);
    REQUIRE_CALL(unlink(to));
    event = copy_paths(queue, path_of("from"), to, 0, 0, ERRAND_TO_END, 0, NULL);
    CHECK_INT(event.error, -ENOSPC);
    CHECK_INT(event.step, 2);
    CHECK(event.bytes <= 2 * MIB && event.bytes >= MIB);
    struct stat stat;
    REQUIRE_CALL(lstat(to, &stat));
    CHECK(stat.st_size >= (off_t)event.bytes);
    check_file(to, (size_t)stat.st_size, 0, event.bytes, 0);
    close_queue(queue);
    REQUIRE_CALL(umount2(path_of("small"), MNT_DETACH));
}

/* What the kernel does not copy by itself: files of /proc, which say that they are empty. */
TEST_EACH_BACKEND(from_proc)
{
    errand_queue *queue = open_queue(backend, NULL);
    int64_t copied;
    struct errand_event event =
        copy_paths(queue, "/proc/self/status", path_of("to"), 0, 0, ERRAND_TO_END, ERRAND_HOLES, &copied);
    CHECK_INT(event.error, 0);
    CHECK(copied > 100 && copied == (int64_t)event.bytes);
    unlink(path_of("to"));
    event = copy_paths(queue, "/proc/self/status", path_of("to"), 0, 0, ERRAND_TO_END, 0, &copied);
    CHECK(event.error == 0 && copied > 100);
    close_queue(queue);
}

/* Of the caller's descriptors, which keep their position; results as offsets and length. */
TEST_EACH_BACKEND(callers_files_and_results)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("from", 200000, seed);
    int from = (int)REQUIRE_CALL(open(path_of("from"), O_RDONLY | O_CLOEXEC));
    int to = (int)REQUIRE_CALL(open(path_of("to"), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(lseek(from, 17, SEEK_SET) == 17);
    errand_chain *chain = new_chain(queue);
    errand_step_stat(chain, from, NULL);
    errand_step_copy(chain, to, 0, from, 0, ERRAND_RESULT(0), ERRAND_EXACT);
    errand_step_copy(chain, to, ERRAND_RESULT(0), from, 0, ERRAND_RESULT(1), ERRAND_HOLES);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 400000);
    check_file(path_of("to"), 400000, 200000, 200000, 0);
    check_file(path_of("to"), 400000, 0, 200000, 0);
    CHECK_INT(lseek(from, 0, SEEK_CUR), 17);
    CHECK_INT(lseek(to, 0, SEEK_CUR), 0);
    close(from);
    close(to);
    close_queue(queue);
}

TEST_EACH_BACKEND(fails)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("from", 200000, seed);
    int from = (int)REQUIRE_CALL(open(path_of("from"), O_RDONLY | O_CLOEXEC));
    int directory = open_directory(), pipes[2];
    REQUIRE_CALL(pipe2(pipes, O_CLOEXEC));
    const struct {
        int to, from, error;
    } cases[] = {{from, from, -EBADF},
                 {directory, from, -EISDIR},
                 {pipes[1], from, -ESPIPE},
                 {from, 999, -EBADF},
                 {999, from, -EBADF}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        harness_at("case %u", i);
        errand_chain *chain = new_chain(queue);
        errand_step_copy(chain, cases[i].to, 0, cases[i].from, 0, ERRAND_TO_END, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, cases[i].error, 0, 0);
        CHECK_INT(event.step_kind, ERRAND_STEP_COPY);
    }
    close(pipes[0]);
    close(pipes[1]);
    close(directory);
    close(from);
    close_queue(queue);
}
