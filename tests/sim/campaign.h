/* SPDX-License-Identifier: MIT */
/* The campaign: random chains in simulated worlds. draw*.c draw them, check.c holds their events against the library's
 * promises, sources.c does so with sources, resume.c lets chains go on that wait for it, report.c counts, campaign.c
 * runs the worlds. */
#ifndef SIM_CAMPAIGN_H
#define SIM_CAMPAIGN_H

#include "backend/sim/sim.h"
#include "errand.h"

#define JOBS      256
#define MEMORY    4096
#define BIG       8
#define BIG_SIZE  ((size_t)640 << 10)
#define STEPS     24
#define KINDS     (ERRAND_STEP_AWAIT + 1)
#define UNTOUCHED 0xff /* a byte that the pattern does not have */
#define SOURCES   8
#define MESSAGES  8
#define FILTERS   2
#define FILES     4
#define TOKENS    (STEPS + 1)
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
    bool other;       /* not the pattern's: a stat */
    uint8_t expected; /* of the stat's file, if its step succeeds */
};

/* A filter: takes the pattern from `in` on and puts it out from `out` on, more of it or less. */
struct filtering {
    struct job *job;
    uint64_t in, out;
    uint64_t owed;        /* halves of bytes that are to be put out */
    uint32_t holds;       /* bytes that it puts out only at the end */
    uint8_t step, halves; /* of a byte, for each */
    bool finished, sends;
};

/* What the test let a chain go on with. */
struct token {
    int64_t result;
    uint64_t bytes;
};

/* A file that was made like another: the steps that looked at them. */
struct likeness {
    const struct errand_stat *from, *to;
    int8_t step; /* the last; -1: there is none */
};

/* What is counted besides steps. */
enum extra {
    FILTERED_HERE,
    FILTERED_ON_WORKERS,
    FILTERED_TO_THE_END,
    RATES,
    RATE_CHANGES,
    RESUMES,
    RESUMES_TOO_SOON, /* -EALREADY */
    STOPS,            /* functions of await steps that were told to stop */
    PAUSES,           /* of list steps */
    DIRECT_READS,
    LIKENESSES,
    LOADS_READ,
    JOB_CALLS, /* errand_write_file() and its like */
    EXTRAS,
};

struct job {
    struct sim_account account; /* first: what user_data points at */
    struct world *world;
    bool live, cancelled, has_work, waits, drops, exact, bad_slot, own_error, hands_over, sticky_error;
    bool expects, loads, never_resumed, may_pause; /* may_pause: a list step waits to be resumed, too */
    bool stopping;                                 /* an await step was told to stop, and waits on */
    errand_id id;
    int64_t begun, due, stall, cancelled_at;
    uint8_t kinds[STEPS];
    uint8_t steps;
    uint8_t files, sockets, directories;                                       /* slots */
    uint8_t file[FILES], file_in[FILES], own_file_in, socket[2], directory[2]; /* in: their directories */
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
    uint8_t filters_count, tokens_count, stops[STEPS]; /* stops: how often each await step was told */
    struct filtering filters[FILTERS];
    struct token tokens[TOKENS];
    struct likeness like;
    int64_t resumed_at;
    uint64_t rate; /* 0: it had none at some time */
    unsigned rate_changes;
    _Alignas(8) unsigned char memory[MEMORY];
};

struct source {
    errand_source *source;
    int fd;
    uint8_t kind;      /* an event's */
    uint64_t received; /* bytes, or messages */
    uint64_t posted;   /* messages, signals */
    uint64_t told_in;  /* ready: in which wait it last gave an event */
    uint32_t asked;    /* ready: for which poll(2) events */
    bool over, paused, readable;
};

struct totals {
    uint64_t chains, steps, performed, worlds, refused, faults, events[10], extras[EXTRAS];
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
    uint64_t waits;
    unsigned drawn; /* the directory of what was drawn last */
    bool closing;
    bool crossing;   /* most paths lead onto other mounts, which often hang, and it is closed in the middle of it */
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

/* draw_jobs.c: submits one of the library's own. Returns false if there is no chain to be had. */
bool draw_job(struct job *job);

/* sources.c */
void stir_sources(struct world *world);
void stop_source(struct world *world, struct source *source);
void forget_source(struct world *world, struct source *source);
void source_event(struct world *world, const struct errand_event *event);
void block_signals(void);
/* Whether all that happened was told, but for what is paused. */
bool sources_have_told(const struct world *world);
void tell_missing(struct world *world);

/* resume.c */
int draw_stop(errand_chain *chain, void *context);
void resume_job(struct job *job);
void check_results(const struct job *job, const errand_chain *chain, int now);
void check_tokens(struct world *world, const struct job *job, const struct errand_event *event);

/* report.c */
void note_coverage(struct totals *totals, const struct job *job, const struct errand_event *event);
void print_report(const struct totals *totals, uint64_t seed, double seconds);

/* check.c */
void check_now(const struct job *job, const char *what);
bool was_given(const struct job *job, int error);
void check_idle(struct job *job);
void check_event(struct world *world, const struct errand_event *event);
void check_times(struct world *world);
void check_quiet(struct world *world);
void forget_job(struct job *job);

#endif
