/* SPDX-License-Identifier: MIT */
/* Replies of several ranges: what they look like, and that their length is known before. */
#include "harness.h"
#include "http/multipart.h"

#include <stdio.h>
#include <string.h>

#define TYPE "Content-Type: text/plain\r\n"

static struct http_multipart multipart_of(uint64_t size)
{
    struct http_multipart multipart = {.type = TYPE, .type_length = sizeof TYPE - 1, .size = size};
    static const uint8_t bytes[HTTP_BOUNDARY_BYTES] = {0x00, 0x12, 0xab, 0xff, 0x45, 6, 7, 8, 9, 10, 11, 0xf0};
    http_multipart_bound(&multipart, bytes);
    return multipart;
}

/* All of a reply's content but the pieces' bytes. */
static size_t write_all(char *out, const struct http_multipart *multipart, const struct http_piece *pieces,
                        unsigned count)
{
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t length = http_multipart_part(out + at, multipart, &pieces[i], i == 0);
        CHECK(length <= HTTP_PART_SPACE + multipart->type_length);
        at += length;
    }
    size_t length = http_multipart_end(out + at, multipart);
    CHECK(length <= HTTP_PARTS_END_SPACE);
    return at + length;
}

TEST(two_parts)
{
    struct http_multipart multipart = multipart_of(1000);
    const struct http_piece pieces[] = {{500, 100}, {0, 1}};
    char text[1000];
    text[http_multipart_type(text, &multipart)] = '\0';
    CHECK_STR(text, "Content-Type: multipart/byteranges; boundary=0012abff45060708090a0bf0\r\n");
    CHECK(strlen(text) <= HTTP_PARTS_TYPE_SPACE);
    text[write_all(text, &multipart, pieces, 2)] = '\0';
    CHECK_STR(text, "--0012abff45060708090a0bf0\r\n" TYPE "Content-Range: bytes 500-599/1000\r\n\r\n"
                    "\r\n--0012abff45060708090a0bf0\r\n" TYPE "Content-Range: bytes 0-0/1000\r\n\r\n"
                    "\r\n--0012abff45060708090a0bf0--\r\n");
    CHECK_INT(http_multipart_length(&multipart, pieces, 2), strlen(text) + 101);
}

TEST(lengths)
{
    uint32_t seed = 31;
    for (unsigned round = 0; round < 5000 && harness_failures() == 0; round++) {
        unsigned shift = round % 64;
        uint64_t size = UINT64_MAX >> shift, sum = 0;
        struct http_multipart multipart = multipart_of(size);
        struct http_piece pieces[HTTP_RANGES_MAX];
        unsigned count = round % HTTP_RANGES_MAX + 1;
        for (unsigned i = 0; i < count; i++) {
            seed = seed * 1664525 + 1013904223;
            pieces[i].offset = (uint64_t)seed << 32 >> shift >> (seed >> 8 & 31);
            if (pieces[i].offset >= size)
                pieces[i].offset = size - 1;
            pieces[i].length = (size - pieces[i].offset) / HTTP_RANGES_MAX + 1;
            sum += pieces[i].length;
        }
        char text[HTTP_RANGES_MAX * (HTTP_PART_SPACE + sizeof TYPE) + HTTP_PARTS_END_SPACE];
        CHECK(http_multipart_length(&multipart, pieces, count) == write_all(text, &multipart, pieces, count) + sum);
    }
    struct http_multipart largest = multipart_of(UINT64_MAX);
    const struct http_piece last = {UINT64_MAX - 1, 1};
    char text[HTTP_PART_SPACE + sizeof TYPE];
    CHECK(http_multipart_part(text, &largest, &last, false) <= HTTP_PART_SPACE + largest.type_length);
}
