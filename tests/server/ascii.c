/* SPDX-License-Identifier: MIT */
/* Lines on their way: what becomes of them, and that neither pieces nor little room make a difference. */
#include "ftp/ascii.h"
#include "harness.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

struct lines {
    struct ftp_ascii ascii;
    char out[MOST];
    size_t length;
};

/* Gives the filter a piece, with so much room at a time, as the library does. end: no more comes. */
static void feed(struct lines *lines, errand_filter filter, const char *data, size_t length, size_t room, bool end)
{
    char *in = malloc(length + 1), *out = malloc(room); /* of exactly that size, so that a sanitizer sees more */
    memcpy(in, data, length);
    struct errand_pieces pieces = {.in = in, .in_length = length, .end = end};
    do {
        size_t before = pieces.in_length;
        pieces.out = out;
        pieces.out_room = room;
        CHECK_INT(filter(&lines->ascii, &pieces), 0);
        size_t made = (size_t)(pieces.out - out);
        REQUIRE(made + pieces.out_room == room && pieces.in_length <= before);
        REQUIRE(pieces.in == in + (length - pieces.in_length));
        REQUIRE(made > 0 || pieces.in_length < before || before == 0);
        REQUIRE(lines->length + made <= MOST);
        memcpy(lines->out + lines->length, out, made);
        lines->length += made;
    } while (pieces.in_length > 0 || pieces.out_room == 0);
    free(in);
    free(out);
}

/* Cut at every two places, with rooms from one byte on. */
static void check(errand_filter filter, const char *text, size_t length, const char *wanted, size_t wanted_length)
{
    for (size_t room = 1; room <= 4; room++) {
        for (size_t one = 0; one <= length; one++) {
            for (size_t two = one; two <= length; two++) {
                struct lines lines = {.length = 0};
                feed(&lines, filter, text, one, room, false);
                feed(&lines, filter, text + one, two - one, room, false);
                feed(&lines, filter, text + two, length - two, room, true);
                if (CHECK_INT(lines.length, wanted_length))
                    CHECK_BYTES(lines.out, wanted, wanted_length);
            }
        }
    }
}

#define SENT(text, wanted)     check(ftp_ascii_send, text, sizeof text - 1, wanted, sizeof wanted - 1)
#define RECEIVED(text, wanted) check(ftp_ascii_receive, text, sizeof text - 1, wanted, sizeof wanted - 1)

TEST(sent)
{
    SENT("", "");
    SENT("one", "one");
    SENT("\n", "\r\n");
    SENT("one\ntwo\n\nthree", "one\r\ntwo\r\n\r\nthree");
    SENT("a\r\nb\rc\r\r\n", "a\r\r\nb\rc\r\r\r\n");
    SENT("a\0b\n\0", "a\0b\r\n\0");
}

TEST(received)
{
    RECEIVED("", "");
    RECEIVED("one", "one");
    RECEIVED("\r\n", "\n");
    RECEIVED("one\r\ntwo\r\n\r\nthree", "one\ntwo\n\nthree");
    RECEIVED("a\nb\rc\r\r\nd\n\r\r", "a\nb\rc\r\nd\n\r\r");
    RECEIVED("a\0b\r\0\r\n\0", "a\0b\r\0\n\0");
    RECEIVED("\r", "\r");
}

/* Every text of six of these characters comes back as it was. */
TEST(there_and_back)
{
    static const char letters[] = "a\r\n";
    for (unsigned number = 0; number < 729; number++) {
        char text[6];
        unsigned rest = number;
        for (unsigned i = 0; i < sizeof text; i++, rest /= 3)
            text[i] = letters[rest % 3];
        struct lines way = {.length = 0}, back = {.length = 0};
        feed(&way, ftp_ascii_send, text, sizeof text, 3, true);
        feed(&back, ftp_ascii_receive, way.out, way.length, 3, true);
        if (CHECK_INT(back.length, sizeof text))
            CHECK_BYTES(back.out, text, sizeof text);
    }
}
