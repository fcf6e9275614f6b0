/* SPDX-License-Identifier: MIT */
/* Scenes of how chains end that are ended: cancelled, by their deadlines, with their queue; and of many at once. */
#include "scene.h"

#include <poll.h>

static int nothing(errand_chain *chain, void *context)
{
    (void)chain;
    (void)context;
    return 0;
}

/* ---- what a chain can wait at for ever */

enum place { RECEIVES, SENDS, SENDS_FILE, ACCEPTS, POLLS, SLEEPS, AWAITS, OPENS, PLACES };

static const enum errand_step_kind kinds[PLACES] = {ERRAND_STEP_RECEIVE, ERRAND_STEP_SEND, ERRAND_STEP_SENDFILE,
                                                    ERRAND_STEP_ACCEPT,  ERRAND_STEP_POLL, ERRAND_STEP_SLEEP,
                                                    ERRAND_STEP_AWAIT,   ERRAND_STEP_OPEN};

/* Step 0 is done, step 1 waits there, step 2 must never be performed. */
static errand_chain *waits_at(struct world *w, enum place place)
{
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDWR, 0);
    switch (place) {
    case RECEIVES: errand_step_receive(chain, world_socket(w, 50, PEER_STAYS), w->room, 100, 0); break;
    case SENDS: errand_step_send(chain, world_socket(w, 0, PEER_DEAF), world_pattern(0), 1000, 0); break;
    case SENDS_FILE:
        errand_step_sendfile(chain, world_socket(w, 0, PEER_DEAF), ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
        break;
    case ACCEPTS: errand_step_accept(chain, world_listener(w)); break;
    case POLLS: errand_step_poll(chain, world_socket(w, 0, PEER_STAYS), POLLIN); break;
    case SLEEPS: errand_step_sleep(chain, 3600 * ERRAND_SECOND); break;
    case AWAITS: errand_step_await(chain, NULL, NULL); break;
    default: errand_step_open(chain, w->at, world_hung(w), O_RDONLY, 0); break;
    }
    errand_step_mkdir(chain, w->at, "n9", 0700);
    return chain;
}

/* Until the chain is where it waits, and what a peer had sent has been taken. */
static void come_to_it(struct world *w, errand_id id, enum place place)
{
    struct errand_progress progress = {.size = sizeof progress};
    unsigned turns = 0;
    do {
        expect_nothing(w);
        REQUIRE_INT(errand_chain_progress(w->queue, id, &progress), 0);
    } while ((progress.step != 1 || progress.bytes != (place == RECEIVES ? 50 : 0)) && place != OPENS &&
             turns++ < 5000);
    CHECK_INT(progress.bytes, place == RECEIVES ? 50 : 0);
    if (place == OPENS)
        world_wait_hung(w);
}

static void released(struct world *w, enum place place)
{
    if (place != OPENS)
        return;
    struct errand_stats stats = stats_of(w->queue);
    CHECK_INT(stats.stuck, 1);
    CHECK_INT(stats.chains, 0);
    world_release(w);
}

SCENE(cancelled_wherever_it_waits)
{
    world_file(w, "n1", 5000);
    for (enum place place = 0; place < PLACES; place++) {
        world_log(w, "at %s", errand_step_name(kinds[place]));
        errand_id id = world_submit(w, waits_at(w, place), place);
        come_to_it(w, id, place);
        CHECK_INT(errand_cancel(w->queue, id), 0);
        CHECK_INT(errand_cancel(w->queue, id), 0); /* a second time makes no difference */
        EXPECT(w, .tag = place, .error = -ECANCELED, .step = 1, .of = kinds[place],
               .bytes = place == RECEIVES ? 50 : 0);
        CHECK_INT(errand_cancel(w->queue, id), -ENOENT);
        released(w, place);
    }
    CHECK_INT(world_size(w, "n9"), -1);
}

SCENE(out_of_time_wherever_it_waits)
{
    world_file(w, "n1", 5000);
    for (enum place place = 0; place < PLACES; place++)
        for (unsigned stalls = 0; stalls < 2; stalls++) {
            world_log(w, "at %s, %s", errand_step_name(kinds[place]), stalls ? "no progress" : "deadline");
            int64_t time = 100 * ERRAND_MILLISECOND * harness_slowness();
            if (place == SLEEPS && stalls)
                continue; /* see sleep_is_no_standstill */
            world_submit_for(w, waits_at(w, place), place, stalls ? 0 : time, stalls ? time : 0);
            EXPECT(w, .tag = place, .error = -ETIMEDOUT, .step = 1, .of = kinds[place],
                   .bytes = place == RECEIVES ? 50 : 0);
            released(w, place);
        }
    CHECK_INT(world_size(w, "n9"), -1);
}

/* A deadline that is not reached changes nothing. */
SCENE(in_time)
{
    world_file(w, "n1", 5000);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(0), w->room, 5000, 0, 0);
    errand_step_sleep(chain, ERRAND_MILLISECOND);
    errand_step_close(chain, ERRAND_SLOT(0));
    world_submit_for(w, chain, 1, 3600 * ERRAND_SECOND, 1800 * ERRAND_SECOND);
    EXPECT(w, .tag = 1, .bytes = 5000);
}

/* Not even its first step is performed. */
SCENE(cancelled_before_it_begins)
{
    errand_chain *chain = new_chain(w->queue);
    errand_step_mkdir(chain, w->at, "n1", 0700);
    errand_id id = world_submit(w, chain, 1);
    CHECK_INT(errand_cancel(w->queue, id), 0);
    EXPECT(w, .tag = 1, .error = -ECANCELED, .of = ERRAND_STEP_MKDIR);
    CHECK_INT(world_size(w, "n1"), -1);
    chain = new_chain(w->queue);
    errand_step_call(chain, nothing, NULL);
    id = world_submit(w, chain, 2);
    CHECK_INT(errand_cancel(w->queue, id), 0);
    EXPECT(w, .tag = 2, .error = -ECANCELED, .of = ERRAND_STEP_CALL);
}

/* An event that waits is as it was. */
SCENE(cancelled_after_its_end)
{
    errand_id ids[2];
    for (unsigned i = 0; i < 2; i++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_call(chain, nothing, NULL);
        ids[i] = world_submit(w, chain, i);
    }
    EXPECT(w, .tag = 0);
    CHECK_INT(errand_cancel(w->queue, ids[0]), -ENOENT);
    CHECK_INT(errand_cancel(w->queue, ids[1]), 0);
    EXPECT(w, .tag = 1);
    CHECK_INT(errand_cancel(w->queue, ids[1]), -ENOENT);
}

struct stopping {
    unsigned stops;
};

static int stop(errand_chain *chain, void *context)
{
    struct stopping *stopping = context;
    (void)chain;
    stopping->stops++;
    return 0;
}

/* An await step that is told: the chain goes on to wait, and ends when it is resumed. */
SCENE(who_awaits_is_told)
{
    struct stopping stopping = {0};
    for (unsigned turn = 0; turn < 3; turn++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_await(chain, stop, &stopping);
        errand_step_mkdir(chain, w->at, "n9", 0700);
        errand_id id = world_submit_for(w, chain, turn, turn == 1 ? 20 * ERRAND_MILLISECOND : 0, 0);
        expect_nothing(w);
        if (turn == 0)
            CHECK_INT(errand_cancel(w->queue, id), 0);
        for (unsigned i = 0; i < 20; i++)
            expect_nothing(w);
        CHECK_INT(stopping.stops, turn == 0 ? 1 : 2);
        CHECK_INT(errand_resume(w->queue, id, turn == 2 ? -EIO : 5, 1000), 0);
        CHECK_INT(errand_resume(w->queue, id, 5, 1000), -EALREADY);
        EXPECT(w, .tag = turn,
               .error = turn == 0   ? -ECANCELED
                        : turn == 1 ? -ETIMEDOUT
                                    : -EIO,
               .of = ERRAND_STEP_AWAIT, .bytes = 1000);
        CHECK_INT(errand_resume(w->queue, id, 5, 0), -ENOENT);
    }
    CHECK_INT(world_size(w, "n9"), -1);
}

/* ---- the end of the queue */

SCENE(the_queue_is_closed)
{
    world_file(w, "n1", 5000);
    for (enum place place = 0; place < OPENS; place++)
        world_submit(w, waits_at(w, place), place);
    errand_chain *described = new_chain(w->queue);
    errand_step_mkdir(described, w->at, "n9", 0700);
    for (unsigned i = 0; i < 10; i++)
        expect_nothing(w);
    CHECK_INT(errand_queue_close(w->queue), 0);
    w->closed = true;
    memset(w->room, 0x55, WORLD_ROOM); /* it is the scene's again */
    CHECK_INT(world_size(w, "n9"), -1);
}

SCENE(the_queue_is_closed_before_it_was_waited_for)
{
    world_file(w, "n1", 5000);
    for (enum place place = 0; place < OPENS; place++)
        world_submit(w, waits_at(w, place), place);
    CHECK_INT(errand_queue_close(w->queue), 0);
    w->closed = true;
    CHECK_INT(world_size(w, "n9"), -1);
}

/* What hangs is left to itself, after a while, and cleans up behind itself when it goes on. */
SCENE_WITH(the_queue_is_closed_and_a_device_hangs, .chains = 16, .close_grace_ns = 20 * ERRAND_MILLISECOND)
{
    world_file(w, "n1", 5000);
    errand_id id = world_submit(w, waits_at(w, OPENS), 1);
    come_to_it(w, id, OPENS);
    CHECK_INT(errand_queue_close(w->queue), 1);
    w->closed = true;
    world_release(w);
    CHECK_INT(world_size(w, "n9"), -1);
}

/* ---- many */

SCENE(many_in_the_order_of_submission)
{
    for (unsigned i = 0; i < 50; i++) {
        errand_chain *chain = new_chain(w->queue);
        for (unsigned step = 0; step < 1 + i % 3; step++)
            errand_step_call(chain, nothing, NULL);
        world_submit(w, chain, i);
    }
    for (unsigned i = 0; i < 50; i++)
        EXPECT(w, .tag = i);
}

SCENE(many_in_the_order_of_time)
{
    for (unsigned i = 0; i < 20; i++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_sleep(chain, (20 + i * 7 % 20 * 10) * ERRAND_MILLISECOND);
        world_submit(w, chain, i);
    }
    for (unsigned due = 0; due < 20; due++)
        EXPECT(w, .tag = due * 3 % 20); /* 3 * 7 is 1 of 20 */
}

/* One after the other on one file: each waits for the one before it. */
SCENE(each_begins_when_the_one_before_has_ended)
{
    world_file(w, "n1", 0);
    for (unsigned i = 0; i < 30; i++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, "n1", O_RDWR, 0);
        errand_step_stat(chain, ERRAND_SLOT(0), NULL);
        errand_step_write(chain, ERRAND_SLOT(0), world_pattern(i * 500), 500, ERRAND_RESULT(1));
        world_submit(w, chain, i);
        EXPECT(w, .tag = i, .bytes = 500);
    }
    CHECK_INT(world_size(w, "n1"), 15000);
    world_contents(w, "n1");
}

/* At once, in any order: every one has its event, and it is its own. */
SCENE(many_at_once)
{
    uint64_t seen = 0;
    world_file(w, "n1", 60000);
    for (unsigned i = 0; i < 60; i++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, i % 7 == 3 ? "n2" : "n1", O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(0), w->room + i * 1000, 1000, i * 251, 0);
        errand_step_close(chain, ERRAND_SLOT(0));
        world_submit(w, chain, i);
    }
    for (unsigned i = 0; i < 60; i++) {
        struct errand_event event = world_next(w);
        struct tag *tag = event.user_data;
        seen |= UINT64_C(1) << tag->number;
        tag->account.ended = true;
        CHECK_INT(event.error, tag->number % 7 == 3 ? -ENOENT : 0);
        CHECK_INT(event.bytes, event.error ? 0 : 1000);
        if (!event.error)
            CHECK_BYTES(w->room + tag->number * 1000, world_pattern(0), 1000);
    }
    CHECK(seen == (UINT64_C(1) << 60) - 1);
}

SCENE(no_more_events_than_there_is_room_for)
{
    struct errand_event events[16];
    static const int counts[] = {7, 7, 7, 4, 0};
    for (unsigned i = 0; i < 25; i++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_call(chain, nothing, NULL);
        world_submit(w, chain, i);
    }
    unsigned taken = 0;
    for (unsigned turn = 0; turn < 5; turn++) {
        int count = errand_queue_dispatch(w->queue, events, 7);
        CHECK_INT(count, counts[turn]);
        for (int i = 0; i < count; i++) {
            struct tag *tag = events[i].user_data;
            CHECK_INT(tag->number, taken++);
            tag->account.ended = true;
        }
    }
    CHECK_INT(taken, 25);
}

SCENE_WITH(limits_are_kept, .chains = 4, .chain_steps = 3)
{
    errand_chain *chains[5];
    for (unsigned i = 0; i < 4; i++)
        chains[i] = new_chain(w->queue);
    CHECK_INT(errand_chain_new(w->queue, &chains[4]), -EAGAIN);
    errand_chain_drop(chains[3]);
    CHECK_INT(errand_chain_new(w->queue, &chains[3]), 0);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned step = 0; step <= i; step++)
            CHECK_INT(errand_step_call(chains[i], nothing, NULL), step < 3 ? (int)step : -ENOSPC);
    CHECK_INT(errand_submit(chains[3], NULL, NULL), -ENOSPC); /* and drops it */
    for (unsigned i = 0; i < 3; i++)
        world_submit(w, chains[i], i);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(w, .tag = i);
}
