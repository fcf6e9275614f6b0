/* SPDX-License-Identifier: MIT */
/* Who is too slow: see pace.h. */
#include "gate.h"
#include "shared.h"

#include <sys/ioctl.h>

#include <linux/sockios.h>

enum { LOOKS = 8 }; /* in the time that one may be behind */

static const struct pace_limit *limit_of(const struct connection *connection)
{
    return &connection->endpoint->gate->pace;
}

static bool waits_for_input(const struct connection *connection)
{
    return connection->wait == WAIT_INPUT || connection->wait == WAIT_BODY;
}

void pace_received(struct connection *connection, size_t length)
{
    if (connection->wait != WAIT_BUSY) /* bytes that nobody waits for do not make up for what he does not read */
        gate_client(connection)->pace.moved += length;
}

/* The time of a wait until now that was not counted yet. */
static void count_wait(struct connection *connection, int64_t now)
{
    struct pace *pace = &gate_client(connection)->pace;
    int64_t from = pace->counted > connection->since ? pace->counted : connection->since;
    pace->waited += now > from ? now - from : 0;
    pace->counted = now;
}

void pace_waited(struct connection *connection)
{
    if (waits_for_input(connection))
        count_wait(connection, errand_queue_now(connection->endpoint->worker->queue));
}

/*
 * A chain is under way: is it he whom it waits for? Then the socket holds bytes for him. Two looks at the same chain
 * make an interval; bytes that he has taken are those that the socket took, without those that it still has.
 */
static void count_sending(struct connection *connection, int64_t now)
{
    struct pace *pace = &gate_client(connection)->pace;
    struct errand_progress progress = {.size = sizeof progress};
    errand_queue *queue = connection->endpoint->worker->queue;
    int held = 0;
    if (connection->chain == 0 || ioctl(connection->fd, SIOCOUTQ, &held) != 0 || held == 0 ||
        errand_chain_progress(queue, connection->chain, &progress) != 0) {
        pace->chain = 0;
        return;
    }
    int64_t delivered = (int64_t)progress.bytes - held;
    if (pace->chain == connection->chain) {
        pace->waited += now - pace->counted;
        pace->moved += delivered > pace->delivered ? (uint64_t)(delivered - pace->delivered) : 0;
    }
    pace->chain = connection->chain;
    pace->delivered = delivered;
    pace->counted = now;
}

/* Sums up what was counted since the last look. True: he is too far behind. */
static bool is_too_slow(struct pace *pace, const struct pace_limit *limit)
{
    __uint128_t worth = (__uint128_t)pace->moved * (uint64_t)ERRAND_SECOND / limit->rate;
    int64_t due = pace->behind + pace->waited;
    pace->behind = worth < (uint64_t)due ? due - (int64_t)worth : 0;
    pace->waited = 0;
    pace->moved = 0;
    return pace->behind >= limit->behind_ns;
}

static void cut_off(struct connection *connection)
{
    gate_client(connection)->pace.behind = 0; /* he may be told why */
    record_limited(&connection->endpoint->worker->record, METRICS_LIMIT_RATE);
    if (waits_for_input(connection))
        connection_expired(connection);
    else
        connection_reset(connection);
}

static void look_at(struct connection *connection, int64_t now)
{
    struct pace *pace = &gate_client(connection)->pace;
    if (waits_for_input(connection)) {
        count_wait(connection, now);
        pace->chain = 0;
    } else {
        count_sending(connection, now);
    }
    if (is_too_slow(pace, limit_of(connection)))
        cut_off(connection);
}

void pace_begin(struct worker *worker)
{
    const struct gate *gate = worker->server->gate;
    if (gate->pace.rate != 0)
        worker_sweep_by(worker, errand_queue_now(worker->queue) + gate->pace.behind_ns / LOOKS);
}

void pace_sweep(struct worker *worker)
{
    static const enum wait_kind kinds[] = {WAIT_INPUT, WAIT_BODY, WAIT_BUSY};
    int64_t now = errand_queue_now(worker->queue);
    if (worker->server->gate == NULL || worker->server->gate->pace.rate == 0)
        return;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct connection *next;
        for (struct connection *at = worker->waits[kinds[i]].first; at != NULL; at = next) {
            next = at->next;
            if (at->endpoint->gate != NULL && at->state == CONNECTION_OPEN)
                look_at(at, now);
        }
    }
    if (worker->connections > 0)
        pace_begin(worker);
}
