/* SPDX-License-Identifier: MIT */
/*
 * Who is connected: an entry for each address from which somebody is, or was a moment ago, with what the limits of one
 * address count. All workers share it. An entry goes when nobody is connected from there and what its requests have
 * used up has come back, which takes a second at most; of those that only wait for that, a bounded number is kept.
 */
#ifndef SERVER_PEERS_H
#define SERVER_PEERS_H

#include "address.h"
#include "errand.h"

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

/*
 * May it guess one more password now? One that has guessed wrong `most` times has to wait until one of these is
 * forgiven. It is asked before the guess is looked at, so that many at once are no more; of who was right, the guess
 * does not count. An entry stays until all are forgiven, whether somebody is connected or not.
 */
#define PEERS_FORGIVE_NS (30 * ERRAND_SECOND)
bool peers_guess(struct peers *peers, const struct address *address, uint32_t most, int64_t now);
void peers_guessed_right(struct peers *peers, const struct address *address);

/* How many entries there are: for tests. */
size_t peers_count(struct peers *peers);

#endif
