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
    HTTP_OPTIONS,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_MKCOL,
    HTTP_MOVE,
    HTTP_COPY,
};

enum {
    HTTP_HAS_HOST = 1u << 0, /* the field, even if an absolute target's host goes before it */
    HTTP_HAS_LENGTH = 1u << 1,
    HTTP_HAS_ENCODING = 1u << 2,   /* Transfer-Encoding */
    HTTP_HAS_CLOSE = 1u << 3,      /* Connection: close */
    HTTP_HAS_KEEP_ALIVE = 1u << 4, /* Connection: keep-alive */
    HTTP_HAS_EXPECT = 1u << 5,     /* not in HTTP/1.0, where it means nothing */
    HTTP_HAS_IF_RANGE = 1u << 6,
    HTTP_SELECTS_TWICE = 1u << 7,   /* a repeated Range or condition: they are all set aside */
    HTTP_ABSOLUTE = 1u << 8,        /* the target came as http://host/path */
    HTTP_ASTERISK = 1u << 9,        /* OPTIONS of the server as a whole: "*", or an absolute target without a path */
    HTTP_EXPECTS_OTHER = 1u << 10,  /* something else than 100-continue: 417 */
    HTTP_ENCODING_OTHER = 1u << 11, /* a Transfer-Encoding other than chunked alone: 501, and where the body ends is
                                       unknown */
    HTTP_DEPTH_INFINITE = 1u << 13,
    HTTP_DEPTH_ZERO = 1u << 14,
    HTTP_DEPTH_OTHER = 1u << 15,   /* neither, or more than one */
    HTTP_OVERWRITE_NOT = 1u << 12, /* Overwrite: anything but T, so that what we do not understand destroys nothing */
};

/* A piece of the head. at 0: there is no such field; length 0: it is empty. */
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
    uint64_t content_length;
    struct http_span target, host; /* host: an absolute target's goes before the field (RFC 9112, 3.2.2) */
    /* These are set aside by who reads them when there is HTTP_SELECTS_TWICE. */
    struct http_span if_match, if_none_match, if_modified_since, if_unmodified_since, if_range, range;
    struct http_span accept, accept_encoding;
    struct http_span authorization, content_range, destination;
    struct http_span origin, access_control_request_method, access_control_request_headers;
};

/*
 * Fields that come more than once:
 * - Host, Content-Length, Authorization, Content-Range, Destination, Origin, Access-Control-Request-*: -400.
 * - Range and conditions: HTTP_SELECTS_TWICE. A GET that ignores them all is right, if not cheap; a method that changes
 *   something is not, because its condition was to protect something: -400.
 * - Accept and Accept-Encoding are lists, which might be put together; but the lines need not be next to each other,
 *   and nobody sends them so. The span becomes empty, which is right whatever they say: no coding, no preference.
 * - Connection, Depth, Expect, Overwrite: each is looked at. Transfer-Encoding: HTTP_ENCODING_OTHER.
 */

/*
 * Goes on reading; data holds the request from its first byte. Returns the length of the head when it is complete;
 * 0: more is needed; else the negated status with which to refuse it (-400, -414, -431, -505).
 */
int http_request_read(struct http_request *request, const char *data, size_t length);

/* Does the request's sender want the connection to stay? */
int http_request_keeps_alive(const struct http_request *request);

#endif
