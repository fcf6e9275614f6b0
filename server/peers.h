/* SPDX-License-Identifier: MIT */
/*
 * Who is connected: an entry for each address from which somebody is, or was a moment ago, with what the limits of one
 * address count. All workers share it. An entry goes when nobody is connected from there and what its requests have
 * used up has come back, which takes a second at most; of those that only wait for that, a bounded number is kept.
 */
#ifndef SERVER_PEERS_H
#define SERVER_PEERS_H

#include "address.h"

#include <stdint.h>

struct peers;
struct peer;

/* Connections at once, and requests a second, of one address; 0: without limit. NULL: no memory. */
struct peers *peers_open(uint32_t connections, uint32_t requests);

/* Nobody is connected any more, or will ask. */
void peers_close(struct peers *peers);

/* A connection more from there. NULL: that is too many, or there is no memory. */
struct peer *peers_join(struct peers *peers, const struct address *address, int64_t now);

/* One that peers_join() gave ends. */
void peers_leave(struct peers *peers, struct peer *peer, int64_t now);

/*
 * May it have this request now? A bucket of tokens: as many as requests in a second, which is also how fast they come
 * back. One that is refused costs none. When it says no, one comes within a second.
 */
bool peers_request(const struct peers *peers, struct peer *peer, int64_t now);

/* How many entries there are: for tests. */
size_t peers_count(struct peers *peers);

#endif
