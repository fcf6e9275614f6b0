/* SPDX-License-Identifier: MIT */
/* Writes heads by hand: one is made for each request, and printf would cost more than the rest of it. */
#include "head.h"
#include "date.h"
#include "text.h"

#include <time.h>

/* "404 Not Found": without the version, so that pages can use it too. */
static const char *status_text(int status)
{
    switch (status) {
    case 200: return "200 OK";
    case 201: return "201 Created";
    case 204: return "204 No Content";
    case 206: return "206 Partial Content";
    case 301: return "301 Moved Permanently";
    case 302: return "302 Found";
    case 303: return "303 See Other";
    case 304: return "304 Not Modified";
    case 307: return "307 Temporary Redirect";
    case 308: return "308 Permanent Redirect";
    case 400: return "400 Bad Request";
    case 401: return "401 Unauthorized";
    case 403: return "403 Forbidden";
    case 404: return "404 Not Found";
    case 405: return "405 Method Not Allowed";
    case 406: return "406 Not Acceptable";
    case 408: return "408 Request Timeout";
    case 409: return "409 Conflict";
    case 411: return "411 Length Required";
    case 412: return "412 Precondition Failed";
    case 413: return "413 Content Too Large";
    case 414: return "414 URI Too Long";
    case 415: return "415 Unsupported Media Type";
    case 416: return "416 Range Not Satisfiable";
    case 417: return "417 Expectation Failed";
    case 429: return "429 Too Many Requests";
    case 431: return "431 Request Header Fields Too Large";
    case 501: return "501 Not Implemented";
    case 502: return "502 Bad Gateway";
    case 503: return "503 Service Unavailable";
    case 505: return "505 HTTP Version Not Supported";
    case 507: return "507 Insufficient Storage";
    default: return "500 Internal Server Error";
    }
}

void http_clock_update(struct http_clock *clock, int64_t queue_now)
{
    if (queue_now < clock->next_ns)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    clock->next_ns = queue_now + (INT64_C(1000000000) - now.tv_nsec);
    clock->seconds = now.tv_sec;
    char *at = TEXT_PUT(clock->lines, "Server: errand\r\nX-Content-Type-Options: nosniff\r\nDate: ");
    http_date_write(at, clock->seconds);
    at = TEXT_PUT(at + HTTP_DATE_LENGTH, "\r\n");
    clock->length = (size_t)(at - clock->lines);
}

size_t http_head_date(const char *head, const struct http_clock *clock)
{
    const char *lines = strchr(head, '\n') + 1; /* they follow the first one */
    return (size_t)(lines - head) + clock->length - HTTP_DATE_LENGTH - 2;
}

void http_head_renew(char *date, const struct http_clock *clock)
{
    memcpy(date, clock->lines + clock->length - HTTP_DATE_LENGTH - 2, HTTP_DATE_LENGTH);
}

static char *put_start(char *at, int status, const struct http_clock *clock)
{
    if (status == 200) {
        at = TEXT_PUT(at, "HTTP/1.1 200 OK\r\n");
    } else {
        const char *text = status_text(status);
        at = TEXT_PUT(at, "HTTP/1.1 ");
        at = text_bytes(at, text, strlen(text));
        at = TEXT_PUT(at, "\r\n");
    }
    return text_bytes(at, clock->lines, clock->length);
}

static char *put_end(char *at, enum http_connection_line connection)
{
    if (connection == HTTP_SAYS_CLOSE)
        at = TEXT_PUT(at, "Connection: close\r\n");
    else if (connection == HTTP_SAYS_KEEP_ALIVE)
        at = TEXT_PUT(at, "Connection: keep-alive\r\n");
    return TEXT_PUT(at, "\r\n");
}

static char *put_content_range(char *at, const struct http_file_head *head)
{
    at = TEXT_PUT(at, "Content-Range: bytes ");
    at = text_number(at, head->offset);
    *at++ = '-';
    at = text_number(at, head->offset + head->length - 1);
    *at++ = '/';
    at = text_number(at, head->size);
    return TEXT_PUT(at, "\r\n");
}

size_t http_head_file(char *out, const struct http_clock *clock, const struct http_file_head *head)
{
    char *at = put_start(out, head->status, clock);
    if (head->status != 304) {
        at = text_bytes(at, head->type, head->type_length);
        at = TEXT_PUT(at, "Content-Length: ");
        at = text_number(at, head->length);
        at = TEXT_PUT(at, "\r\nAccept-Ranges: bytes\r\n");
    }
    if (head->status == 206 && !head->parts)
        at = put_content_range(at, head);
    at = TEXT_PUT(at, "Last-Modified: ");
    http_date_write(at, head->modified < clock->seconds ? head->modified : clock->seconds);
    at = TEXT_PUT(at + HTTP_DATE_LENGTH, "\r\nETag: ");
    at = text_bytes(at, head->tag, head->tag_length);
    at = TEXT_PUT(at, "\r\n");
    at = text_bytes(at, head->lines, head->lines_length);
    return (size_t)(put_end(at, head->connection) - out);
}

size_t http_head_stream(char *out, const struct http_clock *clock, const struct http_stream_head *head)
{
    char *at = put_start(out, 200, clock);
    if (head->json) {
        at = TEXT_PUT(at, "Content-Type: application/json\r\n");
    } else {
        at = TEXT_PUT(at, "Content-Type: text/html; charset=utf-8\r\n"
                          "Content-Security-Policy: default-src 'none'; style-src 'nonce-");
        at = text_bytes(at, head->nonce, head->nonce_length);
        at = TEXT_PUT(at, "'; script-src 'nonce-");
        at = text_bytes(at, head->nonce, head->nonce_length);
        at = TEXT_PUT(at, "'; base-uri 'none'; form-action 'none'\r\n");
    }
    at = TEXT_PUT(at, "Vary: Accept\r\n");
    if (head->chunked)
        at = TEXT_PUT(at, "Transfer-Encoding: chunked\r\n");
    at = text_bytes(at, head->lines, head->lines_length);
    return (size_t)(put_end(at, head->connection) - out);
}

#define PAGE_START  "<!DOCTYPE html>\n<title>"
#define PAGE_MIDDLE "</title>\n<h1>"
#define PAGE_END    "</h1>\n"

#define READING "GET, HEAD, OPTIONS"
#define WRITING READING ", PUT, DELETE, MKCOL, MOVE, COPY"

/* What goes with some statuses. */
static char *put_particulars(char *at, const struct http_page *page)
{
    if (page->status == 405 || page->status == 204)
        at = page->writable ? TEXT_PUT(at, "Allow: " WRITING "\r\n") : TEXT_PUT(at, "Allow: " READING "\r\n");
    if (page->status == 401) {
        at = TEXT_PUT(at, "WWW-Authenticate: Basic realm=\"");
        at = text_bytes(at, page->realm, page->realm_length);
        at = TEXT_PUT(at, "\", charset=\"UTF-8\"\r\n");
    }
    if (page->status == 503 || page->status == 429)
        at = TEXT_PUT(at, "Retry-After: 1\r\n");
    if (page->status == 416) {
        at = TEXT_PUT(at, "Content-Range: bytes */");
        at = text_number(at, page->range_size);
        at = TEXT_PUT(at, "\r\n");
    }
    if (page->preflight) {
        at = page->writable ? TEXT_PUT(at, "Access-Control-Allow-Methods: " WRITING "\r\n")
                            : TEXT_PUT(at, "Access-Control-Allow-Methods: " READING "\r\n");
        at = TEXT_PUT(at, "Access-Control-Max-Age: 86400\r\nAccess-Control-Allow-Headers: ");
    } else if (page->location != NULL) {
        at = TEXT_PUT(at, "Location: ");
    }
    if (page->location != NULL) {
        at = text_bytes(at, page->location, page->location_length);
        at = TEXT_PUT(at, "\r\n");
    }
    if (page->tag != NULL) {
        at = TEXT_PUT(at, "ETag: ");
        at = text_bytes(at, page->tag, page->tag_length);
        at = TEXT_PUT(at, "\r\n");
    }
    return text_bytes(at, page->lines, page->lines_length);
}

size_t http_head_page(char *out, const struct http_clock *clock, const struct http_page *page)
{
    const char *text = status_text(page->status);
    size_t text_length = strlen(text);
    bool has_page = page->status != 204;
    char *at = put_start(out, page->status, clock);
    if (has_page) {
        at = TEXT_PUT(at, "Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
        at = text_number(at, sizeof(PAGE_START PAGE_MIDDLE PAGE_END) - 1 + 2 * text_length);
        at = TEXT_PUT(at, "\r\n");
    }
    at = put_particulars(at, page);
    at = put_end(at, page->connection);
    if (has_page && !page->only_head) {
        at = TEXT_PUT(at, PAGE_START);
        at = text_bytes(at, text, text_length);
        at = TEXT_PUT(at, PAGE_MIDDLE);
        at = text_bytes(at, text, text_length);
        at = TEXT_PUT(at, PAGE_END);
    }
    return (size_t)(at - out);
}
