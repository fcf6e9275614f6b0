/* SPDX-License-Identifier: MIT */
/*
 * MOVE and COPY (RFC 4918, 9.8 and 9.9), of files and of collections as a whole.
 *
 *     judge, by one chain -+- MOVE ------------------------------------------------------------- place -- reply
 *                          +- COPY of a file: an upload whose content is that file (upload.c)
 *                          +- COPY of a collection: a directory of ours -- copied into it ------ place -- reply
 *
 * To place is one rename; where a collection is replaced, one that exchanges the two, so that there is no instant, and
 * no kill, at which neither stands there. What was replaced then has a name that nobody sees, and is removed.
 */
#ifndef SERVER_HTTP_TRANSFER_H
#define SERVER_HTTP_TRANSFER_H

#include "answer.h"

/* What the head alone tells; exchange->transfer is there if that is 0. Returns 0 or a status. */
int transfer_prepare(struct exchange *exchange, const struct http_request *request, const char *head);

/* The steps of the first chain; what comes when it, or what followed, ended well without a reply. */
int transfer_append(errand_chain *chain, struct exchange *exchange);
void transfer_go_on(struct exchange *exchange, const struct errand_event *event);

void transfer_free(struct exchange *exchange);

/* ---- for the copy of a file */

/* Where it is to be; only if there is nothing. */
const char *transfer_path(const struct transfer *transfer);
bool transfer_only_new(const struct transfer *transfer);

/* Appends a look at what stands there; judges what it found: 0, or the status that says why it may not be replaced. */
int transfer_look(errand_chain *chain, struct exchange *exchange);
int transfer_judge(struct exchange *exchange, int64_t found);

#endif
