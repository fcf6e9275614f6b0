/* SPDX-License-Identifier: MIT */
/* Filters on sendfile and receive-file, here and on workers; rates. */
#include "support.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>

/* Doubles every byte, holds the last back until the end, and takes and makes odd pieces. */
struct doubler {
    size_t taken, made, calls;
    size_t fails_after; /* bytes taken; 0: never */
    int held;           /* a byte still to be put out once more, or -1 */
    bool ended, stuck;
    pthread_t thread;
};

static int doubles(void *context, struct errand_pieces *pieces)
{
    struct doubler *doubler = context;
    doubler->calls++;
    doubler->thread = pthread_self();
    if (doubler->stuck)
        return 0;
    for (unsigned n = 0; n < 10007 && pieces->out_room > 0; n++) {
        if (doubler->held < 0) {
            if (pieces->in_length == 0)
                break;
            if (doubler->fails_after && doubler->taken >= doubler->fails_after)
                return -EILSEQ;
            doubler->held = (unsigned char)*pieces->in++;
            pieces->in_length--;
            doubler->taken++;
            *pieces->out++ = (char)doubler->held;
        } else {
            *pieces->out++ = (char)doubler->held;
            doubler->held = -1;
        }
        pieces->out_room--;
        doubler->made++;
    }
    doubler->ended = pieces->end && pieces->in_length == 0 && doubler->held < 0;
    return 0;
}

static const size_t sizes[] = {0, 1, 4095, 4096, 70000, 300000, 1000000};
enum { sizes_count = sizeof sizes / sizeof *sizes };

static void check_doubled(const unsigned char *data, size_t length, size_t of, uint64_t seed)
{
    unsigned char *wanted = malloc(of + 1);
    pattern_fill(wanted, of, seed, 0);
    REQUIRE_INT(length, 2 * of);
    for (size_t i = 0; i < length; i++)
        if (data[i] != wanted[i / 2])
            FAIL("byte %zu is wrong", i);
    free(wanted);
}

TEST_EACH_BACKEND(filter_on_sendfile)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned turn = 0; turn < 4 * sizes_count; turn++) {
        size_t size = sizes[turn / 4];
        bool on_worker = turn & 1, rooted = turn & 2;
        harness_at("%zu bytes, %s, %s", size, on_worker ? "on a worker" : "here", rooted ? "root" : "path");
        const char *path = make_file("file", size, 5);
        struct doubler doubler = {.held = -1};
        int sockets[2];
        make_pair(PAIR_UNIX, sockets);
        struct peer peer = {.socket = sockets[1]};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, rooted ? root : AT_FDCWD, rooted ? "file" : path, O_RDONLY, 0);
        int step = errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, "head", 4, 0);
        CHECK_INT(errand_step_filter(chain, step, doubles, &doubler, on_worker ? ERRAND_ON_WORKER : 0), 0);
        CHECK_INT(errand_step_filter(chain, step, doubles, &doubler, 0), -EINVAL); /* one is enough */
        CHECK_INT(errand_step_filter(chain, 0, doubles, &doubler, 0), -EINVAL);
        errand_step_close(chain, ERRAND_SLOT(0));
        submit(chain, NULL, 0);
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_EVENT(event, 0, -1, 4 + 2 * size);
        close(sockets[0]);
        peer_take_all(&peer);
        REQUIRE(peer.length >= 4);
        CHECK_BYTES(peer.data, "head", 4);
        check_doubled(peer.data + 4, peer.length - 4, size, 5);
        CHECK(doubler.ended);
        CHECK_INT(on_worker, !pthread_equal(doubler.thread, pthread_self()));
        peer_free(&peer);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(filter_on_receive_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned turn = 0; turn < 2 * 5; turn++) { /* up to what a socket's buffer holds at once */
        size_t size = sizes[turn / 2];
        bool on_worker = turn & 1;
        harness_at("%zu bytes, %s", size, on_worker ? "on a worker" : "here");
        struct doubler doubler = {.held = -1};
        int sockets[2];
        make_pair(PAIR_UNIX, sockets);
        unsigned char *data = malloc(2 * size + 1);
        pattern_fill(data, size, 6, 0);
        CHECK_INT(send(sockets[1], data, size, 0), size);
        shutdown(sockets[1], SHUT_WR);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path_of("out"), O_RDWR | O_CREAT | O_TRUNC, 0600);
        int step = errand_step_receive_file(chain, sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, 0);
        CHECK_INT(errand_step_filter(chain, step, doubles, &doubler, on_worker ? ERRAND_ON_WORKER : 0), 0);
        errand_step_close(chain, ERRAND_SLOT(0));
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 2 * size);
        int fd = (int)REQUIRE_CALL(open(path_of("out"), O_RDONLY | O_CLOEXEC));
        CHECK_INT(read(fd, data, 2 * size + 1), 2 * size);
        check_doubled(data, 2 * size, size, 6);
        CHECK(doubler.ended);
        close(fd);
        free(data);
        close(sockets[0]);
        close(sockets[1]);
    }
    close_queue(queue);
}

/* One that fails, and one that neither takes nor makes anything. */
TEST_EACH_BACKEND(filters_that_fail)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("file", 100000, 5);
    for (unsigned turn = 0; turn < 4; turn++) {
        bool stuck = turn & 1;
        harness_at("turn %u", turn);
        struct doubler doubler = {.held = -1, .stuck = stuck, .fails_after = 30000};
        int sockets[2];
        make_pair(PAIR_UNIX, sockets);
        struct peer peer = {.socket = sockets[1]};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
        errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
        errand_step_filter(chain, 1, doubles, &doubler, turn & 2 ? ERRAND_ON_WORKER : 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_INT(event.error, stuck ? -EINVAL : -EILSEQ);
        CHECK_INT(event.step, 1);
        CHECK(event.bytes <= 60000);
        close(sockets[0]);
        peer_take_all(&peer);
        CHECK_INT(peer.length, event.bytes);
        peer_free(&peer);
    }
    close_queue(queue);
}

/* A chain is not faster than its rate allows; others do not wait for it; its deadline and its end hold. */
TEST_EACH_BACKEND(rate)
{
    enum { rate = 1000000, size = 200000 };
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("file", size, 5);
    for (unsigned turn = 0; turn < 3; turn++) {
        harness_at("turn %u", turn);
        int sockets[2];
        make_pair(PAIR_UNIX, sockets);
        struct peer peer = {.socket = sockets[1]};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
        errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
        struct errand_submit options = {
            .size = sizeof options, .bytes_per_second = rate, .timeout_ns = turn == 1 ? 50 * ERRAND_MILLISECOND : 0};
        errand_id id;
        errand_queue_dispatch(queue, &(struct errand_event){0}, 1);
        int64_t began = errand_queue_now(queue);
        REQUIRE_INT(errand_submit(chain, &options, &id), 0);
        if (turn == 2) {
            no_event(queue);
            CHECK_INT(errand_cancel(queue, id), 0);
        }
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_INT(event.error, turn == 0 ? 0 : turn == 1 ? -ETIMEDOUT : -ECANCELED);
        int64_t took = errand_queue_now(queue) - began;
        int64_t least = ((int64_t)event.bytes - (rate / 16 + 1024)) * (ERRAND_SECOND / rate);
        CHECK(took >= least); /* all but the last piece was paid for */
        if (turn == 0)
            CHECK_INT(event.bytes, size);
        close(sockets[0]);
        peer_free(&peer);
    }
    close_queue(queue);
}
