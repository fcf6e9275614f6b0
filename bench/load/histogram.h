/* SPDX-License-Identifier: MIT */
/*
 * A histogram of times with a logarithmic scale: 128 buckets for each power of two, so every time up to 18 minutes is
 * known to 0.8 % and recording one costs a few instructions.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_FINE    128u
#define HISTOGRAM_BUCKETS (HISTOGRAM_FINE * 34)

struct histogram {
    uint64_t count, sum_ns, max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *h, int64_t time_ns)
{
    uint64_t ns = time_ns > 0 ? (uint64_t)time_ns : 0;
    unsigned shift = ns < HISTOGRAM_FINE ? 0 : 56 - (unsigned)__builtin_clzll(ns); /* leaves 128..255 */
    uint64_t bucket = (uint64_t)shift * HISTOGRAM_FINE + (ns >> shift);
    h->buckets[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1]++;
    h->count++;
    h->sum_ns += ns;
    h->max_ns = ns > h->max_ns ? ns : h->max_ns;
}

/* The time within which the given share (0 to 1) of all lies: its bucket's upper end, in microseconds. */
static inline double histogram_us(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)h->count + 0.999999), seen = 0;
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted && seen > 0) {
            uint64_t shift = i < 2 * HISTOGRAM_FINE ? 0 : i / HISTOGRAM_FINE - 1;
            uint64_t end = ((i - shift * HISTOGRAM_FINE + 1) << shift) - 1;
            return (double)(end < h->max_ns ? end : h->max_ns) / 1000;
        }
    }
    return 0;
}

#endif
