/* SPDX-License-Identifier: MIT */
/* Ranges of bytes: read, and applied to files of awkward sizes. */
#include "harness.h"
#include "http/range.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE_BUT_ALL 200, 0, 10

TEST(of_a_file_of_ten_bytes)
{
    static const struct {
        const char *text;
        int status;
        uint64_t offset, length;
    } rows[] = {
        {"bytes=0-0", 206, 0, 1},
        {"bytes=0-9", 206, 0, 10},
        {"bytes=3-5", 206, 3, 3},
        {"bytes=9-9", 206, 9, 1},
        {"bytes=9-", 206, 9, 1},
        {"bytes=0-", 206, 0, 10},
        {"bytes=5-100", 206, 5, 5},
        {"Bytes=5-100", 206, 5, 5},
        {"bytes=-1", 206, 9, 1},
        {"bytes=-10", 206, 0, 10},
        {"bytes=-11", 206, 0, 10},
        {"bytes=-0", 416, 0, 10},
        {"bytes=10-", 416, 0, 10},
        {"bytes=10-10", 416, 0, 10},
        {"bytes=0-9223372036854775807", 206, 0, 10},
        {"bytes=0-9223372036854775808", 206, 0, 10},
        {"bytes=0-18446744073709551615", 206, 0, 10},
        {"bytes=0-99999999999999999999999", 206, 0, 10},
        {"bytes=9223372036854775807-", 416, 0, 10},
        {"bytes=9223372036854775808-9223372036854775809", 416, 0, 10},
        {"bytes=18446744073709551615-", 416, 0, 10},
        {"bytes=18446744073709551616-18446744073709551617", 416, 0, 10},
        {"bytes=-18446744073709551615", 206, 0, 10},
        {"bytes=-99999999999999999999999", 206, 0, 10},
        {"bytes=5-4", NONE_BUT_ALL},
        {"bytes=-", NONE_BUT_ALL},
        {"bytes=", NONE_BUT_ALL},
        {"bytes", NONE_BUT_ALL},
        {"", NONE_BUT_ALL},
        {"bytes=a-b", NONE_BUT_ALL},
        {"bytes=0-1,3-4", NONE_BUT_ALL},
        {"bytes=0-1,", NONE_BUT_ALL},
        {"bytes=0--1", NONE_BUT_ALL},
        {"bytes=--1", NONE_BUT_ALL},
        {"bytes= 0-1", NONE_BUT_ALL},
        {"bytes =0-1", NONE_BUT_ALL},
        {"bytes=+0-1", NONE_BUT_ALL},
        {"bytes=0x0-1", NONE_BUT_ALL},
        {"lines=0-1", NONE_BUT_ALL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_range range = http_range_read(rows[i].text, strlen(rows[i].text));
        uint64_t offset, length;
        harness_at("%s", rows[i].text);
        CHECK_INT(http_range_apply(&range, 10, &offset, &length), rows[i].status);
        CHECK_INT(offset, rows[i].offset);
        CHECK_INT(length, rows[i].length);
    }
}

TEST(of_an_empty_file)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {{"bytes=0-", 416}, {"bytes=0-0", 416}, {"bytes=-1", 200}, {"bytes=-0", 416}, {"bytes=5-4", 200}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_range range = http_range_read(rows[i].text, strlen(rows[i].text));
        uint64_t offset, length;
        harness_at("%s", rows[i].text);
        CHECK_INT(http_range_apply(&range, 0, &offset, &length), rows[i].status);
        CHECK_INT(length, 0);
    }
}

/* For all small numbers: what is sent lies within the file, and is what was asked for. */
TEST(always_within_the_file)
{
    for (uint64_t size = 0; size < 6; size++) {
        for (unsigned kind = HTTP_RANGE_NONE; kind <= HTTP_RANGE_SUFFIX; kind++) {
            for (uint64_t first = 0; first < 8; first++) {
                for (uint64_t last = first; last < 10; last++) {
                    struct http_range range = {kind, first, last == 9 ? UINT64_MAX : last};
                    uint64_t offset, length;
                    int status = http_range_apply(&range, size, &offset, &length);
                    CHECK(offset + length <= size);
                    CHECK(status != 206 || length > 0);
                    CHECK(status == 206 || (offset == 0 && length == size));
                }
            }
        }
    }
}

/* "bytes=..." of a file of `size` bytes, as text: "206 0+5 7+1". */
static const char *apply(const char *text, uint64_t size)
{
    static char out[2000];
    char *exact = malloc(strlen(text) + 1);
    memcpy(exact, text, strlen(text));
    struct http_ranges ranges;
    http_ranges_read(&ranges, exact, strlen(text));
    free(exact);
    struct http_piece pieces[HTTP_RANGES_MAX];
    unsigned count;
    int at = snprintf(out, sizeof out, "%d", http_ranges_apply(&ranges, size, pieces, &count));
    for (unsigned i = 0; i < count; i++)
        at += snprintf(out + at, sizeof out - (size_t)at, " %llu+%llu", (unsigned long long)pieces[i].offset,
                       (unsigned long long)pieces[i].length);
    return out;
}

TEST(several)
{
    static const struct {
        const char *text, *result;
    } rows[] = {
        {"bytes=0-0,5-9", "206 0+1 5+5"},
        {"bytes=5-9 ,\t0-0", "206 5+5 0+1"},
        {"bytes=,, 1-2 ,,3-4,", "206 1+2 3+2"},
        {"bytes=0-0,", "206 0+1"},
        {"bytes=-5,0-", "200"},
        {"bytes=-5,0-9", "206 9995+5 0+10"},
        {"bytes=10000-,3-4,20000-20001", "206 3+2"},
        {"bytes=10000-,-0", "416"},
        {"bytes=0-9,5-14", "206 0+10 5+10"},
        {"bytes=0-9,10-19,20-29", "206 0+10 10+10 20+10"},
        {"bytes=0-9,5-14,100-109,200-209", "206 0+10 5+10 100+10 200+10"},
        {"bytes=0-9,5-14,6-7", "200"},
        {"bytes=0-9,5-14,100-109,105-106", "200"},
        {"bytes=0-0,0-0,0-0", "200"},
        {"bytes=0-4999,5000-9999", "200"},
        {"bytes=0-4999,5000-9742", "206 0+5000 5000+4743"},
        {"bytes=0-4999,5000-9743", "200"},
        {"bytes=0-,0-", "200"},
        {"bytes=0-1,5-4", "200"},
        {"bytes=0-1,x", "200"},
        {"bytes=0-1;3-4", "200"},
        {"bytes=0-1 3-4", "200"},
        {"bytes=0-1 ", "206 0+2"},
        {"bytes= 0-1", "200"},
        {"bytes=,", "200"},
        {"bytes=", "200"},
        {"bytes", "200"},
        {"lines=0-1,3-4", "200"},
        {"bytes=3-18446744073709551616,-18446744073709551616", "200"},
        {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", "206 0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1 16+1"},
        {"bytes=16-16,0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", "200"},
        {"bytes=14-14,0-0,2-2,4-4,6-6,8-8,10-10,12-12", "206 14+1 0+1 2+1 4+1 6+1 8+1 10+1 12+1"},
        {"bytes=900-999,0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", "206 900+100 0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i].text);
        CHECK_STR(apply(rows[i].text, 10000), rows[i].result);
    }
    CHECK_STR(apply("bytes=0-0,-1", 0), "200");
    CHECK_STR(apply("bytes=0-0,-0", 0), "416");
}

TEST(as_many_as_there_may_be)
{
    for (unsigned n = HTTP_RANGES_MAX - 1; n <= HTTP_RANGES_MAX + 1; n++) {
        char text[400];
        int at = snprintf(text, sizeof text, "bytes=");
        for (unsigned i = 0; i < n; i++)
            at += snprintf(text + at, sizeof text - (size_t)at, "%s%u-%u", i ? ", " : "", i * 1000, i * 1000 + 99);
        struct http_ranges ranges;
        http_ranges_read(&ranges, text, strlen(text));
        CHECK_INT(ranges.count, n <= HTTP_RANGES_MAX ? n : 0);
        CHECK_INT(strncmp(apply(text, 100000), n <= HTTP_RANGES_MAX ? "206" : "200", 3), 0);
        snprintf(text + at, sizeof text - (size_t)at, ",");
        http_ranges_read(&ranges, text, strlen(text));
        CHECK_INT(ranges.count, n <= HTTP_RANGES_MAX ? n : 0);
    }
}

/* Both readers say the same of whatever the first understands, and pieces lie in the file. */
TEST(one_or_several)
{
    static const char *const words[] = {"0", "1", "9", "-", "-", "-", ",", ",", " ", "18446744073709551615", "500"};
    uint32_t seed = 99;
    for (unsigned round = 0; round < 100000 && harness_failures() == 0; round++) {
        char text[200] = "bytes=";
        for (unsigned i = 0; i < round % 9; i++) {
            seed = seed * 1664525 + 1013904223;
            const char *word = words[(seed >> 16) % (sizeof words / sizeof words[0])];
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s", word);
        }
        harness_at("%s", text);
        struct http_range range = http_range_read(text, strlen(text));
        struct http_ranges ranges;
        http_ranges_read(&ranges, text, strlen(text));
        struct http_piece pieces[HTTP_RANGES_MAX];
        unsigned count;
        uint64_t size = seed % 1000, offset, length;
        int status = http_ranges_apply(&ranges, size, pieces, &count);
        CHECK((status == 206) == (count > 0));
        for (unsigned i = 0; i < count; i++)
            CHECK(pieces[i].length > 0 && pieces[i].length <= size && pieces[i].offset <= size - pieces[i].length);
        if (range.kind == HTTP_RANGE_LIST || text[strlen(text) - 1] == ' ')
            continue; /* blanks at the end are not there: the request's reader took them off */
        CHECK_INT(ranges.count, range.kind != HTTP_RANGE_NONE);
        CHECK_INT(status, http_range_apply(&range, size, &offset, &length));
        CHECK(status != 206 || (pieces[0].offset == offset && pieces[0].length == length));
    }
}
