/* SPDX-License-Identifier: MIT */
/*
 * A reply of several ranges: multipart/byteranges (RFC 9110, 14.6). For each piece a head of its own, then the bytes;
 * an end after the last. The length of all of it is known before anything is sent.
 */
#ifndef SERVER_HTTP_MULTIPART_H
#define SERVER_HTTP_MULTIPART_H

#include "range.h"

#include <stdbool.h>

enum {
    HTTP_BOUNDARY_LENGTH = 24,
    HTTP_BOUNDARY_BYTES = 12, /* that the caller gives: what nobody can guess cannot be in a file on purpose */
    HTTP_PART_SPACE = 160,    /* for a part's head, besides the type's line */
    HTTP_PARTS_TYPE_SPACE = 96,
    HTTP_PARTS_END_SPACE = 40,
};

struct http_multipart {
    char boundary[HTTP_BOUNDARY_LENGTH];
    const char *type; /* the whole Content-Type line of the file, "Content-Type: text/plain\r\n" */
    size_t type_length;
    uint64_t size; /* of the file */
};

/* Sets the boundary: unpredictable bytes, fresh for each reply. */
void http_multipart_bound(struct http_multipart *multipart, const uint8_t bytes[HTTP_BOUNDARY_BYTES]);

/* The Content-Type line of the reply. out has HTTP_PARTS_TYPE_SPACE bytes. These return the length. */
size_t http_multipart_type(char *out, const struct http_multipart *multipart);

/* What goes before a piece's bytes. out has HTTP_PART_SPACE bytes more than type_length. */
size_t http_multipart_part(char *out, const struct http_multipart *multipart, const struct http_piece *piece,
                           bool first);

/* What goes behind the last piece's. out has HTTP_PARTS_END_SPACE bytes. */
size_t http_multipart_end(char *out, const struct http_multipart *multipart);

/* Content-Length. The pieces come from http_ranges_apply(), so the sum is less than the file and those heads. */
uint64_t http_multipart_length(const struct http_multipart *multipart, const struct http_piece *pieces, unsigned count);

#endif
