/* SPDX-License-Identifier: MIT */
/*
 * Exchanges. The record lives while its request is answered; a few are kept for the next ones. The happy way is one
 * chain (open, stat, call, sendfile, close), the head is written by the call. What fails before anything was sent is
 * told to the client by a page, in a second chain.
 */
#include "exchange.h"
#include "conditional.h"
#include "date.h"
#include "log.h"
#include "path.h"
#include "range.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
    SPARES_MAX = 64,      /* records kept by a worker */
    TEXT_SPACE = 640,     /* for path, query and tags of ordinary requests */
    BODY_MAX = 64 * 1024, /* of a GET: passed over, since it means nothing */
    TRIM_ABOVE = 1024,    /* after so many at once, memory is given back to the system */
};

#define STALL_NS (60 * ERRAND_SECOND) /* a client that takes nothing for so long, or a device that gives nothing */
#define PAGE_NS  (10 * ERRAND_SECOND)

struct exchange {
    struct http_connection *http;
    struct exchange *next; /* spare */
    struct record_request record;
    struct errand_stat stat;
    struct http_range range;
    int64_t if_modified_since; /* INT64_MIN: not asked */
    char *path;                /* these three in text, or in large */
    const char *query, *tags;
    uint32_t path_length;
    uint16_t query_length, tags_length;
    char *large; /* NULL, or memory for what does not fit below; ours */
    bool only_head, keep_alive, linger;
    bool old;       /* HTTP/1.0 */
    bool directory; /* the URL names one: path is its index.html */
    bool is_page;   /* what is sent is the last that can be said */
    char head[HTTP_HEAD_SPACE];
    char text[TEXT_SPACE];
};

static struct http_shared *shared_of(const struct http_connection *http)
{
    return http->base.endpoint->shared;
}

static struct record *record_of(const struct exchange *exchange)
{
    return &exchange->http->base.endpoint->worker->record;
}

static struct exchange *take_exchange(struct http_connection *http)
{
    struct http_shared *shared = shared_of(http);
    struct exchange *exchange = shared->spare;
    if (exchange != NULL) {
        shared->spare = exchange->next;
        shared->spares--;
    } else if ((exchange = malloc(sizeof *exchange)) == NULL) {
        return NULL;
    }
    if (++shared->in_use > shared->peak)
        shared->peak = shared->in_use;
    http->exchange = exchange;
    exchange->http = http;
    exchange->large = NULL;
    exchange->stat.bytes = 0;
    exchange->range.kind = HTTP_RANGE_NONE;
    exchange->if_modified_since = INT64_MIN;
    exchange->tags_length = exchange->query_length = 0;
    exchange->only_head = exchange->keep_alive = exchange->linger = exchange->old = false;
    exchange->directory = exchange->is_page = false;
    return exchange;
}

void exchange_release(struct http_connection *http)
{
    struct http_shared *shared = shared_of(http);
    struct exchange *exchange = http->exchange;
    http->exchange = NULL;
    record_end(record_of(exchange), &exchange->record);
    free(exchange->large);
    shared->in_use--;
    if (shared->spares < SPARES_MAX) {
        exchange->next = shared->spare;
        shared->spare = exchange;
        shared->spares++;
        return;
    }
    free(exchange);
    if (shared->peak > TRIM_ABOVE && shared->in_use <= SPARES_MAX) {
        shared->peak = 0;
        shared->worker->trim = true;
        worker_sweep_by(shared->worker, errand_queue_now(shared->worker->queue));
    }
}

void exchange_free_spares(struct http_shared *shared)
{
    while (shared->spare != NULL) {
        struct exchange *next = shared->spare->next;
        free(shared->spare);
        shared->spare = next;
    }
}

bool exchange_keeps_alive(const struct exchange *exchange)
{
    return exchange->keep_alive;
}

bool exchange_lingers(const struct exchange *exchange)
{
    return exchange->linger;
}

/* ------------------------------------------------------------------------------------------- pages */

/* Called when a head is written: from then on what it says holds. */
static enum http_connection_line connection_line(struct exchange *exchange)
{
    exchange->keep_alive = exchange->keep_alive && !exchange->http->base.endpoint->worker->stopping;
    if (!exchange->keep_alive)
        return HTTP_SAYS_CLOSE;
    return exchange->old ? HTTP_SAYS_KEEP_ALIVE : HTTP_SAYS_NOTHING;
}

static const struct http_clock *clock_of(struct exchange *exchange)
{
    struct http_shared *shared = shared_of(exchange->http);
    http_clock_update(&shared->clock, errand_queue_now(shared->worker->queue));
    return &shared->clock;
}

static size_t write_page(struct exchange *exchange, int status)
{
    struct http_page page = {.status = status,
                             .connection = connection_line(exchange),
                             .only_head = exchange->only_head,
                             .range_size = exchange->stat.bytes};
    size_t length = http_head_page(exchange->head, clock_of(exchange), &page);
    record_reply(record_of(exchange), &exchange->record, exchange->head, length);
    return length;
}

/* When even a chain is not to be had: one try without, and the connection ends. */
static void send_without_chain(struct exchange *exchange, size_t length)
{
    struct http_connection *http = exchange->http;
    ssize_t sent = send(http->base.fd, exchange->head, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    exchange->record.bytes += sent > 0 ? (uint64_t)sent : 0;
    exchange_release(http);
    if (sent == (ssize_t)length && shutdown(http->base.fd, SHUT_WR) == 0)
        connection_linger(&http->base);
    else
        connection_close(&http->base);
}

/* Sends a page in a chain of its own. */
static void send_page(struct exchange *exchange, int status)
{
    struct connection *connection = &exchange->http->base;
    errand_chain *chain;
    exchange->is_page = true;
    size_t length = write_page(exchange, status);
    int error = errand_chain_new(connection->endpoint->worker->queue, &chain);
    if (error == 0) {
        errand_step_send(chain, connection->fd, exchange->head, length, 0);
        if (exchange->linger)
            errand_step_shutdown(chain, connection->fd, SHUT_WR);
        error = connection_submit(connection, chain, 0, PAGE_NS);
    }
    if (error)
        send_without_chain(exchange, length);
}

void exchange_refuse(struct http_connection *http, int status, const char *head, size_t length)
{
    struct exchange *exchange = take_exchange(http);
    if (exchange == NULL) {
        connection_close(&http->base);
        return;
    }
    record_begin(record_of(exchange), &exchange->record, &http->base, head, length);
    exchange->linger = true;
    send_page(exchange, status);
}

/* What the client is told about an error of a chain that sent nothing. */
static int status_of(int error)
{
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV: /* a symlink that leads out of the root */
    case ENAMETOOLONG:
    case EILSEQ:
    case ENXIO: /* a socket, or a device without its driver */
    case ENODEV:
    case ESTALE: return 404;
    case EACCES:
    case EPERM: return 403;
    case EMFILE:
    case ENFILE:
    case EAGAIN:
    case ENOMEM:
    case ENOBUFS:
    case EBUSY:
    case ETIMEDOUT: return 503;
    default: return 500;
    }
}

/* ----------------------------------------------------------------------------- the chain of a request */

/* Sends the head alone, or a page with its head: the file is not wanted. */
static int append_head(errand_chain *chain, struct exchange *exchange, const char *head, size_t length)
{
    int fd = exchange->http->base.fd, step = errand_step_send(chain, fd, head, length, 0);
    if (step >= 0 && exchange->linger)
        step = errand_step_shutdown(chain, fd, SHUT_WR);
    return step < 0 ? step : 0;
}

static int append_page(errand_chain *chain, struct exchange *exchange, int status)
{
    return append_head(chain, exchange, exchange->head, write_page(exchange, status));
}

/* To the same URL with a slash. It is written anew from the decoded path, so it cannot lead to another host. */
static int append_redirect(errand_chain *chain, struct exchange *exchange)
{
    size_t most = 3 * ((size_t)exchange->path_length + exchange->query_length) + 4;
    char *space = malloc(2 * most + HTTP_HEAD_SPACE), *out = space ? space + most : NULL, *at = space;
    if (space == NULL)
        return -ENOMEM;
    *at++ = '/';
    at = path_to_url(at, exchange->path, exchange->path_length);
    *at++ = '/';
    for (unsigned i = 0; i < exchange->query_length; i++) { /* encoded already, or bytes beyond ASCII */
        char c = exchange->query[i];
        at = c > 0 ? (*at = c, at + 1) : path_to_url(at, &c, 1);
    }
    struct http_page page = {.status = 301,
                             .connection = connection_line(exchange),
                             .only_head = exchange->only_head,
                             .location = space,
                             .location_length = (size_t)(at - space)};
    size_t length = http_head_page(out, clock_of(exchange), &page);
    record_reply(record_of(exchange), &exchange->record, out, length);
    free(exchange->large); /* path and query are done with */
    exchange->large = space;
    return append_head(chain, exchange, out, length);
}

static bool is_current(const struct exchange *exchange, const char *tag, size_t tag_length, int64_t modified)
{
    if (exchange->tags_length > 0) /* then If-Modified-Since counts for nothing */
        return http_tag_in_list(exchange->tags, exchange->tags_length, tag, tag_length);
    return exchange->if_modified_since != INT64_MIN && modified <= exchange->if_modified_since;
}

static int append_file(errand_chain *chain, struct exchange *exchange)
{
    const struct errand_stat *stat = &exchange->stat;
    char tag[HTTP_TAG_SPACE];
    struct http_file_head head = {.tag = tag, .size = stat->bytes};
    head.tag_length = http_tag_write(tag, stat->modified_ns, stat->bytes, stat->inode);
    head.modified = stat->modified_ns / ERRAND_SECOND - (stat->modified_ns % ERRAND_SECOND < 0);
    if (is_current(exchange, tag, head.tag_length, head.modified))
        head.status = 304;
    else
        head.status = http_range_apply(&exchange->range, stat->bytes, &head.offset, &head.length);
    if (head.status == 416)
        return append_page(chain, exchange, 416);
    head.connection = connection_line(exchange);
    head.type = mime_line(shared_of(exchange->http)->types, exchange->path, exchange->path_length, &head.type_length);
    size_t length = http_head_file(exchange->head, clock_of(exchange), &head);
    record_reply(record_of(exchange), &exchange->record, exchange->head, length);
    if (exchange->only_head || head.status == 304 || head.length == 0)
        return append_head(chain, exchange, exchange->head, length);
    int fd = exchange->http->base.fd;
    int step = errand_step_sendfile(chain, fd, ERRAND_SLOT(0), (int64_t)head.offset, (int64_t)head.length,
                                    exchange->head, length, ERRAND_EXACT);
    if (step >= 0)
        step = errand_step_close(chain, ERRAND_SLOT(0));
    if (step >= 0 && exchange->linger)
        step = errand_step_shutdown(chain, fd, SHUT_WR);
    return step < 0 ? step : 0;
}

/* The call step: the file is open and known; what is the answer? */
static int decide(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    record_stage(&exchange->record, STAGE_OPEN, exchange->http->base.endpoint->worker->queue);
    if (S_ISREG(exchange->stat.mode))
        return append_file(chain, exchange);
    if (S_ISDIR(exchange->stat.mode) && !exchange->directory)
        return append_redirect(chain, exchange);
    return append_page(chain, exchange, 404); /* a device, a FIFO, an index.html that is a directory */
}

static void open_file(struct exchange *exchange)
{
    struct connection *connection = &exchange->http->base;
    struct worker *worker = connection->endpoint->worker;
    errand_chain *chain;
    int error = errand_chain_new(worker->queue, &chain);
    if (error == 0) {
        int file = errand_step_open(chain, worker->root, exchange->path, O_RDONLY | O_NOCTTY, 0);
        errand_step_stat(chain, ERRAND_SLOT(file), &exchange->stat);
        errand_step_call(chain, decide, exchange);
        error = connection_submit(connection, chain, STALL_NS, 0);
        record_stage(&exchange->record, STAGE_WAIT, worker->queue);
    }
    if (error)
        send_page(exchange, status_of(error));
}

/* ------------------------------------------------------------------------------------- from the request */

static void read_conditions(struct exchange *exchange, const struct http_request *request, const char *head)
{
    if (request->flags & HTTP_SELECTS_TWICE)
        return;
    int64_t time;
    if (request->if_modified_since.length > 0 &&
        http_date_read(head + request->if_modified_since.at, request->if_modified_since.length, &time))
        exchange->if_modified_since = time;
    /* If-Range is not looked at yet, so a range that depends on it is not served: the whole file always is right. */
    if (request->range.length > 0 && request->method == HTTP_GET && !(request->flags & HTTP_HAS_IF_RANGE))
        exchange->range = http_range_read(head + request->range.at, request->range.length);
}

/* Path, query and tags outlive the request's bytes: copies them. Returns 0 or a status. */
static int copy_texts(struct exchange *exchange, const struct http_request *request, const char *head)
{
    static const char index[] = "index.html";
    const char *url = head + request->target.at;
    const char *question = memchr(url, '?', request->target.length);
    size_t path = question ? (size_t)(question - url) : request->target.length;
    size_t query = request->target.length - path;
    size_t tags = request->flags & HTTP_SELECTS_TWICE ? 0 : request->if_none_match.length;
    size_t space = path + 2 + sizeof index + query + tags;
    char *text = exchange->text;
    if (space > TEXT_SPACE && (text = exchange->large = malloc(space)) == NULL)
        return 503;
    int length = path_from_url(url, path, text, &exchange->directory);
    if (length < 0)
        return -length;
    exchange->path = text;
    if (exchange->directory) {
        memcpy(text + length, index, sizeof index);
        length += (int)sizeof index - 1;
    }
    exchange->path_length = (uint32_t)length;
    text += length + 1;
    exchange->query = memcpy(text, url + path, query);
    exchange->query_length = (uint16_t)query;
    if (tags > 0)
        exchange->tags = memcpy(text + query, head + request->if_none_match.at, tags);
    exchange->tags_length = (uint16_t)tags;
    return 0;
}

/* Returns 0, or the status with which the request is answered without looking for a file. */
static int understand(struct exchange *exchange, const struct http_request *request, const char *head)
{
    exchange->only_head = request->method == HTTP_HEAD;
    exchange->old = request->minor == 0;
    exchange->keep_alive = http_request_keeps_alive(request);
    bool body = request->content_length > 0 || request->flags & HTTP_HAS_ENCODING;
    bool waits = body && request->flags & HTTP_HAS_EXPECT; /* it may or may not send its body now: unknowable */
    bool wanted = request->method == HTTP_GET || request->method == HTTP_HEAD;
    if (body && (!wanted || waits || request->flags & HTTP_HAS_ENCODING || request->content_length > BODY_MAX ||
                 !exchange->keep_alive)) {
        exchange->keep_alive = false;
        exchange->linger = true;
    }
    if (!wanted)
        return request->method == HTTP_REFUSED ? 405 : 501;
    if (request->flags & HTTP_HAS_ENCODING)
        return 400;
    if (request->content_length > BODY_MAX)
        return 413;
    if (exchange->keep_alive)
        exchange->http->skip = (uint32_t)request->content_length;
    read_conditions(exchange, request, head);
    return copy_texts(exchange, request, head);
}

void exchange_begin(struct http_connection *http, const struct http_request *request, const char *head)
{
    struct exchange *exchange = take_exchange(http);
    if (exchange == NULL) {
        connection_close(&http->base);
        return;
    }
    record_begin(record_of(exchange), &exchange->record, &http->base, head, request->line);
    int status = understand(exchange, request, head);
    if (status != 0)
        send_page(exchange, status);
    else
        open_file(exchange);
}

/* Nobody is there any more to be told anything, and there is nothing to report. */
static bool peer_is_gone(const struct errand_event *event)
{
    switch (-event->error) {
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH: return true;
    default: return event->step_kind == ERRAND_STEP_SEND || event->step_kind == ERRAND_STEP_SHUTDOWN;
    }
}

void exchange_cancelled(struct exchange *exchange, const struct errand_event *event)
{
    record_chain(record_of(exchange), &exchange->record, event, shared_of(exchange->http)->worker->queue);
}

enum exchange_state exchange_ended(struct exchange *exchange, const struct errand_event *event)
{
    record_chain(record_of(exchange), &exchange->record, event, shared_of(exchange->http)->worker->queue);
    if (event->error == 0)
        return EXCHANGE_DONE;
    if (peer_is_gone(event))
        return EXCHANGE_BROKEN;
    int status = status_of(event->error);
    if (status == 500)
        log_error("a reply failed at its step %s: %s", errand_step_name(event->step_kind),
                  errand_error_name(event->error));
    if (event->error == -EMFILE || event->error == -ENFILE)
        log_error("a file could not be opened: %s (see ulimit -n)", errand_error_name(event->error));
    if (event->bytes > 0 || exchange->is_page)
        return EXCHANGE_BROKEN;
    send_page(exchange, status);
    return EXCHANGE_GOES_ON;
}
