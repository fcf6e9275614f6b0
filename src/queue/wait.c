/* SPDX-License-Identifier: MIT */
/* errand_queue_wait(): time passes, chains run, events come out. */
#include "queue/queue.h"

#include <errno.h>
#include <stdlib.h>

int64_t queue_clock(const errand_queue *queue)
{
    return queue->backend->ops->now(queue->backend);
}

void queue_source_is_ready(errand_source *source)
{
    if (!list_is_linked(&source->op.node))
        list_append(&source->queue->ready, &source->op.node);
}

void queue_source_again(errand_source *source)
{
    if (!list_is_linked(&source->op.node))
        list_append(&source->queue->again, &source->op.node);
}

static void ready_again(errand_queue *queue)
{
    struct list *node;
    while ((node = list_take(&queue->again)))
        list_append(&queue->ready, node);
}

void queue_source_gone(errand_source *source)
{
    source->type->dispose(source);
    slab_free(&source->queue->sources, source);
}

void queue_lend(errand_queue *queue, void *buffer, bool allocated)
{
    queue->lent[queue->lent_count++] = (struct lent){buffer, allocated};
}

void queue_recycle_lent(errand_queue *queue)
{
    while (queue->lent_count > 0) {
        struct lent *lent = &queue->lent[--queue->lent_count];
        if (lent->allocated)
            free(lent->buffer);
        else
            queue->backend->ops->recycle(queue->backend, lent->buffer);
    }
}

static void timer_expired(errand_queue *queue, errand_source *source)
{
    int64_t due = source->timer.due;
    uint64_t times = 1;
    if (source->period > 0) {
        times += (uint64_t)((queue->context.now - due) / source->period);
        heap_set(&queue->timers, &source->timer, due + (int64_t)times * source->period);
    } else {
        heap_remove(&queue->timers, &source->timer);
    }
    source->count += times;
    if (!source->paused)
        queue_source_is_ready(source);
}

static void chain_expired(errand_queue *queue, errand_chain *chain)
{
    /* The time without progress is moved on only here: most chains end long before. */
    int64_t now = queue->context.now;
    if (chain->wake && chain->wake <= now) {
        chain->wake = 0;
        chain->progressed = now; /* it was its own wish to wait */
        queue_go_on_later(queue, chain);
    }
    int64_t due = chain_due(chain);
    if (due > now) {
        if (due == HEAP_NEVER)
            heap_remove(&queue->timers, &chain->timer);
        else
            heap_set(&queue->timers, &chain->timer, due);
        return;
    }
    heap_remove(&queue->timers, &chain->timer);
    queue_stop_chain(queue, chain, -ETIMEDOUT);
}

static void expire(errand_queue *queue)
{
    while (heap_due(&queue->timers) <= queue->context.now) {
        struct heap_node *node = queue->timers.nodes[0];
        if (node->kind == OWNER_SOURCE)
            timer_expired(queue, container_of(node, struct errand_source, timer));
        else
            chain_expired(queue, container_of(node, struct errand_chain, timer));
    }
}

bool queue_take_event(errand_queue *queue, errand_chain *chain, struct errand_event *event)
{
    chain_event(chain, event);
    if (event->data)
        queue_lend(queue, (void *)event->data, true);
    event->id = slab_handle(&queue->chains, chain);
    void (*ended)(const struct errand_event *) = chain->ended;
    chain_release(chain);
    slab_free(&queue->chains, chain);
    if (!ended)
        return true;
    queue->context.in_call++;
    ended(event);
    queue->context.in_call--;
    return false;
}

void queue_drop_event(errand_queue *queue, errand_chain *chain)
{
    struct errand_event event;
    list_remove(&chain->op.node);
    uint32_t lane = chain->hand_over >= 0 ? chain->steps[chain->hand_over].lane : 0;
    if (queue_take_event(queue, chain, &event) && event.fd >= 0)
        queue_close_later(queue, event.fd, lane);
    queue_recycle_lent(queue); /* what a load step read: nobody will wait again */
}

void queue_close_later(errand_queue *queue, int fd, uint32_t lane)
{
    struct file_run *run = run_close(fd, lane, 0);
    if (run)
        queue->backend->ops->adopt(queue->backend, run);
    else
        queue->backend->ops->drop(queue->backend, fd); /* a close that may wait is better than none */
}

/* The event of the first that has one. Returns whether it gave one: a source may have found nothing. */
static bool deliver(errand_queue *queue, struct errand_event *event)
{
    struct op *op = container_of(list_take(&queue->ready), struct op, node);
    if (op->owner == OWNER_CHAIN) {
        return queue_take_event(queue, container_of(op, struct errand_chain, op), event);
    }
    errand_source *source = container_of(op, struct errand_source, op);
    *event = (struct errand_event){.user_data = source->user_data, .step = -1, .fd = -1};
    return source->type->event(source, event);
}

/* How many chains may end without an event before others get their turn. */
#define SILENT_ENDS 64

/* One operation is taken in for each event, so that neither who has many events nor who asks for few at a time keeps
 * others from theirs. */
static unsigned collect(errand_queue *queue, struct errand_event *events, unsigned max)
{
    unsigned n = 0;
    for (unsigned turns = 0; n < max && turns < n + SILENT_ENDS && queue->lent_count < queue->lent_limit; turns++) {
        struct op *op = queue->backend->ops->next(queue->backend);
        if (op)
            queue_took(queue, op);
        if (!list_is_empty(&queue->ready))
            n += deliver(queue, &events[n]);
        else if (!op)
            break;
    }
    return n;
}

bool queue_has_work(errand_queue *queue)
{
    return !list_is_empty(&queue->ready) || !list_is_empty(&queue->runnable) || !list_is_empty(&queue->again) ||
           queue->backend->ops->has_next(queue->backend);
}

/* -1: without limit. */
static int64_t time_to_sleep(errand_queue *queue, int64_t until)
{
    if (queue_has_work(queue))
        return 0;
    int64_t due = heap_due(&queue->timers);
    if (until < due)
        due = until;
    if (due == HEAP_NEVER)
        return -1;
    return due > queue->context.now ? due - queue->context.now : 0;
}

/* Lets the backend wait for what comes first. Returns whether a signal put an end to it: it came back with nothing and
 * too early. (io_uring does not say so itself when it took entries in the same call.) */
static bool sleep_until(errand_queue *queue, int64_t until)
{
    int64_t before = queue->context.now, time = time_to_sleep(queue, until);
    queue->backend->ops->wait(queue->backend, time);
    queue->context.now = queue_clock(queue);
    bool early = time < 0 || queue->context.now - before < time;
    return early && !queue_has_work(queue);
}

int errand_queue_wait(errand_queue *queue, struct errand_event *events, unsigned max, int64_t timeout_ns)
{
    if (!queue || !events || max == 0 || timeout_ns < ERRAND_FOREVER)
        return -EINVAL;
    if (!queue_is_ours(queue) || queue->context.in_call)
        return -EPERM;
    if (queue->outer)
        queue_outer_entered(queue);
    queue_recycle_lent(queue);
    int64_t until = timeout_ns < 0 ? HEAP_NEVER : 0;
    unsigned n;
    for (;;) {
        queue->context.now = queue_clock(queue);
        if (until == 0)
            until = timeout_ns > HEAP_NEVER - queue->context.now ? HEAP_NEVER : queue->context.now + timeout_ns;
        ready_again(queue);
        expire(queue);
        queue_run_runnable(queue);
        bool interrupted = sleep_until(queue, until);
        expire(queue);
        queue_close_roots(queue);
        n = collect(queue, events, max);
        if (n > 0 || interrupted || queue->context.now >= until)
            break;
    }
    if (queue->outer)
        queue_outer_leaves(queue);
    return (int)n;
}

int errand_queue_dispatch(errand_queue *queue, struct errand_event *events, unsigned max)
{
    return errand_queue_wait(queue, events, max, 0);
}
