/* SPDX-License-Identifier: MIT */
/* One request and its reply: one chain that opens the file, looks at it, decides, and sends. */
#ifndef SERVER_HTTP_EXCHANGE_H
#define SERVER_HTTP_EXCHANGE_H

#include "request.h"
#include "session.h"

/*
 * Begin to answer: http->exchange is set, with a chain under way, unless the connection had to be closed. head: the
 * request's, in data that need not outlive the call. refuse: with a status, without having understood the request, of
 * which so much came; the connection ends after it.
 */
void exchange_begin(struct http_connection *http, const struct http_request *request, const char *head);
void exchange_refuse(struct http_connection *http, int status, const char *head, size_t length);

enum exchange_state {
    EXCHANGE_DONE,    /* the whole reply was sent */
    EXCHANGE_GOES_ON, /* with another chain, a page that says what went wrong, or with its body */
    EXCHANGE_BROKEN,  /* the client cannot be told any more */
};

/* Is some of its body still to come? Is that waited for now? Then take what can be used of http->input. */
bool exchange_reads_body(const struct exchange *exchange);
bool exchange_waits_for_body(const struct exchange *exchange);
void exchange_take_body(struct exchange *exchange);

/* No byte of it came for too long. */
void exchange_give_up_body(struct exchange *exchange);

/* Its chain ended. */
enum exchange_state exchange_ended(struct exchange *exchange, const struct errand_event *event);

/* Its chain was cancelled, because the connection is being closed. */
void exchange_cancelled(struct exchange *exchange, const struct errand_event *event);

/* Does the connection stay after it? If not: is there, or may there be, input that nobody will read? */
bool exchange_keeps_alive(const struct exchange *exchange);
bool exchange_lingers(const struct exchange *exchange);

/* Gives http->exchange back. */
void exchange_release(struct http_connection *http);

void exchange_free_spares(struct http_shared *shared);

#endif
