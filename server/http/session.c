/* SPDX-License-Identifier: MIT */
/*
 * From bytes to requests, and from one reply to the next request. A request that is complete in what just arrived is
 * read where it lies; only what is incomplete, or comes while another is being answered, is copied.
 */
#include "session.h"
#include "exchange.h"
#include "input.h"
#include "worker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static struct http_connection *http_of(struct connection *connection)
{
    return (struct http_connection *)connection;
}

/* Passes over what is left of a request's body. Returns how many bytes that were. */
static size_t skip_body(struct http_connection *http, size_t length)
{
    size_t skipped = http->skip < length ? http->skip : length;
    http->skip -= (uint32_t)skipped;
    return skipped;
}

/*
 * Takes at most one request from the bytes and begins to answer it. Returns how many bytes are done with; if they are
 * not all, either an exchange is under way, or the rest is an incomplete head and *request knows how far it was read.
 */
static size_t take_request(struct http_connection *http, struct http_request *request, const char *data, size_t length)
{
    size_t used = skip_body(http, length);
    if (used == length)
        return used;
    int result = http_request_read(request, data + used, length - used);
    if (result == 0)
        return used;
    if (result < 0) {
        exchange_refuse(http, -result, data + used, length - used);
        return length; /* nothing that follows has a meaning */
    }
    exchange_begin(http, request, data + used);
    return used + (size_t)result;
}

/* Goes on with stored input until a request is under way or nothing more can be done. */
static void advance(struct http_connection *http)
{
    while (http->input != NULL && http->exchange == NULL && http->base.state == CONNECTION_OPEN) {
        struct input *input = http->input;
        size_t length = input->end - input->begin;
        size_t used = take_request(http, &input->request, input->data + input->begin, length);
        if (used > 0 && http->exchange != NULL)
            input->request = (struct http_request){0};
        if (used > 0 && http->input != NULL)
            input_take(&http->input, used);
        else if (used == 0)
            break;
    }
}

/* After anything happened: which wait is it now, and is more input wanted? */
static void settle(struct http_connection *http)
{
    struct connection *connection = &http->base;
    if (connection->state != CONNECTION_OPEN)
        return;
    if (http->exchange != NULL && exchange_waits_for_body(http->exchange)) {
        if (connection->ended) {
            connection_close(connection);
            return;
        }
        connection_resume(connection);
        connection_wait(connection, WAIT_BODY); /* anew: something came */
        return;
    }
    if (http->exchange != NULL) {
        if (connection->wait != WAIT_BUSY)
            connection_wait(connection, WAIT_BUSY);
        if (http->input != NULL && http->input->end - http->input->begin >= INPUT_ENOUGH)
            connection_pause(connection);
        return;
    }
    if (connection->ended || connection->endpoint->worker->phase == WORKER_STOPS) {
        connection_close(connection);
        return;
    }
    connection_resume(connection);
    if (http->input == NULL && http->skip == 0)
        connection_wait(connection, WAIT_IDLE);
    else if (connection->wait != WAIT_INPUT) /* a request's time runs from its first byte */
        connection_wait(connection, WAIT_INPUT);
}

static void on_data(struct connection *connection, const char *data, size_t length)
{
    struct http_connection *http = http_of(connection);
    if (http->exchange != NULL && !exchange_keeps_alive(http->exchange) && !exchange_reads_body(http->exchange))
        return; /* nothing after this request will be answered */
    if (http->exchange != NULL || http->input != NULL) {
        if (!input_add(&http->input, data, length)) {
            connection_close(connection);
            return;
        }
        if (http->exchange != NULL)
            exchange_take_body(http->exchange);
        advance(http);
    } else {
        struct http_request request = {0};
        size_t used = take_request(http, &request, data, length);
        if (used < length && connection->state == CONNECTION_OPEN) {
            if (!input_add(&http->input, data + used, length - used)) {
                connection_close(connection);
                return;
            }
            if (http->exchange == NULL)
                http->input->request = request;
        }
    }
    settle(http);
}

static void on_ended(struct connection *connection)
{
    settle(http_of(connection)); /* a half-closed client still gets what it asked for */
}

/* The reply is out: closes, or goes on to the next request. */
static void next_request(struct http_connection *http)
{
    bool keep = exchange_keeps_alive(http->exchange), linger = exchange_lingers(http->exchange);
    exchange_release(http);
    if (!keep) {
        input_drop(&http->input);
        if (linger)
            connection_linger(&http->base);
        else
            connection_close(&http->base);
        return;
    }
    advance(http);
    settle(http);
}

static void on_chain(struct connection *connection, const struct errand_event *event)
{
    struct http_connection *http = http_of(connection);
    assert(http->exchange != NULL);
    switch (exchange_ended(http->exchange, event)) {
    case EXCHANGE_DONE: next_request(http); break;
    case EXCHANGE_GOES_ON: settle(http); break;
    case EXCHANGE_BROKEN:
        if (event->error == -ETIMEDOUT)
            connection_reset(connection);
        else
            connection_close(connection);
        break;
    }
}

static void on_stopped(struct connection *connection, const struct errand_event *event)
{
    exchange_cancelled(http_of(connection)->exchange, event);
}

static void on_expired(struct connection *connection)
{
    struct http_connection *http = http_of(connection);
    if (http->exchange != NULL) {
        exchange_give_up_body(http->exchange);
        settle(http);
        return;
    }
    if (http->input == NULL) { /* of a body that is of no use: its reply went out long ago */
        connection_close(connection);
        return;
    }
    exchange_refuse(http, 408, http->input->data + http->input->begin, http->input->end - http->input->begin);
    settle(http);
}

static void on_release(struct connection *connection)
{
    struct http_connection *http = http_of(connection);
    if (http->exchange != NULL)
        exchange_release(http);
    input_drop(&http->input);
}

const struct protocol http_protocol = {
    .name = "http",
    .connection_size = sizeof(struct http_connection),
    .crowded = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    .data = on_data,
    .ended = on_ended,
    .chain = on_chain,
    .stopped = on_stopped,
    .expired = on_expired,
    .release = on_release,
};

struct http_shared *http_shared_open(struct worker *worker, const struct mime_types *types)
{
    struct http_shared *shared = calloc(1, sizeof *shared);
    if (shared == NULL)
        return NULL;
    shared->worker = worker;
    shared->types = types;
    if (!users_cache_open(&shared->logins)) {
        free(shared);
        return NULL;
    }
    return shared;
}

void http_shared_close(struct http_shared *shared)
{
    if (shared == NULL)
        return;
    exchange_free_spares(shared);
    free(shared);
}
