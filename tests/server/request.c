/* SPDX-License-Identifier: MIT */
/* The request parser: what it takes, what it refuses, and that the pieces in which bytes come make no difference. */
#include "harness.h"
#include "http/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the whole text at once, in a block of exactly its size so that a checker sees what lies beyond it. */
static int read_all(const char *text, size_t length, struct http_request *request)
{
    char *exact = malloc(length ? length : 1);
    memcpy(exact, text, length);
    *request = (struct http_request){0};
    int result = http_request_read(request, exact, length);
    free(exact);
    return result;
}

/* Reads it in two pieces, and byte by byte; every way must give the same. Returns the one result. */
static int read_every_way(const char *text, size_t length, struct http_request *request)
{
    int whole = read_all(text, length, request);
    for (size_t cut = 0; cut <= length && length < 2000; cut++) {
        struct http_request split = {0};
        int result = http_request_read(&split, text, cut);
        if (result == 0)
            result = http_request_read(&split, text, length);
        if (!CHECK_INT(result, whole) || (whole > 0 && !CHECK(memcmp(&split, request, sizeof split) == 0)))
            harness_note("cut at %zu", cut);
    }
    struct http_request slow = {0};
    int result = 0;
    for (size_t n = 0; n <= length && result == 0; n++)
        result = http_request_read(&slow, text, n);
    CHECK_INT(result, whole);
    return whole;
}

static void check_span(const char *text, struct http_span span, const char *expected)
{
    if (CHECK_INT(span.length, strlen(expected)))
        CHECK_BYTES(text + span.at, expected, span.length);
}

static int status_of(const char *text)
{
    struct http_request request;
    return read_every_way(text, strlen(text), &request);
}

TEST(an_ordinary_request)
{
    const char *text = "GET /a/b?c=d HTTP/1.1\r\nHost: example.org:8080\r\nUser-Agent: t\tx \xc3\xa9\r\n"
                       "Accept: */*\r\nIf-None-Match: \"x\"\r\nRange:bytes=0-1 \t\r\n\r\n";
    struct http_request request;
    REQUIRE_INT(read_every_way(text, strlen(text), &request), strlen(text));
    CHECK_INT(request.method, HTTP_GET);
    CHECK_INT(request.minor, 1);
    CHECK_INT(request.target.length, 8);
    CHECK_BYTES(text + request.target.at, "/a/b?c=d", 8);
    CHECK_INT(request.if_none_match.length, 3);
    CHECK_INT(request.range.length, 9);
    CHECK_BYTES(text + request.range.at, "bytes=0-1", 9);
    CHECK(http_request_keeps_alive(&request));
}

TEST(methods)
{
    static const struct {
        const char *text;
        int method;
    } rows[] = {
        {"GET / HTTP/1.0\r\n\r\n", HTTP_GET},           {"HEAD / HTTP/1.0\r\n\r\n", HTTP_HEAD},
        {"OPTIONS * HTTP/1.0\r\n\r\n", HTTP_OPTIONS},   {"PUT / HTTP/1.0\r\n\r\n", HTTP_PUT},
        {"DELETE / HTTP/1.0\r\n\r\n", HTTP_DELETE},     {"MKCOL / HTTP/1.0\r\n\r\n", HTTP_MKCOL},
        {"MOVE / HTTP/1.0\r\n\r\n", HTTP_MOVE},         {"COPY / HTTP/1.0\r\n\r\n", HTTP_COPY},
        {"POST / HTTP/1.0\r\n\r\n", HTTP_REFUSED},      {"TRACE / HTTP/1.0\r\n\r\n", HTTP_REFUSED},
        {"CONNECT a:1 HTTP/1.0\r\n\r\n", HTTP_REFUSED}, {"PATCH / HTTP/1.0\r\n\r\n", HTTP_REFUSED},
        {"PROPFIND / HTTP/1.0\r\n\r\n", HTTP_REFUSED},  {"LOCK / HTTP/1.0\r\n\r\n", HTTP_REFUSED},
        {"BREW / HTTP/1.0\r\n\r\n", HTTP_UNKNOWN},      {"get / HTTP/1.0\r\n\r\n", HTTP_UNKNOWN},
        {"GETX / HTTP/1.0\r\n\r\n", HTTP_UNKNOWN},      {"PUTT / HTTP/1.0\r\n\r\n", HTTP_UNKNOWN},
        {"PU / HTTP/1.0\r\n\r\n", HTTP_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_request request;
        harness_at("%s", rows[i].text);
        CHECK_INT(read_every_way(rows[i].text, strlen(rows[i].text), &request), strlen(rows[i].text));
        CHECK_INT(request.method, rows[i].method);
    }
}

TEST(absolute_targets)
{
    const char *text = "GET http://example.org/p?q HTTP/1.1\r\nHost: other\r\n\r\n";
    struct http_request request;
    REQUIRE_INT(read_every_way(text, strlen(text), &request), strlen(text));
    CHECK(request.flags & HTTP_ABSOLUTE);
    CHECK_BYTES(text + request.target.at, "/p?q", request.target.length);
    check_span(text, request.host, "example.org"); /* goes before the field */
    text = "GET HTTP://example.org HTTP/1.1\r\nHost: other\r\n\r\n";
    REQUIRE_INT(read_every_way(text, strlen(text), &request), strlen(text));
    CHECK_INT(request.target.length, 0);
    text = "GET https://[::1]:8443?q HTTP/1.1\r\nHost: other\r\n\r\n";
    REQUIRE_INT(read_every_way(text, strlen(text), &request), strlen(text));
    CHECK_BYTES(text + request.target.at, "?q", request.target.length);
    check_span(text, request.host, "[::1]:8443");
}

TEST(options_of_the_whole_server)
{
    static const struct {
        const char *text;
        unsigned asterisk;
    } rows[] = {
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ASTERISK},
        {"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ASTERISK},
        {"OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"OPTIONS http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"OPTIONS /* HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_request request;
        harness_at("%s", rows[i].text);
        CHECK_INT(read_every_way(rows[i].text, strlen(rows[i].text), &request), strlen(rows[i].text));
        CHECK_INT(request.flags & HTTP_ASTERISK, rows[i].asterisk);
    }
}

TEST(fields_that_are_kept)
{
    static const struct {
        const char *name;
        size_t offset;
    } rows[] = {
#define ROW(name, member) {name, offsetof(struct http_request, member)}
        ROW("Host", host),
        ROW("If-Match", if_match),
        ROW("If-None-Match", if_none_match),
        ROW("If-Modified-Since", if_modified_since),
        ROW("If-Unmodified-Since", if_unmodified_since),
        ROW("If-Range", if_range),
        ROW("Range", range),
        ROW("Accept", accept),
        ROW("Accept-Encoding", accept_encoding),
        ROW("Authorization", authorization),
        ROW("Content-Range", content_range),
        ROW("Destination", destination),
        ROW("Origin", origin),
        ROW("Access-Control-Request-Method", access_control_request_method),
        ROW("Access-Control-Request-Headers", access_control_request_headers),
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned spelling = 0; spelling < 5; spelling++) {
            char name[40], text[128];
            snprintf(name, sizeof name, "%s", rows[i].name);
            size_t last = strlen(name) - 1, middle = last / 2 + (name[last / 2] == '-');
            for (size_t at = 0; at <= last && spelling == 1; at++)
                name[at] = (char)(name[at] >= 'a' && name[at] <= 'z' ? name[at] - 32 : name[at]);
            if (spelling >= 2) /* a neighbour of its name: at its beginning, in its middle, at its end */
                name[spelling == 2 ? 0 : spelling == 3 ? middle : last] ^= 2;
            int length = snprintf(text, sizeof text, "GET / HTTP/1.0\r\n%s: a-value \r\n\r\n", name);
            struct http_request request;
            harness_at("%s", text);
            REQUIRE_INT(read_every_way(text, (size_t)length, &request), length);
            struct http_span span;
            memcpy(&span, (const char *)&request + rows[i].offset, sizeof span);
            if (spelling < 2)
                check_span(text, span, "a-value");
            else
                CHECK(span.at == 0 && span.length == 0);
        }
    }
}

TEST(fields_that_come_twice)
{
    static const struct {
        const char *method, *field;
        int result; /* 0: the head is taken */
        unsigned flag;
    } rows[] = {
        {"GET", "Authorization", -400, 0},
        {"GET", "Destination", -400, 0},
        {"PUT", "Content-Range", -400, 0},
        {"GET", "Origin", -400, 0},
        {"OPTIONS", "Access-Control-Request-Method", -400, 0},
        {"OPTIONS", "Access-Control-Request-Headers", -400, 0},
        {"GET", "If-Match", 0, HTTP_SELECTS_TWICE},
        {"HEAD", "If-Range", 0, HTTP_SELECTS_TWICE},
        {"GET", "If-Unmodified-Since", 0, HTTP_SELECTS_TWICE},
        {"PUT", "If-None-Match", -400, 0},
        {"DELETE", "If-Match", -400, 0},
        {"MOVE", "If-Unmodified-Since", -400, 0},
        {"GET", "Accept", 0, 0},
        {"GET", "Accept-Encoding", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        int length = snprintf(text, sizeof text, "%s / HTTP/1.0\r\n%s: x\r\nX: y\r\n%s: x\r\n\r\n", rows[i].method,
                              rows[i].field, rows[i].field);
        struct http_request request;
        harness_at("%s", text);
        CHECK_INT(read_every_way(text, (size_t)length, &request), rows[i].result ? rows[i].result : length);
        if (rows[i].result == 0) {
            CHECK_INT(request.flags & HTTP_SELECTS_TWICE, rows[i].flag);
            CHECK(request.accept.length == 0 && request.accept_encoding.length == 0);
        }
    }
}

TEST(flags_of_fields)
{
    static const struct {
        const char *method, *lines;
        unsigned flags;
    } rows[] = {
        {"PUT", "Expect: 100-Continue\r\n", HTTP_HAS_EXPECT},
        {"PUT", "Expect:\r\n", 0},
        {"PUT", "Expect: 100-continue, x\r\n", HTTP_HAS_EXPECT | HTTP_EXPECTS_OTHER},
        {"PUT", "Expect: x\r\nExpect: 100-continue\r\n", HTTP_HAS_EXPECT | HTTP_EXPECTS_OTHER},
        {"PUT", "Transfer-Encoding: Chunked\r\n", HTTP_HAS_ENCODING},
        {"PUT", "Transfer-Encoding: gzip, chunked\r\n", HTTP_HAS_ENCODING | HTTP_ENCODING_OTHER},
        {"PUT", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
         HTTP_HAS_ENCODING | HTTP_ENCODING_OTHER},
        {"PUT", "Transfer-Encoding: identity\r\n", HTTP_HAS_ENCODING | HTTP_ENCODING_OTHER},
        {"PUT", "Transfer-Encoding: chunked;x\r\n", HTTP_HAS_ENCODING | HTTP_ENCODING_OTHER},
        {"PUT", "Transfer-Encoding:\r\n", HTTP_HAS_ENCODING | HTTP_ENCODING_OTHER},
        {"PUT", "Transfer-Encoding: xchunked\r\n", HTTP_HAS_ENCODING | HTTP_ENCODING_OTHER},
        {"MOVE", "Overwrite: T\r\n", 0},
        {"MOVE", "Overwrite: t\r\n", 0},
        {"MOVE", "Overwrite: F\r\n", HTTP_OVERWRITE_NOT},
        {"MOVE", "Overwrite: F\r\nOverwrite: T\r\n", HTTP_OVERWRITE_NOT},
        {"MOVE", "Overwrite: maybe\r\n", HTTP_OVERWRITE_NOT},
        {"COPY", "Depth: 0\r\n", HTTP_DEPTH_ZERO},
        {"COPY", "Depth: Infinity\r\n", HTTP_DEPTH_INFINITE},
        {"COPY", "Depth: 1\r\n", HTTP_DEPTH_OTHER},
        {"COPY", "Depth:\r\n", HTTP_DEPTH_OTHER},
        {"COPY", "Depth: 00\r\n", HTTP_DEPTH_OTHER},
        {"COPY", "Depth: 0\r\nDepth: 0\r\n", HTTP_DEPTH_ZERO | HTTP_DEPTH_OTHER},
        {"COPY", "Depth: infinity\r\nDepth: 0\r\n", HTTP_DEPTH_INFINITE | HTTP_DEPTH_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        int length = snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].method, rows[i].lines);
        struct http_request request;
        harness_at("%s", text);
        CHECK_INT(read_every_way(text, (size_t)length, &request), length);
        CHECK_INT(request.flags & ~(unsigned)HTTP_HAS_HOST, rows[i].flags);
    }
    struct http_request request; /* an old client would wait for a body that it gets after a 100 */
    const char *text = "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n";
    CHECK(read_every_way(text, strlen(text), &request) > 0);
    CHECK_INT(request.flags, 0);
}

/* What two readers could take for two different things is refused. */
TEST(refused_as_malformed)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\rHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tfolded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa9: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 12345678\x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        "\nGET / HTTP/1.0\r\n\r\n",
        " GET / HTTP/1.0\r\n\r\n",
        "GET  / HTTP/1.0\r\n\r\n",
        "GET /  HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0 \r\n\r\n",
        "GET\t/ HTTP/1.0\r\n\r\n",
        "GET /\r\n\r\n",
        "GET\r\n\r\n",
        "GET HTTP/1.1\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/1.10\r\n\r\n",
        "GET / HTTP/1,1\r\n\r\n",
        "GET / HTTPS/1.1\r\n\r\n",
        "G(T / HTTP/1.0\r\n\r\n",
        "GET /a b HTTP/1.0\r\n\r\n",
        "GET /a#b HTTP/1.0\r\n\r\n",
        "GET /1234567\x1f HTTP/1.0\r\n\r\n",
        "GET /\x7f HTTP/1.0\r\n\r\n",
        "GET * HTTP/1.0\r\n\r\n",
        "PUT * HTTP/1.0\r\n\r\n",
        "OPTIONS ** HTTP/1.0\r\n\r\n",
        "OPTIONS a HTTP/1.0\r\n\r\n",
        "DELETE a HTTP/1.0\r\n\r\n",
        "GET a HTTP/1.0\r\n\r\n",
        "GET example.org:80 HTTP/1.0\r\n\r\n",
        "GET http:/// HTTP/1.0\r\n\r\n",
        "GET http://a@b/ HTTP/1.0\r\n\r\n",
        "GET ftp://a/ HTTP/1.0\r\n\r\n",
        "\r\n\r\n",
        "\x16\x03\x01\x02\r\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("row %zu: %s", i, rows[i]);
        CHECK_INT(status_of(rows[i]), -400);
    }
    struct http_request request;
    CHECK_INT(read_every_way("GET /a\0b HTTP/1.0\r\n\r\n", 22, &request), -400);
    CHECK_INT(read_every_way("GET / HTTP/1.0\r\nX: a\0b\r\n\r\n", 26, &request), -400);
    CHECK_INT(read_every_way("GET / HTTP/1.0\r\nX\0: a\r\n\r\n", 25, &request), -400);
}

TEST(other_versions)
{
    CHECK_INT(status_of("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), -505);
    CHECK_INT(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), -505);
    CHECK_INT(status_of("GET / HTTP/0.9\r\n\r\n"), -505);
    CHECK_INT(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), -505);
}

TEST(accepted_in_spite_of_their_looks)
{
    CHECK(status_of("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
    CHECK(status_of("GET / HTTP/1.1\r\nHost:\r\n\r\n") > 0);
    CHECK(status_of("GET / HTTP/1.1\r\nhOST: a\r\n\r\n") > 0);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: \t a \t \r\nX:\r\nY:  \r\n\r\n") > 0);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n") > 0);
    CHECK(status_of("GET /\xc3\xa9 HTTP/1.0\r\n\r\n") > 0);
    CHECK(status_of("GET //a///../%zz HTTP/1.0\r\n\r\n") > 0);
    CHECK(status_of("GET / HTTP/1.0\r\nContent-Length: 922337203685477579\r\n\r\n") > 0);
}

TEST(keeps_alive)
{
    static const struct {
        const char *text;
        int keeps;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x , CLOSE,y\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", 1},
        {"GET / HTTP/1.0\r\n\r\n", 0},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 1},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_request request;
        harness_at("%s", rows[i].text);
        CHECK(read_every_way(rows[i].text, strlen(rows[i].text), &request) > 0);
        CHECK_INT(http_request_keeps_alive(&request), rows[i].keeps);
    }
}

TEST(several_in_one_piece)
{
    const char *text = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /22 HTTP/1.0\r\n\r\n\r\nGET /333 HTTP/1.0\r\n\r\n";
    size_t at = 0, length = strlen(text);
    static const unsigned targets[] = {2, 3, 4};
    for (unsigned i = 0; i < 3; i++) {
        struct http_request request;
        int used = read_every_way(text + at, length - at, &request);
        REQUIRE(used > 0);
        CHECK_INT(request.target.length, targets[i]);
        at += (size_t)used;
    }
    CHECK_INT(at, length);
}

/* A request line of n bytes in all. */
static char *long_line(size_t n, size_t *length)
{
    char *text = malloc(n + 32);
    memset(text, 'a', n);
    memcpy(text, "GET /", 5);
    memcpy(text + n - 11, " HTTP/1.0\r\n", 11);
    memcpy(text + n, "\r\n", 2);
    *length = n + 2;
    return text;
}

TEST(long_lines)
{
    for (size_t n = HTTP_LINE_MAX - 2; n <= HTTP_LINE_MAX + 2; n++) {
        size_t length;
        char *text = long_line(n, &length);
        struct http_request request;
        int result = read_every_way(text, length, &request);
        CHECK_INT(result, n <= HTTP_LINE_MAX ? (int)length : -414);
        free(text);
    }
    char endless[HTTP_LINE_MAX + 1];
    memset(endless, 'a', sizeof endless);
    struct http_request request;
    CHECK_INT(read_every_way(endless, sizeof endless, &request), -414);
}

TEST(long_heads)
{
    static char text[2 * HTTP_HEAD_MAX];
    for (size_t n = HTTP_HEAD_MAX - 2; n <= HTTP_HEAD_MAX + 2; n++) {
        size_t start = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.0\r\nX: ");
        memset(text + start, 'x', n - start);
        memcpy(text + n - 4, "\r\n\r\n", 4);
        struct http_request request;
        CHECK_INT(read_every_way(text, n, &request), n <= HTTP_HEAD_MAX ? (int)n : -431);
    }
}

TEST(many_fields)
{
    static char text[HTTP_HEAD_MAX];
    for (unsigned fields = HTTP_FIELDS_MAX - 1; fields <= HTTP_FIELDS_MAX + 1; fields++) {
        size_t at = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.0\r\n");
        for (unsigned i = 0; i < fields; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "X: %u\r\n", i);
        at += (size_t)snprintf(text + at, sizeof text - at, "\r\n");
        struct http_request request;
        CHECK_INT(read_every_way(text, at, &request), fields <= HTTP_FIELDS_MAX ? (int)at : -431);
    }
}

TEST(conditions_given_twice)
{
    struct http_request request;
    const char *text = "GET / HTTP/1.0\r\nIf-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n\r\n";
    CHECK(read_every_way(text, strlen(text), &request) > 0);
    CHECK(request.flags & HTTP_SELECTS_TWICE);
    text = "GET / HTTP/1.0\r\nRange:\r\nRange: bytes=0-0\r\n\r\n";
    CHECK(read_every_way(text, strlen(text), &request) > 0);
    CHECK(request.flags & HTTP_SELECTS_TWICE);
}

/* Random bytes of an alphabet that parsers are sensitive to: no crash, and the same whatever the pieces. */
TEST(noise)
{
    static const char *const words[] = {
        "GET",  " ",  "/",    "HTTP/1.1", "\r\n", "\r\n\r\n",         "Host",      ":",
        "a",    "\t", "\n",   "\r",       "#",    "Content-Length: ", "5",         "",
        "HEAD", "%",  "\xff", "Range",    ",",    "Connection",       "If-Range:", "close"};
    uint32_t seed = 12345;
    unsigned good = 0;
    for (unsigned round = 0; round < 20000; round++) {
        char text[256];
        size_t length = 0;
        if (round % 3 == 0)
            length = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (unsigned i = 0; i < 12 && length < 200; i++) {
            seed = seed * 1664525 + 1013904223;
            const char *word = words[(seed >> 16) % (sizeof words / sizeof words[0])];
            size_t size = word[0] ? strlen(word) : 1;
            memcpy(text + length, word, size);
            length += size;
        }
        struct http_request request;
        good += read_every_way(text, length, &request) > 0;
        if (harness_failures() > 0)
            break;
    }
    CHECK(good > 0);
}
