/* SPDX-License-Identifier: MIT */
/* The receive-file step: from a socket into a file, whatever the peer, the disk and the clock do. */
#include "support.h"

#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

enum { seed = 6 };

/* The peer sends a pattern as fast as it is taken, and then perhaps ends. */
struct sender {
    int socket;
    size_t size, sent, most;
    bool ends;
};

static void send_some(struct sender *sender)
{
    unsigned char piece[65536];
    while (sender->sent < sender->size) {
        size_t n = sender->size - sender->sent;
        n = n < sizeof piece ? n : sizeof piece;
        if (sender->most && n > sender->most)
            n = sender->most;
        pattern_fill(piece, n, seed, sender->sent);
        ssize_t done = send(sender->socket, piece, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done <= 0)
            return;
        sender->sent += (size_t)done;
        if (sender->most)
            return;
    }
    if (sender->ends)
        shutdown(sender->socket, SHUT_WR);
    sender->ends = false;
}

static struct errand_event event_with(errand_queue *queue, struct sender *sender)
{
    struct errand_event event;
    for (unsigned turn = 0; turn < 200000; turn++) {
        send_some(sender);
        int count = errand_queue_wait(queue, &event, 1, ERRAND_MILLISECOND);
        REQUIRE(count >= 0);
        if (count == 1)
            return event;
    }
    FAIL("no event came");
    harness_give_up();
}

static void check_file(const char *path, size_t size, size_t at, size_t length)
{
    int fd = (int)REQUIRE_CALL(open(path, O_RDONLY | O_CLOEXEC));
    struct stat stat;
    REQUIRE_CALL(fstat(fd, &stat));
    CHECK_INT(stat.st_size, size);
    unsigned char *bytes = malloc(length + 1);
    CHECK_INT(pread(fd, bytes, length, (off_t)at), length);
    CHECK_INT(pattern_check(bytes, length, seed, 0), length);
    free(bytes);
    close(fd);
}

static int64_t result;

static int note_result(errand_chain *chain, void *context)
{
    (void)context;
    result = errand_chain_result(chain, 1);
    return 0;
}

static errand_chain *describe(errand_queue *queue, int socket, const char *path, int64_t offset, int64_t length,
                              unsigned flags)
{
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    errand_step_receive_file(chain, socket, ERRAND_SLOT(0), offset, length, flags);
    errand_step_sync(chain, ERRAND_SLOT(0), ERRAND_DATA_ONLY);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_call(chain, note_result, NULL);
    return chain;
}

TEST_EACH_BACKEND(sizes)
{
    static const size_t sizes[] = {0, 1, 16384, 262143, 262144, 262145, 524288, 5 * MIB + 1};
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned turn = 0; turn < 6; turn++) {
            size_t size = sizes[i];
            bool to_end = turn % 3 == 0, ends = turn % 3 != 1;
            int64_t offset = turn % 2 ? 5000 : 0;
            int sockets[2];
            make_pair(turn / 3 ? PAIR_TCP : PAIR_UNIX, sockets);
            harness_at("%zu bytes, turn %u", size, turn);
            struct sender sender = {.socket = sockets[1], .size = size, .ends = ends};
            submit(describe(queue, sockets[0], path_of("file"), offset, to_end ? ERRAND_TO_END : (int64_t)size,
                            to_end ? 0 : ERRAND_EXACT),
                   NULL, 0);
            struct errand_event event = event_with(queue, &sender);
            CHECK_EVENT(event, 0, -1, size);
            CHECK_INT(result, size);
            check_file(path_of("file"), size ? (size_t)offset + size : 0, (size_t)offset, size);
            close(sockets[0]);
            close(sockets[1]);
        }
    }
    close_queue(queue);
}

/* No more than was asked for is taken from the socket. */
TEST_EACH_BACKEND(leaves_the_rest)
{
    errand_queue *queue = open_queue(backend, NULL);
    int sockets[2];
    char rest[8];
    make_pair(PAIR_UNIX, sockets);
    struct sender sender = {.socket = sockets[1], .size = 100004};
    submit(describe(queue, sockets[0], path_of("file"), 0, 100000, 0), NULL, 0);
    struct errand_event event = event_with(queue, &sender);
    CHECK_EVENT(event, 0, -1, 100000);
    CHECK_INT(recv(sockets[0], rest, sizeof rest, MSG_DONTWAIT), 4);
    CHECK_INT(pattern_check(rest, 4, seed, 100000), 4);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

TEST_EACH_BACKEND(stream_ends_early)
{
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned turn = 0; turn < 6; turn++) {
        size_t size = turn / 2 == 0 ? 0 : turn / 2 == 1 ? 1000 : 300000;
        int sockets[2];
        make_pair(PAIR_TCP, sockets);
        struct sender sender = {.socket = sockets[1], .size = size, .ends = true};
        submit(describe(queue, sockets[0], path_of("file"), 0, 400000, turn % 2 ? ERRAND_EXACT : 0), NULL, 0);
        struct errand_event event = event_with(queue, &sender);
        CHECK_EVENT(event, turn % 2 ? -ENODATA : 0, turn % 2 ? 1 : -1, size);
        check_file(path_of("file"), size, 0, size);
        close(sockets[0]);
        close(sockets[1]);
    }
    close_queue(queue);
}

/* A few bytes at a time, by an accepted connection, with a limit on the time without progress that each piece meets. */
TEST_EACH_BACKEND(slow_peer)
{
    errand_queue *queue = open_queue(backend, NULL);
    uint16_t port;
    int listener = make_listener(&port), client = connect_to(port);
    struct sender sender = {.socket = client, .size = 20000, .most = 777, .ends = true};
    errand_chain *chain = new_chain(queue);
    errand_step_accept(chain, listener);
    errand_step_open(chain, AT_FDCWD, path_of("file"), O_RDWR | O_CREAT, 0600);
    errand_step_receive_file(chain, ERRAND_SLOT(0), ERRAND_SLOT(1), 0, ERRAND_TO_END, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    struct errand_submit options = {.size = sizeof options, .stall_ns = 5 * ERRAND_SECOND};
    REQUIRE_INT(errand_submit(chain, &options, NULL), 0);
    struct errand_event event = event_with(queue, &sender);
    CHECK_EVENT(event, 0, -1, 20000);
    check_file(path_of("file"), 20000, 0, 20000);
    close(listener);
    close(client);
    close_queue(queue);
}

/* A silent peer: what it sent is received, perhaps not yet written; what the event says is what is in the file. */
TEST_EACH_BACKEND(silent_peer)
{
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned turn = 0; turn < 3; turn++) {
        int sockets[2];
        make_pair(PAIR_TCP, sockets);
        struct sender sender = {.socket = sockets[1], .size = 600000};
        errand_id id = submit(describe(queue, sockets[0], path_of("file"), 0, ERRAND_TO_END, 0), NULL,
                              turn == 1 ? 200 * ERRAND_MILLISECOND : 0);
        struct errand_event event;
        struct errand_progress progress = {.size = sizeof progress};
        if (turn != 1) {
            for (unsigned i = 0; i < 20000 && progress.bytes < 262144; i++) {
                send_some(&sender);
                REQUIRE_INT(errand_queue_wait(queue, &event, 1, ERRAND_MILLISECOND), 0);
                CHECK_INT(errand_chain_progress(queue, id, &progress), 0);
            }
            CHECK_INT(progress.step, 1);
            CHECK_INT(progress.step_kind, ERRAND_STEP_RECEIVE_FILE);
        }
        if (turn == 0)
            CHECK_INT(errand_cancel(queue, id), 0);
        else if (turn == 2) /* reset */
            setsockopt(sockets[1], SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        if (turn == 2)
            close(sockets[1]);
        event = event_with(queue, &sender);
        CHECK_INT(event.error, turn == 0 ? -ECANCELED : turn == 1 ? -ETIMEDOUT : -ECONNRESET);
        CHECK_INT(event.step, 1);
        CHECK(turn == 1 || event.bytes >= 262144);
        CHECK_INT(errand_chain_progress(queue, id, &progress), -ENOENT);
        check_file(path_of("file"), event.bytes, 0, event.bytes);
        close(sockets[0]);
        if (turn != 2)
            close(sockets[1]);
    }
    close_queue(queue);
}

TEST_EACH_BACKEND(disk_errors)
{
    errand_queue *queue = open_queue(backend, NULL);
    REQUIRE_CALL(mkdir(path_of("small"), 0700));
    if (mount("tmpfs", path_of("small"), "tmpfs", 0, "size=1m") < 0)
        SKIP("no mount here");
    signal(SIGXFSZ, SIG_IGN);
    for (unsigned turn = 0; turn < 4; turn++) {
        const char *name = turn < 2 ? "small/file" : "file";
        bool optional = turn % 2;
        int sockets[2];
        harness_at("turn %u", turn);
        make_pair(PAIR_UNIX, sockets);
        if (turn == 2)
            REQUIRE_CALL(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1500000, 1500000}));
        struct sender sender = {.socket = sockets[1], .size = 3 * MIB, .ends = true};
        errand_chain *chain = describe(queue, sockets[0], path_of(name), 0, ERRAND_TO_END, 0);
        if (optional)
            errand_step_optional(chain, 1);
        submit(chain, NULL, 0);
        struct errand_event event = event_with(queue, &sender);
        uint64_t there = turn < 2 ? MIB : 1500000;
        int error = turn < 2 ? -ENOSPC : -EFBIG;
        CHECK_EVENT(event, optional ? 0 : error, optional ? -1 : 1, there);
        if (optional)
            CHECK_INT(result, error);
        CHECK_INT(stats_of(queue).transfer_bytes, 0);
        check_file(path_of(name), there, 0, there);
        close(sockets[0]);
        close(sockets[1]);
    }
    close_queue(queue);
    REQUIRE_CALL(umount2(path_of("small"), MNT_DETACH));
}

TEST_EACH_BACKEND(bad_operands)
{
    errand_queue *queue = open_queue(backend, NULL);
    int sockets[2], file = (int)REQUIRE_CALL(open(make_file("file", 5, seed), O_RDONLY | O_CLOEXEC));
    make_pair(PAIR_UNIX, sockets);
    REQUIRE(send(sockets[1], "x", 1, 0) == 1);
    errand_chain *chain = new_chain(queue);
    errand_step_receive_file(chain, sockets[0], file, 0, 1, 0);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -EBADF, 0, 0);
    chain = new_chain(queue);
    CHECK_INT(errand_step_receive_file(chain, -1, file, 0, 1, 0), -EINVAL);
    CHECK_INT(errand_step_receive_file(chain, sockets[0], file, -1, 1, 0), -EINVAL);
    CHECK_INT(errand_step_receive_file(chain, sockets[0], file, 0, -5, 0), -EINVAL);
    CHECK_INT(errand_step_receive_file(chain, sockets[0], file, 0, 1, 4), -EINVAL);
    CHECK_INT(errand_step_receive_file(chain, sockets[0], ERRAND_SLOT(0), 0, 1, 0), -EINVAL);
    errand_chain_drop(chain);
    close(file);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}
