/* SPDX-License-Identifier: MIT */
/* Large pieces of files, which a worker moves into a pipe and the queue's thread from there to the socket. */
#include "holdfs.h"
#include "support.h"

#include "base/pipe.h"

#include <sys/ioctl.h>

enum { file_size = 6000000 };

/* Steps: open, stat (or the library would not know how much there is), sendfile. */
static errand_id send_file(errand_queue *queue, const char *path, int socket, int64_t offset, unsigned flags)
{
    static struct errand_stat stat;
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), &stat);
    errand_step_sendfile(chain, socket, ERRAND_SLOT(0), offset, file_size - offset, "head", 4, flags);
    return submit(chain, NULL, 0);
}

/* What a peer has got is the head, and the file from offset on; ends it. */
static void check_peer(struct peer *peer, size_t length, uint64_t seed, int64_t offset)
{
    peer_take_all(peer);
    if (CHECK_INT(peer->length, length) && length > 4) {
        CHECK(memcmp(peer->data, "head", 4) == 0);
        CHECK_INT(pattern_check(peer->data + 4, length - 4, seed, (uint64_t)offset), length - 4);
    }
    peer_free(peer);
}

static void send_whole(errand_queue *queue, enum pair_kind kind, bool blocking, int64_t offset)
{
    int sockets[2];
    make_pair(kind, sockets);
    if (blocking)
        REQUIRE_CALL(fcntl(sockets[0], F_SETFL, 0));
    harness_at("%s, from %lld", blocking ? "blocking" : "non-blocking", (long long)offset);
    struct peer peer = {.socket = sockets[1]};
    send_file(queue, path_of("file"), sockets[0], offset, 0);
    struct errand_event event = next_event_with(queue, &peer);
    CHECK_EVENT(event, 0, -1, 4 + file_size - (size_t)offset);
    close(sockets[0]);
    check_peer(&peer, 4 + file_size - (size_t)offset, 7, offset);
}

TEST_EACH_BACKEND(all_of_it_from_anywhere)
{
    static const int64_t offsets[] = {0, 1, 4095, 4096, 1048575, 1048577, 3000001, file_size - 524288};
    errand_queue *queue = open_queue(backend, NULL);
    make_file("file", file_size, 7);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        send_whole(queue, PAIR_TCP, false, offsets[i]);
        send_whole(queue, PAIR_UNIX, false, offsets[i]);
    }
    send_whole(queue, PAIR_TCP, true, 1);
    close_queue(queue);
}

/* Twice as many as there are pipes: readers that do not read hold them all, and the others are served all the same. */
TEST_EACH_BACKEND(more_than_there_are_pipes)
{
    enum { readers = 2 * PIPE_LIMIT };
    errand_queue *queue = open_queue(backend, NULL);
    int pairs[readers][2];
    make_file("file", file_size, 7);
    for (unsigned i = 0; i < readers; i++) {
        make_pair(PAIR_TCP, pairs[i]);
        send_file(queue, path_of("file"), pairs[i][0], 0, 0);
    }
    /* The one that was last to come gets its file while nobody else takes a byte. */
    struct peer peer = {.socket = pairs[readers - 1][1]};
    struct errand_event event = next_event_with(queue, &peer);
    CHECK_EVENT(event, 0, -1, 4 + file_size);
    close(pairs[readers - 1][0]);
    check_peer(&peer, 4 + file_size, 7, 0);
    unsigned descriptors = harness_count_descriptors();
    CHECK(descriptors < 3 * readers + 4 * PIPE_LIMIT + 40);
    for (unsigned i = 0; i < readers - 1; i++) {
        peer = (struct peer){.socket = pairs[i][1]};
        event = next_event_with(queue, &peer);
        CHECK_EVENT(event, 0, -1, 4 + file_size);
        close(pairs[i][0]);
        check_peer(&peer, 4 + file_size, 7, 0);
    }
    close_queue(queue);
}

static bool socket_is_full(void *context)
{
    int *last = context, now = 0; /* what the peer could read */
    ioctl(last[0], FIONREAD, &now);
    bool same = now > 0 && now == last[1];
    last[1] = now;
    return same;
}

/* A chain whose pipe holds something gets a rate, and gives the pipe up; then none again. */
TEST_EACH_BACKEND(a_rate_comes_later)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("file", file_size, 7);
    for (unsigned i = 0; i < 2 * PIPE_LIMIT; i++) {
        int sockets[2];
        make_pair(PAIR_TCP, sockets);
        errand_id id = send_file(queue, path_of("file"), sockets[0], 0, 0);
        run_until(queue, socket_is_full, (int[]){sockets[1], 0});
        CHECK_INT(errand_set_rate(queue, id, i % 2 ? (uint64_t)file_size * 20 : 1), 0);
        if (i % 2 == 0)
            CHECK_INT(errand_set_rate(queue, id, 0), 0);
        struct peer peer = {.socket = sockets[1]};
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_EVENT(event, 0, -1, 4 + file_size);
        close(sockets[0]);
        check_peer(&peer, 4 + file_size, 7, 0);
    }
    close_queue(queue);
}

/* A reader that stops, and never goes on: the chain ends, and what its pipe held is dropped. */
TEST_EACH_BACKEND(reader_that_stops)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("file", file_size, 7);
    for (unsigned i = 0; i < 2 * PIPE_LIMIT; i++) { /* were a pipe not given back there would soon be none */
        int sockets[2];
        make_pair(PAIR_TCP, sockets);
        errand_id id = send_file(queue, path_of("file"), sockets[0], 0, 0);
        run_until(queue, socket_is_full, (int[]){sockets[1], 0});
        CHECK_INT(errand_cancel(queue, id), 0);
        struct errand_event event = next_event(queue);
        CHECK_INT(event.error, -ECANCELED);
        CHECK_INT(event.step, 2);
        close(sockets[0]);
        struct peer peer = {.socket = sockets[1]};
        check_peer(&peer, event.bytes, 7, 0);
    }
    send_whole(queue, PAIR_TCP, false, 0); /* none holds what another's file left */
    close_queue(queue);
}

/* A file that becomes shorter while it is sent. What lay in a pipe then is still sent. */
static void shrink(errand_queue *queue, unsigned flags)
{
    int sockets[2];
    make_pair(PAIR_UNIX, sockets); /* takes little at a time */
    const char *path = make_file("file", file_size, 7);
    send_file(queue, path, sockets[0], 0, flags);
    run_until(queue, socket_is_full, (int[]){sockets[1], 0});
    REQUIRE_CALL(truncate(path, 2500000));
    struct peer peer = {.socket = sockets[1]};
    struct errand_event event = next_event_with(queue, &peer);
    CHECK_INT(event.error, flags & ERRAND_EXACT ? -ENODATA : 0);
    CHECK(event.bytes >= 2500004 && event.bytes < file_size);
    close(sockets[0]);
    check_peer(&peer, event.bytes, 7, 0);
}

TEST_EACH_BACKEND(file_that_shrinks)
{
    errand_queue *queue = open_queue(backend, NULL);
    shrink(queue, 0);
    shrink(queue, ERRAND_EXACT);
    close_queue(queue);
}

static bool is_held(void *context)
{
    return holdfs_held(context) > 0;
}

static bool nothing_stuck(void *context)
{
    struct errand_stats stats = stats_of(context);
    return !stats.stuck && !stats.descriptors && !stats.operations;
}

static bool are_closed(void *context)
{
    const unsigned *before = context;
    return harness_count_descriptors() <= *before;
}

/* A disk that hangs while a pipe is filled: the chain ends without it, and the worker cleans up, whenever that is. */
static void hang(enum errand_backend backend, bool close_first)
{
    unsigned before = harness_count_descriptors();
    errand_queue *queue =
        open_queue(backend, &(struct errand_queue_options){.close_grace_ns = 20 * ERRAND_MILLISECOND});
    struct holdfs *holdfs = holdfs_start(&(struct holdfs_options){.files = 1, .size = file_size});
    char path[300];
    snprintf(path, sizeof path, "%s/f0", holdfs_path(holdfs));
    int sockets[2];
    make_pair(PAIR_TCP, sockets);
    holdfs_hold(holdfs, "read");
    errand_id id = send_file(queue, path, sockets[0], 0, 0);
    run_until(queue, is_held, holdfs);
    CHECK_INT(errand_cancel(queue, id), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -ECANCELED, 2, 4);
    CHECK_INT(stats_of(queue).stuck, 1);
    close(sockets[0]);
    close(sockets[1]);
    if (close_first) {
        CHECK_INT(errand_queue_close(queue), 1);
        holdfs_pass(holdfs);
    } else {
        holdfs_pass(holdfs);
        run_until(queue, nothing_stuck, queue);
        make_file("file", file_size, 7);
        send_whole(queue, PAIR_TCP, false, 0);
        close_queue(queue);
    }
    holdfs_stop(holdfs);
    if (!harness_eventually(are_closed, &before, 5000)) /* a worker may end after its queue */
        FAIL("%u descriptors, %u at the start", harness_count_descriptors(), before);
}

TEST_EACH_BACKEND(disk_that_hangs)
{
    hang(backend, false);
    hang(backend, true);
}
