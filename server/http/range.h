/* SPDX-License-Identifier: MIT */
/* Ranges of bytes, as a request asks for them. */
#ifndef SERVER_HTTP_RANGE_H
#define SERVER_HTTP_RANGE_H

#include <stddef.h>
#include <stdint.h>

enum { HTTP_RANGES_MAX = 16 };

enum http_range_kind {
    HTTP_RANGE_NONE = 0, /* absent, malformed, of another unit: the whole file */
    HTTP_RANGE_SPAN,     /* first to last */
    HTTP_RANGE_SUFFIX,   /* the last `last` bytes */
    HTTP_RANGE_LIST,     /* several, or what looks like it: for http_ranges_read(); else the whole file */
};

struct http_range {
    enum http_range_kind kind;
    uint64_t first, last; /* last is included; UINT64_MAX: to the end */
};

/* Reads a Range field. Numbers too large for 64 bits are taken as the largest. */
struct http_range http_range_read(const char *text, size_t length);

/* Applies it to a file of size bytes. Returns 200, 206 or 416, and for the first two what to send. */
int http_range_apply(const struct http_range *range, uint64_t size, uint64_t *offset, uint64_t *length);

struct http_ranges {
    unsigned count; /* 0: the whole file */
    struct http_range list[HTTP_RANGES_MAX];
};

/* Reads a Range field of any number of ranges. More than HTTP_RANGES_MAX, or a malformed one: the whole file. */
void http_ranges_read(struct http_ranges *ranges, const char *text, size_t length);

/* A piece of a file; never empty. */
struct http_piece {
    uint64_t offset, length;
};

/*
 * Applies them to a file of size bytes. Returns 206: *count pieces are to be sent, in the order of the request, one as
 * a plain 206, more as multipart/byteranges (multipart.h); 416: no range lies in the file; 200: the whole file is to be
 * sent (*count is 0). Ranges that do not lie in the file are left out, none are put together. 200 also for what nobody
 * has a use for, but who wants to make the server work (RFC 9110, 14.2 and 17.15):
 * - more than two ranges that overlap another one;
 * - more than eight ranges of less than 64 bytes, unless all ranges are in ascending order;
 * - pieces that, with the heads that the parts need (about HTTP_PART_COST bytes each), are no less than the whole file.
 */
enum { HTTP_OVERLAPS_MAX = 2, HTTP_TINY = 64, HTTP_TINIES_MAX = 8, HTTP_PART_COST = 128 };
int http_ranges_apply(const struct http_ranges *ranges, uint64_t size, struct http_piece pieces[HTTP_RANGES_MAX],
                      unsigned *count);

#endif
