/* SPDX-License-Identifier: MIT */
/* The figures for Prometheus and whatever else reads its text format. */
#include "figures.h"

#include <inttypes.h>

/* What comes before a metric's samples. */
static void head(struct out *out, const char *name, const char *type, const char *help)
{
    out_print(out, "# HELP errand_%s %s\n", name, help);
    out_print(out, "# TYPE errand_%s %s\n", name, type);
}

static void single(struct out *out, const char *name, const char *type, const char *help, uint64_t value)
{
    head(out, name, type, help);
    out_print(out, "errand_%s %" PRIu64 "\n", name, value);
}

static void requests(struct out *out, const struct metrics_sum *sum)
{
    head(out, "requests_total", "counter", "Requests answered, by method and class of the status; none: no answer.");
    for (unsigned method = 0; method < METRICS_METHODS; method++) {
        for (unsigned class = 0; class < METRICS_CLASSES; class ++) {
            if (sum->requests[method][class] == 0)
                continue;
            char code[8] = "none";
            if (class > 0)
                snprintf(code, sizeof code, "%uxx", class);
            out_print(out, "errand_requests_total{method=\"%s\",code=\"%s\"} %" PRIu64 "\n",
                      metrics_method_name((enum metrics_method)method), code, sum->requests[method][class]);
        }
    }
}

static void by_step(struct out *out, const char *name, const char *type, const char *help, const uint64_t *values)
{
    head(out, name, type, help);
    for (unsigned i = 0; i < METRICS_STEPS; i++)
        if (values[i] > 0)
            out_print(out, "errand_%s{step=\"%s\"} %" PRIu64 "\n", name, i > 0 ? errand_step_name(i) : "none",
                      values[i]);
}

/* The edges are powers of two of a microsecond, so each count is exact. label: "" or `stage="open",`. */
static void buckets(struct out *out, const char *name, const char *label, const struct histogram_sum *sum)
{
    uint64_t count = 0;
    unsigned next = 0;
    for (unsigned power = 0; power <= HISTOGRAM_TOP; power++) {
        for (; next < HISTOGRAM_BUCKETS - 1 && histogram_edge(next) < UINT64_C(1) << power; next++)
            count += sum->buckets[next];
        out_print(out, "errand_%s_bucket{%sle=\"%.9g\"} %" PRIu64 "\n", name, label,
                  (double)(UINT64_C(1) << power) / 1e6, count);
    }
    out_print(out, "errand_%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, label, sum->count);
    char only[40] = "";
    if (label[0] != 0)
        snprintf(only, sizeof only, "{%.*s}", (int)strlen(label) - 1, label);
    out_print(out, "errand_%s_sum%s %.9f\n", name, only, (double)sum->sum_ns / 1e9);
    out_print(out, "errand_%s_count%s %" PRIu64 "\n", name, only, sum->count);
}

/* If there is anything. */
static void labelled(struct out *out, const char *name, const char *label, const char *value,
                     const struct histogram_sum *sum)
{
    char text[40];
    snprintf(text, sizeof text, "%s=\"%s\",", label, value);
    if (sum->count > 0)
        buckets(out, name, text, sum);
}

static void times(struct out *out, const struct metrics_sum *sum)
{
    head(out, "request_duration_seconds", "histogram", "From a request's complete head to the end of its reply.");
    buckets(out, "request_duration_seconds", "", &sum->total);
    head(out, "stage_duration_seconds", "histogram", "The stages of that.");
    for (unsigned i = 0; i < STAGES; i++)
        labelled(out, "stage_duration_seconds", "stage", stage_name((enum stage)i), &sum->stages[i]);
}

static void queues(struct out *out, const struct metrics_sum *sum)
{
    by_step(out, "chains_under_way", "gauge", "Requests under way, by the step that they are at.", sum->steps);
    single(out, "chains", "gauge", "Chains that the queues hold.", sum->chains);
    single(out, "operations", "gauge", "Operations handed to the kernel or to a thread.", sum->operations);
    single(out, "file_runs_waiting", "gauge", "Runs of file operations that wait for a thread.", sum->files_waiting);
    single(out, "file_operations_stuck", "gauge", "File operations that the kernel has not given back.", sum->stuck);
    single(out, "chain_descriptors", "gauge", "Descriptors that chains hold open.", sum->descriptors);
    single(out, "file_threads", "gauge", "Threads for file operations.", sum->threads);
    single(out, "transfer_bytes", "gauge", "Transfer buffers in use.", sum->transfer_bytes);
    head(out, "file_runs_total", "counter", "Runs of file operations, by where they were performed.");
    out_print(out, "errand_file_runs_total{where=\"inline\"} %" PRIu64 "\n", sum->inline_runs);
    out_print(out, "errand_file_runs_total{where=\"thread\"} %" PRIu64 "\n", sum->worker_runs);
}

static void limited(struct out *out, const struct metrics_sum *sum)
{
    head(out, "limited_total", "counter", "Connections and requests refused or cut off by a limit.");
    for (unsigned i = 0; i < METRICS_LIMITS; i++)
        out_print(out, "errand_limited_total{limit=\"%s\"} %" PRIu64 "\n", metrics_limit_name((enum metrics_limit)i),
                  sum->limited[i]);
}

static void ftp(struct out *out, const struct metrics_sum *sum)
{
    single(out, "ftp_sessions", "gauge", "Sessions of FTP: its control connections.", sum->ftp.sessions);
    single(out, "ftp_passive_ports", "gauge", "Passive ports at which a client is waited for.", sum->ftp.ports);
    head(out, "ftp_logins_total", "counter", "Logins, by whether they were good.");
    out_print(out, "errand_ftp_logins_total{result=\"good\"} %" PRIu64 "\n", sum->ftp.logins);
    out_print(out, "errand_ftp_logins_total{result=\"failed\"} %" PRIu64 "\n", sum->ftp.logins_failed);
    head(out, "ftp_transfers_total", "counter", "Transfers, by kind and how they ended.");
    for (unsigned kind = 0; kind < METRICS_TRANSFERS; kind++)
        for (unsigned outcome = 0; outcome < METRICS_OUTCOMES; outcome++)
            out_print(out, "errand_ftp_transfers_total{kind=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                      metrics_transfer_name(kind), metrics_outcome_name(outcome), sum->ftp.transfers[kind][outcome]);
    head(out, "ftp_bytes_total", "counter", "Bytes of data connections, to clients (down) and from them (up).");
    out_print(out, "errand_ftp_bytes_total{direction=\"down\"} %" PRIu64 "\n", sum->ftp.bytes_down);
    out_print(out, "errand_ftp_bytes_total{direction=\"up\"} %" PRIu64 "\n", sum->ftp.bytes_up);
    head(out, "ftp_transfer_duration_seconds", "histogram",
         "From a transfer's command to its end, if it was complete.");
    for (unsigned i = 0; i < METRICS_TRANSFERS; i++)
        labelled(out, "ftp_transfer_duration_seconds", "kind", metrics_transfer_name(i), &sum->ftp.times[i]);
    head(out, "ftp_stage_duration_seconds", "histogram", "The stages of all transfers.");
    for (unsigned i = 0; i < STAGES; i++)
        labelled(out, "ftp_stage_duration_seconds", "stage", stage_name((enum stage)i), &sum->ftp.stages[i]);
}

void figures_prometheus(struct out *out, const struct figures *figures)
{
    const struct metrics_sum *sum = &figures->sum;
    head(out, "build_info", "gauge", "The version that runs.");
    out_print(out, "errand_build_info{version=\"%s\",backend=\"%s\"} 1\n", figures->version, figures->backend);
    head(out, "uptime_seconds", "gauge", "Since the start.");
    out_print(out, "errand_uptime_seconds %.3f\n", figures->uptime);
    single(out, "workers", "gauge", "Threads with a queue each.", figures->workers);
    single(out, "stopping", "gauge", "1 while it finishes what is under way.", figures->stopping);
    requests(out, sum);
    by_step(out, "chain_errors_total", "counter", "Requests' chains that failed, by the step that did.", sum->errors);
    single(out, "received_bytes_total", "counter", "Bytes that clients sent.", sum->bytes_in);
    single(out, "sent_bytes_total", "counter", "Bytes that clients' sockets took, heads included.", sum->bytes_out);
    single(out, "connections", "gauge", "Connections open.", sum->connections);
    single(out, "connections_accepted_total", "counter", "Connections accepted.", sum->accepted);
    single(out, "connections_refused_total", "counter", "Connections that could not be kept.", sum->refused);
    limited(out, sum);
    times(out, sum);
    ftp(out, sum);
    queues(out, sum);
    single(out, "cache_hits_total", "counter", "Replies out of the cache.", sum->cache_hits);
    single(out, "cache_misses_total", "counter", "Replies that the cache did not have.", sum->cache_misses);
    single(out, "cache_evictions_total", "counter", "Entries that made room for others.", sum->cache_evictions);
    single(out, "cache_bytes", "gauge", "Bytes in the cache.", sum->cache_bytes);
    single(out, "cache_entries", "gauge", "Entries of the cache.", sum->cache_entries);
    single(out, "log_lines_total", "counter", "Lines of the logs that were written.", sum->log_lines);
    single(out, "log_bytes_total", "counter", "Bytes of the logs that were written.", sum->log_bytes);
    single(out, "log_dropped_total", "counter", "Lines of the logs that were not.", sum->log_dropped);
    single(out, "log_errors_total", "counter", "Failures to write the logs.", sum->log_errors);
}
