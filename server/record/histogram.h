/* SPDX-License-Identifier: MIT */
/*
 * Times in buckets: each microsecond below 64, then 64 buckets for each doubling, up to 134 s. So a time is known to
 * 1/64 of itself, and its bucket's middle to less than 1 %: two significant digits. Each power of two is an edge.
 * One thread adds; others read with relaxed loads, which may be in the midst of an addition but never tear a number.
 */
#ifndef SERVER_RECORD_HISTOGRAM_H
#define SERVER_RECORD_HISTOGRAM_H

#include "counter.h"

enum {
    HISTOGRAM_BITS = 6,
    HISTOGRAM_STEPS = 1 << HISTOGRAM_BITS,
    HISTOGRAM_TOP = 27, /* 2^27 us: what is longer is counted in the last bucket */
    HISTOGRAM_BUCKETS = (HISTOGRAM_TOP - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS,
};

struct histogram {
    counter sum_ns;
    counter buckets[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t us)
{
    if (us < HISTOGRAM_STEPS)
        return (unsigned)us;
    unsigned top = 63 - (unsigned)__builtin_clzll(us);
    if (top >= HISTOGRAM_TOP)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = top - HISTOGRAM_BITS;
    return (shift + 1) * HISTOGRAM_STEPS + (unsigned)(us >> shift) % HISTOGRAM_STEPS;
}

/* The first microsecond that belongs into the bucket. Of the one after the last: where the last ends. */
static inline uint64_t histogram_edge(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
}

static inline void histogram_add(struct histogram *histogram, int64_t ns)
{
    uint64_t time = ns > 0 ? (uint64_t)ns : 0;
    counter_add(&histogram->sum_ns, time);
    counter_add(&histogram->buckets[histogram_bucket(time / 1000)], 1);
}

/* What several threads' histograms are added up in. */
struct histogram_sum {
    uint64_t count, sum_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_sum_add(struct histogram_sum *sum, const struct histogram *histogram);

/* The time in microseconds below or at which so much of all is (0.5: the median): the middle of its bucket. 0: nothing
 * was counted. */
double histogram_quantile(const struct histogram_sum *sum, double share);

#endif
