/* SPDX-License-Identifier: MIT */
/* Numbers on the command line of the benchmarks' programs. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole number that text is, from 0 to most; exits with a message that names it if it is none. */
static inline int64_t option_number(const char *text, int64_t most)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end || end == text || value < 0 || value > most) {
        fprintf(stderr, "not a whole number from 0 to %lld: %s\n", (long long)most, text);
        exit(2);
    }
    return value;
}

#endif
