/* SPDX-License-Identifier: MIT */
/* Ranges of bytes: read, and applied to files of awkward sizes. */
#include "harness.h"
#include "http/range.h"

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
