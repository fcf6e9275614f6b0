/* SPDX-License-Identifier: MIT */
/* The campaign: random chains in simulated worlds. draw.c draws them, check.c holds their events against the library's
 * promises, campaign.c runs the worlds. */
#ifndef SIM_CAMPAIGN_H
#define SIM_CAMPAIGN_H

#include "backend/sim/sim.h"
#include "errand.h"

#define JOBS      256
#define MEMORY    4096
#define BIG       8
#define BIG_SIZE  ((size_t)640 << 10)
#define STEPS     20
#define KINDS     (ERRAND_STEP_WORK + 1)
#define UNTOUCHED 0xff /* a byte that the pattern does not have */
#define SOURCES   6
#define OWN_FILES 12
#define OWN_ERROR (-ECHILD) /* of call, list and work functions: no call gives it */

enum column {
    COMPLETED,
    OF_NAMES,
    OF_RIGHTS,
    OF_RESOURCES,
    OF_DEVICES,
    OF_PEERS,
    OF_ARGUMENTS,
    CANCELLED,
    TIMED_OUT,
    COLUMNS,
};

/* Memory that a step fills. */
struct part {
    unsigned char *at;
    uint32_t length;
    int16_t phase; /* of the pattern; -1: any */
    uint8_t step;
    bool other; /* not the pattern's: a stat */
};

struct job {
    struct sim_account account; /* first: what user_data points at */
    struct world *world;
    bool live, cancelled, has_work, waits, drops, exact, bad_slot, own_error, hands_over, sticky_error;
    errand_id id;
    int64_t begun, due, stall, cancelled_at;
    uint8_t kinds[STEPS];
    uint8_t steps;
    uint8_t files, sockets, directories; /* slots */
    uint8_t file[4], socket[2], directory[2];
    bool maybe[STEPS];                       /* a slot whose step is optional, or that is closed */
    int own_socket, own_file, own_directory; /* closed as soon as its event is there; -1: none */
    bool own_sends, own_receives;            /* where its streams stand is known */
    uint64_t sent, received;
    uint64_t least; /* bytes, if it succeeds */
    uint32_t used;  /* of memory */
    int big;        /* -1: none */
    uint8_t parts_count;
    struct part parts[STEPS];
    int64_t results[2]; /* steps whose results can be operands: their numbers */
    uint8_t results_count;
    _Alignas(8) unsigned char memory[MEMORY];
};

struct source {
    errand_source *source;
    int fd;
    uint8_t kind; /* an event's */
    uint64_t received;
    bool over, paused;
};

struct totals {
    uint64_t chains, steps, performed, worlds, refused, faults, events[8];
    uint64_t table[KINDS][COLUMNS];
};

struct world {
    uint64_t seed, random;
    struct sim *sim;
    errand_queue *queue;
    int roots[SIM_DIRECTORIES + 2];
    int directories[SIM_DIRECTORIES];
    int files[OWN_FILES];
    int listener;
    struct source sources[SOURCES];
    uint32_t live;
    bool calm;       /* less goes wrong, so that chains come further */
    errand_id ended; /* one that had its event */
    bool big_taken[BIG];
    struct totals *totals;
    struct memory *memory;
    const struct job *looked_at; /* when something is wrong */
};

/* What the library borrows, in one place: no run may know it. */
struct memory {
    struct job jobs[JOBS];
    unsigned char big[BIG][BIG_SIZE];
};

static inline uint32_t dice(struct world *world)
{
    uint64_t x = world->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    world->random = x;
    return (uint32_t)((x * UINT64_C(2685821657736338717)) >> 32);
}

static inline uint32_t upto(struct world *world, uint32_t limit)
{
    return (uint32_t)(((uint64_t)dice(world) * limit) >> 32);
}

static inline bool one_in(struct world *world, uint32_t n)
{
    return upto(world, n) == 0;
}

/* Ends the program: what is wrong, and how to see it again. */
__attribute__((format(printf, 2, 3), noreturn)) void wrong(struct world *world, const char *format, ...);

/* draw.c: describes a chain of the job's. */
void draw_chain(struct job *job, errand_chain *chain);

/* check.c */
void check_idle(struct job *job);
void check_event(struct world *world, const struct errand_event *event);
void check_times(struct world *world);
void check_quiet(struct world *world);
void forget_job(struct job *job);

#endif
