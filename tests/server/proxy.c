/* SPDX-License-Identifier: MIT */
/* PROXY headers of both versions: whom they name, where they end, what is refused; pieces make no difference. */
#include "harness.h"
#include "proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
    enum proxy_result result;
    size_t used;
    struct address address;
};

/* One piece, in a block of exactly its size. */
static void feed(struct proxy_reader *reader, const char *data, size_t length, struct outcome *outcome)
{
    char *exact = malloc(length ? length : 1);
    size_t used;
    REQUIRE(exact != NULL);
    memcpy(exact, data, length);
    outcome->result = proxy_read(reader, exact, length, &used);
    REQUIRE(used <= length && (outcome->result != PROXY_MORE || used == length));
    outcome->used += used;
    outcome->address = reader->address;
    free(exact);
}

static void check_same(const struct outcome *one, const struct outcome *other)
{
    CHECK_INT(one->result, other->result);
    CHECK_BYTES(one->address.bytes, other->address.bytes, 16);
    if (one->result == PROXY_DONE)
        CHECK_INT(one->used, other->used);
}

/* At once, in two pieces cut at every byte, and byte by byte. */
static struct outcome read_every_way(const char *data, size_t length)
{
    struct outcome whole = {0};
    feed(&(struct proxy_reader){0}, data, length, &whole);
    for (size_t cut = 0; cut <= length && length < 1000; cut++) {
        struct outcome split = {0};
        struct proxy_reader reader = {0};
        feed(&reader, data, cut, &split);
        if (split.result == PROXY_MORE)
            feed(&reader, data + cut, length - cut, &split);
        check_same(&split, &whole);
    }
    struct outcome single = {0};
    struct proxy_reader reader = {0};
    for (size_t i = 0; i < length && single.result == PROXY_MORE; i++)
        feed(&reader, data + i, 1, &single);
    check_same(&single, &whole);
    return whole;
}

/* A header and what follows it: exactly the header is taken, and it names this client ("": none). */
static void check_names(const char *header, size_t length, const char *client)
{
    static char data[PROXY_BINARY_MAX + 100];
    memcpy(data, header, length);
    memcpy(data + length, "GET / HTTP/1.1\r\n", 16);
    struct outcome outcome = read_every_way(data, length + 16);
    if (!CHECK_INT(outcome.result, PROXY_DONE))
        return;
    CHECK_INT(outcome.used, length);
    char text[INET6_ADDRSTRLEN] = "";
    if (address_is_known(&outcome.address))
        inet_ntop(AF_INET6, outcome.address.bytes, text, sizeof text);
    CHECK_STR(text, client);
    for (size_t n = 0; n < length && length < 300; n++)
        CHECK_INT(read_every_way(data, n).result, PROXY_MORE);
}

TEST(text)
{
    static const struct {
        const char *header, *client;
    } rows[] = {
        {"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n", "::ffff:192.0.2.1"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "::ffff:255.255.255.255"},
        {"PROXY TCP4 0.0.0.0 1.1.1.1 0 0\r\n", "::ffff:0.0.0.0"},
        {"PROXY TCP6 2001:db8::1 2001:DB8::2 40000 80\r\n", "2001:db8::1"},
        {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "::ffff:192.0.2.1"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"PROXY UNKNOWN\r\n", ""},
        {"PROXY UNKNOWN \r\n", ""},
        {"PROXY UNKNOWN 192.0.2.1 whatever this is\r\n", ""},
        {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"
         "\r\n",
         ""}, /* 107 bytes, the longest that there is */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i].header);
        check_names(rows[i].header, strlen(rows[i].header), rows[i].client);
    }
    CHECK_INT(strlen(rows[9].header), PROXY_TEXT_MAX);
}

TEST(text_refused)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 192.0.2.1 192.0.2.2 40000 80\r\n",
        " PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n",
        "PROXYTCP4 192.0.2.1 192.0.2.2 40000 80\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 40000 80\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 40000 80\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 80 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 80 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2  40000 80\r\n",
        "PROXY TCP4 192.0.2.1\t192.0.2.2 40000 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 080\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 -1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 99999999999999999999\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 40000 80\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 40000 80\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 40000 80\r\n",
        "PROXY TCP4 ::1 ::1 40000 80\r\n",
        "PROXY TCP4 192.0.2.1 ::1 40000 80\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 40000 80\r\n",
        "PROXY TCP6 2001:db8::1%eth0 ::1 40000 80\r\n",
        "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 40000 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\r\n",
        "PROXY TCP4 192.0.2.1\r192.0.2.2 40000 80\r\n",
        "PROXY UNKNOWN \n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i]);
        CHECK_INT(read_every_way(rows[i], strlen(rows[i])).result, PROXY_INVALID);
    }
    CHECK_INT(read_every_way("PROXY UNKNOWN \0\r\n", 17).result, PROXY_INVALID);
    for (int n = PROXY_TEXT_MAX; n <= PROXY_TEXT_MAX + 1; n++) {
        char line[200];
        CHECK_INT(snprintf(line, sizeof line, "PROXY UNKNOWN %0*d\r\n", n - 16, 0), n);
        CHECK_INT(read_every_way(line, (size_t)n).result, n == PROXY_TEXT_MAX ? PROXY_DONE : PROXY_INVALID);
    }
}

/* It is refused as soon as it cannot be one any more: nobody waits for a line's end that may never come. */
TEST(refused_early)
{
    CHECK_INT(read_every_way("G", 1).result, PROXY_INVALID);
    CHECK_INT(read_every_way("PROXX", 5).result, PROXY_INVALID);
    CHECK_INT(read_every_way("\r\n\r\n\r", 5).result, PROXY_INVALID);
    char line[200] = "PROXY UNKNOWN ";
    memset(line + 14, 'x', sizeof line - 14);
    CHECK_INT(read_every_way(line, PROXY_TEXT_MAX).result, PROXY_INVALID);
    CHECK_INT(read_every_way(line, PROXY_TEXT_MAX - 1).result, PROXY_MORE);
}

#define START "\r\n\r\n\0\r\nQUIT\n"

/* A header of version 2 with its addresses and so many bytes of extensions. Returns its length. */
static size_t binary(char *out, int command, int family, const void *addresses, size_t length, size_t more)
{
    size_t follows = length + more;
    memcpy(out, START, 12);
    out[12] = (char)command;
    out[13] = (char)family;
    out[14] = (char)(follows >> 8);
    out[15] = (char)follows;
    memcpy(out + 16, addresses, length);
    memset(out + 16 + length, 0x5a, more);
    return 16 + follows;
}

static const char v4[] = "\xc0\0\x02\x01\xc0\0\x02\x02\x9c\x40\0\x50";
static const char v6[] = " \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x01 \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x9c\x40\0\x50";

TEST(binaries)
{
    static const char local[216] = "/run/socket";
    static const struct {
        int command, family;
        const char *addresses;
        size_t length;
        const char *client;
    } rows[] = {
        {0x21, 0x11, v4, 12, "::ffff:192.0.2.1"},
        {0x21, 0x21, v6, 36, "2001:db8::1"},
        {0x20, 0x00, "", 0, ""},  /* LOCAL: the proxy itself */
        {0x20, 0x11, v4, 12, ""}, /* with addresses, which mean nothing */
        {0x20, 0x11, "", 0, ""},
        {0x21, 0x00, "", 0, ""},
        {0x21, 0x12, v4, 12, ""}, /* datagrams */
        {0x21, 0x10, v4, 12, ""},
        {0x21, 0x31, local, 216, ""},
    };
    static char header[PROXY_BINARY_MAX + 1];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t more = 0; more <= 64; more += 32) {
            harness_at("row %zu, %zu more", i, more);
            size_t length = binary(header, rows[i].command, rows[i].family, rows[i].addresses, rows[i].length, more);
            check_names(header, length, rows[i].client);
        }
    }
    size_t length = binary(header, 0x21, 0x11, v4, 12, PROXY_BINARY_MAX - 28);
    CHECK_INT(length, PROXY_BINARY_MAX);
    check_names(header, length, "::ffff:192.0.2.1");
}

TEST(binaries_refused)
{
    static const struct {
        int command, family;
        size_t length;
    } rows[] = {
        {0x11, 0x11, 12}, {0x31, 0x11, 12}, {0x01, 0x11, 12}, {0x22, 0x11, 12}, {0x2f, 0x11, 12},  {0x21, 0x41, 36},
        {0x21, 0x13, 12}, {0x21, 0x11, 11}, {0x21, 0x11, 0},  {0x21, 0x21, 35}, {0x21, 0x31, 215},
    };
    static char header[PROXY_BINARY_MAX + 1], zeros[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("row %zu", i);
        size_t length = binary(header, rows[i].command, rows[i].family, zeros, rows[i].length, 0);
        CHECK_INT(read_every_way(header, length).result, PROXY_INVALID);
    }
    binary(header, 0x21, 0x11, v4, 12, PROXY_BINARY_MAX + 1 - 28);
    CHECK_INT(read_every_way(header, 28).result, PROXY_INVALID);
    for (size_t i = 0; i < 12; i++) {
        size_t length = binary(header, 0x21, 0x11, v4, 12, 0);
        header[i] ^= 1;
        CHECK_INT(read_every_way(header, length).result, PROXY_INVALID);
    }
}
