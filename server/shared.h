/* SPDX-License-Identifier: MIT */
/* What the workers of one server have in common. Nothing of it but one counter is touched on the way of a
 * connection. */
#ifndef SERVER_SHARED_H
#define SERVER_SHARED_H

#include "ftp/accounts.h"
#include "operation/confine.h"
#include "operation/listeners.h"
#include "server.h"
#include "sites.h"
#include "worker.h"

#include <stdatomic.h>

struct mime_types;

struct server {
    const struct config *config;
    struct record_options record;
    struct listeners listeners; /* whose sockets the workers have */
    struct sites sites;
    struct ftp_accounts accounts;
    struct mime_types *types;
    struct gate *gate;            /* NULL: there is none */
    char confined[CONFINE_WORDS]; /* to what, in words */
    struct worker *workers;
    unsigned count;
    unsigned limit;          /* of connections, all workers together */
    atomic_uint connections; /* now */
    unsigned signals;        /* received */
    int ready;               /* a pipe that tells the supervisor that we serve; -1: none, or told */
    int manager;             /* the service manager that is told it, if there is no supervisor; -1: none, or told */
    pthread_mutex_t lock;    /* of what follows, and of every worker's `reachable` */
    pthread_cond_t started;
    unsigned starting;     /* workers that have not yet said whether they could start */
    struct worker *failed; /* one that could not */
};

/* Has this worker to wait until a connection ends? A small share of its own keeps it from being shut out by others. */
bool server_is_full_for(const struct worker *worker);
void server_count_connection(struct server *server, int change);

/* To all workers but this: transfers that share a rate with theirs have begun or ended. */
void server_tell_rates(const struct worker *worker);

/* Events of a worker's queue that concern the whole. */
void server_message(struct worker *worker, const void *message);
void server_signal(struct server *server, int number);

/* Opens what the configuration says, or takes it from `running`, and gives each worker its share. False: said. */
bool server_listen(struct server *server, const struct listeners *running);

/* Addresses of a kind; and on standard output those of the service, or of the status. */
unsigned server_listeners(const struct server *server, enum listener_kind kind);
void server_print_addresses(const struct server *server, bool status);

/* Of a worker that is about to stop listening: clients are no longer to look for the sockets' files, if they are ours.
 * all: those of the status, too. */
void server_forget_addresses(struct worker *worker, bool all);

/* May a worker that is done leave? Worker 0 stays until the others have left. */
bool server_may_leave(const struct worker *worker);

#endif
