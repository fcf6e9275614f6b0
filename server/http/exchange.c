/* SPDX-License-Identifier: MIT */
/*
 * Exchanges: the record lives while its request is answered; a few are kept for the next ones. From a request's head to
 * who answers it. What fails before anything was sent is told to the client by a page, in a second chain.
 */
#include "answer.h"
#include "change.h"
#include "files/place.h"
#include "gate.h"
#include "listing.h"
#include "log.h"
#include "path.h"
#include "shared.h"
#include "transfer.h"
#include "upload.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPARES_MAX = 64,      /* records kept by a worker */
    BODY_MAX = 64 * 1024, /* of a GET: passed over, since it means nothing */
    TRIM_ABOVE = 128,     /* after so many at once, memory is given back to the system */
};

struct http_shared *exchange_shared(const struct exchange *exchange)
{
    return exchange->http->base.endpoint->shared;
}

int exchange_root(const struct exchange *exchange)
{
    const struct worker *worker = exchange_shared(exchange)->worker;
    return worker->roots[exchange->site - worker->server->sites.list];
}

struct record *exchange_record(const struct exchange *exchange)
{
    return &exchange->http->base.endpoint->worker->record;
}

/* ------------------------------------------------------------------------------------------- the record */

static struct exchange *take_exchange(struct http_connection *http)
{
    struct http_shared *shared = http->base.endpoint->shared;
    struct exchange *exchange = shared->spare;
    if (exchange != NULL) {
        shared->spare = exchange->next;
        shared->spares--;
    } else if ((exchange = malloc(sizeof *exchange)) == NULL) {
        return NULL;
    }
    if (++shared->in_use > shared->peak)
        shared->peak = shared->in_use;
    memset(exchange, 0, offsetof(struct exchange, head));
    http->exchange = exchange;
    exchange->http = http;
    return exchange;
}

void exchange_release(struct http_connection *http)
{
    struct http_shared *shared = http->base.endpoint->shared;
    struct exchange *exchange = http->exchange;
    upload_free(exchange);
    transfer_free(exchange);
    if (exchange->rubbish != NULL)
        remover_add(&shared->worker->remover, exchange_root(exchange), exchange->rubbish);
    http->exchange = NULL;
    record_end(exchange_record(exchange), &exchange->record);
    free(exchange->large);
    free(exchange->space);
    free(exchange->lines);
    free(exchange->names);
    login_free(exchange);
    cached_release(exchange);
    listing_release(exchange);
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

enum http_connection_line exchange_connection_line(struct exchange *exchange)
{
    exchange->replied = true;
    if (exchange->upload != NULL)
        upload_leave_body(exchange);
    exchange->keep_alive = exchange->keep_alive && exchange->http->base.endpoint->worker->phase == WORKER_SERVES;
    if (!exchange->keep_alive)
        return HTTP_SAYS_CLOSE;
    return exchange->old ? HTTP_SAYS_KEEP_ALIVE : HTTP_SAYS_NOTHING;
}

const struct http_clock *exchange_clock(struct exchange *exchange)
{
    struct http_shared *shared = exchange_shared(exchange);
    http_clock_update(&shared->clock, errand_queue_now(shared->worker->queue));
    return &shared->clock;
}

static const struct config_limits *limits_of(const struct exchange *exchange)
{
    return &exchange_shared(exchange)->worker->server->config->limits;
}

uint64_t exchange_rate(const struct exchange *exchange)
{
    uint64_t rate = exchange->policy.rate, most = limits_of(exchange)->rate;
    return rate == 0 || (most != 0 && most < rate) ? most : rate;
}

int exchange_submit(struct exchange *exchange, errand_chain *chain)
{
    bool changes = exchange->append != NULL && exchange->append != file_append;
    int64_t send_ns = limits_of(exchange)->send_ns;
    struct connection_limits limits = {.stall_ns = changes && send_ns < PLACE_SYNC_NS ? PLACE_SYNC_NS : send_ns,
                                       .bytes_per_second = exchange_rate(exchange)};
    int error = connection_submit(&exchange->http->base, chain, &limits);
    record_stage(&exchange->record, STAGE_WAIT, exchange_shared(exchange)->worker->queue);
    return error;
}

void exchange_run(struct exchange *exchange, int (*append)(errand_chain *, struct exchange *))
{
    errand_chain *chain;
    int error = errand_chain_new(exchange_shared(exchange)->worker->queue, &chain);
    if (error == 0) {
        error = append(chain, exchange);
        if (error)
            errand_chain_drop(chain);
        else
            error = exchange_submit(exchange, chain);
    }
    if (error)
        answer_alone(exchange, answer_status_of(error));
}

/* ------------------------------------------------------------------------------------- from the request */

/* The field's bytes, copied behind *at. */
static void move_text(struct http_text *text, const struct http_span *span, const char *head, char **at)
{
    if (span->at == 0)
        return;
    text->bytes = memcpy(*at, head + span->at, span->length);
    text->length = span->length;
    *at += span->length;
}

/* Path, query and fields outlive the request's bytes: copies them. Returns 0 or a status. */
static int copy_texts(struct exchange *exchange, const struct http_request *request, const char *head, bool *hidden)
{
    const char *url = head + request->target.at;
    const char *question = memchr(url, '?', request->target.length);
    size_t path = question ? (size_t)(question - url) : request->target.length;
    size_t query = request->target.length - path;
    exchange->conditions = http_conditions_of(request, head);
    exchange->conditional = http_conditions_any(&exchange->conditions);
    size_t conditions = exchange->conditional ? http_conditions_size(&exchange->conditions) : 0;
    size_t cors = (size_t)request->origin.length + request->access_control_request_headers.length;
    size_t space = path + 4 + query + conditions + cors;
    char *text = exchange->text;
    if (space > EXCHANGE_TEXT && (text = exchange->large = malloc(space)) == NULL)
        return 503;
    *text++ = '/';
    int length = path_from_url(url, path, text, &exchange->directory, hidden);
    if (length < 0)
        return -length;
    exchange->path = text;
    exchange->path_length = (uint32_t)length;
    text += length + 1;
    exchange->query = memcpy(text, url + path, query);
    exchange->query_length = (uint16_t)query;
    text += query;
    if (exchange->conditional)
        http_conditions_move(&exchange->conditions, text);
    text += conditions;
    move_text(&exchange->origin, &request->origin, head, &text);
    if (request->access_control_request_method.length > 0) {
        exchange->asked_headers = (struct http_text){.bytes = ""};
        move_text(&exchange->asked_headers, &request->access_control_request_headers, head, &text);
    }
    return 0;
}

/* A body that nobody asked for is passed over if it is small, or ends the connection. Returns 0 or a status. */
static int see_to_body(struct exchange *exchange, const struct http_request *request, bool wanted)
{
    bool body = request->content_length > 0 || request->flags & HTTP_HAS_ENCODING;
    bool waits = body && request->flags & HTTP_HAS_EXPECT; /* it may or may not send its body now: unknowable */
    if (body && (!wanted || waits || request->flags & HTTP_HAS_ENCODING || request->content_length > BODY_MAX ||
                 !exchange->keep_alive)) {
        exchange->keep_alive = false;
        exchange->linger = true;
    }
    if (request->flags & HTTP_EXPECTS_OTHER)
        return 417;
    if (request->flags & HTTP_ENCODING_OTHER)
        return 501;
    if (!wanted)
        return request->method == HTTP_UNKNOWN ? 501 : 405;
    if (request->flags & HTTP_HAS_ENCODING)
        return 400;
    if (request->content_length > BODY_MAX)
        return 413;
    if (exchange->keep_alive)
        exchange->http->skip = (uint32_t)request->content_length;
    return 0;
}

static void find_site(struct exchange *exchange, const struct http_request *request, const char *head)
{
    const struct server *server = exchange_shared(exchange)->worker->server;
    const struct config_host *host = server->config->hosts;
    if (server->config->host_count > 1)
        host = config_host_of(server->config, head + request->host.at, request->host.length);
    exchange->site = &server->sites.list[host - server->config->hosts];
}

/* Returns 0, or the status with which the request is answered without looking for a file. */
static int understand(struct exchange *exchange, const struct http_request *request, const char *head)
{
    bool hidden;
    exchange->method = request->method;
    exchange->old = request->minor == 0;
    exchange->keep_alive = http_request_keeps_alive(request);
    bool reads = request->method == HTTP_GET || request->method == HTTP_HEAD;
    bool transfers = request->method == HTTP_MOVE || request->method == HTTP_COPY;
    bool changes = transfers || request->method == HTTP_DELETE || request->method == HTTP_MKCOL;
    bool puts = request->method == HTTP_PUT;
    int status = puts ? upload_prepare(exchange, request)
                      : see_to_body(exchange, request, reads || changes || request->method == HTTP_OPTIONS);
    if (status != 0)
        return status;
    if (!gate_admits(&exchange->http->base))
        return 429;
    exchange->append = puts ? upload_append : transfers ? transfer_append : changes ? change_append : file_append;
    find_site(exchange, request, head);
    if (request->flags & HTTP_ASTERISK)
        return 0;
    status = copy_texts(exchange, request, head, &hidden);
    if (status != 0)
        return status;
    policy_of(exchange->site->config, exchange->path - 1, exchange->path_length + 1, &exchange->policy);
    if (hidden && !exchange->policy.hidden)
        return 404;
    if (exchange->policy.deny)
        return 403;
    if ((puts || changes) && !exchange->policy.writable && request->method != HTTP_COPY)
        return 405;
    if ((puts || changes) && exchange->policy.redirect == NULL)
        return puts        ? upload_check(exchange, request)
               : transfers ? transfer_prepare(exchange, request, head)
                           : change_check(exchange, request);
    exchange->json = exchange->policy.listing && request->accept.at != 0 &&
                     http_prefers_json(head + request->accept.at, request->accept.length);
    exchange->codings.identity = true;
    if (exchange->site->config->precompressed)
        exchange->codings = http_accept_encoding(
            request->accept_encoding.at ? head + request->accept_encoding.at : NULL, request->accept_encoding.length);
    return reads && exchange->policy.redirect == NULL ? names_choose(exchange) : 0;
}

/* It is known who asks. */
static void proceed(struct exchange *exchange)
{
    if (exchange->append == file_append)
        cached_begin(exchange);
    else
        exchange_run(exchange, exchange->append);
}

static void begin(struct exchange *exchange, const struct http_request *request, const char *head)
{
    int status = understand(exchange, request, head);
    if (status != 0) {
        answer_alone(exchange, status);
    } else if (request->method == HTTP_OPTIONS) {
        answer_by(exchange, answer_options);
    } else if (exchange->policy.redirect != NULL) {
        answer_by(exchange, answer_redirect);
    } else {
        if (exchange->policy.users != NULL)
            status = login_check(exchange, head + request->authorization.at, request->authorization.length);
        if (status == 0)
            proceed(exchange);
        else if (status > 0)
            answer_alone(exchange, status);
    }
}

void exchange_begin(struct http_connection *http, const struct http_request *request, const char *head)
{
    struct exchange *exchange = take_exchange(http);
    if (exchange == NULL) {
        connection_close(&http->base);
        return;
    }
    record_begin(exchange_record(exchange), &exchange->record, &http->base, head, request->line);
    begin(exchange, request, head);
}

void exchange_refuse(struct http_connection *http, int status, const char *head, size_t length)
{
    struct exchange *exchange = take_exchange(http);
    if (exchange == NULL) {
        connection_close(&http->base);
        return;
    }
    record_begin(exchange_record(exchange), &exchange->record, &http->base, head, length);
    exchange->linger = true;
    answer_alone(exchange, status);
}

/* --------------------------------------------------------------------------------------------- a body */

bool exchange_reads_body(const struct exchange *exchange)
{
    return upload_reads(exchange);
}

bool exchange_waits_for_body(const struct exchange *exchange)
{
    return upload_waits(exchange);
}

void exchange_take_body(struct exchange *exchange)
{
    if (upload_waits(exchange))
        upload_take(exchange);
}

void exchange_give_up_body(struct exchange *exchange)
{
    exchange->keep_alive = false;
    answer_alone(exchange, 408);
}

/* -------------------------------------------------------------------------------------------- its end */

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

/* What the client got of it is written down; not what went from one file to another. */
static void record_event(struct exchange *exchange, const struct errand_event *event)
{
    struct errand_event told = *event;
    bool sent = exchange->replied && event->bytes > exchange->stored;
    told.bytes = sent ? event->bytes - exchange->stored : 0;
    exchange->stored = 0;
    bool opening = event->error != 0 && event->step_kind == ERRAND_STEP_OPEN; /* a page is still to be sent */
    record_chain(exchange_record(exchange), &exchange->record, &told, opening ? STAGE_OPEN : STAGE_SEND,
                 exchange_shared(exchange)->worker->queue);
}

void exchange_cancelled(struct exchange *exchange, const struct errand_event *event)
{
    record_event(exchange, event);
}

/* A chain ended well. Returns 0: the reply is out; 1: another chain is under way; or an error. */
static int go_on(struct exchange *exchange, const struct errand_event *event)
{
    if (exchange->upload != NULL && upload_chain_ended(exchange, event)) {
        exchange_take_body(exchange);
        return 1;
    }
    if (exchange->transfer != NULL && !exchange->replied) {
        transfer_go_on(exchange, event);
        return 1;
    }
    if (exchange->listing != NULL)
        return listing_go_on(exchange);
    if (!exchange->lists)
        return 0;
    int error = listing_begin(exchange);
    return error ? error : 1;
}

enum exchange_state exchange_ended(struct exchange *exchange, const struct errand_event *event)
{
    record_event(exchange, event);
    int error = event->error;
    if (error == 0)
        error = go_on(exchange, event);
    if (error >= 0)
        return error == 0 ? EXCHANGE_DONE : EXCHANGE_GOES_ON;
    if (peer_is_gone(event))
        return EXCHANGE_BROKEN;
    bool reads = exchange->append == NULL || exchange->append == file_append;
    int status = reads ? answer_status_of(error) : change_status_of(error);
    if (status == 500)
        log_error("a reply failed at its step %s: %s", errand_step_name(event->step_kind), errand_error_name(error));
    if (error == -EMFILE || error == -ENFILE)
        log_error("a file could not be opened: %s (see ulimit -n)", errand_error_name(error));
    bool sent = event->bytes > 0 && exchange->replied;
    if (sent || exchange->is_page || (exchange->listing != NULL && listing_is_begun(exchange)))
        return EXCHANGE_BROKEN;
    listing_release(exchange);
    answer_alone(exchange, status);
    return EXCHANGE_GOES_ON;
}
