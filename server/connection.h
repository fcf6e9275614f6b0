/* SPDX-License-Identifier: MIT */
/*
 * A client's connection, whatever protocol it speaks: its socket, its receive source, at most one chain under way (and
 * what the protocol has under way beside it), and the time for which it may wait. A protocol puts this record at the
 * head of its own.
 *
 *              accepted
 *                 |
 *                 v          connection_linger()              connection_close()
 *               OPEN ------------------------------> LINGER ----------------------+
 *                 |                                                                |
 *                 +---- connection_close(): with a chain ----> CLOSING -- event --+--> DEAD, freed after the batch
 *                       (which is cancelled)                                       |
 *                 +---- without one -----------------------------------------------+
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "errand.h"

#include <stdbool.h>

struct endpoint;
struct connection;

/* What a connection waits for. One list of each kind a worker, in order of time. */
enum wait_kind {
    WAIT_IDLE,    /* the next request */
    WAIT_SESSION, /* the next command of who has logged in */
    WAIT_LOGIN,   /* who has not */
    WAIT_INPUT,   /* the rest of a request that has begun */
    WAIT_DRAIN,   /* the client to notice that this is over */
    WAIT_BODY,    /* more of the body of an upload */
    WAIT_BUSY,    /* a chain, which has time limits of its own */
    WAIT_KINDS
};

/* What a protocol does with its connections. */
struct protocol {
    const char *name;
    size_t connection_size;                                             /* of its record; zeroed at first */
    const char *crowded;                                                /* what one too many of an address is told */
    void (*opened)(struct connection *);                                /* it may be spoken to now; may be NULL */
    void (*data)(struct connection *, const char *data, size_t length); /* valid during the call */
    void (*ended)(struct connection *);                                 /* the client sends no more */
    void (*chain)(struct connection *, const struct errand_event *);    /* its chain ended */
    void (*stopped)(struct connection *, const struct errand_event *);  /* or it did, being closed; may be NULL */
    void (*expired)(struct connection *);                               /* it waited too long for input */
    void (*stop)(struct connection *);   /* the server ends while it waits for input; NULL: it is closed */
    void (*cancel)(struct connection *); /* it is being closed: ends what it held; NULL: it holds nothing */
    void (*accepted)(struct endpoint *, const struct errand_event *); /* NULL: a connection is opened */
    void (*release)(struct connection *);                             /* gives back what the record refers to */
};

enum connection_state { CONNECTION_OPEN, CONNECTION_LINGER, CONNECTION_CLOSING, CONNECTION_DEAD };

struct connection {
    struct connection *next, *previous; /* in its list of waits */
    struct endpoint *endpoint;
    errand_source *source;
    errand_id chain; /* 0: none */
    int64_t since;   /* when the wait began, on the queue's clock */
    int fd;
    unsigned drained; /* bytes thrown away while lingering */
    uint8_t state;    /* enum connection_state */
    uint8_t held;     /* by so many chains beside its own */
    uint8_t wait;     /* enum wait_kind */
    bool ended;       /* the client has shut its side down */
    bool paused;      /* no more input wanted for now */
};

/* Takes over the new socket. */
void connection_open(struct endpoint *endpoint, int fd);

/* An ERRAND_EVENT_DATA or ERRAND_EVENT_CHAIN whose user_data is the connection. */
void connection_data_event(struct connection *connection, const struct errand_event *event);
void connection_chain_event(struct connection *connection, const struct errand_event *event);

/* What may be set for a chain: as in struct errand_submit. */
struct connection_limits {
    int64_t stall_ns, timeout_ns;
    uint64_t bytes_per_second;
};

/* Submits the connection's one chain. Returns 0 or the error, as errand_submit(). */
int connection_submit(struct connection *connection, errand_chain *chain, const struct connection_limits *limits);

/* For who sends by chains in succession: when `bytes` more are within the rate (bytes a second; 0: none), what was sent
 * before being so from `paid` on. */
int64_t connection_paid(const struct connection *connection, int64_t paid, uint64_t bytes, uint64_t rate);

/* Begins a wait, now. The same kind again begins anew. */
void connection_wait(struct connection *connection, enum wait_kind kind);

/* The protocol has a chain of its own under way that uses the connection: it stays until the chain has ended, which
 * its protocol's `cancel` is to bring about. */
void connection_hold(struct connection *connection);
void connection_let_go(struct connection *connection);

/* No more input until it is resumed. */
void connection_pause(struct connection *connection);
void connection_resume(struct connection *connection);

/* The reply was sent and our side shut down: reads on for a while, so that the client sees the reply and not a
 * reset. */
void connection_linger(struct connection *connection);

/* Ends it: at once, or when the event of its cancelled chain has come. */
void connection_close(struct connection *connection);

/* Ends it with a reset: closed, a client who does not read would leave the kernel with all that he has not taken. */
void connection_reset(struct connection *connection);

/* The server ends, and it waits for input. */
void connection_stop(struct connection *connection);

/* Its wait lasted too long. */
void connection_expired(struct connection *connection);

/* When its queue is closed and nothing refers to the record any more: closes the socket, frees the record. */
void connection_discard(struct connection *connection);

#endif
