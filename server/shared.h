/* SPDX-License-Identifier: MIT */
/* What the workers of one server have in common. Nothing of it but one counter is touched on the way of a
 * connection. */
#ifndef SERVER_SHARED_H
#define SERVER_SHARED_H

#include "server.h"
#include "sites.h"
#include "worker.h"

#include <stdatomic.h>

struct mime_types;

struct server {
    const struct config *config;
    struct record_options record;
    struct listen_address *addresses; /* the configured ones, with the ports that the system chose: http, then status */
    struct sites sites;
    struct mime_types *types;
    struct gate *gate; /* NULL: there is none */
    struct worker *workers;
    unsigned count;
    unsigned limit;          /* of connections, all workers together */
    atomic_uint connections; /* now */
    unsigned signals;        /* received */
    pthread_mutex_t lock;    /* of what follows, and of every worker's `reachable` */
    pthread_cond_t started;
    unsigned starting;     /* workers that have not yet said whether they could start */
    struct worker *failed; /* one that could not */
};

/* Has this worker to wait until a connection ends? A small share of its own keeps it from being shut out by others. */
bool server_is_full_for(const struct worker *worker);
void server_count_connection(struct server *server, int change);

/* Events of a worker's queue that concern the whole. */
void server_message(struct worker *worker, const void *message);
void server_signal(struct server *server, int number);

/* Of a worker that is about to stop listening: clients are no longer to look for the sockets' files. all: those of the
 * status, too. */
void server_forget_addresses(struct worker *worker, bool all);

/* May a worker that is done leave? Worker 0 stays until the others have left. */
bool server_may_leave(const struct worker *worker);

#endif
