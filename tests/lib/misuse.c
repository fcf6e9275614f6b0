/* SPDX-License-Identifier: MIT */
/*
 * Callers' errors, and limits that are reached: a clear error or event, nothing queued, nothing left behind.
 * long file because: each error is a few lines of its own, and together they are the one list of them.
 */
#include "support.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

TEST_EACH_BACKEND(options_of_a_queue)
{
    errand_queue *queue = NULL;
    struct errand_queue_options good = {.size = sizeof good, .backend = backend};
    struct {
        struct errand_queue_options options;
        char beyond[16];
    } newer = {.options = good};
    newer.options.size = sizeof newer;
    CHECK_INT(errand_queue_open(NULL, &good), -EINVAL);
    /* Of a newer program that asks for nothing new; and that does. */
    CHECK_INT(errand_queue_open(&queue, &newer.options), 0);
    CHECK_INT(errand_queue_close(queue), 0);
    newer.beyond[7] = 1;
    CHECK_INT(errand_queue_open(&queue, &newer.options), -E2BIG);
    /* Of an older program. */
    struct errand_queue_options older = good;
    older.size = offsetof(struct errand_queue_options, why);
    older.why = (char *)1;
    CHECK_INT(errand_queue_open(&queue, &older), 0);
    CHECK_INT(errand_queue_close(queue), 0);

    struct errand_queue_options bad[20];
    unsigned count = 0;
#define BAD(member, value)                                                                                             \
    do {                                                                                                               \
        bad[count] = good;                                                                                             \
        bad[count++].member = value;                                                                                   \
    } while (0)
    BAD(size, 0);
    BAD(size, 3);
    BAD(backend, (enum errand_backend)77);
    BAD(chains, 1048577);
    BAD(chain_steps, 65);
    BAD(workers, 1025);
    BAD(receive_buffers, 100); /* no power of two */
    BAD(receive_buffers, 65536);
    BAD(receive_size, 1048577);
    BAD(transfer_memory, 1000);
    BAD(close_grace_ns, -1);
    for (unsigned i = 0; i < count; i++) {
        harness_at("options %u", i);
        queue = NULL;
        CHECK_INT(errand_queue_open(&queue, &bad[i]), -EINVAL);
        if (queue)
            errand_queue_close(queue);
    }
}

TEST_EACH_BACKEND(steps_that_cannot_be_described)
{
    errand_queue *queue = open_queue(backend, NULL);
    char buffer[10];
    const char *path = make_file("file", 10, 1);
    for (unsigned i = 0; i < 22; i++) {
        errand_chain *chain = new_chain(queue);
        int result = 0;
        harness_at("step %u", i);
        REQUIRE_INT(errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0), 0);
        switch (i) {
        case 0: result = errand_step_read(chain, ERRAND_SLOT(0), buffer, 10, -1, 0); break;
        case 1: result = errand_step_read(chain, ERRAND_SLOT(0), buffer, 10, 0, 0x80); break;
        case 2: result = errand_step_read(chain, ERRAND_SLOT(0), buffer, 10, 0, ERRAND_SOME); break;
        case 3: result = errand_step_read(chain, ERRAND_SLOT(0), NULL, 10, 0, 0); break;
        case 4: result = errand_step_read(chain, ERRAND_SLOT(1), buffer, 10, 0, 0); break; /* no such step yet */
        case 5: result = errand_step_read(chain, -1, buffer, 10, 0, 0); break;
        case 6: result = errand_step_stat(chain, -5, NULL); break;
        case 7: result = errand_step_send(chain, -1, buffer, 10, 0); break;
        case 8: result = errand_step_send(chain, 0, NULL, 10, 0); break;
        case 9: result = errand_step_send(chain, 0, buffer, 10, ERRAND_EXACT); break;
        case 10: result = errand_step_receive(chain, 0, buffer, 10, ERRAND_MORE); break;
        case 11: result = errand_step_receive(chain, 0, NULL, 10, 0); break;
        case 12: result = errand_step_sendfile(chain, 0, ERRAND_SLOT(0), 0, -2, NULL, 0, 0); break;
        case 13: result = errand_step_sendfile(chain, 0, ERRAND_SLOT(0), -1, 10, NULL, 0, 0); break;
        case 14: result = errand_step_sendfile(chain, 0, ERRAND_SLOT(0), 0, 10, NULL, 5, 0); break;
        case 15: result = errand_step_sendfile(chain, 0, ERRAND_SLOT(0), 0, 10, NULL, 0, 0x100); break;
        case 16: result = errand_step_call(chain, NULL, NULL); break;
        case 17: result = errand_step_open(chain, AT_FDCWD, NULL, O_RDONLY, 0); break;
        case 18: result = errand_step_hand_over(chain, 5); break; /* no slot */
        case 19: result = errand_step_close(chain, 5); break;
        case 20: result = errand_step_shutdown(chain, 0, 77); break;
        case 21: result = errand_step_open(chain, -7, path, O_RDONLY, 0); break;
        }
        CHECK_INT(result, -EINVAL);
        /* It sticks, whatever follows. */
        errand_step_close(chain, ERRAND_SLOT(0));
        errand_id id = 99;
        CHECK_INT(errand_submit(chain, NULL, &id), -EINVAL);
        CHECK_INT(stats_of(queue).chains, 0);
    }
    close_queue(queue);
}

TEST_EACH_BACKEND(submissions)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct errand_submit bad[] = {
        {.size = 1}, {.size = sizeof bad[0], .timeout_ns = -1}, {.size = sizeof bad[0], .stall_ns = -1}};
    struct {
        struct errand_submit options;
        uint64_t beyond;
    } newer = {.options = {.size = sizeof newer}, .beyond = 1};
    CHECK_INT(errand_submit(new_chain(queue), NULL, NULL), -EINVAL); /* no steps */
    for (unsigned i = 0; i < 4; i++) {
        harness_at("options %u", i);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, "/", O_RDONLY, 0);
        CHECK_INT(errand_submit(chain, i < 3 ? &bad[i] : &newer.options, NULL), i < 3 ? -EINVAL : -E2BIG);
        CHECK_INT(stats_of(queue).chains, 0);
    }
    CHECK_INT(errand_submit(NULL, NULL, NULL), -EINVAL);
    /* Two files handed over. */
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, "/", O_RDONLY, 0);
    errand_step_hand_over(chain, ERRAND_SLOT(0));
    CHECK_INT(errand_step_hand_over(chain, ERRAND_SLOT(0)), -EINVAL);
    CHECK_INT(errand_submit(chain, NULL, NULL), -EINVAL);
    /* Given up. */
    chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, "/", O_RDONLY, 0);
    errand_chain_drop(chain);
    errand_chain_drop(NULL);
    close_queue(queue);
}

TEST_EACH_BACKEND(nulls)
{
    struct errand_event event;
    struct errand_stats stats = {.size = sizeof stats};
    errand_queue *queue = open_queue(backend, NULL);
    errand_chain *chain;
    int root;
    CHECK_INT(errand_queue_wait(queue, NULL, 1, 0), -EINVAL);
    CHECK_INT(errand_queue_wait(queue, &event, 0, 0), -EINVAL);
    CHECK_INT(errand_queue_wait(queue, &event, 1, -2), -EINVAL);
    CHECK_INT(errand_queue_wait(NULL, &event, 1, 0), -EINVAL);
    CHECK_INT(errand_queue_dispatch(NULL, &event, 1), -EINVAL);
    CHECK_INT(errand_queue_close(NULL), -EINVAL);
    CHECK_INT(errand_queue_stats(queue, NULL), -EINVAL);
    CHECK_INT(errand_queue_stats(NULL, &stats), -EINVAL);
    stats.size = 2;
    CHECK_INT(errand_queue_stats(queue, &stats), -EINVAL);
    CHECK_INT(errand_chain_new(queue, NULL), -EINVAL);
    CHECK_INT(errand_chain_new(NULL, &chain), -EINVAL);
    CHECK_INT(errand_cancel(NULL, 1), -EINVAL);
    CHECK_INT(errand_send_file(queue, NULL, NULL), -EINVAL);
    CHECK_INT(errand_read_file(queue, NULL, NULL), -EINVAL);
    CHECK_INT(errand_root_add(queue, 0, 0, NULL), -EINVAL);
    CHECK_INT(errand_root_add(NULL, 0, 0, &root), -EINVAL);
    close_queue(queue);
}

TEST_EACH_BACKEND(jobs)
{
    errand_queue *queue = open_queue(backend, NULL);
    char buffer[10];
    const struct errand_send_file send = {
        .size = sizeof send, .dir_fd = AT_FDCWD, .path = "/etc/passwd", .length = ERRAND_TO_END};
    const struct errand_read_file read = {
        .size = sizeof read, .dir_fd = AT_FDCWD, .path = "/etc/passwd", .buffer = buffer, .length = 10};
    for (unsigned i = 0; i < 9; i++) {
        struct errand_send_file bad = send;
        switch (i) {
        case 0: bad.size = 4; break;
        case 1: bad.path = NULL; break;
        case 2: bad.socket = -1; break;
        case 3: bad.offset = -1; break;
        case 4: bad.length = -7; break;
        case 5: bad.head_length = 9; break;
        case 6: bad.flags = 0x400; break;
        case 7: bad.finish = (enum errand_finish)9; break;
        case 8: bad.timeout_ns = -1; break;
        }
        harness_at("send_file %u", i);
        CHECK_INT(errand_send_file(queue, &bad, NULL), -EINVAL);
    }
    for (unsigned i = 0; i < 7; i++) {
        struct errand_read_file bad = read;
        switch (i) {
        case 0: bad.size = 4; break;
        case 1: bad.path = NULL; break;
        case 2: bad.buffer = NULL; break;
        case 3: bad.offset = -1; break;
        case 4: bad.flags = ERRAND_MORE; break;
        case 5: bad.finish = (enum errand_finish)9; break;
        case 6: bad.stall_ns = -1; break;
        }
        harness_at("read_file %u", i);
        CHECK_INT(errand_read_file(queue, &bad, NULL), -EINVAL);
    }
    close_queue(queue);
}

TEST_EACH_BACKEND(tables_are_full)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.chains = 10, .chain_steps = 3});
    errand_chain *chains[10], *more;
    char buffer[10];
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    for (unsigned i = 0; i < 10; i++)
        chains[i] = new_chain(queue);
    CHECK_INT(errand_chain_new(queue, &more), -EAGAIN);
    CHECK_INT(errand_read_file(queue,
                               &(struct errand_read_file){.size = sizeof(struct errand_read_file),
                                                          .dir_fd = AT_FDCWD,
                                                          .path = "/etc/passwd",
                                                          .buffer = buffer,
                                                          .length = 10},
                               NULL),
              -EAGAIN);
    errand_chain_drop(chains[9]);
    chains[9] = new_chain(queue);
    for (unsigned i = 0; i < 10; i++) {
        errand_step_receive(chains[i], sockets[0], buffer, 0, 0);
        errand_step_receive(chains[i], sockets[0], buffer, 0, 0);
        errand_step_receive(chains[i], sockets[0], buffer, 0, 0);
        if (i == 9) {
            CHECK_INT(errand_step_receive(chains[i], sockets[0], buffer, 0, 0), -ENOSPC);
            CHECK_INT(errand_submit(chains[i], NULL, NULL), -ENOSPC);
        } else {
            submit(chains[i], NULL, 0);
        }
    }
    CHECK_INT(stats_of(queue).chains, 9);
    for (unsigned i = 0; i < 9; i++)
        CHECK_INT(next_event(queue).error, 0);
    /* A chain counts until its event is fetched. */
    for (unsigned i = 0; i < 10; i++)
        chains[i] = new_chain(queue);
    for (unsigned i = 0; i < 10; i++)
        errand_chain_drop(chains[i]);
    /* Roots. */
    int roots[64], another, directory = open_directory();
    for (unsigned i = 0; i < 64; i++)
        CHECK_INT(errand_root_add(queue, directory, 0, &roots[i]), 0);
    CHECK_INT(errand_root_add(queue, directory, 0, &another), -EAGAIN);
    for (unsigned i = 0; i < 64; i++)
        CHECK_INT(errand_root_remove(queue, roots[i]), 0);
    CHECK_INT(errand_root_remove(queue, roots[0]), -EINVAL);
    close(directory);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

TEST_EACH_BACKEND(roots)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = 0, file = open(make_file("file", 10, 1), O_RDONLY | O_CLOEXEC), directory = open_directory();
    CHECK_INT(errand_root_add(queue, -1, 0, &root), -EBADF);
    CHECK_INT(errand_root_add(queue, 9999, 0, &root), -EBADF);
    CHECK_INT(errand_root_add(queue, file, 0, &root), -ENOTDIR);
    CHECK_INT(errand_root_add(queue, directory, 0x80, &root), -EINVAL);
    CHECK_INT(errand_root_remove(queue, -12345), -EINVAL);
    CHECK_INT(errand_root_remove(queue, AT_FDCWD), -EINVAL);
    /* Removed while a chain uses it: the chain goes on. A handle of a root that is gone is no descriptor. */
    char buffer[10];
    CHECK_INT(errand_root_add(queue, directory, 0, &root), 0);
    close(directory); /* the queue has its own */
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, root, "file", O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(0), buffer, 10, 0, 0);
    submit(chain, NULL, 0);
    CHECK_INT(errand_root_remove(queue, root), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 10);
    chain = new_chain(queue);
    CHECK(errand_step_open(chain, root, "file", O_RDONLY, 0) < 0);
    CHECK(errand_submit(chain, NULL, NULL) < 0);
    close(file);
    close_queue(queue);
}

/* As many as were asked for; those that were removed, again; and no old handle means a new root. */
TEST_EACH_BACKEND(many_roots)
{
    enum { MOST = 500 };
    struct errand_queue_options options = {.size = sizeof options, .roots = MOST};
    errand_queue *queue = open_queue(backend, &options);
    int roots[MOST], old, another, directory = open_directory();
    make_file("file", 10, 1);
    for (unsigned i = 0; i < MOST; i++)
        REQUIRE_INT(errand_root_add(queue, directory, 0, &roots[i]), 0);
    CHECK_INT(errand_root_add(queue, directory, 0, &another), -EAGAIN);
    for (unsigned i = 1; i < MOST; i += 2)
        CHECK_INT(errand_root_remove(queue, roots[i]), 0);
    for (unsigned i = 1; i < MOST; i += 2) {
        old = roots[i];
        REQUIRE_INT(errand_root_add(queue, directory, 0, &roots[i]), 0);
        CHECK(roots[i] != old);
        CHECK_INT(errand_root_remove(queue, old), -EINVAL);
    }
    CHECK_INT(errand_root_add(queue, directory, 0, &another), -EAGAIN);
    for (unsigned i = 0; i < MOST; i++) {
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, roots[i], "file", O_RDONLY, 0);
        submit(chain, NULL, 0);
        CHECK_INT(next_event(queue).error, 0);
    }
    close(directory);
    close_queue(queue);
    CHECK_INT(errand_queue_open(&queue, &(struct errand_queue_options){.size = sizeof options, .roots = 65537}),
              -EINVAL);
}

TEST_EACH_BACKEND(long_paths)
{
    errand_queue *queue = open_queue(backend, NULL);
    static char path[70000];
    static const size_t lengths[] = {254, 255, 256, 4094, 4095, 4096, 5000, 69999};
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (unsigned slashes = 0; slashes < 2; slashes++) {
            harness_at("length %zu, %s", lengths[i], slashes ? "a deep path" : "a long name");
            for (size_t j = 0; j < lengths[i]; j++)
                path[j] = slashes && j % 2 ? '/' : '.';
            if (!slashes)
                memset(path, 'x', lengths[i]);
            path[lengths[i]] = 0;
            errand_chain *chain = new_chain(queue);
            int result = errand_step_open(chain, root, path, O_RDONLY, 0);
            errand_step_stat(chain, ERRAND_SLOT(0), NULL);
            if (result < 0) {
                CHECK_INT(result, -ENAMETOOLONG);
                CHECK(lengths[i] >= PATH_MAX);
                CHECK_INT(errand_submit(chain, NULL, NULL), -ENAMETOOLONG);
                continue;
            }
            submit(chain, NULL, 0);
            struct errand_event event = next_event(queue);
            if (lengths[i] >= PATH_MAX || (!slashes && lengths[i] > NAME_MAX))
                CHECK_INT(event.error, -ENAMETOOLONG);
            else
                CHECK_INT(event.error, slashes ? 0 : -ENOENT);
        }
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

static void limit_descriptors(unsigned more)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    int lowest = dup(0);
    limit.rlim_cur = (rlim_t)lowest + more;
    close(lowest);
    REQUIRE_CALL(setrlimit(RLIMIT_NOFILE, &limit));
}

/* No descriptor is left, or one, two, three ...: the jobs fail with that, or succeed, and leave nothing open. */
TEST_EACH_BACKEND(descriptors_run_out)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0), sockets[2];
    char buffer[100];
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    make_file("file", 100, 1);
    for (unsigned turn = 0; turn < 40; turn++) {
        unsigned more = turn % 5;
        int directory = turn / 5 % 2 ? root : AT_FDCWD;
        const char *path = directory == root ? "file" : path_of("file");
        harness_at("%u more, %s", more, directory == root ? "root" : "plain path");
        make_pair(PAIR_UNIX, sockets);
        limit_descriptors(more);
        bool sends = turn % 2;
        struct errand_send_file send = {
            .size = sizeof send, .dir_fd = directory, .path = path, .socket = sockets[0], .length = ERRAND_TO_END};
        struct errand_read_file read = {
            .size = sizeof read, .dir_fd = directory, .path = path, .buffer = buffer, .length = 100};
        REQUIRE_INT(sends ? errand_send_file(queue, &send, NULL) : errand_read_file(queue, &read, NULL), 0);
        struct errand_event event = next_event(queue);
        setrlimit(RLIMIT_NOFILE, &before);
        CHECK(event.error == 0 || event.error == -EMFILE);
        CHECK_INT(event.bytes, event.error ? 0 : 100);
        if (more >= 4)
            CHECK_INT(event.error, 0);
        close(sockets[0]);
        close(sockets[1]);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* And while the queue opens: an error, or a whole queue, never half of one. */
TEST_EACH_BACKEND(descriptors_run_out_at_open)
{
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    unsigned opened = 0;
    for (unsigned more = 0; more < 12; more++) {
        errand_queue *queue = NULL;
        harness_at("%u descriptors", more);
        limit_descriptors(more);
        int result = errand_queue_open(
            &queue, &(struct errand_queue_options){.size = sizeof(struct errand_queue_options), .backend = backend});
        setrlimit(RLIMIT_NOFILE, &before);
        CHECK(result == 0 || result == -EMFILE);
        CHECK(more > 0 || result);
        if (!result) {
            opened++;
            CHECK_INT(errand_queue_close(queue), 0);
        }
    }
    CHECK(opened > 0);
}

/* The file shrinks after its size was looked at, at every step of the way. */
static int truncate_now(errand_chain *chain, void *context)
{
    (void)chain;
    REQUIRE_CALL(truncate(path_of("file"), *(off_t *)context));
    return 0;
}

TEST_EACH_BACKEND(file_shrinks_while_it_is_sent)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0), sockets[2];
    static const off_t sizes[] = {3000, 100000, 3000000};
    struct errand_stat stat;
    for (unsigned i = 0; i < 3; i++) {
        for (off_t left = 0; left <= sizes[i]; left += sizes[i] / 5) {
            for (unsigned variant = 0; variant < 4; variant++) {
                bool exact = variant & 1;
                harness_at("%ld of %ld left, %s, %s", (long)left, (long)sizes[i], exact ? "exact" : "to its end",
                           variant & 2 ? "plain path" : "root");
                make_file("file", (size_t)sizes[i], 3);
                make_pair(PAIR_TCP, sockets);
                struct peer peer = {.socket = sockets[1]};
                errand_chain *chain = new_chain(queue);
                errand_step_open(chain, variant & 2 ? AT_FDCWD : root, variant & 2 ? path_of("file") : "file", O_RDONLY,
                                 0);
                errand_step_stat(chain, ERRAND_SLOT(0), &stat);
                errand_step_call(chain, truncate_now, &left);
                errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, exact ? sizes[i] : ERRAND_TO_END, NULL, 0,
                                     exact ? ERRAND_EXACT : 0);
                submit(chain, NULL, 0);
                struct errand_event event = next_event_with(queue, &peer);
                CHECK_INT(event.error, exact && left < sizes[i] ? -ENODATA : 0);
                CHECK_INT(event.bytes, left);
                close(sockets[0]);
                peer_take_all(&peer);
                CHECK_INT(peer.length, left);
                CHECK_INT(pattern_check(peer.data, peer.length, 3, 0), peer.length);
                peer_free(&peer);
            }
        }
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* ---- threads and processes */

static void *use_from_elsewhere(void *context)
{
    errand_queue *queue = context;
    struct errand_event event;
    struct errand_stats stats = {.size = sizeof stats};
    errand_chain *chain;
    errand_source *source;
    CHECK_INT(errand_queue_wait(queue, &event, 1, 0), -EPERM);
    CHECK_INT(errand_queue_dispatch(queue, &event, 1), -EPERM);
    CHECK_INT(errand_queue_close(queue), -EPERM);
    CHECK_INT(errand_queue_stats(queue, &stats), -EPERM);
    CHECK_INT(errand_chain_new(queue, &chain), -EPERM);
    CHECK_INT(errand_cancel(queue, 1), -EPERM);
    CHECK_INT(errand_source_timer(queue, 1, 0, NULL, &source), -EPERM);
    CHECK_INT(errand_source_post(queue, NULL, &source), -EPERM);
    return NULL;
}

TEST_EACH_BACKEND(wrong_thread)
{
    errand_queue *queue = open_queue(backend, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, use_from_elsewhere, queue);
    pthread_join(thread, NULL);
    close_queue(queue);
}

TEST_EACH_BACKEND(after_fork)
{
    errand_queue *queue = open_queue(backend, NULL);
    int status;
    const char *path = make_file("file", 100, 1);
    pid_t child = fork();
    if (!child) {
        use_from_elsewhere(queue);
        _exit(harness_failures() != 0);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    /* The parent's is unharmed. */
    char buffer[100];
    struct errand_read_file job = {
        .size = sizeof job, .dir_fd = AT_FDCWD, .path = path, .buffer = buffer, .length = 100};
    REQUIRE_INT(errand_read_file(queue, &job, NULL), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 100);
    close_queue(queue);
}

/* Closed with everything under way at once. */
TEST_EACH_BACKEND(closed_with_work_under_way)
{
    for (unsigned turn = 0; turn < 30; turn++) {
        enum { count = 60 };
        errand_queue *queue = open_queue(backend, NULL);
        static unsigned char buffers[count][70000];
        int pairs[count][2];
        errand_source *source;
        struct errand_event event;
        const char *path = make_file("file", 70000, 1);
        for (unsigned i = 0; i < count; i++) {
            make_pair(PAIR_UNIX, pairs[i]);
            errand_chain *chain = new_chain(queue);
            if (i % 4 == 0) {
                errand_step_receive(chain, pairs[i][0], buffers[i], 70000, 0);
            } else if (i % 4 == 1) {
                errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
                errand_step_read(chain, ERRAND_SLOT(0), buffers[i], 70000, 0, 0);
            } else if (i % 4 == 2) {
                errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
                for (unsigned j = 0; j < 5; j++)
                    errand_step_sendfile(chain, pairs[i][0], ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
            } else {
                errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
                errand_step_hand_over(chain, ERRAND_SLOT(0));
            }
            submit(chain, NULL, 0);
        }
        CHECK_INT(errand_source_timer(queue, 0, 1000, NULL, &source), 0);
        CHECK_INT(errand_source_receive(queue, pairs[0][1], NULL, &source), 0);
        CHECK_INT(errand_source_post(queue, NULL, &source), 0);
        CHECK_INT(errand_post(source, NULL), 0);
        new_chain(queue); /* described and not submitted */
        for (unsigned i = 0; i < turn; i++)
            if (errand_queue_dispatch(queue, &event, 1) == 1 && event.fd >= 0)
                close(event.fd);
        CHECK_INT(errand_queue_close(queue), 0);
        memset(buffers, 0x44, sizeof buffers);
        for (unsigned i = 0; i < count; i++) {
            send(pairs[i][1], "xxxx", 4, MSG_DONTWAIT | MSG_NOSIGNAL);
            close(pairs[i][0]);
            close(pairs[i][1]);
        }
        for (size_t i = 0; i < sizeof buffers; i++)
            REQUIRE(((unsigned char *)buffers)[i] == 0x44);
    }
}

/* The caller's own SIGPIPE: pending and blocked before, it is still there after; the mask is as it was. */
TEST_EACH_BACKEND(sigpipe_is_the_callers)
{
    sigset_t pipe_only, mask, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    const char *path = make_file("file", 3 * MIB, 1);
    for (unsigned blocked = 0; blocked < 2; blocked++) {
        errand_queue *queue = open_queue(backend, NULL);
        int sockets[2], root = add_root(queue, harness_directory(), 0);
        if (blocked) {
            sigprocmask(SIG_BLOCK, &pipe_only, NULL);
            raise(SIGPIPE);
        }
        for (unsigned i = 0; i < 2; i++) {
            make_pair(PAIR_TCP, sockets);
            struct errand_send_file job = {.size = sizeof job,
                                           .dir_fd = i ? root : AT_FDCWD,
                                           .path = i ? "file" : path,
                                           .socket = sockets[0],
                                           .length = ERRAND_TO_END};
            shutdown(sockets[0], SHUT_WR);
            REQUIRE_INT(errand_send_file(queue, &job, NULL), 0);
            CHECK_INT(next_event(queue).error, -EPIPE);
            close(sockets[0]);
            close(sockets[1]);
        }
        sigprocmask(SIG_BLOCK, NULL, &mask);
        CHECK_INT(sigismember(&mask, SIGPIPE), blocked);
        sigpending(&pending);
        CHECK_INT(sigismember(&pending, SIGPIPE), blocked);
        errand_root_remove(queue, root);
        close_queue(queue);
        if (blocked) {
            CHECK_INT(sigtimedwait(&pipe_only, NULL, &(struct timespec){0}), SIGPIPE);
            sigprocmask(SIG_UNBLOCK, &pipe_only, NULL);
        }
    }
}

/* However long it may take to close a queue: it takes no longer than there is something to wait for. */
TEST_EACH_BACKEND(endless_grace)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.close_grace_ns = INT64_MAX});
    char buffer[10];
    struct errand_read_file job = {
        .size = sizeof job, .dir_fd = AT_FDCWD, .path = make_file("one", 10, 1), .buffer = buffer, .length = 10};
    CHECK_INT(errand_read_file(queue, &job, NULL), 0);
    CHECK_INT(next_event(queue).error, 0);
    CHECK_INT(errand_queue_close(queue), 0);
}
