/* SPDX-License-Identifier: MIT */
/*
 * Least rates: who is slower than that while we wait for him is cut off, whether he sends (a head, a body) or reads.
 * What counts is the time for which we really waited for him: not that between requests, not a disk's, and of a reply
 * only while the socket holds bytes that he has not taken. Each byte that he moves is worth a part of a second, and who
 * has fallen behind by the configured time (a minute) is cut off: so it is an average of a minute, and a pause of less
 * is forgiven. Looked at by a timer, eight times in that time; a reply that a socket took whole before is never judged.
 */
#ifndef SERVER_PACE_H
#define SERVER_PACE_H

#include "errand.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct worker;

struct pace_limit {
    uint64_t rate; /* bytes a second; 0: any will do */
    int64_t behind_ns;
};

/* Of one client; all zero at first. */
struct pace {
    int64_t behind;    /* for so long he would have to be idle no more */
    int64_t waited;    /* since the last look, we for him */
    uint64_t moved;    /* since then, by him */
    int64_t counted;   /* what came before this time is in `waited` */
    errand_id chain;   /* that was sending to him at the last look; 0: none */
    int64_t delivered; /* by it */
};

/* He sent something. */
void pace_received(struct connection *connection, size_t length);

/* A wait ends: called while the connection still has its kind and its beginning. */
void pace_waited(struct connection *connection);

/* By a worker's sweep timer: cuts off who is too slow, and sees to the next look. */
void pace_sweep(struct worker *worker);

/* There is one more to look at. */
void pace_begin(struct worker *worker);

#endif
