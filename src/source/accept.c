/* SPDX-License-Identifier: MIT */
/* New connections of a listening socket. */
#include "source/source.h"

#include <errno.h>

/* One at a time: what has not been accepted stays in the kernel's backlog, so a paused source holds one at most. */
static void arm(errand_source *source)
{
    if (source->op.in_flight || source->held)
        return;
    if (!source->over) {
        source_arm(source, OP_ACCEPT);
        return;
    }
    source->op.result = -ECANCELED; /* the last event of one that accepts no more */
    source->held = true;
    queue_source_is_ready(source);
}

static bool is_nothing(int64_t result)
{
    /* A connection that was gone before it was accepted, as accept(2) lists them. */
    return result == -ECONNABORTED || result == -EINTR || result == -EAGAIN || result == -EPROTO ||
           result == -ENETDOWN || result == -ENOPROTOOPT || result == -EHOSTDOWN || result == -ENONET ||
           result == -EHOSTUNREACH || result == -ENETUNREACH;
}

static void accept_took(errand_source *source)
{
    source->held = true;
    if (source->stopped)
        return;
    if (is_nothing(source->op.result)) {
        source->held = false;
        if (!source->paused)
            arm(source);
    } else if (!source->paused) {
        queue_source_is_ready(source);
    }
}

static bool accept_event(errand_source *source, struct errand_event *event)
{
    event->kind = ERRAND_EVENT_ACCEPT;
    source->held = false;
    if (source->op.result >= 0) {
        event->fd = (int)source->op.result;
        arm(source);
    } else {
        event->error = (int)source->op.result;
        source->paused = true; /* trying again at once would only spin */
    }
    return true;
}

static void accept_resume(errand_source *source)
{
    if (source->held)
        queue_source_is_ready(source);
    else
        arm(source);
}

static void accept_dispose(errand_source *source)
{
    if (source->held && source->op.result >= 0)
        source->queue->backend->ops->drop(source->queue->backend, (int)source->op.result);
}

int errand_source_accept(errand_queue *queue, int listener, void *user_data, errand_source **out)
{
    static const struct source_type type = {accept_took, accept_event, source_does_nothing, accept_resume,
                                            accept_dispose};
    int result = source_new_on(queue, &type, listener, true, user_data, out);
    if (result < 0)
        return result;
    (*out)->op.socket = listener;
    arm(*out);
    return 0;
}

/* What the ring accepts before the cancellation reaches it comes back as accepted, and is delivered like any other. */
int errand_source_accept_no_more(errand_source *source)
{
    if (!source || source->type->took != accept_took)
        return -EINVAL;
    errand_queue *queue = source->queue;
    if (!queue_is_ours(queue))
        return -EPERM;
    source->over = true;
    source->paused = false;
    source->op.flags = ACCEPT_LEAVES_NOBODY;
    if (source->op.in_flight)
        queue->backend->ops->cancel(queue->backend, &source->op);
    else
        accept_resume(source);
    queue_touch(queue);
    return 0;
}
