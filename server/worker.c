/* SPDX-License-Identifier: MIT */
/* A worker's loop, its timers, and how it stops. */
#include "worker.h"
#include "http/session.h"
#include "log.h"
#include "record/status.h"
#include "shared.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 128 };

#define GRACE_NS       (10 * ERRAND_SECOND)
#define RETRY_NS       (100 * ERRAND_MILLISECOND)
#define SPARE_NS       ERRAND_SECOND /* idle for so long, a connection makes room for others */
#define SWEEP_SLACK_NS ERRAND_SECOND /* how late a wait may end, so that the timer is not set for each */

int64_t worker_wait_limit(enum wait_kind kind)
{
    switch (kind) {
    case WAIT_IDLE: return 60 * ERRAND_SECOND;
    case WAIT_INPUT: return 15 * ERRAND_SECOND;
    case WAIT_DRAIN: return 2 * ERRAND_SECOND;
    default: return INT64_MAX;
    }
}

/* Sets a one-shot timer, creating it the first time. */
static void set_timer(struct worker *worker, errand_source **timer, int64_t after_ns)
{
    if (after_ns < 0)
        after_ns = 0;
    int error = *timer == NULL ? errand_source_timer(worker->queue, after_ns, 0, timer, timer)
                               : errand_source_set_timer(*timer, after_ns, 0);
    if (error)
        log_error("cannot set a timer: %s", errand_error_name(error));
}

void worker_sweep_by(struct worker *worker, int64_t time)
{
    if (worker->sweep_at != 0 && worker->sweep_at <= time + SWEEP_SLACK_NS)
        return;
    worker->sweep_at = time + SWEEP_SLACK_NS / 2;
    set_timer(worker, &worker->sweep, worker->sweep_at - errand_queue_now(worker->queue));
}

/* Ends the waits that have lasted too long, and sets the timer for the next that will. */
static void sweep(struct worker *worker)
{
    int64_t now = errand_queue_now(worker->queue);
    worker->sweep_at = 0;
    for (enum wait_kind kind = WAIT_IDLE; kind < WAIT_BUSY; kind++) {
        int64_t limit = worker_wait_limit(kind);
        struct connection *connection;
        while ((connection = worker->waits[kind].first) != NULL && now - connection->since >= limit)
            connection_expired(connection); /* which takes it out of the list */
        if (connection != NULL)
            worker_sweep_by(worker, connection->since + limit);
    }
    if (worker->trim) {
        worker->trim = false;
        malloc_trim(0);
    }
}

static void pause_accept(struct endpoint *endpoint)
{
    errand_source_pause(endpoint->source);
    endpoint->paused = true;
    set_timer(endpoint->worker, &endpoint->worker->retry, RETRY_NS);
}

/* No place is left: of its connections that nobody has used for a while, some end. */
static void make_room(struct endpoint *endpoint)
{
    int64_t now = errand_queue_now(endpoint->worker->queue);
    struct connection *at = endpoint->worker->waits[WAIT_IDLE].first;
    for (unsigned closed = 0, seen = 0; at != NULL && closed < BATCH / 4 && seen < 16 * BATCH; seen++) {
        struct connection *next = at->next;
        if (now - at->since < SPARE_NS)
            break;
        if (at->endpoint == endpoint) {
            connection_close(at);
            closed++;
        }
        at = next;
    }
}

static bool is_full(const struct endpoint *endpoint)
{
    return endpoint->most == 0 ? server_is_full_for(endpoint->worker) : endpoint->connections >= endpoint->most;
}

static void resume_accept(struct endpoint *endpoint)
{
    struct worker *worker = endpoint->worker;
    if (!endpoint->paused || endpoint->source == NULL)
        return;
    if (is_full(endpoint)) {
        set_timer(worker, &worker->retry, RETRY_NS); /* the place may come free on another thread */
        return;
    }
    endpoint->paused = false;
    errand_source_resume(endpoint->source);
}

void worker_count_connection(struct endpoint *endpoint, int change)
{
    struct worker *worker = endpoint->worker;
    endpoint->connections += (unsigned)change;
    if (endpoint->most == 0) {
        worker->connections += (unsigned)change;
        server_count_connection(worker->server, change);
    }
    if (change < 0 && endpoint->paused)
        resume_accept(endpoint);
}

static void on_accept(struct endpoint *endpoint, const struct errand_event *event)
{
    if (event->error != 0) {
        if (event->error == -ECANCELED || endpoint->source == NULL)
            return;
        log_error("cannot accept a connection: %s (%u are open here; see ulimit -n)", errand_error_name(event->error),
                  endpoint->worker->connections);
        pause_accept(endpoint);
        return;
    }
    if (endpoint->source == NULL) { /* fetched together with what stopped the server */
        close(event->fd);
        return;
    }
    connection_open(endpoint, event->fd);
    if (!endpoint->paused && is_full(endpoint))
        pause_accept(endpoint);
}

static void close_listener(struct endpoint *endpoint)
{
    if (endpoint->source != NULL)
        errand_source_stop(endpoint->source);
    endpoint->source = NULL;
    if (endpoint->listener >= 0)
        close(endpoint->listener);
    endpoint->listener = -1;
}

void worker_stop(struct worker *worker)
{
    if (worker->stopping)
        return;
    worker->stopping = true;
    close_listener(&worker->http);
    for (enum wait_kind kind = WAIT_IDLE; kind <= WAIT_INPUT; kind++) {
        struct connection *next;
        for (struct connection *at = worker->waits[kind].first; at != NULL; at = next) {
            next = at->next;
            if (at->endpoint->most == 0) /* who asks for the status is told that it stops */
                connection_close(at);
        }
    }
    set_timer(worker, &worker->grace, GRACE_NS);
}

static void on_timer(struct worker *worker, const struct errand_event *event)
{
    if (event->user_data == &worker->sweep) {
        sweep(worker);
    } else if (event->user_data == &worker->retry) {
        if (worker->http.paused && !worker->stopping)
            make_room(&worker->http);
        if (worker->status.paused)
            make_room(&worker->status);
        resume_accept(&worker->http);
        resume_accept(&worker->status);
    } else if (!record_timer(worker, event->user_data)) {
        worker->over = true; /* the time of grace */
    }
}

static void on_event(struct worker *worker, const struct errand_event *event)
{
    switch (event->kind) {
    case ERRAND_EVENT_CHAIN: connection_chain_event(event->user_data, event); break;
    case ERRAND_EVENT_DATA: connection_data_event(event->user_data, event); break;
    case ERRAND_EVENT_ACCEPT: on_accept(event->user_data, event); break;
    case ERRAND_EVENT_TIMER: on_timer(worker, event); break;
    case ERRAND_EVENT_MESSAGE: server_message(worker, event->data); break;
    case ERRAND_EVENT_SIGNAL: server_signal(worker->server, (int)event->bytes); break;
    default: break;
    }
}

static void free_dead(struct worker *worker)
{
    while (worker->dead != NULL) {
        struct connection *next = worker->dead->next;
        free(worker->dead);
        worker->dead = next;
    }
}

void worker_run(struct worker *worker)
{
    struct errand_event events[BATCH];
    while (!worker->over && !(worker->stopping && worker->connections == 0 && record_finished(&worker->record) &&
                              server_may_leave(worker))) {
        int count = errand_queue_wait(worker->queue, events, BATCH, ERRAND_FOREVER);
        if (count < 0) {
            worker->error = count;
            log_error("queue %u failed: %s", worker->number, errand_error_name(count));
            return;
        }
        for (int i = 0; i < count; i++)
            on_event(worker, &events[i]);
        free_dead(worker);
        record_batch(worker, &worker->record);
    }
}

static int open_sources(struct worker *worker)
{
    int error = errand_source_post(worker->queue, worker, &worker->post);
    if (error == 0 && worker->number == 0) {
        error = errand_source_signal(worker->queue, SIGINT, worker, &worker->signals[0]);
        if (error == 0)
            error = errand_source_signal(worker->queue, SIGTERM, worker, &worker->signals[1]);
        if (error == 0)
            error = errand_source_signal(worker->queue, SIGUSR1, worker, &worker->signals[2]);
    }
    if (error == 0)
        error = errand_source_accept(worker->queue, worker->http.listener, &worker->http, &worker->http.source);
    if (error == 0 && worker->status.listener >= 0)
        error = errand_source_accept(worker->queue, worker->status.listener, &worker->status, &worker->status.source);
    return error;
}

int worker_open(struct worker *worker)
{
    const struct server *server = worker->server;
    struct errand_queue_options options = {
        .size = sizeof options,
        .backend = server->options->backend,
        .chains = server->limit + WORKER_OWN,
        .chain_steps = 8, /* of the access log: a buffer of 64 KiB in pieces, see record/sink.c */
        .sources = server->limit + WORKER_OWN,
        .why = worker->why,
        .why_size = sizeof worker->why,
    };
    int error = errand_queue_open(&worker->queue, &options);
    if (error)
        return error;
    error = errand_root_add(worker->queue, server->root, 0, &worker->root);
    if (error)
        return error;
    worker->http.worker = worker;
    worker->http.protocol = &http_protocol;
    worker->http.shared = http_shared_open(worker, server->types);
    worker->status.worker = worker;
    worker->status.protocol = &status_protocol;
    worker->status.most = STATUS_CONNECTIONS_MAX;
    if (worker->status.listener >= 0)
        worker->status.shared = status_shared_open(server->workers, server->count);
    if (worker->http.shared == NULL || (worker->status.listener >= 0 && worker->status.shared == NULL))
        return -ENOMEM;
    error = record_open(worker, &server->record);
    return error ? error : open_sources(worker);
}

void worker_close(struct worker *worker)
{
    if (worker->queue != NULL) {
        int left = errand_queue_close(worker->queue); /* chains and sources go with it */
        if (left > 0)
            log_error("%d file operations are stuck in the kernel and are left to it", left);
    }
    worker->queue = NULL;
    worker->http.source = worker->status.source = NULL;
    record_close(&worker->record);
    for (enum wait_kind kind = WAIT_IDLE; kind < WAIT_KINDS; kind++)
        while (worker->waits[kind].first != NULL)
            connection_discard(worker->waits[kind].first);
    free_dead(worker);
    close_listener(&worker->http);
    close_listener(&worker->status);
    http_shared_close(worker->http.shared);
    status_shared_close(worker->status.shared);
}
