/* SPDX-License-Identifier: MIT */
/* A number that one thread changes and others may read at any time. To the thread that changes it, it costs what a
 * plain one does. */
#ifndef SERVER_RECORD_COUNTER_H
#define SERVER_RECORD_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

static inline uint64_t counter_read(const counter *it)
{
    return atomic_load_explicit(it, memory_order_relaxed);
}

static inline void counter_set(counter *it, uint64_t value)
{
    atomic_store_explicit(it, value, memory_order_relaxed);
}

static inline void counter_add(counter *it, uint64_t value)
{
    counter_set(it, counter_read(it) + value);
}

#endif
