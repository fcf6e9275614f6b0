/* SPDX-License-Identifier: MIT */
/* Replies that are no file: pages for a status, redirects, OPTIONS; and the lines that any reply may have more. */
#include "answer.h"
#include "path.h"
#include "text.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PAGE_NS (10 * ERRAND_SECOND)

int answer_status_of(int error)
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
    case EPERM:
    case EROFS: return 403;
    case EFBIG: return 413;
    case ENOSPC:
    case EDQUOT: return 507;
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

/* ------------------------------------------------------------------------------------------- lines */

static bool may_read(const struct exchange *exchange, bool *all)
{
    const struct config_texts *allowed = &exchange->policy.origins->origins;
    const struct http_text *origin = &exchange->origin;
    for (unsigned i = 0; i < allowed->count; i++) {
        const struct config_text *text = &allowed->list[i];
        *all = text->length == 1 && *text->bytes == '*';
        if (*all || (text->length == origin->length && memcmp(text->bytes, origin->bytes, origin->length) == 0))
            return true;
    }
    return false;
}

/* For scripts of other origins (the Fetch standard, 3.2). */
static char *put_cors(char *at, const struct exchange *exchange)
{
    bool all = false, may = exchange->origin.length > 0 && may_read(exchange, &all);
    if (!all)
        at = TEXT_PUT(at, "Vary: Origin\r\n");
    if (!may)
        return at;
    at = TEXT_PUT(at, "Access-Control-Allow-Origin: ");
    at = all ? TEXT_PUT(at, "*") : text_bytes(at, exchange->origin.bytes, exchange->origin.length);
    return TEXT_PUT(at, "\r\nAccess-Control-Expose-Headers: Accept-Ranges, Content-Range, ETag\r\n");
}

char *answer_put_vary(char *at)
{
    return TEXT_PUT(at, "Vary: Accept-Encoding\r\n");
}

bool answer_lines(struct exchange *exchange, bool file, enum http_coding coding, const char **lines, size_t *length)
{
    const struct config_host *host = exchange->site ? exchange->site->config : NULL;
    const struct policy *policy = &exchange->policy;
    bool varies = file && host->precompressed, rules = file && policy->headers;
    *length = 0;
    if (!varies && !rules && policy->origins == NULL)
        return true;
    size_t path = exchange->path_length + 1;
    size_t size = rules ? policy_headers(host, exchange->path - 1, path, NULL) : 0;
    free(exchange->lines);
    char *at = exchange->lines = malloc(size + exchange->origin.length + 256);
    *lines = at;
    if (at == NULL)
        return false;
    if (rules)
        at += policy_headers(host, exchange->path - 1, path, at);
    if (varies)
        at = answer_put_vary(at);
    if (coding != HTTP_CODINGS) {
        const char *name = http_coding_name(coding);
        at = TEXT_PUT(at, "Content-Encoding: ");
        at = text_bytes(at, name, strlen(name));
        at = TEXT_PUT(at, "\r\n");
    }
    if (policy->origins != NULL)
        at = put_cors(at, exchange);
    *length = (size_t)(at - *lines);
    return true;
}

/* ------------------------------------------------------------------------------------------- heads */

char *answer_space(struct exchange *exchange, size_t more)
{
    if (more == 0)
        return exchange->head;
    free(exchange->space);
    return exchange->space = malloc(HTTP_HEAD_SPACE + more);
}

int answer_head(errand_chain *chain, struct exchange *exchange, const char *head, size_t length)
{
    int fd = exchange->http->base.fd, step = errand_step_send(chain, fd, head, length, 0);
    if (step >= 0 && exchange->linger)
        step = errand_step_shutdown(chain, fd, SHUT_WR);
    return step < 0 ? step : 0;
}

static size_t realm_length(const struct exchange *exchange)
{
    return exchange->policy.users ? exchange->policy.users->realm.length : 0;
}

/* Writes the reply. Returns its length, 0: no memory. */
static size_t write_page(struct exchange *exchange, struct http_page *page, char **out)
{
    const char *lines;
    size_t length;
    if (!answer_lines(exchange, false, HTTP_CODINGS, &lines, &length))
        return 0;
    *out = answer_space(exchange, length + page->location_length + (page->status == 401 ? realm_length(exchange) : 0));
    if (*out == NULL)
        return 0;
    page->connection = exchange_connection_line(exchange);
    page->only_head = exchange_is_head(exchange);
    page->writable = exchange->policy.writable;
    page->range_size = exchange->stat.bytes;
    page->lines = lines;
    page->lines_length = length;
    if (page->status == 401) {
        page->realm = exchange->policy.users->realm.bytes;
        page->realm_length = realm_length(exchange);
    }
    length = http_head_page(*out, exchange_clock(exchange), page);
    record_reply(exchange_record(exchange), &exchange->record, *out, length);
    return length;
}

static int answer_page(errand_chain *chain, struct exchange *exchange, struct http_page *page)
{
    char *out;
    size_t length = write_page(exchange, page, &out);
    return length > 0 ? answer_head(chain, exchange, out, length) : -ENOMEM;
}

int answer_status(errand_chain *chain, struct exchange *exchange, int status)
{
    const struct config_host *host = exchange->site ? exchange->site->config : NULL;
    for (unsigned i = 0; host != NULL && exchange->page_status == 0 && i < host->page_count; i++) {
        if (host->pages[i].status != status)
            continue;
        exchange->page_status = (int16_t)status;
        return file_append_page(chain, exchange, &host->pages[i].path);
    }
    struct http_page page = {.status = status};
    return answer_page(chain, exchange, &page);
}

static int answer_location(errand_chain *chain, struct exchange *exchange, int status, const char *to, size_t length)
{
    struct http_page page = {.status = status, .location = to, .location_length = length};
    return answer_page(chain, exchange, &page);
}

/* The URL is written anew from the decoded path, so it cannot lead to another host. */
int answer_with_slash(errand_chain *chain, struct exchange *exchange)
{
    char *url = malloc(3 * ((size_t)exchange->path_length + exchange->query_length) + 2), *at = url;
    if (url == NULL)
        return -ENOMEM;
    *at++ = '/';
    at = path_to_url(at, exchange->path, exchange->path_length);
    *at++ = '/';
    for (unsigned i = 0; i < exchange->query_length; i++) { /* encoded already, or bytes beyond ASCII */
        char c = exchange->query[i];
        at = c > 0 ? (*at = c, at + 1) : path_to_url(at, &c, 1);
    }
    int result = answer_location(chain, exchange, 301, url, (size_t)(at - url));
    free(url);
    return result;
}

/* What the rule itself says is a URL already; what its stars stood for is encoded. */
int answer_redirect(errand_chain *chain, struct exchange *exchange)
{
    const struct config_rule *rule = exchange->policy.redirect;
    const char *path = exchange->path - 1;
    size_t size = policy_target(rule, path, exchange->path_length + 1, NULL);
    char *target = malloc(4 * size + 1), *url = target ? target + size : NULL, *at = url;
    if (target == NULL)
        return -ENOMEM;
    policy_target(rule, path, exchange->path_length + 1, target);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)target[i];
        at = c > 0x20 && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\' ? (*at = (char)c, at + 1)
                                                                                   : path_to_url(at, target + i, 1);
    }
    int result = answer_location(chain, exchange, rule->redirect, url, (size_t)(at - url));
    free(target);
    return result;
}

int answer_changed(errand_chain *chain, struct exchange *exchange, int status, const char *tag, size_t length)
{
    struct http_page page = {.status = status, .tag = tag, .tag_length = length};
    return answer_page(chain, exchange, &page);
}

int answer_options(errand_chain *chain, struct exchange *exchange)
{
    struct http_page page = {.status = 204};
    bool all;
    if (exchange->asked_headers.bytes != NULL && exchange->policy.origins != NULL && may_read(exchange, &all)) {
        page.preflight = true;
        page.location = exchange->asked_headers.bytes; /* so there is room for them */
        page.location_length = exchange->asked_headers.length;
    }
    return answer_page(chain, exchange, &page);
}

/* ------------------------------------------------------------------------------------ chains of their own */

/* When even a chain is not to be had: one try without, and the connection ends. */
static void send_without_chain(struct exchange *exchange, int status)
{
    struct http_connection *http = exchange->http;
    struct http_page page = {.status = status};
    char *out;
    size_t length = write_page(exchange, &page, &out);
    ssize_t sent = length > 0 ? send(http->base.fd, out, length, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
    exchange->record.bytes += sent > 0 ? (uint64_t)sent : 0;
    exchange_release(http);
    if (length > 0 && sent == (ssize_t)length && shutdown(http->base.fd, SHUT_WR) == 0)
        connection_linger(&http->base);
    else
        connection_close(&http->base);
}

static int begin(struct exchange *exchange, int (*append)(errand_chain *, struct exchange *), int status)
{
    struct connection *connection = &exchange->http->base;
    errand_chain *chain;
    int error = errand_chain_new(connection->endpoint->worker->queue, &chain);
    if (error)
        return error;
    error = append ? append(chain, exchange) : answer_status(chain, exchange, status);
    if (error) {
        errand_chain_drop(chain);
        return error;
    }
    return connection_submit(connection, chain, &(struct connection_limits){.timeout_ns = PAGE_NS});
}

void answer_alone(struct exchange *exchange, int status)
{
    exchange->is_page = true;
    if (begin(exchange, NULL, status) != 0)
        send_without_chain(exchange, status);
}

void answer_by(struct exchange *exchange, int (*append)(errand_chain *, struct exchange *))
{
    if (begin(exchange, append, 0) != 0)
        send_without_chain(exchange, 503);
}
