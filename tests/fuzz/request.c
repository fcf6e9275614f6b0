/* SPDX-License-Identifier: MIT */
/* Request heads: pieces make no difference; what is understood lies in the head and is free of what could mislead. */
#include "fuzz.h"
#include "http/request.h"

static int read_whole(const uint8_t *data, size_t size, struct http_request *request)
{
    memset(request, 0, sizeof *request);
    return http_request_read(request, (const char *)data, size);
}

/* In pieces, each time in a block of its own and of exactly the size. */
static int read_in_pieces(const uint8_t *data, size_t size, struct http_request *request, uint32_t seed, uint32_t most)
{
    memset(request, 0, sizeof *request);
    for (size_t given = 0;;) {
        given += fuzz_draw(&seed, most) + 1;
        given = given < size ? given : size;
        char *exact = fuzz_exact(data, given);
        int result = http_request_read(request, exact, given);
        free(exact);
        if (result != 0 || given == size)
            return result;
    }
}

static void check_span(const char *head, int length, struct http_span span)
{
    HOLDS(span.at + span.length <= length - 4);
    HOLDS(span.at > 0 || span.length == 0);
    for (unsigned i = span.at; i < span.at + (unsigned)span.length; i++)
        HOLDS(head[i] != '\r' && head[i] != '\n' && head[i] != '\0');
}

static void check_spans(const char *head, int length, const struct http_request *request)
{
    check_span(head, length, request->target);
    for (const struct http_span *span = &request->host; span <= &request->access_control_request_headers; span++)
        check_span(head, length, *span);
    for (unsigned i = 0; i < request->target.length; i++)
        HOLDS((unsigned char)head[request->target.at + i] > ' ');
    for (unsigned i = 0; i < request->host.length; i++)
        HOLDS(strchr("/?#@ \t,\"<>\\", head[request->host.at + i]) == NULL);
    bool performed = request->method != HTTP_REFUSED && request->method != HTTP_UNKNOWN;
    if (performed && request->target.length > 0) {
        char first = head[request->target.at];
        HOLDS(first == '/' || (first == '?' && request->flags & HTTP_ABSOLUTE) ||
              (first == '*' && request->target.length == 1 && request->flags & HTTP_ASTERISK));
    }
    HOLDS(!performed || request->target.length > 0 || request->flags & HTTP_ABSOLUTE);
}

/* What was understood, written as plainly as can be, is understood again. */
static void check_again(const char *head, const struct http_request *request)
{
    if (request->target.length == 0 || head[request->target.at] != '/')
        return;
    size_t space = request->target.length + request->host.length + 64u;
    char *plain = malloc(space);
    HOLDS(plain != NULL);
    int length = snprintf(plain, space, "GET %.*s HTTP/1.1\r\nHost: %.*s\r\n\r\n", request->target.length,
                          head + request->target.at, request->host.length, head + request->host.at);
    struct http_request again = {0};
    int result = http_request_read(&again, plain, (size_t)length);
    HOLDS(result == length || result == -414);
    if (result > 0) {
        HOLDS(again.target.length == request->target.length && again.host.length == request->host.length);
        HOLDS(memcmp(plain + again.target.at, head + request->target.at, again.target.length) == 0);
        HOLDS(memcmp(plain + again.host.at, head + request->host.at, again.host.length) == 0);
    }
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request request, pieces;
    int result = read_whole(data, size, &request);
    uint32_t seed = fuzz_seed(data, size);
    for (unsigned most = 1; most <= 64; most *= 8) {
        if (most == 1 && size > 512)
            continue; /* all the copies would take the time */
        HOLDS(read_in_pieces(data, size, &pieces, seed, most) == result);
        HOLDS(result <= 0 || memcmp(&pieces, &request, sizeof pieces) == 0);
    }
    HOLDS(result <= (int)size && result <= HTTP_HEAD_MAX);
    HOLDS(result >= 0 || result == -400 || result == -414 || result == -431 || result == -505);
    if (result > 0) {
        const char *head = (const char *)data;
        HOLDS(result >= 16 && memcmp(head + result - 4, "\r\n\r\n", 4) == 0);
        check_spans(head, result, &request);
        check_again(head, &request);
    }
    return 0;
}
