/* SPDX-License-Identifier: MIT */
/*
 * PUT: a file comes in piece by piece and appears whole, or not at all. COPY of a file is the same without a body.
 *
 * 1. A chain judges what can be judged before the body, opens a temporary file, sees that there is room for it, says
 *    100 Continue if that is waited for, and hands the file over.
 * 2. While the body comes, chains write it, one at a time, out of one buffer. Meanwhile input is held back.
 * 3. The last chain writes the rest, syncs, judges again, gives the file its name, syncs the directory and replies.
 */
#ifndef SERVER_HTTP_UPLOAD_H
#define SERVER_HTTP_UPLOAD_H

#include "answer.h"

/* Takes the exchange's body into its care. Returns 0, or the status with which it is refused. */
int upload_prepare(struct exchange *exchange, const struct http_request *request);

/* The same of a COPY: the file that exchange->stat tells of is what comes, in the last chain. Returns 0 or an error. */
int upload_prepare_copy(struct exchange *exchange);

/* What can be told by the head alone. Returns 0 or a status. */
int upload_check(const struct exchange *exchange, const struct http_request *request);

/* Is some of the body still to come? */
bool upload_reads(const struct exchange *exchange);

/* The steps of the first chain. */
int upload_append(errand_chain *chain, struct exchange *exchange);

/* Its chain ended without an error. True: the upload goes on; false: the reply was sent. */
bool upload_chain_ended(struct exchange *exchange, const struct errand_event *event);

/* Is the body wanted, and nothing else under way? */
bool upload_waits(const struct exchange *exchange);

/* Takes what it can use of the connection's input. Only while upload_waits(). */
void upload_take(struct exchange *exchange);

/* A reply is about to be written: what is left of the body is passed over, or ends the connection after it. */
void upload_leave_body(struct exchange *exchange);

void upload_free(struct exchange *exchange);

#endif
