/* SPDX-License-Identifier: MIT */
/* The file server as a whole: what the command line starts. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "listen.h"
#include "worker.h"

#include <stdatomic.h>

enum { SERVER_THREADS_MAX = 256 };

struct server_options {
    const char *directory;
    struct listen_address http;
    enum errand_backend backend;
    unsigned threads; /* 0: as many as there are cores for this process */
};

struct mime_types;

struct server {
    const struct server_options *options;
    int root;
    struct mime_types *types;
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

/* Serves until a signal ends it. Returns the process's exit code. */
int server_run(const struct server_options *options);

/* For workers. */
bool server_is_full(struct server *server);
void server_count_connection(struct server *server, int change);
void server_message(struct worker *worker, const void *message);
void server_signal(struct server *server);
bool server_may_leave(const struct worker *worker); /* worker 0 stays until the others are done */

#endif
