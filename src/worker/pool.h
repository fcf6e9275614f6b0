/* SPDX-License-Identifier: MIT */
/*
 * The worker threads of a queue. Runs wait in lanes, one a device, each with a bound on the workers it may hold, so
 * that a device that hangs holds its own lane and nothing else. A lane's first worker may exceed the pool's bound: full
 * lanes never shut out another. What a worker touches belongs to its run; when a chain ends without its run, the worker
 * cleans up whenever the kernel returns, even after the queue was closed.
 */
#ifndef WORKER_POOL_H
#define WORKER_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "chain/file_run.h"
#include "worker/mounts.h"

struct pool;

/* The transfer buffers that abandoned runs give back belong to `buffers`, until pool_close(). Returns 0, -errno. */
int pool_open(struct pool **pool, uint32_t workers, uint32_t lane_workers, struct buffer_pool *buffers);

/* Waits up to grace_ns for all work to end. Returns the number of runs left to end by themselves. */
uint32_t pool_close(struct pool *pool, int64_t grace_ns);

/* Takes the run. With run->op NULL nobody waits for it: it is performed and freed. */
void pool_submit(struct pool *pool, struct file_run *run);

enum pool_recall {
    RECALL_YOURS,     /* it had not begun: it is the caller's again */
    RECALL_ABANDONED, /* it is under way, and frees itself when it is done */
    RECALL_DONE,      /* pool_take_done() will give it: it is done, or the caller's function, which must end first */
};
/* *step: the one that it was at, for a run that was abandoned. */
enum pool_recall pool_recall(struct pool *pool, struct file_run *run, unsigned *step);

/* A run that is done, its op still waiting for it; or NULL. */
struct file_run *pool_take_done(struct pool *pool);
bool pool_has_done(struct pool *pool);

/* A descriptor that becomes readable when a run is done while `sleeping`; sleeping ends with the first. */
int pool_event_fd(const struct pool *pool);
/* Returns false if something is done already: do not sleep. */
bool pool_sleep(struct pool *pool);
void pool_awake(struct pool *pool);

struct pool_counts {
    uint32_t waiting, running, stuck, threads;
};
void pool_count(struct pool *pool, struct pool_counts *counts);

#endif
