/* SPDX-License-Identifier: MIT */
/*
 * What a worker counts. It alone writes its record; the worker that answers for the server's state reads all of them,
 * so a number may be a moment older than its neighbour. Numbers that only ever grow are totals since the start.
 */
#ifndef SERVER_RECORD_METRICS_H
#define SERVER_RECORD_METRICS_H

#include "errand.h"
#include "histogram.h"
#include "stages.h"

#include <stdbool.h>
#include <stddef.h>

enum metrics_method {
    METRICS_GET,
    METRICS_HEAD,
    METRICS_POST,
    METRICS_PUT,
    METRICS_DELETE,
    METRICS_OPTIONS,
    METRICS_PROPFIND,
    METRICS_MKCOL,
    METRICS_MOVE,
    METRICS_COPY,
    METRICS_OTHER,
    METRICS_METHODS
};

/* What somebody ran into. */
enum metrics_limit {
    METRICS_LIMIT_CONNECTIONS, /* of his address */
    METRICS_LIMIT_REQUESTS,    /* of his address */
    METRICS_LIMIT_RATE,        /* he was too slow */
    METRICS_LIMIT_PROXY,       /* a PROXY header that he owed */
    METRICS_LIMITS
};

/* What FTP moves over data connections, and how that ends. */
enum metrics_transfer { METRICS_DOWNLOAD, METRICS_UPLOAD, METRICS_LISTING, METRICS_TRANSFERS };
enum metrics_outcome {
    METRICS_COMPLETE,
    METRICS_BROKEN,      /* aborted, or the client was gone: 426 */
    METRICS_UNCONNECTED, /* there was no data connection: 425 */
    METRICS_REFUSED,     /* or the file could not be had, or kept */
    METRICS_OUTCOMES
};

/* FTP's part of the figures. */
struct metrics_ftp {
    counter transfers[METRICS_TRANSFERS][METRICS_OUTCOMES];
    counter logins, logins_failed, bytes_up, bytes_down;
    struct histogram times[METRICS_TRANSFERS], stages[STAGES]; /* of what was complete; of all transfers */
    counter sessions, ports; /* as they are now: control connections; passive ports where somebody waits */
};

enum {
    METRICS_CLASSES = 6, /* 1xx to 5xx; 0: the client was gone before there was an answer */
    METRICS_STEPS = 64,  /* by kind of step; 0: none of them */
};

struct metrics {
    counter requests[METRICS_METHODS][METRICS_CLASSES];
    counter errors[METRICS_STEPS]; /* chains that failed, by the kind of the step */
    counter bytes_in, bytes_out;
    counter accepted, refused; /* connections; refused: no memory or descriptors for them */
    counter limited[METRICS_LIMITS];
    counter log_lines, log_bytes, log_dropped, log_errors;
    counter cache_hits, cache_misses, cache_evictions;
    struct histogram total, stages[STAGES];
    struct metrics_ftp ftp;

    /* As they are now, published from time to time. */
    counter connections, busy;    /* open; with a request under way */
    counter steps[METRICS_STEPS]; /* what step those are at */
    counter cache_bytes, cache_entries;
    counter chains, operations, files_waiting, stuck, descriptors, threads, transfer_bytes, inline_runs, worker_runs;
};

/* NULL: no memory. free() frees it. */
struct metrics *metrics_new(void);

/* "GET"... of a request line; what is not known is "other". */
enum metrics_method metrics_method(const char *name, size_t length);
const char *metrics_method_name(enum metrics_method method);
const char *metrics_limit_name(enum metrics_limit limit);

/* A request is over. status 0: there was no answer. */
void metrics_request(struct metrics *metrics, enum metrics_method method, int status, uint64_t bytes,
                     const struct stage_times *times);

/* A transfer is over; its name, and that of an outcome. */
void metrics_ftp_transfer(struct metrics *metrics, enum metrics_transfer kind, enum metrics_outcome outcome,
                          uint64_t bytes, const struct stage_times *times);
const char *metrics_transfer_name(enum metrics_transfer kind);
const char *metrics_outcome_name(enum metrics_outcome outcome);

static inline void metrics_error(struct metrics *metrics, unsigned step_kind)
{
    counter_add(&metrics->errors[step_kind < METRICS_STEPS ? step_kind : 0], 1);
}

/* What the queue says of itself. */
void metrics_publish_queue(struct metrics *metrics, errand_queue *queue);

/* All workers' numbers added up: the same names, plain numbers. */
struct metrics_sum {
    uint64_t requests[METRICS_METHODS][METRICS_CLASSES];
    uint64_t errors[METRICS_STEPS], steps[METRICS_STEPS], limited[METRICS_LIMITS];
    uint64_t bytes_in, bytes_out, accepted, refused, log_lines, log_bytes, log_dropped, log_errors;
    uint64_t cache_hits, cache_misses, cache_evictions, cache_bytes, cache_entries;
    uint64_t connections, busy, chains, operations, files_waiting, stuck, descriptors, threads, transfer_bytes;
    uint64_t inline_runs, worker_runs;
    struct histogram_sum total, stages[STAGES];
    struct {
        uint64_t transfers[METRICS_TRANSFERS][METRICS_OUTCOMES];
        uint64_t logins, logins_failed, bytes_up, bytes_down, sessions, ports;
        struct histogram_sum times[METRICS_TRANSFERS], stages[STAGES];
    } ftp;
};

void metrics_sum_add(struct metrics_sum *sum, const struct metrics *metrics);

#endif
