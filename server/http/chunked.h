/* SPDX-License-Identifier: MIT */
/*
 * Bodies in chunks (RFC 9112, 7.1): strict, resumable, without copying. What is not exactly the grammar is refused,
 * because the two ends of a connection have to agree, byte by byte, on where a body ends; whatever a client could make
 * long is bounded.
 */
#ifndef SERVER_HTTP_CHUNKED_H
#define SERVER_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_CHUNK_DIGITS_MAX = 15,            /* of a size, leading zeros included: 60 bits */
    HTTP_CHUNK_EXTENSION_MAX = 256,        /* bytes behind one size; extensions are passed over */
    HTTP_CHUNK_EXTENSIONS_MAX = 16 * 1024, /* of one body */
    HTTP_TRAILERS_MAX = 8 * 1024,          /* bytes of the trailer section; its fields are passed over, too */
};

/* All zero before the first byte of a body. */
struct http_chunked {
    uint64_t left;       /* of the chunk's data; while its size is read: what it is so far */
    uint32_t extensions; /* bytes of them so far */
    uint16_t extension;  /* of this chunk's */
    uint16_t trailers;
    uint8_t state;
    uint8_t digits;
};

enum http_chunked_result {
    HTTP_CHUNKED_MORE = 0, /* all bytes are used, and the body goes on */
    HTTP_CHUNKED_DATA = 1, /* there is a piece of content; call again with what is left */
    HTTP_CHUNKED_END = 2,  /* the body is over; what is left is the next request's */
};

/* What a call found. */
struct http_chunked_step {
    size_t used;       /* bytes that are done with, the content included */
    size_t at, length; /* HTTP_CHUNKED_DATA: the content, in the bytes that were given */
};

/*
 * Goes on reading, up to the end of a piece of content. Returns an enum http_chunked_result, or -400 (malformed, or
 * a size that nothing can have), -431 (too long an extension, or trailers). After END or an error: no more calls. Put
 * together, the content and the result do not depend on the pieces in which the bytes come.
 */
int http_chunked_read(struct http_chunked *chunked, const char *data, size_t length, struct http_chunked_step *step);

#endif
