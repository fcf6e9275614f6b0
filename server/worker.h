/* SPDX-License-Identifier: MIT */
/*
 * A worker: one thread, one queue, one listening socket of each address (they share the port by SO_REUSEPORT), and the
 * connections that came in through them. Workers share nothing on the way of a request. Who asks for the status is
 * worker 0's.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "files/remover.h"
#include "record/record.h"
#include "waits.h"

#include <pthread.h>
#include <stdatomic.h>

struct cache;
struct ftp_shared;
struct gate;
struct http_shared;
struct server;
struct status_shared;
struct worker;

/* Chains, and sources, of a queue beside those of the service's connections: of the status, the log, timers ... */
enum { WORKER_OWN = 128, WORKER_SIGNALS = 4 };

enum { WORKER_CHAIN_STEPS = 16 }; /* that a chain needs at most */

/* One listening socket of a worker. */
struct endpoint {
    struct worker *worker;
    const struct protocol *protocol;
    void *shared;      /* the protocol's own: what the worker's connections have in common */
    struct gate *gate; /* NULL: nothing is asked of who connects */
    errand_source *source;
    int listener;         /* -1: closed */
    unsigned connections; /* open */
    unsigned most;        /* not 0: an endpoint beside the service, with so many connections, which do not count among
                             the worker's: neither its limits nor its end wait for them */
    bool paused;
};

enum worker_phase {
    WORKER_SERVES,
    WORKER_DRAINS, /* another process accepts the clients; ours get their answers, the next with Connection: close */
    WORKER_STOPS,  /* finishes what is under way */
};

struct worker {
    struct server *server;
    unsigned number; /* 0 is the main thread */
    pthread_t thread;
    errand_queue *queue;
    int *roots;                 /* of the sites, as errand_root_add() gave them */
    struct endpoint *endpoints; /* one for each address that is listened on: the service's, then the status's */
    unsigned endpoint_count;
    unsigned paused; /* of these: so many accept nobody for now */
    struct http_shared *http;
    struct ftp_shared *ftp;
    struct cache *cache;          /* NULL: none */
    struct status_shared *status; /* NULL: nobody asks this worker */
    struct remover remover;
    unsigned looks; /* chains that look at entries of directories */
    struct record record;
    struct wait_list waits[WAIT_KINDS];
    struct connection *dead; /* to be freed after the batch */
    unsigned connections;
    int64_t sweep_at; /* when the sweep timer will go off; 0: it will not */
    errand_source *sweep, *retry, *grace;
    errand_source *post; /* others reach it under the server's lock, while `reachable` */
    errand_source *signals[WORKER_SIGNALS];
    unsigned finished; /* of worker 0: how many others have */
    bool reachable;
    atomic_bool told_rates; /* a message of server_tell_rates() is on its way to it */
    enum worker_phase phase;
    bool over;     /* leave at once */
    bool trim;     /* much memory was freed: give it back to the system at the next sweep */
    int error;     /* what went wrong with its queue */
    char why[256]; /* the backend's choice in words */
};

/* Opens the queue and its sources, on the worker's thread. Returns 0 or the error; worker->why says more. */
int worker_open(struct worker *worker);

/* Serves until it is stopped and everything under way has ended. */
void worker_run(struct worker *worker);

/* Closes everything that worker_open() opened, also when that failed half-way. */
void worker_close(struct worker *worker);

/* Accepts no more, without losing who has been accepted, and ends with its last client, within the time for it. Idle
 * connections stay: their next request may be on its way, and nobody else could answer it. Sessions of FTP are told
 * to come again when they have been idle for some seconds. */
void worker_drain(struct worker *worker);

/* Stops listening, closes idle connections, lets the others end within the time of grace. Who asks for the status is
 * told so until then. */
void worker_stop(struct worker *worker);

/* For connections. */
void worker_count_connection(struct endpoint *endpoint, int change);
void worker_sweep_by(struct worker *worker, int64_t time);
int64_t worker_wait_limit(const struct worker *worker, enum wait_kind kind);

#endif
