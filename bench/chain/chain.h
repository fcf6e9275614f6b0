/* SPDX-License-Identifier: MIT */
/*
 * What the programs of bench-chain share: the list of files, the order in which they are read, the check of every
 * answer and the report. A "chain" is: open one file, read its first 4 KiB, close it.
 *
 * Every program takes the same options and prints one line of JSON, so that bench/run can pair them:
 *     PROGRAM --dir DIR [--files N] [--flight N] [--seconds S] [--variant NAME] [--batch N]
 */
#ifndef BENCH_CHAIN_H
#define BENCH_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAIN_BYTES 4096
#define CHAIN_NONE  UINT32_MAX

struct chain_bench {
    const char *dir, *variant;
    int dir_fd;
    uint32_t files;  /* DIR/dNNN/fNNN, 100 in each directory */
    uint32_t flight; /* chains under way at once */
    uint32_t batch;  /* how many completions a program waits for at once; 0: its own choice */
    double seconds;

    char (*paths)[16];
    uint32_t *order; /* a random permutation of the files, walked over and over */
    uint32_t position;
    uint64_t begun, ended, before; /* before: ended when the clocks started */
    int64_t started_ns, deadline_ns;
    int64_t user_us, system_us; /* CPU used before the start */
};

/* Reads the options, reads every file once so that all are in the page cache, and shuffles. Exits on an error. */
void chain_setup(struct chain_bench *bench, int argc, char **argv);

/*
 * Begins. Whatever a program sets up once (rings, pools) it sets up before, and the clocks start only when every file
 * was read once in the program's own way: what is measured is not how a program warms up.
 */
void chain_start(struct chain_bench *bench);

/* The next file to read, or CHAIN_NONE when the time is over. */
uint32_t chain_next(struct chain_bench *bench);

/* Checks one answer: 4 KiB, and of this very file. Exits when it is wrong. */
void chain_check(struct chain_bench *bench, uint32_t file, const void *buffer, int64_t bytes);

/* Stops the clocks and prints the line. */
void chain_report(struct chain_bench *bench, const char *program);

/* Says what went wrong (error: an errno, or 0) and exits with 1. */
_Noreturn void chain_die(const char *what, int error);

#endif
