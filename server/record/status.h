/* SPDX-License-Identifier: MIT */
/*
 * The second listener: how the server is. Answers GET and HEAD, one request a connection:
 *     /metrics      for Prometheus
 *     /health       200 while it serves, 503 while it stops
 *     /status.json  the same figures for scripts and for
 *     /             a page that shows them as they change
 * It is the main worker's, and stays open until that has nothing more to do.
 */
#ifndef SERVER_RECORD_STATUS_H
#define SERVER_RECORD_STATUS_H

#include "connection.h"

struct status_shared;
struct worker;

enum { STATUS_CONNECTIONS_MAX = 64 };

/* How many of them each of so many addresses has. */
static inline unsigned status_share(unsigned addresses)
{
    return addresses < STATUS_CONNECTIONS_MAX ? STATUS_CONNECTIONS_MAX / addresses : 1;
}

extern const struct protocol status_protocol;

/* workers: all of them, whose figures are added up. NULL: no memory. */
struct status_shared *status_shared_open(struct worker *workers, unsigned count);
void status_shared_close(struct status_shared *shared);

#endif
