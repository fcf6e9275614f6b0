/* SPDX-License-Identifier: MIT */
/*
 * Reading the head of an HTTP/1.x request: strict, resumable, without copying.
 *
 * The parser keeps offsets, not pointers, so its input may move between two calls as long as it begins with the same
 * byte. What it answers depends on the bytes alone, never on the pieces in which they came.
 */
#ifndef SERVER_HTTP_REQUEST_H
#define SERVER_HTTP_REQUEST_H

#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_LINE_MAX = 8192,  /* bytes of the request line, its end included */
    HTTP_HEAD_MAX = 16384, /* bytes of the whole head */
    HTTP_FIELDS_MAX = 100,
};

enum http_method {
    HTTP_UNKNOWN, /* no method that HTTP or WebDAV registers */
    HTTP_GET,
    HTTP_HEAD,
    HTTP_REFUSED, /* a registered one that a file server does not perform */
};

enum {
    HTTP_HAS_HOST = 1u << 0,
    HTTP_HAS_LENGTH = 1u << 1,
    HTTP_HAS_ENCODING = 1u << 2,   /* Transfer-Encoding */
    HTTP_HAS_CLOSE = 1u << 3,      /* Connection: close */
    HTTP_HAS_KEEP_ALIVE = 1u << 4, /* Connection: keep-alive */
    HTTP_HAS_EXPECT = 1u << 5,
    HTTP_HAS_IF_RANGE = 1u << 6,
    HTTP_SELECTS_TWICE = 1u << 7, /* a repeated Range or condition: they are set aside */
    HTTP_ABSOLUTE = 1u << 8,      /* the target came as http://host/path */
};

/* A piece of the head. */
struct http_span {
    uint16_t at, length;
};

/* All zero before the first byte. */
struct http_request {
    uint32_t line;    /* where the line begins that is being read */
    uint32_t scanned; /* up to here there is no end of it */
    uint16_t fields;
    uint8_t stage;
    uint8_t method; /* enum http_method */
    uint8_t minor;  /* of the version: 1.0 or 1.1 */
    uint16_t flags;
    struct http_span target, if_none_match, if_modified_since, range; /* length 0: absent */
    uint64_t content_length;
};

/*
 * Goes on reading; data holds the request from its first byte. Returns the length of the head when it is complete;
 * 0: more is needed; else the negated status with which to refuse it (-400, -414, -431, -505).
 */
int http_request_read(struct http_request *request, const char *data, size_t length);

/* Does the request's sender want the connection to stay? */
int http_request_keeps_alive(const struct http_request *request);

#endif
