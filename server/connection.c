/* SPDX-License-Identifier: MIT */
/* The life of a connection: see the picture in connection.h. */
#include "closing.h"
#include "connection.h"
#include "gate.h"
#include "worker.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DRAIN_MAX = 8 << 20 }; /* bytes that a client may still send after a reply that ends the connection */

static struct worker *worker_of(const struct connection *connection)
{
    return connection->endpoint->worker;
}

static void count_accepted(struct endpoint *endpoint, bool taken)
{
    if (endpoint->most == 0)
        record_accepted(&endpoint->worker->record, taken);
}

/* What it holds besides its place in a list. */
static void let_go(struct connection *connection)
{
    connection->endpoint->protocol->release(connection);
    if (connection->endpoint->gate != NULL)
        gate_leave(connection);
    close(connection->fd);
}

void connection_open(struct endpoint *endpoint, int fd)
{
    struct worker *worker = endpoint->worker;
    struct connection *connection = calloc(1, endpoint->protocol->connection_size + gate_size(endpoint->gate));
    if (connection == NULL) {
        count_accepted(endpoint, false);
        close(fd);
        return;
    }
    connection->endpoint = endpoint;
    connection->fd = fd;
    connection->wait = WAIT_IDLE;
    if (endpoint->gate != NULL && !gate_enter(connection)) {
        close(fd);
        free(connection);
        return;
    }
    if (errand_source_receive(worker->queue, fd, connection, &connection->source) != 0) {
        count_accepted(endpoint, false);
        let_go(connection);
        free(connection);
        return;
    }
    count_accepted(endpoint, true);
    worker_count_connection(endpoint, +1);
    connection->since = errand_queue_now(worker->queue);
    wait_list_add(&worker->waits[WAIT_IDLE], connection);
    worker_sweep_by(worker, connection->since + worker_wait_limit(worker, WAIT_IDLE));
    if (endpoint->protocol->opened != NULL && (endpoint->gate == NULL || gate_client(connection)->header == NULL))
        endpoint->protocol->opened(connection);
}

void connection_wait(struct connection *connection, enum wait_kind kind)
{
    struct worker *worker = worker_of(connection);
    if (connection->endpoint->gate != NULL)
        pace_waited(connection);
    wait_list_remove(&worker->waits[connection->wait], connection);
    connection->wait = (uint8_t)kind;
    connection->since = errand_queue_now(worker->queue);
    wait_list_add(&worker->waits[kind], connection);
    if (kind != WAIT_BUSY)
        worker_sweep_by(worker, connection->since + worker_wait_limit(worker, kind));
}

/* The last of it. The record stays until the batch of events is done: others of them may still name it. */
static void finish(struct connection *connection)
{
    struct worker *worker = worker_of(connection);
    assert(connection->chain == 0 && connection->source == NULL);
    wait_list_remove(&worker->waits[connection->wait], connection);
    let_go(connection);
    connection->state = CONNECTION_DEAD;
    connection->next = worker->dead;
    worker->dead = connection;
    worker_count_connection(connection->endpoint, -1);
}

static void finish_if_over(struct connection *connection)
{
    if (connection->chain == 0 && connection->held == 0)
        finish(connection);
}

void connection_discard(struct connection *connection)
{
    struct worker *worker = worker_of(connection);
    wait_list_remove(&worker->waits[connection->wait], connection);
    let_go(connection);
    worker_count_connection(connection->endpoint, -1);
    free(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING || connection->state == CONNECTION_DEAD)
        return;
    if (connection->source != NULL)
        errand_source_stop(connection->source);
    connection->source = NULL;
    connection->state = CONNECTION_CLOSING;
    if (connection->chain != 0)
        errand_cancel(worker_of(connection)->queue, connection->chain);
    if (connection->endpoint->protocol->cancel != NULL)
        connection->endpoint->protocol->cancel(connection);
    finish_if_over(connection);
}

void connection_stop(struct connection *connection)
{
    if (connection->endpoint->protocol->stop != NULL)
        connection->endpoint->protocol->stop(connection);
    else
        connection_close(connection);
}

void connection_hold(struct connection *connection)
{
    connection->held++;
}

void connection_let_go(struct connection *connection)
{
    connection->held--;
    if (connection->state == CONNECTION_CLOSING && worker_of(connection)->queue != NULL)
        finish_if_over(connection);
}

void connection_reset(struct connection *connection)
{
    struct linger reset = {.l_onoff = 1};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    connection_close(connection);
}

void connection_linger(struct connection *connection)
{
    if (connection->ended) {
        connection_close(connection);
        return;
    }
    connection->state = CONNECTION_LINGER;
    connection_resume(connection);
    connection_wait(connection, WAIT_DRAIN);
}

void connection_data_event(struct connection *connection, const struct errand_event *event)
{
    const struct protocol *protocol = connection->endpoint->protocol;
    if (connection->state == CONNECTION_LINGER) {
        connection->drained += (unsigned)event->bytes;
        if (event->error != 0 || event->bytes == 0 || connection->drained > DRAIN_MAX)
            connection_close(connection);
        return;
    }
    if (connection->state != CONNECTION_OPEN)
        return; /* fetched together with what closed it */
    if (event->error != 0) {
        connection_close(connection);
    } else if (event->bytes == 0) {
        connection->ended = true;
        protocol->ended(connection);
    } else {
        if (connection->endpoint->most == 0)
            record_input(&connection->endpoint->worker->record, event->bytes);
        const char *data = event->data;
        size_t length = event->bytes;
        if (connection->endpoint->gate != NULL)
            length = gate_input(connection, &data, length);
        if (length > 0)
            protocol->data(connection, data, length);
    }
}

void connection_chain_event(struct connection *connection, const struct errand_event *event)
{
    const struct protocol *protocol = connection->endpoint->protocol;
    assert(connection->chain != 0);
    connection->chain = 0;
    if (connection->state != CONNECTION_CLOSING) {
        protocol->chain(connection, event);
        return;
    }
    if (event->fd >= 0) /* handed over before it could be cancelled */
        close_on_worker(worker_of(connection)->queue, event->fd);
    if (protocol->stopped != NULL)
        protocol->stopped(connection, event);
    finish_if_over(connection);
}

int connection_submit(struct connection *connection, errand_chain *chain, const struct connection_limits *limits)
{
    assert(connection->chain == 0 && connection->state == CONNECTION_OPEN);
    struct errand_submit options = {.size = sizeof options,
                                    .user_data = connection,
                                    .stall_ns = limits->stall_ns,
                                    .timeout_ns = limits->timeout_ns,
                                    .bytes_per_second = limits->bytes_per_second};
    return errand_submit(chain, &options, &connection->chain);
}

int64_t connection_paid(const struct connection *connection, int64_t paid, uint64_t bytes, uint64_t rate)
{
    int64_t now = errand_queue_now(worker_of(connection)->queue);
    return rate == 0 ? 0 : (paid > now ? paid : now) + (int64_t)(bytes * ERRAND_SECOND / rate);
}

void connection_pause(struct connection *connection)
{
    if (!connection->paused && connection->source != NULL)
        connection->paused = errand_source_pause(connection->source) == 0;
}

void connection_resume(struct connection *connection)
{
    if (connection->paused && connection->source != NULL)
        connection->paused = errand_source_resume(connection->source) != 0;
}

void connection_expired(struct connection *connection)
{
    if (connection->wait != WAIT_IDLE && connection->wait != WAIT_DRAIN)
        connection->endpoint->protocol->expired(connection);
    else
        connection_close(connection);
}
