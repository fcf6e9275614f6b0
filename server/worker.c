/* SPDX-License-Identifier: MIT */
/* A worker's loop, its timers, and how it stops. */
#include "worker.h"
#include "files/sweep.h"
#include "ftp/ports.h"
#include "ftp/session.h"
#include "http/answer.h"
#include "log.h"
#include "pace.h"
#include "record/status.h"
#include "shared.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 128, CHAINS_MAX = 1 << 20, ROOTS_MAX = 1 << 16 }; /* as a queue may have */

#define RETRY_NS       (100 * ERRAND_MILLISECOND)
#define SPARE_NS       ERRAND_SECOND       /* idle for so long, a connection makes room for others */
#define DRAIN_IDLE_NS  (3 * ERRAND_SECOND) /* between commands of FTP, when another process has taken over */
#define SWEEP_SLACK_NS ERRAND_SECOND       /* how late a wait may end, so that the timer is not set for each */

/* Sessions go on for hours: one that says nothing for a moment has to find the process that took over. (A command may
 * be on its way; but a client of FTP has to expect 421 at any time, as its answer.) */
static int64_t session_limit(const struct worker *worker)
{
    int64_t limit = worker->server->config->ftp.idle_ns;
    return worker->phase == WORKER_DRAINS && limit > DRAIN_IDLE_NS ? DRAIN_IDLE_NS : limit;
}

int64_t worker_wait_limit(const struct worker *worker, enum wait_kind kind)
{
    const struct config_limits *limits = &worker->server->config->limits;
    switch (kind) {
    case WAIT_IDLE: return limits->idle_ns;
    case WAIT_SESSION: return session_limit(worker);
    case WAIT_LOGIN: return worker->server->config->ftp.login_ns;
    case WAIT_INPUT: return limits->head_ns;
    case WAIT_BODY: return limits->body_ns;
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
        int64_t limit = worker_wait_limit(worker, kind);
        struct connection *connection;
        while ((connection = worker->waits[kind].first) != NULL && now - connection->since >= limit)
            connection_expired(connection); /* which takes it out of the list */
        if (connection != NULL)
            worker_sweep_by(worker, connection->since + limit);
    }
    pace_sweep(worker);
    if (worker->trim) {
        worker->trim = false;
        malloc_trim(0);
    }
}

/* Are their connections counted together? Those of the service are. */
static bool is_counted_with(const struct endpoint *one, const struct endpoint *other)
{
    return one == other || (one->most == 0 && other->most == 0);
}

static bool is_full(const struct endpoint *endpoint)
{
    return endpoint->most == 0 ? server_is_full_for(endpoint->worker) : endpoint->connections >= endpoint->most;
}

/* This one and all that are full with it. */
static void pause_accept(struct endpoint *full)
{
    struct worker *worker = full->worker;
    for (unsigned i = 0; i < worker->endpoint_count; i++) {
        struct endpoint *endpoint = &worker->endpoints[i];
        if (endpoint->paused || endpoint->source == NULL || !is_counted_with(endpoint, full))
            continue;
        errand_source_pause(endpoint->source);
        endpoint->paused = true;
        worker->paused++;
    }
    set_timer(worker, &worker->retry, RETRY_NS);
}

/* No place is left: of the connections that nobody has used for a while, some end. */
static void make_room(struct endpoint *full, enum wait_kind kind)
{
    int64_t now = errand_queue_now(full->worker->queue);
    struct connection *at = full->worker->waits[kind].first;
    for (unsigned closed = 0, seen = 0; at != NULL && closed < BATCH / 4 && seen < 16 * BATCH; seen++) {
        struct connection *next = at->next;
        if (now - at->since < SPARE_NS)
            break;
        if (is_counted_with(at->endpoint, full)) {
            connection_close(at);
            closed++;
        }
        at = next;
    }
}

/* For the service once, however many endpoints it has. */
static void make_room_for_all(struct worker *worker)
{
    bool service = false;
    for (unsigned i = 0; i < worker->endpoint_count; i++) {
        struct endpoint *endpoint = &worker->endpoints[i];
        if (!endpoint->paused || (endpoint->most == 0 && service))
            continue;
        service = service || endpoint->most == 0;
        make_room(endpoint, WAIT_IDLE); /* which may resume it, and others */
        make_room(endpoint, WAIT_LOGIN);
    }
}

static void resume_accept(struct worker *worker)
{
    bool waits = false;
    for (unsigned i = 0; i < worker->endpoint_count && worker->paused > 0; i++) {
        struct endpoint *endpoint = &worker->endpoints[i];
        if (!endpoint->paused || endpoint->source == NULL)
            continue;
        if (is_full(endpoint)) {
            waits = true;
            continue;
        }
        errand_source_resume(endpoint->source);
        endpoint->paused = false;
        worker->paused--;
    }
    if (waits)
        set_timer(worker, &worker->retry, RETRY_NS); /* the place may come free on another thread */
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
        resume_accept(worker);
    if (worker->connections == 0 && worker->phase != WORKER_SERVES && worker->queue != NULL)
        worker_sweep_by(worker, 0); /* it may have ended with a chain whose end wakes nobody */
}

static void close_listener(struct endpoint *endpoint)
{
    if (endpoint->source != NULL)
        errand_source_stop(endpoint->source);
    endpoint->source = NULL;
    endpoint->worker->paused -= endpoint->paused;
    endpoint->paused = false;
    if (endpoint->listener >= 0)
        close(endpoint->listener);
    endpoint->listener = -1;
}

static void on_accept_error(struct endpoint *endpoint, int error)
{
    if (endpoint->source == NULL)
        return;
    if (endpoint->worker->phase == WORKER_DRAINS) {
        close_listener(endpoint); /* who waits in its backlog is the next process's */
        return;
    }
    log_error("cannot accept a connection: %s (%u are open here; see ulimit -n)", errand_error_name(error),
              endpoint->worker->connections);
    pause_accept(endpoint);
}

static void on_accept(struct endpoint *endpoint, const struct errand_event *event)
{
    if (endpoint->protocol->accepted != NULL) {
        endpoint->protocol->accepted(endpoint, event);
        return;
    }
    if (event->error != 0) {
        on_accept_error(endpoint, event->error);
        return;
    }
    if (endpoint->source == NULL) { /* fetched together with what stopped the server */
        close(event->fd);
        return;
    }
    connection_open(endpoint, event->fd);
    if (!endpoint->paused && is_full(endpoint) && endpoint->worker->phase == WORKER_SERVES)
        pause_accept(endpoint);
}

/* all: those of the status, too. */
static void close_listeners(struct worker *worker, bool all)
{
    for (unsigned i = 0; i < worker->endpoint_count; i++)
        if (worker->endpoints[i].most == 0 || all)
            close_listener(&worker->endpoints[i]);
}

void worker_drain(struct worker *worker)
{
    if (worker->phase != WORKER_SERVES)
        return;
    worker->phase = WORKER_DRAINS;
    server_forget_addresses(worker, true);
    for (unsigned i = 0; i < worker->endpoint_count; i++) {
        struct endpoint *endpoint = &worker->endpoints[i];
        if (endpoint->source == NULL)
            continue;
        errand_source_accept_no_more(endpoint->source); /* which resumes it */
        worker->paused -= endpoint->paused;
        endpoint->paused = false;
    }
    worker_sweep_by(worker, errand_queue_now(worker->queue) + DRAIN_IDLE_NS);
    set_timer(worker, &worker->grace, worker->server->config->limits.drain_ns);
}

void worker_stop(struct worker *worker)
{
    if (worker->phase == WORKER_STOPS)
        return;
    worker->phase = WORKER_STOPS;
    server_forget_addresses(worker, false);
    close_listeners(worker, false);
    for (enum wait_kind kind = WAIT_IDLE; kind <= WAIT_INPUT; kind++) {
        struct connection *next;
        for (struct connection *at = worker->waits[kind].first; at != NULL; at = next) {
            next = at->next;
            if (at->endpoint->most == 0) /* who asks for the status is told that it stops */
                connection_stop(at);
        }
    }
    set_timer(worker, &worker->grace, worker->server->config->limits.stop_ns);
}

static void on_timer(struct worker *worker, const struct errand_event *event)
{
    if (event->user_data == &worker->sweep) {
        sweep(worker);
    } else if (event->user_data == &worker->retry) {
        make_room_for_all(worker);
        resume_accept(worker);
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

/* Some whom a draining worker has accepted may still be on their way to it. */
static bool may_come(const struct worker *worker)
{
    for (unsigned i = 0; i < worker->endpoint_count; i++)
        if (worker->endpoints[i].most == 0 && worker->endpoints[i].source != NULL)
            return true;
    return false;
}

static bool is_done(struct worker *worker)
{
    return worker->phase != WORKER_SERVES && worker->connections == 0 && !may_come(worker) &&
           remover_is_idle(&worker->remover) && record_finished(&worker->record) && server_may_leave(worker);
}

void worker_run(struct worker *worker)
{
    struct errand_event events[BATCH];
    while (!worker->over && !is_done(worker)) {
        int count = errand_queue_wait(worker->queue, events, BATCH, ERRAND_FOREVER);
        if (count < 0) {
            worker->error = count;
            log_error("queue %u failed: %s", worker->number, errand_error_name(count));
            return;
        }
        if (worker->cache != NULL)
            cache_turn(worker->cache, events, (unsigned)count, BATCH);
        for (int i = 0; i < count; i++)
            on_event(worker, &events[i]);
        free_dead(worker);
        record_batch(worker, &worker->record);
    }
}

static int open_sources(struct worker *worker)
{
    static const int numbers[WORKER_SIGNALS] = {SIGINT, SIGTERM, SIGQUIT, SIGUSR1};
    int error = errand_source_post(worker->queue, worker, &worker->post);
    if (worker->number == 0)
        sweep_begin(worker, &worker->remover);
    for (unsigned i = 0; i < WORKER_SIGNALS && worker->number == 0 && error == 0; i++)
        error = errand_source_signal(worker->queue, numbers[i], worker, &worker->signals[i]);
    for (unsigned i = 0; i < worker->endpoint_count && error == 0; i++) {
        struct endpoint *endpoint = &worker->endpoints[i];
        error = errand_source_accept(worker->queue, endpoint->listener, endpoint, &endpoint->source);
    }
    return error;
}

/* Without one files are opened for each request, as they are anyway where it cannot keep itself true. */
static void open_cache(struct worker *worker)
{
    const struct server *server = worker->server;
    if (server->config->cache == 0)
        return;
    struct cache_options options = {.queue = worker->queue,
                                    .roots = worker->roots,
                                    .hosts = server->sites.count,
                                    .bytes = server->config->cache / server->count,
                                    .make = cached_make,
                                    .context = worker->http};
    int error = cache_open(&worker->cache, &options);
    if (error)
        log_error("queue %u has no cache: %s%s", worker->number, errand_error_name(error),
                  error == -EMFILE ? " (see fs.inotify.max_user_instances)" : "");
}

/* What the connections of each protocol have in common. */
static int open_protocols(struct worker *worker)
{
    const struct server *server = worker->server;
    worker->http = http_shared_open(worker, server->types);
    worker->ftp = ftp_shared_open(worker);
    if (worker->number == 0 && server->record.status)
        worker->status = status_shared_open(server->workers, server->count);
    for (unsigned i = 0; i < worker->endpoint_count; i++) {
        struct endpoint *endpoint = &worker->endpoints[i];
        endpoint->shared = endpoint->protocol == &http_protocol  ? (void *)worker->http
                           : endpoint->protocol == &ftp_protocol ? (void *)worker->ftp
                                                                 : (void *)worker->status;
        if (endpoint->shared == NULL)
            return -ENOMEM;
    }
    return worker->http == NULL || worker->ftp == NULL ? -ENOMEM : 0;
}

/* All hosts', and the homes of users who are logged in; one of this system has one for each session. */
static uint32_t roots_of(const struct server *server)
{
    uint32_t most = ROOTS_MAX - server->sites.count;
    uint32_t homes = server->accounts.users != NULL ? users_count(server->accounts.users) : 0;
    if (server->accounts.local >= 0)
        homes += 1 + server->limit;
    return server->sites.count + (homes < most ? homes : most);
}

int worker_open(struct worker *worker)
{
    const struct server *server = worker->server;
    uint32_t chains = 4 * server->limit + WORKER_OWN; /* a listing reads, looks and sends; FTP replies beside it */
    struct errand_queue_options options = {
        .size = sizeof options,
        .backend = server->config->backend,
        .chains = chains < CHAINS_MAX ? chains : CHAINS_MAX,
        .chain_steps = WORKER_CHAIN_STEPS, /* the access log has fewer: a buffer of 64 KiB in pieces, record/sink.c */
        .sources = server->limit + WORKER_OWN + FTP_PORTS_MAX + worker->endpoint_count,
        .close_grace_ns = 3 * ERRAND_SECOND, /* a busy machine is no hanging disk */
        .why = worker->why,
        .why_size = sizeof worker->why,
        .roots = roots_of(server),
    };
    worker->remover.worker = worker;
    int error = errand_queue_open(&worker->queue, &options);
    if (error)
        return error;
    worker->roots = calloc(server->sites.count, sizeof *worker->roots);
    if (worker->roots == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < server->sites.count && error == 0; i++)
        error = errand_root_add(worker->queue, server->sites.list[i].directory, 0, &worker->roots[i]);
    if (error == 0)
        error = open_protocols(worker);
    if (error == 0)
        error = record_open(worker, &server->record);
    if (error)
        return error;
    open_cache(worker);
    return open_sources(worker);
}

void worker_close(struct worker *worker)
{
    cache_stop(worker->cache);
    if (worker->queue != NULL) {
        int left = errand_queue_close(worker->queue); /* chains and sources go with it */
        if (left > 0)
            log_error("%d file operations are stuck in the kernel and are left to it", left);
    }
    worker->queue = NULL;
    for (unsigned i = 0; i < worker->endpoint_count; i++)
        worker->endpoints[i].source = NULL;
    record_close(&worker->record);
    for (enum wait_kind kind = WAIT_IDLE; kind < WAIT_KINDS; kind++)
        while (worker->waits[kind].first != NULL)
            connection_discard(worker->waits[kind].first);
    free_dead(worker);
    server_forget_addresses(worker, true);
    close_listeners(worker, true);
    cache_close(worker->cache);
    remover_close(&worker->remover);
    http_shared_close(worker->http);
    ftp_shared_close(worker->ftp);
    status_shared_close(worker->status);
    free(worker->roots);
}
