/* SPDX-License-Identifier: MIT */
/* call steps: what they see, what they may add and drop, how they fail; results that flow from step to step. */
#include "support.h"

struct seen {
    errand_queue *queue;
    int socket, calls, answer;
    int64_t results[6];
    struct errand_stat stat;
    char text[64];
    unsigned char buffer[4096];
};

static int note_results(errand_chain *chain, void *context)
{
    struct seen *seen = context;
    seen->calls++;
    for (int i = 0; i < 6; i++)
        seen->results[i] = errand_chain_result(chain, i);
    return seen->answer;
}

TEST_EACH_BACKEND(sees_results)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct seen seen = {0};
    const char *path = make_file("file", 1234, 1);
    for (unsigned turn = 0; turn < 3; turn++) {
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
        errand_step_stat(chain, ERRAND_SLOT(0), &seen.stat);
        errand_step_read(chain, ERRAND_SLOT(0), seen.buffer, 4096, 0, 0);
        errand_step_call(chain, note_results, &seen);
        errand_step_close(chain, ERRAND_SLOT(0));
        CHECK_INT(errand_chain_result(chain, 0), -EINPROGRESS);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 1234);
        CHECK_INT(seen.calls, turn + 1);
        CHECK(seen.results[0] >= -1);
        CHECK_INT(seen.results[1], 1234);
        CHECK_INT(seen.results[2], 1234);
        CHECK_INT(seen.results[3], -EINPROGRESS);
        CHECK_INT(seen.results[4], -EINPROGRESS);
        CHECK(seen.results[5] < 0);
        CHECK_INT(seen.stat.bytes, 1234);
    }
    close_queue(queue);
}

/* What an HTTP server does: look at the file, write a head, choose a range, add the steps. */
static int choose(errand_chain *chain, void *context)
{
    struct seen *seen = context;
    int length = snprintf(seen->text, sizeof seen->text, "length %llu\n", (unsigned long long)seen->stat.bytes);
    CHECK_INT(
        errand_step_sendfile(chain, seen->socket, ERRAND_SLOT(0), 0, ERRAND_TO_END, seen->text, (size_t)length, 0), 3);
    CHECK_INT(errand_step_close(chain, ERRAND_SLOT(0)), 4);
    return 0;
}

TEST_EACH_BACKEND(adds_steps)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0), sockets[2];
    for (unsigned turn = 0; turn < 4; turn++) {
        size_t size = turn % 2 ? 300000 : 3000;
        struct seen seen = {0};
        make_file("file", size, 1);
        make_pair(PAIR_TCP, sockets);
        seen.socket = sockets[0];
        struct peer peer = {.socket = sockets[1]};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, root, "file", O_RDONLY, 0);
        errand_step_stat(chain, ERRAND_SLOT(0), &seen.stat);
        errand_step_call(chain, choose, &seen);
        submit(chain, NULL, 0);
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_EVENT(event, 0, -1, strlen(seen.text) + size);
        close(sockets[0]);
        peer_take_all(&peer);
        if (CHECK_INT(peer.length, strlen(seen.text) + size)) {
            CHECK_BYTES(peer.data, seen.text, strlen(seen.text));
            CHECK_INT(pattern_check(peer.data + strlen(seen.text), size, 1, 0), size);
        }
        peer_free(&peer);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

static int drop_following(errand_chain *chain, void *context)
{
    struct seen *seen = context;
    seen->calls++;
    CHECK_INT(errand_chain_drop_following(chain), 0);
    if (seen->socket)
        CHECK_INT(errand_step_call(chain, note_results, seen), 2);
    return 0;
}

TEST_EACH_BACKEND(drops_steps)
{
    errand_queue *queue = open_queue(backend, NULL);
    for (int add = 0; add < 2; add++) {
        struct seen seen = {.socket = add};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, make_file("file", 10, 1), O_RDONLY, 0);
        errand_step_call(chain, drop_following, &seen);
        errand_step_open(chain, AT_FDCWD, "/no/such/file", O_RDONLY, 0);
        errand_step_call(chain, note_results, &seen);
        CHECK_INT(errand_chain_drop_following(chain), -EPERM);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        CHECK_INT(seen.calls, 1 + add);
    }
    close_queue(queue);
}

TEST_EACH_BACKEND(fails_the_chain)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct seen seen = {.answer = -EBADMSG};
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, make_file("file", 10, 1), O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(0), seen.buffer, 10, 0, 0);
    errand_step_call(chain, note_results, &seen);
    errand_step_call(chain, note_results, &seen);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -EBADMSG, 2, 10);
    CHECK_INT(event.step_kind, ERRAND_STEP_CALL);
    CHECK_INT(seen.calls, 1);
    close_queue(queue);
}

/* One call after the other, each adding the next, for longer than the table would let them at once. */
static int add_itself(errand_chain *chain, void *context)
{
    struct seen *seen = context;
    int step = errand_step_call(chain, add_itself, seen);
    seen->calls++;
    return step < 0 ? step : 0;
}

TEST_EACH_BACKEND(steps_are_bounded_in_calls_too)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.chain_steps = 5});
    struct seen seen = {0};
    errand_chain *chain = new_chain(queue);
    errand_step_call(chain, add_itself, &seen);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -ENOSPC, 4, 0);
    CHECK_INT(seen.calls, 5);
    close_queue(queue);
}

/* A step that could not be described in a call fails the chain there, though the call says all is well. */
static int describe_wrongly(errand_chain *chain, void *context)
{
    (void)context;
    CHECK(errand_step_read(chain, ERRAND_SLOT(99), NULL, 10, 0, 0) < 0);
    return 0;
}

TEST_EACH_BACKEND(errors_stick_in_calls_too)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, make_file("file", 10, 1), O_RDONLY, 0);
    errand_step_call(chain, describe_wrongly, NULL);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -EINVAL, 1, 0);
    close_queue(queue);
}

/* What a call may do with its queue, and what it may not. */
static int use_queue(errand_chain *chain, void *context)
{
    struct seen *seen = context;
    struct errand_event event;
    seen->calls++;
    CHECK_INT(errand_queue_wait(seen->queue, &event, 1, 0), -EPERM);
    CHECK_INT(errand_queue_dispatch(seen->queue, &event, 1), -EPERM);
    CHECK_INT(errand_queue_close(seen->queue), -EPERM);
    CHECK(errand_submit(chain, NULL, NULL) < 0);
    if (seen->calls == 1) {
        errand_chain *other = new_chain(seen->queue);
        errand_step_call(other, note_results, seen);
        submit(other, (void *)1, 0);
    }
    return 0;
}

TEST_EACH_BACKEND(calls_and_their_queue)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct seen seen = {.queue = queue};
    errand_chain *chain = new_chain(queue);
    errand_step_call(chain, use_queue, &seen);
    errand_step_open(chain, AT_FDCWD, make_file("file", 10, 1), O_RDONLY, 0);
    submit(chain, NULL, 0);
    struct errand_event first = next_event(queue), second = next_event(queue);
    CHECK_INT(first.error, 0);
    CHECK_INT(second.error, 0);
    CHECK(first.user_data != second.user_data);
    CHECK_INT(seen.calls, 2);
    close_queue(queue);
}

/* A chain that is cancelled by its own call ends there. */
static errand_id own_id;
static int cancel_itself(errand_chain *chain, void *context)
{
    struct seen *seen = context;
    (void)chain;
    seen->calls++;
    CHECK_INT(errand_cancel(seen->queue, own_id), 0);
    return 0;
}

TEST_EACH_BACKEND(cancels_itself)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct seen seen = {.queue = queue};
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, make_file("file", 10, 1), O_RDONLY, 0);
    errand_step_call(chain, cancel_itself, &seen);
    errand_step_read(chain, ERRAND_SLOT(0), seen.buffer, 10, 0, 0);
    own_id = submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_INT(event.error, -ECANCELED);
    CHECK_INT(event.bytes, 0);
    CHECK_INT(seen.calls, 1);
    close_queue(queue);
}

/* Thousands of chains of calls only: they neither starve each other nor nest. */
TEST_EACH_BACKEND(many_chains_of_calls)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.chains = 5000});
    struct seen seen = {0};
    for (unsigned i = 0; i < 5000; i++) {
        errand_chain *chain = new_chain(queue);
        for (unsigned j = 0; j < 10; j++)
            errand_step_call(chain, note_results, &seen);
        submit(chain, NULL, 0);
    }
    for (unsigned i = 0; i < 5000; i++)
        CHECK_INT(next_event(queue).error, 0);
    CHECK_INT(seen.calls, 50000);
    close_queue(queue);
}
