/* SPDX-License-Identifier: MIT */
/* Histograms know times to two digits; counters add up, and come out as Prometheus and JSON want them. */
#include "harness.h"
#include "record/figures.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TEST(buckets_hold_what_belongs_there)
{
    for (uint64_t us = 0; us < UINT64_C(1) << HISTOGRAM_TOP; us += us < 1 << 20 ? 1 : 9973) {
        unsigned bucket = histogram_bucket(us);
        uint64_t from = histogram_edge(bucket), to = histogram_edge(bucket + 1);
        if (bucket >= HISTOGRAM_BUCKETS || us < from || us >= to || (to - from > 1 && (to - from) * 64 > from)) {
            harness_at("%llu us", (unsigned long long)us);
            CHECK(!"in its bucket");
        }
    }
    CHECK_INT(histogram_edge(HISTOGRAM_BUCKETS), 1 << HISTOGRAM_TOP);
    CHECK(histogram_edge(HISTOGRAM_BUCKETS) > 100 * 1000 * 1000);
    CHECK_INT(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    CHECK_INT(histogram_bucket(1 << HISTOGRAM_TOP), HISTOGRAM_BUCKETS - 1);
    for (unsigned power = 0; power < HISTOGRAM_TOP; power++)
        CHECK_INT(histogram_edge(histogram_bucket(UINT64_C(1) << power)), 1 << power);
}

static struct histogram_sum *sum_of(const struct histogram *histogram)
{
    struct histogram_sum *sum = calloc(1, sizeof *sum);
    REQUIRE(sum != NULL);
    histogram_sum_add(sum, histogram);
    return sum;
}

TEST(quantiles_within_a_hundredth)
{
    static struct histogram histogram;
    static double times[100000];
    enum { COUNT = sizeof times / sizeof *times };
    for (unsigned i = 0; i < COUNT; i++) { /* evenly on a logarithmic scale from 100 us to 100 s */
        times[i] = 1e-4 * pow(10, 6.0 * i / COUNT);
        histogram_add(&histogram, (int64_t)(times[i] * 1e9));
    }
    struct histogram_sum *sum = sum_of(&histogram);
    CHECK_INT(sum->count, COUNT);
    for (unsigned permille = 1; permille < 1000; permille++) {
        double exact = times[(size_t)permille * COUNT / 1000 - 1] * 1e6;
        double found = histogram_quantile(sum, permille / 1000.0);
        harness_at("%u per mille: %f instead of %f", permille, found, exact);
        CHECK(fabs(found - exact) <= exact * 0.01);
    }
    CHECK(histogram_quantile(&(struct histogram_sum){0}, 0.5) == 0);
    free(sum);
}

TEST(negative_and_endless_times)
{
    static struct histogram histogram;
    histogram_add(&histogram, -5);
    histogram_add(&histogram, INT64_MAX / 2);
    struct histogram_sum *sum = sum_of(&histogram);
    CHECK_INT(sum->count, 2);
    CHECK_INT(sum->buckets[0], 1);
    CHECK_INT(sum->buckets[HISTOGRAM_BUCKETS - 1], 1);
    free(sum);
}

TEST(stages)
{
    struct stage_times times;
    stage_begin(&times, 1000);
    CHECK_INT(stage_total(&times), 0);
    stage_passed(&times, STAGE_WAIT, 1500);
    stage_passed(&times, STAGE_SEND, 9000);
    CHECK_INT(stage_length(&times, STAGE_WAIT), 500);
    CHECK_INT(stage_length(&times, STAGE_OPEN), -1);
    CHECK_INT(stage_length(&times, STAGE_SEND), 7500);
    CHECK_INT(stage_total(&times), 8000);
    stage_passed(&times, STAGE_SEND, 1200); /* a clock that stood still */
    CHECK_INT(stage_length(&times, STAGE_SEND), 0);
    CHECK_STR(stage_name(STAGE_WAIT), "wait");
    CHECK_STR(stage_name(STAGE_SEND), "send");
}

TEST(methods)
{
    for (enum metrics_method method = METRICS_GET; method < METRICS_METHODS; method++)
        CHECK_INT(metrics_method(metrics_method_name(method), strlen(metrics_method_name(method))), method);
    CHECK_INT(metrics_method("get", 3), METRICS_OTHER);
    CHECK_INT(metrics_method("", 0), METRICS_OTHER);
}

/* One thread counts while another adds up: nothing is torn, nothing goes backwards, and in the end all is there. */
static void *count(void *context)
{
    struct stage_times times = {.began = 1, .at = {[STAGE_WAIT] = 1001, [STAGE_SEND] = 200001}};
    for (unsigned i = 0; i < 200000; i++)
        metrics_request(context, METRICS_GET, 200, 10, &times);
    return NULL;
}

TEST(read_while_written)
{
    struct metrics *metrics = metrics_new();
    struct metrics_sum *sum = calloc(1, sizeof *sum);
    pthread_t thread;
    REQUIRE(metrics != NULL && sum != NULL);
    REQUIRE_INT(pthread_create(&thread, NULL, count, metrics), 0);
    uint64_t last = 0;
    while (last < 200000) {
        memset(sum, 0, sizeof *sum);
        metrics_sum_add(sum, metrics);
        REQUIRE(sum->total.count >= last && sum->total.count <= 200000);
        last = sum->total.count;
    }
    pthread_join(thread, NULL);
    memset(sum, 0, sizeof *sum);
    metrics_sum_add(sum, metrics);
    metrics_sum_add(sum, metrics); /* two workers */
    CHECK_INT(sum->requests[METRICS_GET][2], 400000);
    CHECK_INT(sum->bytes_out, 4000000);
    CHECK_INT(sum->stages[STAGE_SEND].count, 400000);
    CHECK_INT(sum->stages[STAGE_OPEN].count, 0);
    CHECK_INT(sum->total.sum_ns, UINT64_C(400000) * 200000);
    free(sum);
    free(metrics);
}

TEST(ftp)
{
    struct metrics *metrics = metrics_new();
    struct metrics_sum *sum = calloc(1, sizeof *sum);
    struct stage_times times = {.began = 1, .at = {[STAGE_OPEN] = 1001, [STAGE_DATA] = 5001, [STAGE_SEND] = 9001}};
    REQUIRE(metrics != NULL && sum != NULL);
    metrics_ftp_transfer(metrics, METRICS_DOWNLOAD, METRICS_COMPLETE, 10, &times);
    metrics_ftp_transfer(metrics, METRICS_UPLOAD, METRICS_BROKEN, 7, &times);
    metrics_ftp_transfer(metrics, METRICS_LISTING, METRICS_REFUSED, 0, &times);
    metrics_sum_add(sum, metrics);
    metrics_sum_add(sum, metrics); /* two workers */
    CHECK_INT(sum->ftp.transfers[METRICS_DOWNLOAD][METRICS_COMPLETE], 2);
    CHECK_INT(sum->ftp.transfers[METRICS_UPLOAD][METRICS_BROKEN], 2);
    CHECK_INT(sum->ftp.transfers[METRICS_LISTING][METRICS_COMPLETE], 0);
    CHECK_INT(sum->ftp.bytes_down, 20);
    CHECK_INT(sum->ftp.bytes_up, 14);
    CHECK_INT(sum->bytes_out, 20);
    CHECK_INT(sum->bytes_in, 14);
    CHECK_INT(sum->ftp.times[METRICS_DOWNLOAD].count, 2);
    CHECK_INT(sum->ftp.times[METRICS_DOWNLOAD].sum_ns, 18000);
    CHECK_INT(sum->ftp.times[METRICS_UPLOAD].count, 0);
    CHECK_INT(sum->ftp.stages[STAGE_DATA].count, 6);
    CHECK_INT(sum->ftp.stages[STAGE_DATA].sum_ns, 24000);
    CHECK_INT(sum->total.count, 0);
    free(sum);
    free(metrics);
}

TEST(prometheus_buckets)
{
    struct figures *figures = calloc(1, sizeof *figures);
    struct metrics *metrics = metrics_new();
    REQUIRE(figures != NULL && metrics != NULL);
    figures->version = "1";
    figures->backend = "none";
    histogram_add(&metrics->total, 999);                     /* below 1 us */
    histogram_add(&metrics->total, 1000);                    /* 1 us: not below */
    histogram_add(&metrics->total, 63 * ERRAND_MICROSECOND); /* below 64 us */
    histogram_add(&metrics->total, 64 * ERRAND_MICROSECOND);
    histogram_add(&metrics->total, 500 * ERRAND_SECOND); /* beyond all edges */
    metrics_error(metrics, ERRAND_STEP_OPEN);
    metrics_error(metrics, 9999);
    metrics_sum_add(&figures->sum, metrics);
    struct out out = {0};
    figures_prometheus(&out, figures);
    out_text(&out, "");
    REQUIRE(!out.failed && out_room(&out, 1));
    out.data[out.used] = 0;
    for (const char *const *line = (const char *const[]){"request_duration_seconds_bucket{le=\"1e-06\"} 1\n",
                                                         "request_duration_seconds_bucket{le=\"2e-06\"} 2\n",
                                                         "request_duration_seconds_bucket{le=\"6.4e-05\"} 3\n",
                                                         "request_duration_seconds_bucket{le=\"0.000128\"} 4\n",
                                                         "request_duration_seconds_bucket{le=\"134.217728\"} 4\n",
                                                         "request_duration_seconds_bucket{le=\"+Inf\"} 5\n",
                                                         "chain_errors_total{step=\"open\"} 1\n",
                                                         "chain_errors_total{step=\"none\"} 1\n", NULL};
         *line != NULL; line++) {
        harness_at("%s", *line);
        CHECK(strstr(out.data, *line) != NULL);
    }
    free(out.data);
    free(metrics);
    free(figures);
}
