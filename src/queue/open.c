/* SPDX-License-Identifier: MIT */
/* Opening and closing a queue, and what it says of itself. */
#include "queue/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sized.h"

#define ALIVE_SIZE 4096

static bool default_and_check(uint32_t *value, uint32_t otherwise, uint32_t most)
{
    if (*value == 0)
        *value = otherwise;
    return *value <= most;
}

static int check_options(struct errand_queue_options *o)
{
    bool good = default_and_check(&o->chains, 4096, 1u << 20) && default_and_check(&o->chain_steps, 12, 64) &&
                default_and_check(&o->sources, 65536, 1u << 20) && default_and_check(&o->workers, 64, 1024) &&
                default_and_check(&o->lane_workers, 16, 1024) && default_and_check(&o->receive_buffers, 128, 32768) &&
                default_and_check(&o->receive_size, 4096, 1u << 20) &&
                default_and_check(&o->messages, 1024, 1u << 20) && default_and_check(&o->roots, 64, ROOTS_MAX);
    if (o->transfer_memory == 0)
        o->transfer_memory = (uint64_t)64 << 20;
    if (o->close_grace_ns == 0)
        o->close_grace_ns = ERRAND_SECOND;
    if (!good || (o->receive_buffers & (o->receive_buffers - 1)) || o->transfer_memory < (uint64_t)1 << 20 ||
        o->close_grace_ns < 0 || o->receive_size < 64)
        return -EINVAL;
    return 0;
}

/* A page that a child finds wiped after fork(2): the queue's ring and threads did not come along. */
static int make_alive(errand_queue *queue)
{
    void *page = mmap(NULL, ALIVE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -errno;
    queue->alive = page;
    if (madvise(page, ALIVE_SIZE, MADV_WIPEONFORK) < 0)
        return -errno;
    *queue->alive = 1;
    return 0;
}

static void free_tables(errand_queue *queue)
{
    queue_outer_close(queue);
    slab_close(&queue->chains);
    slab_close(&queue->sources);
    slab_close(&queue->roots);
    heap_close(&queue->timers);
    buffer_trim(&queue->buffers);
    if (queue->context.seen)
        munmap(queue->context.seen, sizeof *queue->context.seen);
    free(queue->lent);
    if (queue->alive)
        munmap((void *)queue->alive, ALIVE_SIZE);
    free(queue);
}

static int make_tables(errand_queue *queue, const struct errand_queue_options *o)
{
    size_t chain_size = sizeof(struct errand_chain) + o->chain_steps * sizeof(struct step);
    queue->lent_limit = o->receive_buffers;
    queue->lent = malloc(o->receive_buffers * sizeof *queue->lent);
    int result = queue->lent ? make_alive(queue) : -ENOMEM;
    if (result == 0)
        result = slab_open(&queue->chains, o->chains, chain_size);
    if (result == 0)
        result = slab_open(&queue->sources, o->sources, sizeof(struct errand_source));
    if (result == 0)
        result = slab_open(&queue->roots, o->roots, sizeof(struct root *));
    /* Touched page by page as paths are noted; without it nothing is done as one segment. */
    void *seen = mmap(NULL, sizeof(struct seen), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    queue->context.seen = seen == MAP_FAILED ? NULL : seen;
    return result;
}

static int open_queue(errand_queue *queue, const struct errand_queue_options *o)
{
    queue->owner = pthread_self();
    queue->messages = o->messages;
    queue->close_grace_ns = o->close_grace_ns;
    queue->buffers.limit = o->transfer_memory;
    list_init(&queue->ready);
    list_init(&queue->again);
    list_init(&queue->runnable);
    list_init(&queue->context.unused_roots);
    int result = make_tables(queue, o);
    if (result == 0)
        result = pool_open(&queue->pool, o->workers, o->lane_workers, &queue->buffers);
    if (result < 0) {
        snprintf(queue->reason, sizeof queue->reason, "no memory or descriptors for a queue");
        return result;
    }
    struct backend_options options = {.pool = queue->pool,
                                      .buffers = &queue->buffers,
                                      .workers = o->workers,
                                      .lane_workers = o->lane_workers,
                                      .receive_buffers = o->receive_buffers,
                                      .receive_size = o->receive_size};
    result = backend_choose(queue, o->backend, &options);
    if (result < 0) {
        pool_close(queue->pool, 0);
        return result;
    }
    queue->context.buffers = &queue->buffers;
    queue->context.roots = &queue->roots;
    queue->context.steps_limit = o->chain_steps;
    queue->context.read_files = queue->backend->read_files && queue->context.seen;
    queue->context.now = queue_clock(queue);
    return 0;
}

int errand_queue_open(errand_queue **out, const struct errand_queue_options *given)
{
    if (!out)
        return -EINVAL;
    struct errand_queue_options options = {.size = sizeof options};
    int result = given ? sized_copy(&options, sizeof options, given) : 0;
    if (result == 0)
        result = check_options(&options);
    errand_queue *queue = result == 0 ? calloc(1, sizeof *queue) : NULL;
    if (!queue) {
        result = result < 0 ? result : -ENOMEM;
        if (result == -EINVAL && options.why && options.why_size)
            snprintf(options.why, options.why_size, "an option of the queue is out of its range");
        return result;
    }
    result = open_queue(queue, &options);
    if (options.why && options.why_size)
        snprintf(options.why, options.why_size, "%s", queue->reason);
    if (result < 0) {
        free_tables(queue);
        return result;
    }
    *out = queue;
    return 0;
}

static void stop_everything(errand_queue *queue)
{
    for (uint32_t i = 0; i < queue->sources.touched; i++) {
        errand_source *source = slab_at(&queue->sources, i);
        if (slab_is_taken(&queue->sources, i) && !source->stopped)
            errand_source_stop(source);
    }
    for (uint32_t i = 0; i < queue->chains.touched; i++) {
        errand_chain *chain = slab_at(&queue->chains, i);
        if (!slab_is_taken(&queue->chains, i))
            continue;
        if (chain->state == CHAIN_DESCRIBED)
            errand_chain_drop(chain);
        else
            queue_stop_chain(queue, chain, -ECANCELED);
    }
}

/* All that is in flight has been asked to come back: peers' operations do so at once, files' were recalled or left. */
static void bring_back(errand_queue *queue)
{
    while (queue->operations > 0 || !list_is_empty(&queue->runnable)) {
        queue_run_runnable(queue);
        if (queue->operations > 0)
            queue->backend->ops->wait(queue->backend, list_is_empty(&queue->runnable) ? 10 * ERRAND_MILLISECOND : 0);
        queue->context.now = queue_clock(queue);
        struct op *op;
        while ((op = queue->backend->ops->next(queue->backend)))
            queue_took(queue, op);
    }
}

/* Await steps were told to stop, and nobody can let them go on any more. Returns whether there were any. */
static bool end_awaits(errand_queue *queue)
{
    bool any = false;
    for (uint32_t i = 0; i < queue->chains.touched; i++) {
        errand_chain *chain = slab_at(&queue->chains, i);
        if (slab_is_taken(&queue->chains, i) && chain->state == CHAIN_RUNNING)
            any |= errand_resume(queue, slab_handle(&queue->chains, chain), -ECANCELED, 0) == 0;
    }
    return any;
}

/* Those who were told of a chain's end may have let another go on, which waited for it. */
static void drop_events(errand_queue *queue)
{
    do {
        bring_back(queue);
        while (!list_is_empty(&queue->ready))
            queue_drop_event(queue,
                             container_of(container_of(queue->ready.next, struct op, node), struct errand_chain, op));
    } while (queue->operations > 0 || !list_is_empty(&queue->runnable) || end_awaits(queue));
}

/* The ledger is empty. What is stuck in the kernel keeps its transfer buffers, and nothing else. */
static void assert_nothing_left(const errand_queue *queue, uint32_t stuck)
{
    assert(queue->operations == 0 && queue->context.descriptors == 0);
    assert(queue->chains.used == 0 && queue->sources.used == 0 && queue->timers.count == 0);
    assert(stuck > 0 || queue->buffers.used == 0);
    (void)queue;
    (void)stuck;
}

int errand_queue_close(errand_queue *queue)
{
    if (!queue)
        return -EINVAL;
    if (!queue_is_ours(queue) || queue->context.in_call)
        return -EPERM;
    queue_recycle_lent(queue);
    queue->closing = true;
    stop_everything(queue);
    drop_events(queue);
    queue_remove_roots(queue);
    queue->backend->ops->wait(queue->backend, 0); /* cancellations and closes that are still to be issued */
    uint32_t left = queue->backend->ops->close(queue->backend, queue->close_grace_ns);
    assert_nothing_left(queue, left);
    free_tables(queue);
    return (int)left;
}

const char *errand_queue_backend(const errand_queue *queue)
{
    return queue->backend->ops->name;
}

const char *errand_queue_backend_reason(const errand_queue *queue)
{
    return queue->reason;
}

int64_t errand_queue_now(const errand_queue *queue)
{
    return queue->context.now;
}

int errand_queue_stats(errand_queue *queue, struct errand_stats *out)
{
    if (!queue || !out)
        return -EINVAL;
    if (!queue_is_ours(queue))
        return -EPERM;
    size_t size = out->size;
    if (size < sizeof size)
        return -EINVAL;
    if (size > sizeof *out)
        return -E2BIG;
    struct pool_counts counts;
    queue->backend->ops->count(queue->backend, &counts);
    struct errand_stats stats = {
        .size = size,
        .chains = queue->chains.used,
        .sources = queue->sources.used,
        .operations = queue->operations,
        .files_waiting = counts.waiting,
        .stuck = counts.stuck,
        .descriptors = queue->context.descriptors,
        .threads = counts.threads,
        .transfer_bytes = queue->buffers.used,
        .inline_runs = queue->context.inline_runs,
        .worker_runs = queue->context.worker_runs,
    };
    memcpy(out, &stats, size); /* an older program's struct ends earlier */
    return 0;
}
