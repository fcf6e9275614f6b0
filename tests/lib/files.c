/* SPDX-License-Identifier: MIT */
/* The steps of open files that change them: write, sync, truncate, allocate, chmod, chown, utimes, attributes. */
#include "support.h"

#include <linux/falloc.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/xattr.h>

enum { seed = 3 };

static void check_file(const char *path, size_t size, size_t from, size_t length, size_t offset)
{
    int fd = (int)REQUIRE_CALL(open(path, O_RDONLY | O_CLOEXEC));
    struct stat stat;
    REQUIRE_CALL(fstat(fd, &stat));
    CHECK_INT(stat.st_size, size);
    unsigned char *bytes = malloc(length + 1);
    CHECK_INT(pread(fd, bytes, length, (off_t)from), length);
    CHECK_INT(pattern_check(bytes, length, seed, offset), length);
    free(bytes);
    close(fd);
}

static unsigned char *make_pattern(size_t size)
{
    unsigned char *data = malloc(size + 1);
    REQUIRE(data != NULL);
    pattern_fill(data, size, seed, 0);
    return data;
}

static int64_t results[64];

static int note_results(errand_chain *chain, void *context)
{
    for (int i = 0; i < *(int *)context; i++)
        results[i] = errand_chain_result(chain, i);
    return 0;
}

/* Around the pieces that it moves in; at the start, at an offset, at the end, by a slot and by a descriptor. */
TEST_EACH_BACKEND(writes)
{
    static const size_t sizes[] = {0, 1, 4095, 16384, 16385, 262143, 262144, 262145, 524288, 5 * MIB + 3};
    errand_queue *queue = open_queue(backend, NULL);
    unsigned char *data = make_pattern(6 * MIB);
    int root = add_root(queue, harness_directory(), 0), counted = 3;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        for (unsigned turn = 0; turn < 6; turn++) {
            harness_at("%zu bytes, turn %u", size, turn);
            make_file("file", 10, seed);
            int own = (int)REQUIRE_CALL(open(path_of("file"), O_RDWR | O_CLOEXEC));
            REQUIRE(lseek(own, 5, SEEK_SET) == 5);
            int64_t offset = turn % 3 == 0 ? 0 : turn % 3 == 1 ? 70000 : ERRAND_TO_END;
            errand_chain *chain = new_chain(queue);
            errand_step_open(chain, root, "file", O_WRONLY, 0);
            errand_step_write(chain, turn < 3 ? ERRAND_SLOT(0) : own, data, size, offset);
            errand_step_sync(chain, ERRAND_SLOT(0), turn % 2 ? ERRAND_DATA_ONLY : 0);
            errand_step_close(chain, ERRAND_SLOT(0));
            errand_step_call(chain, note_results, &counted);
            submit(chain, NULL, 0);
            struct errand_event event = next_event(queue);
            CHECK_EVENT(event, 0, -1, size);
            CHECK_INT(results[1], size);
            CHECK_INT(results[2], 0);
            size_t at = offset == ERRAND_TO_END ? 10 : (size_t)offset;
            size_t end = size ? at + size : 0;
            check_file(path_of("file"), end > 10 ? end : 10, at, size, 0);
            CHECK_INT(lseek(own, 0, SEEK_CUR), 5);
            close(own);
        }
    }
    free(data);
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* The data is the caller's again at the event. Little memory for transfers: pieces are small, the file is whole. */
TEST_EACH_BACKEND(many_writes_with_little_memory)
{
    enum { chains = 40, size = 300000 };
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.transfer_memory = 1 << 20});
    unsigned char *data = make_pattern(size);
    for (uintptr_t i = 0; i < chains; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", (unsigned)i);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path_of(name), O_WRONLY | O_CREAT | O_EXCL, 0600);
        errand_step_write(chain, ERRAND_SLOT(0), data, size, 0);
        errand_step_write(chain, ERRAND_SLOT(0), data, 100, ERRAND_TO_END);
        errand_step_close(chain, ERRAND_SLOT(0));
        submit(chain, (void *)i, 0);
    }
    for (unsigned i = 0; i < chains; i++) {
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, size + 100);
        char name[16];
        snprintf(name, sizeof name, "f%u", (unsigned)(uintptr_t)event.user_data);
        check_file(path_of(name), size + 100, 0, size, 0);
        check_file(path_of(name), size + 100, size, 100, 0);
    }
    free(data);
    close_queue(queue);
}

/* The disk is full, a limit is reached: the right step, and the bytes that are there. */
TEST_EACH_BACKEND(write_fails_half_way)
{
    errand_queue *queue = open_queue(backend, NULL);
    enum { size = 3 << 20 };
    unsigned char *data = make_pattern(size);
    REQUIRE_CALL(mkdir(path_of("small"), 0700));
    if (mount("tmpfs", path_of("small"), "tmpfs", 0, "size=1m") < 0)
        SKIP("no mount here");
    signal(SIGXFSZ, SIG_IGN);
    for (unsigned turn = 0; turn < 4; turn++) {
        const char *name = turn < 2 ? "small/file" : "file";
        bool optional = turn % 2;
        harness_at("%s%s", name, optional ? ", optional" : "");
        if (turn == 2)
            REQUIRE_CALL(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1500000, 1500000}));
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path_of(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
        errand_step_write(chain, ERRAND_SLOT(0), data, size, 0);
        if (optional)
            errand_step_optional(chain, 1);
        errand_step_mkdir(chain, AT_FDCWD, path_of("after"), 0700);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        uint64_t there = turn < 2 ? MIB : 1500000;
        CHECK_EVENT(event, optional ? 0 : turn < 2 ? -ENOSPC : -EFBIG, optional ? -1 : 1, there);
        check_file(path_of(name), there, 0, there, 0);
        CHECK_INT(rmdir(path_of("after")), optional ? 0 : -1);
    }
    free(data);
    close_queue(queue);
    REQUIRE_CALL(umount2(path_of("small"), MNT_DETACH));
}

/* What the kernel refuses comes from the right step. */
TEST_EACH_BACKEND(refusals)
{
    errand_queue *queue = open_queue(backend, NULL);
    int file = (int)REQUIRE_CALL(open(make_file("file", 10, seed), O_RDONLY | O_CLOEXEC));
    int pipes[2];
    REQUIRE_CALL(pipe2(pipes, O_CLOEXEC));
    for (unsigned turn = 0; turn < 6; turn++) {
        harness_at("turn %u", turn);
        errand_chain *chain = new_chain(queue);
        errand_step_sleep(chain, 0);
        switch (turn) {
        case 0: errand_step_write(chain, file, "x", 1, 0); break;
        case 1: errand_step_truncate(chain, file, 0); break;
        case 2: errand_step_sync(chain, pipes[1], 0); break;
        case 3: errand_step_write(chain, pipes[1], "x", 1, 0); break;
        case 4: errand_step_allocate(chain, pipes[1], 0, 0, 1); break;
        case 5: errand_step_allocate(chain, file, 0, 0, 1); break;
        }
        static const int errors[] = {-EBADF, -EINVAL, -EINVAL, -ESPIPE, -ESPIPE, -EBADF};
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, errors[turn], 1, 0);
    }
    errand_chain *chain = new_chain(queue);
    CHECK_INT(errand_step_write(chain, file, NULL, 1, 0), -EINVAL);
    CHECK_INT(errand_step_write(chain, file, "x", 1, -2), -EINVAL);
    CHECK_INT(errand_step_sync(chain, file, 2), -EINVAL);
    CHECK_INT(errand_step_truncate(chain, file, -1), -EINVAL);
    CHECK_INT(errand_step_allocate(chain, file, 0, 0, ERRAND_TO_END), -EINVAL);
    CHECK_INT(errand_step_chmod(chain, file, 010000), -EINVAL);
    CHECK_INT(errand_step_copy(chain, file, 0, file, INT64_MAX, 1, 0), -EINVAL);
    errand_chain_drop(chain);
    close(file);
    close(pipes[0]);
    close(pipes[1]);
    close_queue(queue);
}

TEST_EACH_BACKEND(sizes_modes_owners_times)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.chain_steps = 64});
    int own = (int)REQUIRE_CALL(open(make_file("file", 10, seed), O_RDWR | O_CLOEXEC));
    for (unsigned turn = 0; turn < 2; turn++) {
        int file = turn ? own : ERRAND_SLOT(0), count = 18;
        struct errand_stat seen[6];
        memset(seen, 0, sizeof seen);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path_of("file"), O_RDWR, 0);
        errand_step_truncate(chain, file, 100000);
        errand_step_stat(chain, file, &seen[0]);
        errand_step_truncate(chain, file, 3);
        errand_step_stat(chain, file, &seen[1]);
        errand_step_allocate(chain, file, 0, 0, 50000);
        errand_step_stat(chain, file, &seen[2]);
        errand_step_allocate(chain, file, FALLOC_FL_KEEP_SIZE, 0, 200000);
        errand_step_stat(chain, file, &seen[3]);
        errand_step_allocate(chain, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 49152);
        errand_step_chmod(chain, file, 04711);
        errand_step_chown(chain, file, 1234, UINT32_MAX);
        errand_step_chown(chain, file, UINT32_MAX, 4321);
        errand_step_utimes(chain, file, 1, 1500 * ERRAND_SECOND + 999999999);
        errand_step_stat(chain, file, &seen[4]);
        errand_step_utimes(chain, file, -1, ERRAND_TIME_KEEP);
        errand_step_stat(chain, file, &seen[5]);
        errand_step_utimes(chain, file, ERRAND_TIME_KEEP, ERRAND_TIME_NOW);
        errand_step_call(chain, note_results, &count);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        CHECK_INT(seen[0].bytes, 100000);
        CHECK_INT(results[2], 100000);
        CHECK_INT(seen[1].bytes, 3);
        CHECK_INT(seen[2].bytes, 50000);
        CHECK(seen[2].blocks * 512 >= 50000);
        CHECK_INT(seen[3].bytes, 50000);
        CHECK(seen[3].blocks * 512 >= 200000);
        CHECK_INT(seen[4].bytes, 50000);
        CHECK(seen[4].blocks < seen[3].blocks);
        CHECK_INT(seen[4].user, 1234);
        CHECK_INT(seen[4].group, 4321);
        CHECK_INT(seen[4].mode & 0777, 0711); /* chown takes the other bits */
        CHECK_INT(seen[4].modified_ns, 1500 * ERRAND_SECOND + 999999999);
        CHECK_INT(seen[5].modified_ns, 1500 * ERRAND_SECOND + 999999999);
        for (int i = 1; i < count; i++)
            if (i != 2 && i != 4 && i != 6 && i != 8 && i != 14 && i != 16)
                CHECK_INT(results[i], 0);
        struct stat stat;
        REQUIRE_CALL(fstat(own, &stat));
        CHECK_INT(stat.st_atim.tv_sec, -1);
        CHECK_INT(stat.st_atim.tv_nsec, 999999999);
        CHECK(stat.st_mtim.tv_sec > 1500);
        REQUIRE_CALL(fchmod(own, 0600));
    }
    close(own);
    close_queue(queue);
}

/* A chain that looked at a file and then changed it sends what the file is now, not what it was. */
TEST_EACH_BACKEND(sends_what_was_written)
{
    errand_queue *queue = open_queue(backend, NULL);
    unsigned char *data = make_pattern(300000);
    int root = add_root(queue, harness_directory(), 0), sockets[2];
    for (unsigned turn = 0; turn < 3; turn++) { /* by the same slot, by another one, copied */
        harness_at("turn %u", turn);
        make_file("file", 8000, seed);
        make_file("long", 300000, seed);
        make_pair(PAIR_UNIX, sockets);
        struct peer peer = {.socket = sockets[1]};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, root, "file", turn == 0 ? O_RDWR : O_RDONLY, 0);
        errand_step_stat(chain, ERRAND_SLOT(0), NULL);
        errand_step_open(chain, root, "file", O_RDWR, 0);
        errand_step_open(chain, root, "long", O_RDONLY, 0);
        if (turn < 2)
            errand_step_write(chain, turn ? ERRAND_SLOT(2) : ERRAND_SLOT(0), data, 300000, 0);
        else
            errand_step_copy(chain, ERRAND_SLOT(2), 0, ERRAND_SLOT(3), 0, ERRAND_TO_END, 0);
        errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_EVENT(event, 0, -1, 600000);
        close(sockets[0]);
        peer_take_all(&peer);
        CHECK_INT(peer.length, 300000);
        CHECK_INT(pattern_check(peer.data, peer.length, seed, 0), peer.length);
        peer_free(&peer);
    }
    free(data);
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* The last close of a file whose name the chain removed frees its blocks, and is a worker's. */
TEST_EACH_BACKEND(closes_what_it_unlinked_on_a_worker)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        make_file("file", 8000, seed);
        make_file("other", 8000, seed);
        uint64_t before = stats_of(queue).worker_runs;
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, root, "file", O_RDONLY, 0);
        errand_step_stat(chain, ERRAND_SLOT(0), NULL);
        if (turn == 1)
            errand_step_unlink(chain, root, "file");
        else if (turn == 2)
            errand_step_rename(chain, root, "other", root, "file", 0);
        errand_step_sleep(chain, 0); /* a run of its own */
        errand_step_close(chain, ERRAND_SLOT(0));
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        uint64_t runs = stats_of(queue).worker_runs - before;
        harness_at("turn %u: %u runs", turn, (unsigned)runs);
        if (turn > 0 && stats_of(queue).inline_runs > 0)
            CHECK(runs >= 2);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* Values, lists, sizes asked for, too small a buffer, the largest; of what was opened as a place, too. */
TEST_EACH_BACKEND(attributes)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.chain_steps = 64});
    make_file("file", 10, seed);
    static char big[65536 + 1], value[65537], names[65537];
    memset(big, 'b', sizeof big);
    if (setxattr(path_of("file"), "user.probe", "x", 1, 0) < 0)
        SKIP("no user attributes here");
    REQUIRE_CALL(removexattr(path_of("file"), "user.probe"));
    for (unsigned turn = 0; turn < 3; turn++) {
        int own = (int)REQUIRE_CALL(open(path_of("file"), O_RDWR | O_CLOEXEC)), count = 13;
        int file = turn == 2 ? own : ERRAND_SLOT(0);
        harness_at("turn %u", turn);
        char text[] = "value";
        memset(value, '-', sizeof value);
        memset(names, '-', sizeof names);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path_of("file"), turn == 1 ? O_PATH : O_RDWR, 0);
        errand_step_set_attribute(chain, file, "user.one", text, 5, XATTR_CREATE);
        memset(text, '?', 5); /* it was copied */
        errand_step_set_attribute(chain, file, "user.empty", NULL, 0, 0);
        errand_step_get_attribute(chain, file, "user.one", NULL, 0);
        errand_step_get_attribute(chain, file, "user.one", value, 5);
        errand_step_get_attribute(chain, file, "user.one", value + 100, 4);
        errand_step_optional(chain, 5);
        errand_step_get_attribute(chain, file, "user.empty", value + 200, 4);
        errand_step_list_attributes(chain, file, NULL, 0);
        errand_step_list_attributes(chain, file, names, sizeof names);
        errand_step_set_attribute(chain, file, "user.one", "x", 1, XATTR_CREATE);
        errand_step_optional(chain, 9);
        errand_step_remove_attribute(chain, file, "user.empty");
        errand_step_remove_attribute(chain, file, "user.one");
        errand_step_list_attributes(chain, file, names + 100, 50);
        errand_step_call(chain, note_results, &count);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        static const int64_t expected[] = {0, 0, 0, 5, 5, -ERANGE, 0, 20, 20, -EEXIST, 0, 0, 0};
        for (int i = 1; i < count; i++) {
            harness_at("turn %u, step %d", turn, i);
            CHECK_INT(results[i], expected[i]);
        }
        CHECK_BYTES(value, "value-", 6);
        CHECK_BYTES(value + 100, "----", 4);
        CHECK_BYTES(value + 200, "----", 4);
        CHECK(memmem(names, 20, "user.one", 9) && memmem(names, 20, "user.empty", 11) && names[20] == '-');
        close(own);
    }
    errand_chain *chain = new_chain(queue);
    CHECK_INT(errand_step_set_attribute(chain, 0, "user.x", big, 65537, 0), -E2BIG);
    errand_chain_drop(chain);
    chain = new_chain(queue);
    memset(names, 'n', 256);
    names[256] = 0;
    CHECK_INT(errand_step_remove_attribute(chain, 0, names), -ERANGE);
    errand_chain_drop(chain);
    chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path_of("file"), O_RDWR, 0);
    errand_step_set_attribute(chain, ERRAND_SLOT(0), "user.big", big, 3000, 0);
    errand_step_get_attribute(chain, ERRAND_SLOT(0), "user.big", value, sizeof value);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    CHECK_BYTES(value, big, 3000);
    close_queue(queue);
}
