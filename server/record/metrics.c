/* SPDX-License-Identifier: MIT */
/* Counting, and adding up what was counted. */
#include "metrics.h"

#include <stdlib.h>
#include <string.h>

static const char *const method_names[METRICS_METHODS] = {
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "MKCOL", "MOVE", "COPY", "other",
};

struct metrics *metrics_new(void)
{
    /* No line of the processor's cache is shared with another worker's. */
    size_t size = (sizeof(struct metrics) + 127) / 128 * 128;
    struct metrics *metrics = aligned_alloc(128, size);
    if (metrics != NULL)
        memset(metrics, 0, size);
    return metrics;
}

enum metrics_method metrics_method(const char *name, size_t length)
{
    for (unsigned i = 0; i < METRICS_OTHER; i++)
        if (strlen(method_names[i]) == length && memcmp(method_names[i], name, length) == 0)
            return (enum metrics_method)i;
    return METRICS_OTHER;
}

const char *metrics_method_name(enum metrics_method method)
{
    return method_names[method];
}

const char *metrics_limit_name(enum metrics_limit limit)
{
    static const char *const names[METRICS_LIMITS] = {"connections", "requests", "rate", "proxy"};
    return names[limit];
}

void metrics_request(struct metrics *metrics, enum metrics_method method, int status, uint64_t bytes,
                     const struct stage_times *times)
{
    unsigned class = status >= 100 && status < 600 ? (unsigned)status / 100 : 0;
    counter_add(&metrics->requests[method][class], 1);
    counter_add(&metrics->bytes_out, bytes);
    histogram_add(&metrics->total, stage_total(times));
    for (unsigned i = 0; i < STAGES; i++)
        if (times->at[i] != 0)
            histogram_add(&metrics->stages[i], stage_length(times, (enum stage)i));
}

const char *metrics_transfer_name(enum metrics_transfer kind)
{
    static const char *const names[METRICS_TRANSFERS] = {"download", "upload", "listing"};
    return names[kind];
}

const char *metrics_outcome_name(enum metrics_outcome outcome)
{
    static const char *const names[METRICS_OUTCOMES] = {"complete", "broken", "unconnected", "refused"};
    return names[outcome];
}

void metrics_ftp_transfer(struct metrics *metrics, enum metrics_transfer kind, enum metrics_outcome outcome,
                          uint64_t bytes, const struct stage_times *times)
{
    struct metrics_ftp *ftp = &metrics->ftp;
    counter_add(&ftp->transfers[kind][outcome], 1);
    counter_add(kind == METRICS_UPLOAD ? &ftp->bytes_up : &ftp->bytes_down, bytes);
    counter_add(kind == METRICS_UPLOAD ? &metrics->bytes_in : &metrics->bytes_out, bytes);
    if (outcome == METRICS_COMPLETE)
        histogram_add(&ftp->times[kind], stage_total(times));
    for (unsigned i = 0; i < STAGES; i++)
        if (times->at[i] != 0)
            histogram_add(&ftp->stages[i], stage_length(times, (enum stage)i));
}

void metrics_publish_queue(struct metrics *metrics, errand_queue *queue)
{
    struct errand_stats stats = {.size = sizeof stats};
    if (errand_queue_stats(queue, &stats) != 0)
        return;
    counter_set(&metrics->chains, stats.chains);
    counter_set(&metrics->operations, stats.operations);
    counter_set(&metrics->files_waiting, stats.files_waiting);
    counter_set(&metrics->stuck, stats.stuck);
    counter_set(&metrics->descriptors, stats.descriptors);
    counter_set(&metrics->threads, stats.threads);
    counter_set(&metrics->transfer_bytes, stats.transfer_bytes);
    counter_set(&metrics->inline_runs, stats.inline_runs);
    counter_set(&metrics->worker_runs, stats.worker_runs);
}

/* ------------------------------------------------------------------------------------------ adding up */

void histogram_sum_add(struct histogram_sum *sum, const struct histogram *histogram)
{
    /* The count is that of the buckets, so that it fits to them whatever is added meanwhile. */
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = counter_read(&histogram->buckets[i]);
        sum->buckets[i] += count;
        sum->count += count;
    }
    sum->sum_ns += counter_read(&histogram->sum_ns);
}

double histogram_quantile(const struct histogram_sum *sum, double share)
{
    if (sum->count == 0)
        return 0;
    double wanted = share * (double)sum->count;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += sum->buckets[i];
        if (sum->buckets[i] > 0 && (double)seen >= wanted)
            return (double)(histogram_edge(i) + histogram_edge(i + 1)) / 2;
    }
    return (double)histogram_edge(HISTOGRAM_BUCKETS);
}

static void add_all(uint64_t *sums, const counter *counters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sums[i] += counter_read(&counters[i]);
}

void metrics_sum_add(struct metrics_sum *sum, const struct metrics *metrics)
{
#define ADD(member) sum->member += counter_read(&metrics->member)
    ADD(bytes_in), ADD(bytes_out), ADD(accepted), ADD(refused);
    ADD(log_lines), ADD(log_bytes), ADD(log_dropped), ADD(log_errors);
    ADD(cache_hits), ADD(cache_misses), ADD(cache_evictions), ADD(cache_bytes), ADD(cache_entries);
    ADD(connections), ADD(busy), ADD(chains), ADD(operations), ADD(files_waiting), ADD(stuck), ADD(descriptors);
    ADD(threads), ADD(transfer_bytes), ADD(inline_runs), ADD(worker_runs);
    ADD(ftp.logins), ADD(ftp.logins_failed), ADD(ftp.bytes_up), ADD(ftp.bytes_down), ADD(ftp.sessions), ADD(ftp.ports);
#undef ADD
    add_all(sum->requests[0], metrics->requests[0], (size_t)METRICS_METHODS * METRICS_CLASSES);
    add_all(sum->errors, metrics->errors, METRICS_STEPS);
    add_all(sum->limited, metrics->limited, METRICS_LIMITS);
    add_all(sum->steps, metrics->steps, METRICS_STEPS);
    histogram_sum_add(&sum->total, &metrics->total);
    for (unsigned i = 0; i < STAGES; i++)
        histogram_sum_add(&sum->stages[i], &metrics->stages[i]);
    add_all(sum->ftp.transfers[0], metrics->ftp.transfers[0], (size_t)METRICS_TRANSFERS * METRICS_OUTCOMES);
    for (unsigned i = 0; i < METRICS_TRANSFERS; i++)
        histogram_sum_add(&sum->ftp.times[i], &metrics->ftp.times[i]);
    for (unsigned i = 0; i < STAGES; i++)
        histogram_sum_add(&sum->ftp.stages[i], &metrics->ftp.stages[i]);
}
