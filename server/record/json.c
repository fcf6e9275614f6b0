/* SPDX-License-Identifier: MIT */
/* The figures for the status page, and for scripts. */
#include "figures.h"

#include <inttypes.h>

/* Members of an object, with the comma that the one before them needs. */
static void number(struct out *out, const char *name, uint64_t value)
{
    const char *comma = out->used > 0 && out->data[out->used - 1] != '{' ? "," : "";
    out_print(out, "%s\"%s\":%" PRIu64, comma, name, value);
}

static void open_object(struct out *out, const char *name)
{
    const char *comma = out->used > 0 && out->data[out->used - 1] != '{' ? "," : "";
    out_print(out, "%s\"%s\":{", comma, name);
}

static void close_object(struct out *out)
{
    out_text(out, "}");
}

static void requests(struct out *out, const struct metrics_sum *sum)
{
    static const char *const classes[METRICS_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    open_object(out, "requests");
    for (unsigned method = 0; method < METRICS_METHODS; method++) {
        uint64_t all = 0;
        for (unsigned class = 0; class < METRICS_CLASSES; class ++)
            all += sum->requests[method][class];
        if (all == 0)
            continue;
        open_object(out, metrics_method_name((enum metrics_method)method));
        for (unsigned class = 0; class < METRICS_CLASSES; class ++)
            if (sum->requests[method][class] > 0)
                number(out, classes[class], sum->requests[method][class]);
        close_object(out);
    }
    close_object(out);
}

static void by_step(struct out *out, const char *name, const uint64_t *values)
{
    open_object(out, name);
    for (unsigned i = 0; i < METRICS_STEPS; i++)
        if (values[i] > 0)
            number(out, i > 0 ? errand_step_name(i) : "none", values[i]);
    close_object(out);
}

/* Four buckets for each doubling are enough to look at: does one of them begin at this microsecond? */
static bool is_edge(uint64_t us)
{
    unsigned top = us < 4 ? 0 : 61 - (unsigned)__builtin_clzll(us);
    return (us & ((UINT64_C(1) << top) - 1)) == 0;
}

/* [where it begins in us, how many], of those that are not empty. */
static void buckets(struct out *out, const struct histogram_sum *sum)
{
    out_text(out, ",\"buckets\":[");
    uint64_t count = 0, begin = 0;
    const char *comma = "";
    for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++) {
        uint64_t edge = histogram_edge(i);
        if (is_edge(edge)) {
            if (count > 0) {
                out_print(out, "%s[%" PRIu64 ",%" PRIu64 "]", comma, begin, count);
                comma = ",";
            }
            begin = edge;
            count = 0;
        }
        if (i < HISTOGRAM_BUCKETS)
            count += sum->buckets[i];
    }
    out_text(out, "]");
}

static void times(struct out *out, const char *name, const struct histogram_sum *sum)
{
    open_object(out, name);
    number(out, "count", sum->count);
    out_print(out, ",\"mean_us\":%.1f", sum->count > 0 ? (double)sum->sum_ns / 1e3 / (double)sum->count : 0.0);
    out_print(out, ",\"p50_us\":%.1f,\"p90_us\":%.1f", histogram_quantile(sum, 0.5), histogram_quantile(sum, 0.9));
    out_print(out, ",\"p99_us\":%.1f,\"p999_us\":%.1f", histogram_quantile(sum, 0.99), histogram_quantile(sum, 0.999));
    buckets(out, sum);
    close_object(out);
}

static void ftp(struct out *out, const struct metrics_sum *sum)
{
    open_object(out, "ftp");
    number(out, "sessions", sum->ftp.sessions);
    number(out, "ports", sum->ftp.ports);
    open_object(out, "logins");
    number(out, "good", sum->ftp.logins);
    number(out, "failed", sum->ftp.logins_failed);
    close_object(out);
    open_object(out, "transfers");
    for (unsigned kind = 0; kind < METRICS_TRANSFERS; kind++) {
        open_object(out, metrics_transfer_name(kind));
        for (unsigned outcome = 0; outcome < METRICS_OUTCOMES; outcome++)
            number(out, metrics_outcome_name(outcome), sum->ftp.transfers[kind][outcome]);
        close_object(out);
    }
    close_object(out);
    open_object(out, "bytes");
    number(out, "down", sum->ftp.bytes_down);
    number(out, "up", sum->ftp.bytes_up);
    close_object(out);
    close_object(out);
}

static void rest(struct out *out, const struct metrics_sum *sum)
{
    open_object(out, "queue");
    number(out, "chains", sum->chains);
    number(out, "operations", sum->operations);
    number(out, "files_waiting", sum->files_waiting);
    number(out, "stuck", sum->stuck);
    number(out, "descriptors", sum->descriptors);
    number(out, "threads", sum->threads);
    number(out, "transfer_bytes", sum->transfer_bytes);
    number(out, "inline_runs", sum->inline_runs);
    number(out, "worker_runs", sum->worker_runs);
    close_object(out);
    open_object(out, "cache");
    number(out, "hits", sum->cache_hits);
    number(out, "misses", sum->cache_misses);
    number(out, "evictions", sum->cache_evictions);
    number(out, "bytes", sum->cache_bytes);
    number(out, "entries", sum->cache_entries);
    close_object(out);
    open_object(out, "log");
    number(out, "lines", sum->log_lines);
    number(out, "bytes", sum->log_bytes);
    number(out, "dropped", sum->log_dropped);
    number(out, "errors", sum->log_errors);
    close_object(out);
}

void figures_json(struct out *out, const struct figures *figures)
{
    const struct metrics_sum *sum = &figures->sum;
    out_print(out, "{\"version\":\"%s\",\"backend\":\"%s\",\"uptime_s\":%.3f,\"stopping\":%s", figures->version,
              figures->backend, figures->uptime, figures->stopping ? "true" : "false");
    number(out, "workers", figures->workers);
    open_object(out, "connections");
    number(out, "open", sum->connections);
    number(out, "accepted", sum->accepted);
    number(out, "refused", sum->refused);
    close_object(out);
    open_object(out, "limited");
    for (unsigned i = 0; i < METRICS_LIMITS; i++)
        number(out, metrics_limit_name((enum metrics_limit)i), sum->limited[i]);
    close_object(out);
    requests(out, sum);
    open_object(out, "bytes");
    number(out, "in", sum->bytes_in);
    number(out, "out", sum->bytes_out);
    close_object(out);
    number(out, "busy", sum->busy);
    by_step(out, "steps", sum->steps);
    by_step(out, "errors", sum->errors);
    open_object(out, "latency");
    times(out, "total", &sum->total);
    for (unsigned i = 0; i < STAGES; i++)
        times(out, stage_name((enum stage)i), &sum->stages[i]);
    for (unsigned i = 0; i < METRICS_TRANSFERS; i++)
        times(out, metrics_transfer_name(i), &sum->ftp.times[i]);
    close_object(out);
    ftp(out, sum);
    rest(out, sum);
    out_text(out, "}\n");
}
