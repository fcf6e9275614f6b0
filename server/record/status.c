/* SPDX-License-Identifier: MIT */
/* Reads one request, makes its whole reply in memory, sends it, and closes. */
#include "status.h"
#include "figures.h"
#include "http/date.h"
#include "http/input.h"
#include "http/request.h"
#include "page.h"
#include "worker.h"

#include <assert.h>
#include <sys/socket.h>
#include <time.h>

#define SEND_NS (10 * ERRAND_SECOND)

struct status_shared {
    struct worker *workers;
    unsigned count;
    int64_t started;
};

struct status_connection {
    struct connection base;
    struct input *input;
    struct out reply;
};

/* Scripts and styles are the page's own; it talks to its own server only, and stands in nobody's frame. */
#define PAGE_POLICY                                                                                                    \
    "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "             \
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"               \
    "Referrer-Policy: no-referrer\r\n"

static struct status_connection *status_of(struct connection *connection)
{
    return (struct status_connection *)connection;
}

/* ------------------------------------------------------------------------------------------ replies */

static void put_reply(struct out *reply, const char *status, const char *type, const char *more, const char *body,
                      size_t length, bool only_head)
{
    char date[HTTP_DATE_LENGTH + 1] = "";
    http_date_write(date, time(NULL));
    out_print(reply, "HTTP/1.1 %s\r\nServer: errand\r\nDate: %s\r\nX-Content-Type-Options: nosniff\r\n", status, date);
    out_print(reply, "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n", type, length);
    out_text(reply, more);
    out_text(reply, "Connection: close\r\n\r\n");
    if (!only_head && out_room(reply, length)) {
        memcpy(reply->data + reply->used, body, length);
        reply->used += length;
    }
}

static void put_text(struct out *reply, const char *status, const char *more, const char *text, bool only_head)
{
    put_reply(reply, status, "text/plain; charset=utf-8", more, text, strlen(text), only_head);
}

/* Adds up what all workers have counted. NULL: no memory. */
static struct figures *gather(const struct connection *connection)
{
    const struct status_shared *shared = connection->endpoint->shared;
    const struct worker *worker = connection->endpoint->worker;
    struct figures *figures = calloc(1, sizeof *figures);
    if (figures == NULL)
        return NULL;
    figures->version = errand_version();
    figures->backend = errand_queue_backend(worker->queue);
    figures->workers = shared->count;
    figures->uptime = (double)(errand_queue_now(worker->queue) - shared->started) / 1e9;
    figures->stopping = worker->phase != WORKER_SERVES;
    for (unsigned i = 0; i < shared->count; i++)
        if (shared->workers[i].record.metrics != NULL)
            metrics_sum_add(&figures->sum, shared->workers[i].record.metrics);
    return figures;
}

static void put_figures(struct out *reply, const struct connection *connection, bool only_head, const char *type,
                        void (*write)(struct out *, const struct figures *))
{
    struct out body = {0};
    struct figures *figures = gather(connection);
    if (figures != NULL)
        write(&body, figures);
    if (figures == NULL || body.failed)
        put_text(reply, "503 Service Unavailable", "Retry-After: 1\r\n", "out of memory\n", only_head);
    else
        put_reply(reply, "200 OK", type, "", body.data, body.used, only_head);
    free(figures);
    free(body.data);
}

static bool is_path(const char *target, size_t length, const char *path)
{
    const char *question = memchr(target, '?', length);
    length = question != NULL ? (size_t)(question - target) : length;
    return strlen(path) == length && memcmp(path, target, length) == 0;
}

static void answer(struct status_connection *status, const struct http_request *request, const char *head)
{
    struct out *reply = &status->reply;
    const struct connection *connection = &status->base;
    const char *target = head + request->target.at;
    size_t length = request->target.length;
    bool only_head = request->method == HTTP_HEAD;
    if (request->method != HTTP_GET && !only_head)
        put_text(reply, "405 Method Not Allowed", "Allow: GET, HEAD\r\n", "only GET and HEAD\n", false);
    else if (is_path(target, length, "/metrics"))
        put_figures(reply, connection, only_head, "text/plain; version=0.0.4; charset=utf-8", figures_prometheus);
    else if (is_path(target, length, "/status.json"))
        put_figures(reply, connection, only_head, "application/json", figures_json);
    else if (is_path(target, length, "/health") && connection->endpoint->worker->phase == WORKER_STOPS)
        put_text(reply, "503 Service Unavailable", "", "stopping\n", only_head);
    else if (is_path(target, length, "/health"))
        put_text(reply, "200 OK", "", "ok\n", only_head);
    else if (is_path(target, length, "/"))
        put_reply(reply, "200 OK", "text/html; charset=utf-8", PAGE_POLICY, status_page, status_page_length, only_head);
    else
        put_text(reply, "404 Not Found", "", "there are /, /metrics, /status.json and /health\n", only_head);
}

static void refuse(struct status_connection *status, int code)
{
    put_text(&status->reply,
             code == 408   ? "408 Request Timeout"
             : code == 414 ? "414 URI Too Long"
             : code == 431 ? "431 Request Header Fields Too Large"
             : code == 505 ? "505 HTTP Version Not Supported"
                           : "400 Bad Request",
             "", "this is no request\n", false);
}

static void send_reply(struct status_connection *status)
{
    struct connection *connection = &status->base;
    errand_chain *chain;
    if (status->reply.failed || errand_chain_new(connection->endpoint->worker->queue, &chain) != 0) {
        connection_close(connection);
        return;
    }
    errand_step_send(chain, connection->fd, status->reply.data, status->reply.used, 0);
    errand_step_shutdown(chain, connection->fd, SHUT_WR);
    if (connection_submit(connection, chain, &(struct connection_limits){.timeout_ns = SEND_NS}) != 0)
        connection_close(connection);
    else
        connection_wait(connection, WAIT_BUSY);
}

/* ------------------------------------------------------------------------------------------ the protocol */

static void on_data(struct connection *connection, const char *data, size_t length)
{
    struct status_connection *status = status_of(connection);
    if (connection->chain != 0)
        return; /* one request a connection */
    if (!input_add(&status->input, data, length)) {
        connection_close(connection);
        return;
    }
    struct input *input = status->input;
    int result = http_request_read(&input->request, input->data + input->begin, input->end - input->begin);
    if (result == 0) {
        if (connection->wait != WAIT_INPUT)
            connection_wait(connection, WAIT_INPUT);
        return;
    }
    if (result < 0)
        refuse(status, -result);
    else
        answer(status, &input->request, input->data + input->begin);
    send_reply(status);
}

static void on_ended(struct connection *connection)
{
    if (connection->chain == 0)
        connection_close(connection);
}

static void on_chain(struct connection *connection, const struct errand_event *event)
{
    if (event->error != 0)
        connection_close(connection);
    else
        connection_linger(connection);
}

static void on_expired(struct connection *connection)
{
    refuse(status_of(connection), 408);
    send_reply(status_of(connection));
}

static void on_release(struct connection *connection)
{
    struct status_connection *status = status_of(connection);
    input_drop(&status->input);
    free(status->reply.data);
    status->reply = (struct out){0};
}

const struct protocol status_protocol = {
    .name = "status",
    .connection_size = sizeof(struct status_connection),
    .data = on_data,
    .ended = on_ended,
    .chain = on_chain,
    .expired = on_expired,
    .release = on_release,
};

struct status_shared *status_shared_open(struct worker *workers, unsigned count)
{
    struct status_shared *shared = calloc(1, sizeof *shared);
    if (shared != NULL) {
        shared->workers = workers;
        shared->count = count;
        shared->started = errand_queue_now(workers[0].queue);
    }
    return shared;
}

void status_shared_close(struct status_shared *shared)
{
    free(shared);
}
