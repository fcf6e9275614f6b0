/* SPDX-License-Identifier: MIT */
/* HTTP on a connection: requests one after the other, pipelined or not, and what is kept between them. */
#ifndef SERVER_HTTP_SESSION_H
#define SERVER_HTTP_SESSION_H

#include "connection.h"
#include "head.h"
#include "mime.h"
#include "users.h"

struct exchange;
struct input;

/* Between requests the last two pointers are NULL: an idle connection is this record and nothing more. */
struct http_connection {
    struct connection base;
    struct exchange *exchange; /* the request that is being answered */
    struct input *input;       /* bytes that could not be used at once */
    uint32_t skip;             /* bytes of a request's body that are still to come and to be passed over */
};

/* What the HTTP connections of one worker have in common. */
struct http_shared {
    struct worker *worker;
    const struct mime_types *types;
    struct http_clock clock;
    struct users_cache logins;
    struct exchange *spare; /* records that are kept for the next requests */
    unsigned spares, in_use, peak;
    unsigned copies; /* of collections, under way */
};

extern const struct protocol http_protocol;

/* NULL: no memory. */
struct http_shared *http_shared_open(struct worker *worker, const struct mime_types *types);
void http_shared_close(struct http_shared *shared);

#endif
