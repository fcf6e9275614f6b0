/* SPDX-License-Identifier: MIT */
/*
 * bench-chain: this library. Variants: "job" (errand_read_file) and "chain" (open, read and close as steps), each
 * beneath a registered root that confines paths, as openat2 with RESOLVE_BENEATH does, and "job-unconfined" and
 * "chain-unconfined", which open what plain openat opens; on the backend that ERRAND_BACKEND names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "errand.h"

struct flight {
    uint32_t file;
    char *buffer;
};

static struct chain_bench bench;
static errand_queue *queue;
static int root;

static int submit_job(struct flight *flight)
{
    struct errand_read_file job = {
        .size = sizeof job,
        .dir_fd = root,
        .path = bench.paths[flight->file],
        .buffer = flight->buffer,
        .length = CHAIN_BYTES,
        .user_data = flight,
    };
    return errand_read_file(queue, &job, NULL);
}

static int submit_chain(struct flight *flight)
{
    errand_chain *chain;
    int r = errand_chain_new(queue, &chain);
    if (r < 0) {
        return r;
    }
    int file = errand_step_open(chain, root, bench.paths[flight->file], O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(file), flight->buffer, CHAIN_BYTES, 0, 0);
    errand_step_close(chain, ERRAND_SLOT(file));
    return errand_submit(chain, &(struct errand_submit){.size = sizeof(struct errand_submit), .user_data = flight},
                         NULL);
}

/* Begins the next chain; false when there is none. */
static bool begin(struct flight *flight)
{
    flight->file = chain_next(&bench);
    if (flight->file == CHAIN_NONE) {
        return false;
    }
    int r = strncmp(bench.variant, "chain", 5) == 0 ? submit_chain(flight) : submit_job(flight);
    if (r < 0) {
        chain_die("submit", -r);
    }
    return true;
}

int main(int argc, char **argv)
{
    static char program[32];
    chain_setup(&bench, argc, argv);
    if (*bench.variant == 0) {
        bench.variant = "job";
    }
    char why[200] = "";
    struct errand_queue_options options = {.size = sizeof options, .why = why, .why_size = sizeof why};
    int r = errand_queue_open(&queue, &options);
    if (r < 0) {
        chain_die(why, -r);
    }
    r = errand_root_add(queue, bench.dir_fd, strstr(bench.variant, "unconfined") ? ERRAND_UNCONFINED : 0, &root);
    if (r < 0) {
        chain_die("errand_root_add", -r);
    }
    snprintf(program, sizeof program, "errand %s", errand_queue_backend(queue));
    struct flight *flights = calloc(bench.flight, sizeof *flights);
    struct errand_event *events = calloc(bench.flight, sizeof *events);
    char *memory = aligned_alloc(4096, (size_t)bench.flight * CHAIN_BYTES);
    if (!flights || !events || !memory) {
        chain_die("memory", ENOMEM);
    }
    chain_start(&bench);
    uint32_t running = 0;
    for (uint32_t i = 0; i < bench.flight; i++) {
        flights[i].buffer = memory + (size_t)i * CHAIN_BYTES;
        running += begin(&flights[i]);
    }
    while (running > 0) {
        int count = errand_queue_wait(queue, events, bench.flight, ERRAND_FOREVER);
        if (count < 0) {
            chain_die("errand_queue_wait", -count);
        }
        for (int i = 0; i < count; i++) {
            struct flight *flight = events[i].user_data;
            if (events[i].error) {
                chain_die(bench.paths[flight->file], -events[i].error);
            }
            chain_check(&bench, flight->file, flight->buffer, (int64_t)events[i].bytes);
            running -= !begin(flight);
        }
    }
    struct errand_stats stats = {.size = sizeof stats};
    errand_queue_stats(queue, &stats);
    fprintf(stderr, "inline runs %llu, worker runs %llu\n", (unsigned long long)stats.inline_runs,
            (unsigned long long)stats.worker_runs);
    chain_report(&bench, program);
    errand_queue_close(queue);
    free(flights);
    free(events);
    free(memory);
}
