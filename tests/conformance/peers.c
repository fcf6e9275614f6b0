/* SPDX-License-Identifier: MIT */
/* Scenes of connections: what is sent and received, in however small pieces, files that go out and come in. */
#include "scene.h"

#include <poll.h>

SCENE(what_arrives_is_received)
{
    int socket = world_socket(w, 300, PEER_ENDS);
    errand_chain *chain = new_chain(w->queue);
    errand_step_receive(chain, socket, w->room, 100, ERRAND_EXACT);
    errand_step_receive(chain, socket, w->room + 100, 1000, 0); /* up to the end */
    errand_step_receive(chain, socket, w->room + 300, 1000, ERRAND_SOME);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 300);
    CHECK_INT(w->results[1], 200);
    CHECK_INT(w->results[2], 0);
    CHECK_BYTES(w->room, world_pattern(0), 300);
}

SCENE(much_arrives)
{
    int socket = world_socket(w, 400000, PEER_STAYS);
    errand_chain *chain = new_chain(w->queue);
    errand_step_receive(chain, socket, w->room, 400000, 0);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 400000);
    CHECK_BYTES(w->room, world_pattern(0), 400000);
}

SCENE(an_exact_receive_wants_it_all)
{
    for (unsigned left = 0; left < 3; left++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_receive(chain, world_socket(w, 50 * left, PEER_ENDS), w->room, 100, ERRAND_EXACT);
        errand_step_mkdir(chain, w->at, "n1", 0700);
        world_submit(w, chain, left);
        EXPECT(w, .tag = left, .error = left < 2 ? -ENODATA : 0, .of = ERRAND_STEP_RECEIVE, .bytes = 50 * left);
    }
    CHECK_INT(world_mode(w, "n1"), S_IFDIR | 0700);
}

SCENE(all_of_it_is_sent)
{
    int socket = world_socket(w, 0, PEER_STAYS);
    errand_chain *chain = new_chain(w->queue);
    errand_step_send(chain, socket, world_pattern(0), 1, ERRAND_MORE);
    errand_step_send(chain, socket, world_pattern(1), 500000, 0);
    errand_step_send(chain, socket, world_pattern(500001), 999, 0);
    errand_step_shutdown(chain, socket, SHUT_WR);
    errand_step_send(chain, socket, world_pattern(501000), 1, 0);
    errand_step_optional(chain, 4);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 501000);
    CHECK_INT(w->results[1], 500000);
    CHECK_INT(w->results[4], -EPIPE);
    CHECK_INT(world_got(w, socket), 501000);
}

/* Both directions at once, by two chains. */
SCENE(to_and_fro)
{
    int socket = world_socket(w, 200000, PEER_STAYS);
    for (unsigned i = 0; i < 2; i++) {
        errand_chain *chain = new_chain(w->queue);
        if (i == 0)
            errand_step_receive(chain, socket, w->room, 200000, ERRAND_EXACT);
        else
            errand_step_send(chain, socket, world_pattern(0), 200000, 0);
        errand_step_sleep(chain, (2 + i) * 100 * ERRAND_MILLISECOND); /* so that the first ends first */
        world_submit(w, chain, i);
    }
    EXPECT(w, .tag = 0, .bytes = 200000);
    EXPECT(w, .tag = 1, .bytes = 200000);
    CHECK_BYTES(w->room, world_pattern(0), 200000);
    CHECK_INT(world_got(w, socket), 200000);
}

SCENE(files_are_sent)
{
    static const struct {
        int64_t size, offset, length;
        size_t head;
        int64_t sent;
        unsigned flags;
    } cases[] = {{5000, 0, ERRAND_TO_END, 0, 5000, 0},
                 {5000, 100, ERRAND_TO_END, 100, 4900, ERRAND_MORE},
                 {5000, 0, 4096, 0, 4096, ERRAND_EXACT},
                 {5000, 10, 6000, 10, 4990, 0},
                 {400000, 251, ERRAND_TO_END, 251, 399749, 0},
                 {400000, 0, 300000, 0, 300000, ERRAND_EXACT},
                 {100, 100, ERRAND_TO_END, 100, 0, 0},
                 {0, 0, ERRAND_TO_END, 0, 0, 0},
                 {100, 0, 0, 0, 0, 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[4] = {'n', (char)('0' + i), 0};
        int socket = world_socket(w, 0, PEER_STAYS);
        world_file(w, name, cases[i].size);
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, name, O_RDONLY, 0);
        errand_step_sendfile(chain, socket, ERRAND_SLOT(0), cases[i].offset, cases[i].length, world_pattern(0),
                             cases[i].head, cases[i].flags);
        errand_step_close(chain, ERRAND_SLOT(0));
        note_results(w, chain);
        world_submit(w, chain, i);
        uint64_t bytes = cases[i].head + (uint64_t)cases[i].sent;
        EXPECT(w, .tag = i, .bytes = bytes);
        CHECK_INT(w->results[1], bytes);
        CHECK_INT(world_got(w, socket), bytes);
    }
}

SCENE(a_file_is_too_short_to_be_sent)
{
    for (unsigned i = 0; i < 2; i++) {
        const char *name = i ? "n1" : "n0";
        int64_t size = i ? 300000 : 100;
        int socket = world_socket(w, 0, PEER_STAYS);
        world_file(w, name, size);
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, name, O_RDONLY, 0);
        errand_step_sendfile(chain, socket, ERRAND_SLOT(0), 0, size + 1, NULL, 0, ERRAND_EXACT);
        errand_step_send(chain, socket, world_pattern(0), 1, 0);
        world_submit(w, chain, i);
        EXPECT(w, .tag = i, .error = -ENODATA, .step = 1, .of = ERRAND_STEP_SENDFILE, .bytes = (uint64_t)size);
        CHECK_INT(world_got(w, socket), size);
    }
}

SCENE(files_are_received)
{
    static const struct {
        size_t arrives;
        int64_t length;
        unsigned flags;
        int64_t written;
        int error;
    } cases[] = {{5000, ERRAND_TO_END, 0, 5000, 0},          {300000, ERRAND_TO_END, 0, 300000, 0},
                 {5000, 4000, ERRAND_EXACT, 4000, 0},        {5000, 6000, 0, 5000, 0},
                 {5000, 6000, ERRAND_EXACT, 5000, -ENODATA}, {0, ERRAND_TO_END, 0, 0, 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[4] = {'n', (char)('0' + i), 0};
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, name, O_WRONLY | O_CREAT, 0600);
        errand_step_receive_file(chain, world_socket(w, cases[i].arrives, PEER_ENDS), ERRAND_SLOT(0), 0,
                                 cases[i].length, cases[i].flags);
        world_submit(w, chain, i);
        EXPECT(w, .tag = i, .error = cases[i].error, .step = 1, .of = ERRAND_STEP_RECEIVE_FILE,
               .bytes = (uint64_t)cases[i].written);
        CHECK_INT(world_size(w, name), cases[i].written);
        world_contents(w, name);
    }
}

/* As much as there is room for, and a little less than all. */
static int pass_on(void *context, struct errand_pieces *pieces)
{
    unsigned *calls = context;
    size_t n = pieces->in_length < pieces->out_room ? pieces->in_length : pieces->out_room;
    n = n > 3000 ? 3000 : n;
    memcpy(pieces->out, pieces->in, n);
    pieces->in += n, pieces->in_length -= n;
    pieces->out += n, pieces->out_room -= n;
    (*calls)++;
    return 0;
}

SCENE(bytes_pass_through_filters)
{
    world_file(w, "n1", 150000);
    for (unsigned on_worker = 0; on_worker < 2; on_worker++) {
        unsigned calls = 0;
        int socket = world_socket(w, 150000, PEER_ENDS);
        const char *name = on_worker ? "n3" : "n2";
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
        errand_step_open(chain, w->at, name, O_RDWR | O_CREAT, 0600);
        errand_step_sendfile(chain, socket, ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
        errand_step_receive_file(chain, socket, ERRAND_SLOT(1), 0, ERRAND_TO_END, 0);
        for (int step = 2; step < 4; step++)
            CHECK_INT(errand_step_filter(chain, step, pass_on, &calls, on_worker ? ERRAND_ON_WORKER : 0), 0);
        note_results(w, chain);
        world_submit(w, chain, on_worker);
        EXPECT(w, .tag = on_worker, .bytes = 300000);
        CHECK(calls >= 100);
        CHECK_INT(world_got(w, socket), 150000);
        CHECK_INT(world_size(w, name), 150000);
        world_contents(w, name);
    }
}

static int give_up(void *context, struct errand_pieces *pieces)
{
    (void)pieces;
    return *(int *)context;
}

SCENE(a_filter_fails)
{
    int own = -EPROTO;
    world_file(w, "n1", 1000);
    for (unsigned on_worker = 0; on_worker < 2; on_worker++) {
        int socket = world_socket(w, 0, PEER_STAYS);
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
        errand_step_sendfile(chain, socket, ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
        errand_step_filter(chain, 1, give_up, &own, on_worker ? ERRAND_ON_WORKER : 0);
        world_submit(w, chain, on_worker);
        EXPECT(w, .tag = on_worker, .error = own, .step = 1, .of = ERRAND_STEP_SENDFILE);
    }
}

/* ---- connections that the chain makes */

SCENE(connections_are_accepted)
{
    int listener = world_listener(w);
    world_connect(w, listener, 100, PEER_STAYS);
    world_connect(w, listener, 100, PEER_STAYS);
    errand_chain *chain = new_chain(w->queue);
    errand_step_accept(chain, listener);
    errand_step_accept(chain, listener);
    errand_step_receive(chain, ERRAND_SLOT(1), w->room, 100, ERRAND_EXACT);
    errand_step_send(chain, ERRAND_SLOT(0), world_pattern(0), 1000, 0);
    errand_step_hand_over(chain, ERRAND_SLOT(1));
    note_results(w, chain);
    world_submit(w, chain, 1);
    struct errand_event event = EXPECT(w, .tag = 1, .bytes = 1100, .fd = true);
    world_take(w, event.fd);
    CHECK_BYTES(w->room, world_pattern(0), 100);
    chain = new_chain(w->queue);
    errand_step_send(chain, event.fd, world_pattern(0), 10, 0);
    world_submit(w, chain, 2);
    EXPECT(w, .tag = 2, .bytes = 10);
}

SCENE(connections_are_made)
{
    struct sockaddr_in accepts, refuses;
    world_address(w, true, &accepts);
    world_address(w, false, &refuses);
    errand_chain *chain = new_chain(w->queue);
    errand_step_connect(chain, -1, &refuses, sizeof refuses);
    errand_step_optional(chain, 0);
    errand_step_connect(chain, -1, &accepts, sizeof accepts);
    errand_step_send(chain, ERRAND_SLOT(1), world_pattern(0), 1000, 0);
    errand_step_shutdown(chain, ERRAND_SLOT(1), SHUT_RDWR);
    errand_step_send(chain, ERRAND_SLOT(0), world_pattern(0), 1, 0);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .error = -EBADF, .step = 4, .of = ERRAND_STEP_SEND, .bytes = 1000);
    chain = new_chain(w->queue);
    errand_step_connect(chain, -1, &refuses, sizeof refuses);
    errand_step_mkdir(chain, w->at, "n1", 0700);
    world_submit(w, chain, 2);
    EXPECT(w, .tag = 2, .error = -ECONNREFUSED, .of = ERRAND_STEP_CONNECT);
    CHECK_INT(world_size(w, "n1"), -1);
}

SCENE(descriptors_are_polled)
{
    int silent = world_socket(w, 0, PEER_STAYS), talks = world_socket(w, 1, PEER_STAYS);
    errand_chain *chain = new_chain(w->queue);
    errand_step_poll(chain, silent, POLLOUT);
    errand_step_poll(chain, talks, POLLIN);
    errand_step_poll(chain, silent, POLLIN);
    note_results(w, chain);
    world_submit_for(w, chain, 1, 300 * ERRAND_MILLISECOND, 0);
    EXPECT(w, .tag = 1, .error = -ETIMEDOUT, .step = 2, .of = ERRAND_STEP_POLL);
}

/* Slower than the socket would have it, and all the same. */
SCENE(rates_are_kept)
{
    int socket = world_socket(w, 20000, PEER_STAYS);
    int64_t begun = errand_queue_now(w->queue);
    errand_chain *chain = new_chain(w->queue);
    errand_step_send(chain, socket, world_pattern(0), 20000, 0);
    errand_step_receive(chain, socket, w->room, 20000, 0);
    struct errand_submit options = {.size = sizeof options, .user_data = &w->tags[1], .bytes_per_second = 400000};
    REQUIRE_INT(errand_submit(chain, &options, NULL), 0);
    EXPECT(w, .tag = 1, .bytes = 40000);
    CHECK(errand_queue_now(w->queue) - begun >= 50 * ERRAND_MILLISECOND);
    CHECK_INT(world_got(w, socket), 20000);
}

/* Faster: who waits goes on, within the new rate or without one. Slower: from then on. */
SCENE(rates_are_changed)
{
    for (unsigned turn = 0; turn < 3; turn++) {
        static const uint64_t rates[3][2] = {{100, 0}, {100, 400000}, {0, 400000}};
        int socket = world_socket(w, 0, PEER_STAYS);
        int64_t begun = errand_queue_now(w->queue);
        errand_chain *chain = new_chain(w->queue);
        errand_step_await(chain, NULL, NULL);
        errand_step_send(chain, socket, world_pattern(0), 40000, 0);
        struct errand_submit options = {
            .size = sizeof options, .user_data = &w->tags[turn], .bytes_per_second = rates[turn][0]};
        errand_id id;
        REQUIRE_INT(errand_submit(chain, &options, &id), 0);
        expect_nothing(w);
        if (turn == 2)
            CHECK_INT(errand_set_rate(w->queue, id, rates[turn][1]), 0);
        CHECK_INT(errand_resume(w->queue, id, 0, 0), 0);
        if (turn < 2) {
            expect_nothing(w); /* the first piece is sent, and paid for with seconds */
            CHECK_INT(errand_set_rate(w->queue, id, rates[turn][1]), 0);
        }
        EXPECT(w, .tag = turn, .bytes = 40000);
        int64_t took = errand_queue_now(w->queue) - begun;
        CHECK(took < 10 * ERRAND_SECOND); /* what the first piece alone would have cost */
        CHECK(turn == 0 || took >= 30 * ERRAND_MILLISECOND);
        CHECK_INT(world_got(w, socket), 40000);
        CHECK_INT(errand_set_rate(w->queue, id, 1), -ENOENT);
    }
}
