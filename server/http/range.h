/* SPDX-License-Identifier: MIT */
/* One range of bytes, as a request asks for it. */
#ifndef SERVER_HTTP_RANGE_H
#define SERVER_HTTP_RANGE_H

#include <stddef.h>
#include <stdint.h>

enum http_range_kind {
    HTTP_RANGE_NONE = 0, /* absent, malformed, of another unit, or more than one: the whole file */
    HTTP_RANGE_SPAN,     /* first to last */
    HTTP_RANGE_SUFFIX,   /* the last `last` bytes */
};

struct http_range {
    enum http_range_kind kind;
    uint64_t first, last; /* last is included; UINT64_MAX: to the end */
};

/* Reads a Range field. Numbers too large for 64 bits are taken as the largest. */
struct http_range http_range_read(const char *text, size_t length);

/* Applies it to a file of size bytes. Returns 200, 206 or 416, and for the first two what to send. */
int http_range_apply(const struct http_range *range, uint64_t size, uint64_t *offset, uint64_t *length);

#endif
