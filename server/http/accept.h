/* SPDX-License-Identifier: MIT */
/* What a client would rather have (RFC 9110, 12.5): content codings, and JSON instead of a page. */
#ifndef SERVER_HTTP_ACCEPT_H
#define SERVER_HTTP_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_coding { HTTP_ZSTD, HTTP_BR, HTTP_GZIP, HTTP_CODINGS }; /* in our order: what is smaller, and read faster */

struct http_codings {
    uint8_t count;
    uint8_t list[HTTP_CODINGS]; /* enum http_coding; the best first */
    bool identity;              /* the file as it is may be sent; else, and with nothing of the list: 406 */
};

/*
 * Reads an Accept-Encoding field: by the client's q, then in our order; without what the client wants less than an
 * "identity" that it names. "*" speaks for what is not named. A coding named twice counts with its lesser q. Parameters
 * but q are passed over. A malformed field is as none; without one (text NULL) the standard allows any coding, but who
 * does not speak of codings need not know them: identity alone.
 */
struct http_codings http_accept_encoding(const char *text, size_t length);

/* "zstd": for Content-Encoding. */
const char *http_coding_name(enum http_coding coding);

/*
 * Reads an Accept field: is application/json wanted more than text/html? By q; where that is the same, a type that is
 * named goes before one that is only meant by a star. Parameters of types are passed over. Malformed: no.
 */
bool http_prefers_json(const char *text, size_t length);

#endif
