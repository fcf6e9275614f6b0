/* SPDX-License-Identifier: MIT */
/* Chunked bodies: what is content, where they end, what is refused; and that pieces make no difference. */
#include "harness.h"
#include "http/chunked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What became of a body: the result, the bytes used, the content. */
struct outcome {
    int result;
    size_t used, length;
    char content[64 * 1024];
};

/* Feeds bytes until they are used up, or there is an end or an error. */
static void feed(struct http_chunked *chunked, const char *data, size_t length, struct outcome *outcome)
{
    char *exact = malloc(length ? length : 1);
    memcpy(exact, data, length);
    size_t at = 0;
    do {
        struct http_chunked_step step;
        outcome->result = http_chunked_read(chunked, exact + at, length - at, &step);
        REQUIRE(step.used <= length - at && step.at + step.length <= step.used);
        REQUIRE((outcome->result == HTTP_CHUNKED_DATA) == (step.length > 0));
        REQUIRE(outcome->length + step.length <= sizeof outcome->content);
        memcpy(outcome->content + outcome->length, exact + at + step.at, step.length);
        outcome->length += step.length;
        outcome->used += step.used;
        at += step.used;
    } while (outcome->result == HTTP_CHUNKED_DATA);
    free(exact);
}

static void check_same(const struct outcome *one, const struct outcome *other)
{
    CHECK_INT(one->result, other->result);
    CHECK_INT(one->used, other->used);
    if (CHECK_INT(one->length, other->length))
        CHECK_BYTES(one->content, other->content, one->length);
}

/* At once, in two pieces cut at every byte, and byte by byte. */
static const struct outcome *read_every_way(const char *text, size_t length)
{
    static struct outcome whole, split;
    struct http_chunked chunked = {0};
    memset(&whole, 0, sizeof whole);
    feed(&chunked, text, length, &whole);
    for (size_t cut = 0; cut <= length && length < 1000; cut++) {
        chunked = (struct http_chunked){0};
        split.result = 0;
        split.used = split.length = 0;
        feed(&chunked, text, cut, &split);
        if (split.result == HTTP_CHUNKED_MORE)
            feed(&chunked, text + cut, length - cut, &split);
        check_same(&split, &whole);
    }
    chunked = (struct http_chunked){0};
    split.result = 0;
    split.used = split.length = 0;
    for (size_t i = 0; i < length && split.result == HTTP_CHUNKED_MORE; i++)
        feed(&chunked, text + i, 1, &split);
    check_same(&split, &whole);
    return &whole;
}

TEST(bodies)
{
    static const struct {
        const char *text, *content;
    } rows[] = {
        {"0\r\n\r\n", ""},
        {"000\r\n\r\n", ""},
        {"3\r\nabc\r\n0\r\n\r\n", "abc"},
        {"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"},
        {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
        {"a\r\n\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n0\r\n"},
        {"000000000000003\r\nabc\r\n0\r\n\r\n", "abc"},
        {"3;x\r\nabc\r\n0;y=z\r\n\r\n", "abc"},
        {"3 \t; x=\"a;b\"\r\nabc\r\n0\r\n\r\n", "abc"},
        {"3;\r\nabc\r\n0\r\n\r\n", "abc"},
        {"3\r\nabc\r\n0\r\nX: y\r\nZ:\r\n\r\n", "abc"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        size_t length = (size_t)snprintf(text, sizeof text, "%sGET / HTTP/1.1", rows[i].text);
        harness_at("%s", rows[i].text);
        const struct outcome *outcome = read_every_way(text, length);
        CHECK_INT(outcome->result, HTTP_CHUNKED_END);
        CHECK_INT(outcome->used, strlen(rows[i].text));
        if (CHECK_INT(outcome->length, strlen(rows[i].content)))
            CHECK_BYTES(outcome->content, rows[i].content, outcome->length);
        for (size_t n = 0; n < strlen(rows[i].text); n++)
            CHECK_INT(read_every_way(text, n)->result, HTTP_CHUNKED_MORE);
    }
}

TEST(refused)
{
    static const char *const rows[] = {
        "\r\n",
        "x\r\n",
        " 3\r\nabc",
        "3 \r\nabc",
        "3\t\r\nabc",
        "3 x\r\nabc",
        "+3\r\nabc",
        "-3\r\nabc",
        "0x3\r\nabc",
        "3g\r\nabc",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\r\nabc",
        "3\rabc",
        "3\r\nabcd",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r0",
        "3\r\nabc0\r\n",
        "3\r\nabc\r\n\r\n",
        "3,3\r\nabc",
        "3;x\nabc",
        "3;x\x01\r\nabc",
        "3;x\x7f\r\nabc",
        "3;x\rabc",
        ";x\r\n",
        "0\r\n\n",
        "0\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n folded\r\n\r\n",
        "0\r\nX: y\r\n folded\r\n\r\n",
        "0\r\nX: y\x01\r\n\r\n",
        "0\r\nX: y\r\r\n\r\n",
        "0\r\n\rx",
        "0000000000000003\r\nabc",
        "fffffffffffffffff\r\nabc",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("row %zu: %s", i, rows[i]);
        CHECK_INT(read_every_way(rows[i], strlen(rows[i]))->result, -400);
    }
    CHECK_INT(read_every_way("3;\0\r\nabc", 8)->result, -400);
    CHECK_INT(read_every_way("0\r\nX: \0\r\n\r\n", 11)->result, -400);
}

TEST(the_largest_chunk)
{
    struct http_chunked chunked = {0};
    struct http_chunked_step step;
    static const char text[] = "fffffffffffffff\r\nx";
    REQUIRE_INT(http_chunked_read(&chunked, text, sizeof text - 1, &step), HTTP_CHUNKED_DATA);
    CHECK(chunked.left == (UINT64_C(1) << 60) - 2);
}

TEST(long_extensions)
{
    for (int n = HTTP_CHUNK_EXTENSION_MAX - 1; n <= HTTP_CHUNK_EXTENSION_MAX + 1; n++) {
        char text[400]; /* n bytes from the size to the line's end: "; " and "x"s */
        int length = snprintf(text, sizeof text, "1 ; %0*d\r\na\r\n0;%0*d\r\n\r\n", n - 3, 0, 20, 0);
        const struct outcome *outcome = read_every_way(text, (size_t)length);
        CHECK_INT(outcome->result, n <= HTTP_CHUNK_EXTENSION_MAX ? HTTP_CHUNKED_END : -431);
    }
    enum { EACH = 64, MANY = HTTP_CHUNK_EXTENSIONS_MAX / EACH };
    static char text[(MANY + 1) * (EACH + 6) + 16];
    for (unsigned chunks = MANY; chunks <= MANY + 1; chunks++) {
        size_t at = 0;
        for (unsigned i = 0; i < chunks; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "1;%0*d\r\na\r\n", EACH - 1, 0);
        at += (size_t)snprintf(text + at, sizeof text - at, "0\r\n\r\n");
        CHECK_INT(read_every_way(text, at)->result, chunks == MANY ? HTTP_CHUNKED_END : -431);
    }
}

TEST(long_trailers)
{
    static char text[HTTP_TRAILERS_MAX + 100];
    for (int n = HTTP_TRAILERS_MAX - 1; n <= HTTP_TRAILERS_MAX + 1; n++) { /* bytes from behind the last chunk's line */
        int length = snprintf(text, sizeof text, "0\r\nX: y\r\nZ:%0*d\r\n\r\n", n - 6 - 2 - 4, 0);
        CHECK_INT(length, n + 3);
        CHECK_INT(read_every_way(text, (size_t)length)->result, n <= HTTP_TRAILERS_MAX ? HTTP_CHUNKED_END : -431);
    }
}

/* Bodies drawn at random come out as they went in; with one byte changed the pieces still make no difference. */
TEST(noise)
{
    uint32_t seed = 815;
    for (unsigned round = 0; round < 3000 && harness_failures() == 0; round++) {
        char text[512], content[256];
        size_t length = 0, size = 0;
        for (unsigned chunks = round % 5; chunks > 0; chunks--) {
            seed = seed * 1664525 + 1013904223;
            unsigned n = (seed >> 16) % 20 + 1;
            memset(content + size, (int)('a' + chunks), n);
            length += (size_t)snprintf(text + length, sizeof text - length, "%x%s\r\n", n, seed & 1 << 12 ? ";e" : "");
            memcpy(text + length, content + size, n);
            memcpy(text + length + n, "\r\n", 2);
            length += n + 2;
            size += n;
        }
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "0\r\n%s\r\n", seed & 1 << 13 ? "T: u\r\n" : "");
        const struct outcome *outcome = read_every_way(text, length);
        CHECK_INT(outcome->result, HTTP_CHUNKED_END);
        CHECK_INT(outcome->used, length);
        if (CHECK_INT(outcome->length, size))
            CHECK_BYTES(outcome->content, content, size);
        seed = seed * 1664525 + 1013904223;
        text[(seed >> 16) % length] = "\r\n;0 a:\t"[seed >> 8 & 7];
        read_every_way(text, length);
    }
}
