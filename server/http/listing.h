/* SPDX-License-Identifier: MIT */
/*
 * Listings of directories, streamed: a chain of the connection awaits a batch of entries (files/entries.h), then sends
 * a piece of the page; the next follows it.
 */
#ifndef SERVER_HTTP_LISTING_H
#define SERVER_HTTP_LISTING_H

#include "answer.h"

/* In the chain that opened the directory: appends the reply to a HEAD; else what follows is listing_begin()'s. */
int listing_append(errand_chain *chain, struct exchange *exchange);

/* When that chain has ended: returns 0, with a chain under way, or the error. */
int listing_begin(struct exchange *exchange);

/* A chain of the connection ended well. Returns 0: it was the last; 1: another one is under way; or the error. */
int listing_go_on(struct exchange *exchange);

/* Has its head gone out, so that nobody can be told of an error any more? */
bool listing_is_begun(const struct exchange *exchange);

/* The exchange has no listing any more. */
void listing_release(struct exchange *exchange);

#endif
