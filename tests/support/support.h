/* SPDX-License-Identifier: MIT */
/* What tests of the library share: queues, files with known contents, connected sockets, and waiting for events. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "errand.h"
#include "harness.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* Opens a queue with this backend, or ends the test. options may be NULL; its size and backend are filled in. */
errand_queue *open_queue(enum errand_backend backend, const struct errand_queue_options *options);

/* Sees to it that nothing is left to do and no event comes, that every figure is 0, and closes the queue. */
void close_queue(errand_queue *queue);

/* The figures now. check_idle(): all but the totals and the workers are 0. */
struct errand_stats stats_of(errand_queue *queue);
void check_idle(errand_queue *queue);

/* The next event; ends the test if none comes in a good while. */
struct errand_event next_event(errand_queue *queue);

/* Lets the queue do what it can; fails if an event comes. */
void no_event(errand_queue *queue);

/* Waits until condition(context) holds, running the queue meanwhile; fails if that takes too long or an event comes. */
bool run_until(errand_queue *queue, bool (*condition)(void *context), void *context);

/* The usual expectations of a chain's event. */
#define CHECK_EVENT(event, error_, step_, bytes_)                                                                      \
    do {                                                                                                               \
        const struct errand_event *event_ = &(event);                                                                  \
        CHECK_INT(event_->kind, ERRAND_EVENT_CHAIN);                                                                   \
        CHECK_INT(event_->error, error_);                                                                              \
        CHECK_INT(event_->step, step_);                                                                                \
        CHECK_INT(event_->bytes, bytes_);                                                                              \
    } while (0)

/* The usual expectations of a source's event. */
void check_source_event(const struct errand_event *event, unsigned kind, void *user_data);

/* A file beneath the test's directory with pattern contents. Returns its path (static, of the last four calls). */
const char *make_file(const char *name, size_t size, uint64_t seed);
const char *path_of(const char *name);

/* The test's directory as a descriptor and as a root of the queue. */
int open_directory(void);
int add_root(errand_queue *queue, const char *path, unsigned flags);

/* Connected sockets: [0] for the library, [1] the peer's, non-blocking. */
enum pair_kind { PAIR_UNIX, PAIR_TCP };
void make_pair(enum pair_kind kind, int sockets[2]);
/* A listening TCP socket on the loopback, and a connection to it. */
int make_listener(uint16_t *port);
int connect_to(uint16_t port);

/* The peer's end: what it has received. */
struct peer {
    int socket;
    bool ended;  /* end of stream, or reset */
    size_t most; /* takes at most so much at a time; 0: all */
    size_t length, room;
    unsigned char *data;
};
void peer_take(struct peer *peer);     /* what is there now */
void peer_take_all(struct peer *peer); /* all until the end: the other end must have been closed or shut down */
void peer_free(struct peer *peer);     /* closes the socket too */

/* Runs the queue, with the peer taking what arrives, until an event comes. */
struct errand_event next_event_with(errand_queue *queue, struct peer *peer);

/* Submits a chain, or ends the test. */
errand_id submit(errand_chain *chain, void *user_data, int64_t timeout_ns);
errand_chain *new_chain(errand_queue *queue);

/* Are long runs wanted (make test-all)? */
bool long_runs(void);

#endif
