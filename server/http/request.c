/* SPDX-License-Identifier: MIT */
/*
 * The request parser. It works line by line: memchr() finds the end, each complete line is looked at once. Whatever
 * two readers could understand differently (bare LF, folded lines, two lengths, space before a colon, control
 * characters) is refused: that is what request smuggling is made of.
 */
#include "request.h"
#include "bytes.h"

#include <stdbool.h>
#include <string.h>

enum { STAGE_START, STAGE_AFTER_EMPTY_LINE, STAGE_FIELDS };

static int read_method(struct http_request *request, const char *text, size_t length)
{
    static const struct {
        char name[10];
        uint8_t length, method;
    } known[] = {
        {"HEAD", 4, HTTP_HEAD},       {"PUT", 3, HTTP_PUT},        {"DELETE", 6, HTTP_DELETE},
        {"OPTIONS", 7, HTTP_OPTIONS}, {"MKCOL", 5, HTTP_MKCOL},    {"MOVE", 4, HTTP_MOVE},
        {"COPY", 4, HTTP_COPY},       {"POST", 4, HTTP_REFUSED},   {"TRACE", 5, HTTP_REFUSED},
        {"CONNECT", 7, HTTP_REFUSED}, {"PATCH", 5, HTTP_REFUSED},  {"PROPFIND", 8, HTTP_REFUSED},
        {"LOCK", 4, HTTP_REFUSED},    {"UNLOCK", 6, HTTP_REFUSED}, {"PROPPATCH", 9, HTTP_REFUSED},
    };
    for (size_t i = 0; i < length; i++)
        if (!http_is_token(text[i]))
            return -400;
    request->method = HTTP_UNKNOWN;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (length == known[i].length && memcmp(text, known[i].name, length) == 0)
            request->method = known[i].method;
    return length == 0 ? -400 : 0;
}

/* "HTTP/1.1": the last eight bytes of a request line. */
static int read_version(struct http_request *request, const char *text)
{
    if (memcmp(text, "HTTP/", 5) != 0 || text[6] != '.' || !http_is_digit(text[5]) || !http_is_digit(text[7]))
        return -400;
    if (text[5] != '1' || text[7] > '1')
        return -505;
    request->minor = (uint8_t)(text[7] - '0');
    return 0;
}

/* A host, perhaps with a port: free of what could mislead who looks it up, or writes it into a reply. */
static bool is_host(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (!http_is_alphanumeric(c) && c != '.' && c != ':' && memchr("-_~[]%!$&'()*+;=", c, 16) == NULL)
            return false;
    }
    return true;
}

/* Takes "http://host" off an absolute target. What is left may be empty, or a query, for "/". */
static int read_absolute(struct http_request *request, const char *data)
{
    const char *text = data + request->target.at;
    size_t length = request->target.length, scheme = 0;
    if (length > 7 && http_same_word(text, "http://", 7))
        scheme = 7;
    else if (length > 8 && http_same_word(text, "https://", 8))
        scheme = 8;
    else
        return -400;
    size_t end = scheme;
    while (end < length && text[end] != '/' && text[end] != '?')
        end++;
    if (end == scheme || !is_host(text + scheme, end - scheme))
        return -400;
    request->flags |= HTTP_ABSOLUTE;
    if (end == length && request->method == HTTP_OPTIONS)
        request->flags |= HTTP_ASTERISK;
    request->host.at = (uint16_t)(request->target.at + scheme);
    request->host.length = (uint16_t)(end - scheme);
    request->target.at += (uint16_t)end;
    request->target.length -= (uint16_t)end;
    return 0;
}

static int read_target(struct http_request *request, const char *data)
{
    const char *text = data + request->target.at;
    size_t length = request->target.length;
    if (length == 0 || !http_is_target(text, length))
        return -400;
    if (text[0] == '/')
        return 0;
    if (request->method == HTTP_REFUSED || request->method == HTTP_UNKNOWN)
        return 0; /* "*", an authority: refused with the method, whatever they name */
    if (length == 1 && text[0] == '*' && request->method == HTTP_OPTIONS) {
        request->flags |= HTTP_ASTERISK;
        return 0;
    }
    return read_absolute(request, data);
}

static int read_request_line(struct http_request *request, const char *data, size_t length)
{
    const char *line = data + request->line;
    if (length < 9 || line[length - 9] != ' ')
        return -400;
    size_t method;
    if (memcmp(line, "GET ", 4) == 0) {
        request->method = HTTP_GET;
        method = 3;
    } else {
        const char *space = memchr(line, ' ', length);
        method = (size_t)(space - line);
        int error = read_method(request, line, method);
        if (error)
            return error;
    }
    if (method + 1 > length - 9)
        return -400;
    request->target.at = (uint16_t)(request->line + method + 1);
    request->target.length = (uint16_t)(length - 9 - method - 1);
    int error = read_version(request, line + length - 8);
    return error ? error : read_target(request, data);
}

/* Only once, only digits, no more than an int64_t holds. */
static int read_content_length(struct http_request *request, const char *text, size_t length)
{
    if (request->flags & HTTP_HAS_LENGTH || length == 0)
        return -400;
    request->flags |= HTTP_HAS_LENGTH;
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (!http_is_digit(text[i]) || value > (uint64_t)INT64_MAX / 10 - 1)
            return -400;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    request->content_length = value;
    return 0;
}

static int read_connection(struct http_request *request, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        const char *comma = memchr(text + at, ',', length - at);
        size_t end = comma ? (size_t)(comma - text) : length;
        const char *word = text + at;
        size_t size = http_trim(&word, end - at);
        if (size == 5 && http_same_word(word, "close", 5))
            request->flags |= HTTP_HAS_CLOSE;
        else if (size == 10 && http_same_word(word, "keep-alive", 10))
            request->flags |= HTTP_HAS_KEEP_ALIVE;
        at = end + 1;
    }
    return 0;
}

static void set_flag(struct http_request *request, unsigned flag)
{
    request->flags |= (uint16_t)flag;
}

static void set_span(struct http_span *span, const char *data, const char *text, size_t length)
{
    span->at = (uint16_t)(text - data);
    span->length = (uint16_t)length;
}

/* The three kinds of fields that are kept, by what is done if they come again: see request.h. */
static int keep_select(struct http_request *request, struct http_span *span, const char *data, const char *text,
                       size_t length)
{
    if (span->at != 0)
        set_flag(request, HTTP_SELECTS_TWICE);
    set_span(span, data, text, length);
    return 0;
}

static int keep_list(struct http_span *span, const char *data, const char *text, size_t length)
{
    set_span(span, data, text, span->at != 0 ? 0 : length);
    return 0;
}

static int keep_single(struct http_span *span, const char *data, const char *text, size_t length)
{
    if (span->at != 0)
        return -400;
    set_span(span, data, text, length);
    return 0;
}

static int read_host(struct http_request *request, const char *data, const char *text, size_t length)
{
    if (request->flags & HTTP_HAS_HOST || !is_host(text, length))
        return -400;
    set_flag(request, HTTP_HAS_HOST);
    if (!(request->flags & HTTP_ABSOLUTE))
        set_span(&request->host, data, text, length);
    return 0;
}

static int read_expect(struct http_request *request, const char *text, size_t length)
{
    if (length == 0)
        return 0; /* an empty list of expectations */
    set_flag(request, HTTP_HAS_EXPECT);
    if (length != 12 || !http_same_word(text, "100-continue", 12))
        set_flag(request, HTTP_EXPECTS_OTHER);
    return 0;
}

static int read_encoding(struct http_request *request, const char *text, size_t length)
{
    if (request->flags & HTTP_HAS_ENCODING || length != 7 || !http_same_word(text, "chunked", 7))
        set_flag(request, HTTP_ENCODING_OTHER);
    set_flag(request, HTTP_HAS_ENCODING);
    return 0;
}

static int read_overwrite(struct http_request *request, const char *text, size_t length)
{
    if (length != 1 || (text[0] | 0x20) != 't')
        set_flag(request, HTTP_OVERWRITE_NOT);
    return 0;
}

static int read_depth(struct http_request *request, const char *text, size_t length)
{
    bool again = request->flags & (HTTP_DEPTH_INFINITE | HTTP_DEPTH_ZERO);
    bool zero = length == 1 && text[0] == '0', infinite = length == 8 && http_same_word(text, "infinity", 8);
    set_flag(request, again || !(zero || infinite) ? HTTP_DEPTH_OTHER : zero ? HTTP_DEPTH_ZERO : HTTP_DEPTH_INFINITE);
    return 0;
}

/*
 * Is it this name? Both are tokens of the same length, so setting 0x20 folds letters and makes nothing else look alike
 * ("-" has it already, and what would become "-" is no token). Eight bytes at once, the last ones overlapping.
 */
static inline __attribute__((always_inline)) bool is_name(const char *text, const char *name, size_t length)
{
    if (length < 8)
        return http_same_word(text, name, length);
    for (size_t at = 0; at < length; at += 8) {
        uint64_t left, right;
        size_t from = at + 8 <= length ? at : length - 8;
        memcpy(&left, text + from, 8);
        memcpy(&right, name + from, 8);
        if ((left | HTTP_EACH_BYTE(0x20)) != right)
            return false;
    }
    return true;
}

/* The fields that matter here, told apart by the length of their names; the others are passed over. */
static int use_field(struct http_request *request, const char *data, const char *name, size_t name_length,
                     const char *value, size_t length)
{
#define IS(word)       (is_name(name, (word), sizeof(word) - 1))
#define SELECT(member) keep_select(request, &request->member, data, value, length)
#define LIST(member)   keep_list(&request->member, data, value, length)
#define SINGLE(member) keep_single(&request->member, data, value, length)
    switch (name_length) {
    case 4: return IS("host") ? read_host(request, data, value, length) : 0;
    case 5: return IS("range") ? SELECT(range) : IS("depth") ? read_depth(request, value, length) : 0;
    case 6:
        return IS("accept")   ? LIST(accept)
               : IS("origin") ? SINGLE(origin)
               : IS("expect") ? read_expect(request, value, length)
                              : 0;
    case 8:
        if (IS("if-match"))
            return SELECT(if_match);
        if (!IS("if-range"))
            return 0;
        set_flag(request, HTTP_HAS_IF_RANGE);
        return SELECT(if_range);
    case 9: return IS("overwrite") ? read_overwrite(request, value, length) : 0;
    case 10: return IS("connection") ? read_connection(request, value, length) : 0;
    case 11: return IS("destination") ? SINGLE(destination) : 0;
    case 13:
        return IS("if-none-match")   ? SELECT(if_none_match)
               : IS("authorization") ? SINGLE(authorization)
               : IS("content-range") ? SINGLE(content_range)
                                     : 0;
    case 14: return IS("content-length") ? read_content_length(request, value, length) : 0;
    case 15: return IS("accept-encoding") ? LIST(accept_encoding) : 0;
    case 17:
        if (IS("transfer-encoding"))
            return read_encoding(request, value, length);
        return IS("if-modified-since") ? SELECT(if_modified_since) : 0;
    case 19: return IS("if-unmodified-since") ? SELECT(if_unmodified_since) : 0;
    case 29: return IS("access-control-request-method") ? SINGLE(access_control_request_method) : 0;
    case 30: return IS("access-control-request-headers") ? SINGLE(access_control_request_headers) : 0;
    default: return 0;
    }
#undef IS
#undef SELECT
#undef LIST
#undef SINGLE
}

static int read_field(struct http_request *request, const char *data, size_t length)
{
    const char *name = data + request->line;
    size_t colon = 0;
    while (colon < length && http_is_token(name[colon]))
        colon++;
    if (colon == 0 || colon == length || name[colon] != ':')
        return -400; /* also a folded line, and a space before the colon */
    if (++request->fields > HTTP_FIELDS_MAX)
        return -431;
    const char *value = name + colon + 1;
    size_t value_length = length - colon - 1;
    if (!http_is_value(value, value_length))
        return -400;
    value_length = http_trim(&value, value_length);
    return use_field(request, data, name, colon, value, value_length);
}

/* The empty line: does the head make sense as a whole? */
static int check_whole(struct http_request *request)
{
    if (request->minor == 1 && !(request->flags & HTTP_HAS_HOST))
        return -400;
    if (request->flags & HTTP_HAS_ENCODING && (request->minor == 0 || request->flags & HTTP_HAS_LENGTH))
        return -400;
    bool reads = request->method == HTTP_GET || request->method == HTTP_HEAD || request->method == HTTP_OPTIONS;
    if (request->flags & HTTP_SELECTS_TWICE && !reads)
        return -400;
    if (request->minor == 0) /* RFC 9110, 10.1.1: it would not understand a 100 */
        request->flags &= (uint16_t) ~(HTTP_HAS_EXPECT | HTTP_EXPECTS_OTHER);
    return 0;
}

/* One complete line of length bytes without its end. Returns 1 at the head's end. */
static int read_line(struct http_request *request, const char *data, size_t length)
{
    if (request->stage == STAGE_FIELDS) {
        if (length != 0)
            return read_field(request, data, length);
        int error = check_whole(request);
        return error ? error : 1;
    }
    if (length == 0) { /* one empty line before a request is an old habit of clients after a body */
        if (request->stage == STAGE_AFTER_EMPTY_LINE)
            return -400;
        request->stage = STAGE_AFTER_EMPTY_LINE;
        return 0;
    }
    request->stage = STAGE_FIELDS;
    return read_request_line(request, data, length);
}

int http_request_read(struct http_request *request, const char *data, size_t length)
{
    for (;;) {
        const char *newline = memchr(data + request->scanned, '\n', length - request->scanned);
        size_t end = newline ? (size_t)(newline - data) + 1 : length;
        if (request->stage != STAGE_FIELDS && end - request->line > HTTP_LINE_MAX)
            return -414;
        if (end > HTTP_HEAD_MAX)
            return -431;
        request->scanned = (uint32_t)end;
        if (newline == NULL)
            return 0;
        if (end - request->line < 2 || newline[-1] != '\r')
            return -400;
        int result = read_line(request, data, end - 2 - request->line);
        if (result < 0)
            return result;
        request->line = (uint32_t)end;
        if (result == 1)
            return (int)end;
    }
}

int http_request_keeps_alive(const struct http_request *request)
{
    if (request->flags & HTTP_HAS_CLOSE)
        return 0;
    return request->minor == 1 || request->flags & HTTP_HAS_KEEP_ALIVE;
}
