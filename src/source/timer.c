/* SPDX-License-Identifier: MIT */
/* Timers: nodes of the queue's heap, beside the chains' deadlines; no descriptor is needed. */
#include "source/source.h"

#include <errno.h>

static bool timer_event(errand_source *source, struct errand_event *event)
{
    if (source->count == 0)
        return false;
    event->kind = ERRAND_EVENT_TIMER;
    event->bytes = source->count;
    source->count = 0;
    return true;
}

static void timer_resume(errand_source *source)
{
    if (source->count > 0)
        queue_source_is_ready(source);
}

static const struct source_type timer_type = {source_does_nothing, timer_event, source_does_nothing, timer_resume,
                                              source_does_nothing};

int errand_source_set_timer(errand_source *source, int64_t first_ns, int64_t period_ns)
{
    if (!source)
        return -EINVAL;
    errand_queue *queue = source->queue;
    if (!queue_is_ours(queue))
        return -EPERM;
    if (source->type != &timer_type || first_ns < 0 || period_ns < 0)
        return -EINVAL;
    int result = heap_reserve(&queue->timers, queue->chains.used + queue->sources.used);
    if (result < 0)
        return result;
    int64_t now = queue_clock(queue);
    source->count = 0;
    source->period = period_ns < HEAP_NEVER / 2 ? period_ns : HEAP_NEVER / 2; /* its next time fits into 64 bits */
    heap_set(&queue->timers, &source->timer, first_ns < HEAP_NEVER - now ? now + first_ns : HEAP_NEVER - 1);
    queue_touch(queue);
    return 0;
}

int errand_source_timer(errand_queue *queue, int64_t first_ns, int64_t period_ns, void *user_data, errand_source **out)
{
    if (first_ns < 0 || period_ns < 0)
        return -EINVAL;
    int result = source_new(queue, &timer_type, user_data, out);
    if (result < 0)
        return result;
    result = errand_source_set_timer(*out, first_ns, period_ns);
    if (result < 0)
        errand_source_stop(*out);
    return result;
}
