/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend, for tests: a kernel in which nothing is real. No system call is made, time is virtual, and
 * all that happens follows from a seed, while chains and queue are those of the library. Queues opened while a world
 * is installed live in it; descriptors are its own numbers. It sees to what only it can see, and complains: descriptors
 * left open, closed twice or used after that, operations of a chain that has had its event, a run with memory that is
 * not its own, bytes in a wrong place. Compiled only with the seam for tests (-Dfaults=true).
 *
 * It has two uses. In a campaign a world full of files and whims is drawn, where anything may fail. In a scene (the
 * option `scene`) it is empty, and what a test puts there is all there is; nothing fails but what must. Only *how*
 * things come about is still drawn (what is cached, how much a socket takes at once, how long a call takes): no event
 * may tell of it.
 *
 * Files and streams have the same contents everywhere: byte n is sim_pattern(n). So whoever writes or sends must do so
 * at a place that fits, and nothing needs to be stored to know whether bytes went astray.
 */
#ifndef BACKEND_SIM_SIM_H
#define BACKEND_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errand.h"

#define SIM_PERIOD      251 /* of the pattern; a prime, so that no error of a power of two goes unseen */
#define SIM_DIRECTORIES 8   /* "/" and "d1" to "d7", each a device of its own */
#define SIM_NAMES       64  /* in each: "n0" to "n63" */

struct sim;

/*
 * What the simulation knows of a chain: user_data of a submitted chain must point at one, cleared. It says what the
 * event must say.
 */
struct sim_account {
    uint64_t bytes;     /* that its event must tell */
    uint64_t peers;     /* of them, and of what was received into files: those on sockets */
    uint64_t loaded;    /* of them: a load step's */
    uint64_t errors[3]; /* a bit for each errno that it was given */
    int64_t progressed; /* when it last was given something */
    uint32_t in_flight; /* operations that are with the backend */
    uint8_t last_step;  /* the last whose call a run performed */
    bool ended;         /* set by the test when the event was there */
};

struct sim_options {
    uint64_t seed;
    uint32_t fault_chance; /* in 65536: a call fails, with an error that its manual page allows */
    uint32_t hang_chance;  /* in 65536: a device begins to hang */
    uint32_t never_chance; /* in 65536: a peer does nothing more */
    uint32_t descriptors;  /* that may be open; at most 2000 */
    bool scene;            /* the directories are empty; peers, listeners, attributes do as they are told, see below */
    bool defers;           /* immediate operations are done when the queue enters the kernel, as on a ring */
    const void *caller;    /* memory that no run may know */
    size_t caller_size;
    void (*complain)(void *context, const char *text); /* something is wrong; may not return */
    void *context;
};

/* A world with files in it; NULL: no memory. */
struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *sim);

/* Queues that are opened from now on live there; NULL: in the real world. */
void sim_install(struct sim *sim);

/* The contents of files and streams from offset on, some 700 KiB of them. */
const char *sim_pattern(const struct sim *sim, uint64_t offset);

/* The lowest number of a simulated descriptor. Below it are the real ones, which some sources have (a signalfd, an
 * eventfd): whoever polls one is told, time and again, that it is ready, and has to look. */
#define SIM_FIRST_FD 1024

/* Descriptors of the test's own; -1: the table is full. */
int sim_directory(struct sim *sim, unsigned directory);
int sim_file(struct sim *sim, unsigned directory, unsigned name);
int sim_socket(struct sim *sim, uint64_t to_receive);
int sim_listener(struct sim *sim);

/* Closes one of the test's; which includes those that the library has handed over, after sim_take(). */
void sim_close(struct sim *sim, int fd);
void sim_take(struct sim *sim, int fd);

/* How many the library has open, and how many the test. */
uint32_t sim_library_descriptors(const struct sim *sim);
uint32_t sim_test_descriptors(const struct sim *sim);

/* ---- for scenes */

/* Puts a file of that size, a FIFO, or a symlink to a name of the same directory there. */
void sim_make_file(struct sim *sim, unsigned directory, unsigned name, int64_t size);
void sim_make_fifo(struct sim *sim, unsigned directory, unsigned name);
void sim_make_link(struct sim *sim, unsigned directory, unsigned name, unsigned target);

/* What has the name. False: nothing has. */
bool sim_look(const struct sim *sim, unsigned directory, unsigned name, struct errand_stat *out);

/* The peer of a socket, once it has sent what it had to, stays and does nothing more (else the stream ends); it takes
 * nothing of what is sent (else all). */
void sim_peer(struct sim *sim, int socket, bool stays, bool deaf);

/* One more connection waits to be accepted by a listener; all of it have so much to be received, and stay or end. */
void sim_connect(struct sim *sim, int listener, uint64_t to_receive, bool stays);

/* Every address accepts connections, whose peers stay silent, but those with this port: -ECONNREFUSED. */
#define SIM_REFUSED_PORT 1

/* A device hangs from now on, until sim_release(). */
void sim_hang(struct sim *sim, unsigned directory);

/* ---- for both */

/* Devices that hang go on. */
void sim_release(struct sim *sim);

/* Everything that is on its way comes to its end: after a queue was closed. */
void sim_settle(struct sim *sim);

/* How many bytes a connection has taken. */
uint64_t sim_sent(const struct sim *sim, int fd);

/* What has a name: its S_IFMT bits; 0: nothing has. */
unsigned sim_kind(const struct sim *sim, unsigned directory, unsigned name);

int64_t sim_now(const struct sim *sim);

/* How many errors were injected, and calls of a run performed. */
uint64_t sim_faults(const struct sim *sim);

#endif
