/* SPDX-License-Identifier: MIT */
/* What arrives on a stream socket. The buffer is chosen when data is there, lent to the caller until the next wait. */
#include "source/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void arm(errand_source *source)
{
    if (!source->op.in_flight && !source->held && !source->over)
        source_arm(source, OP_RECEIVE_ANY);
}

static void give_back(errand_source *source)
{
    if (source->op.buffer)
        source->queue->backend->ops->recycle(source->queue->backend, source->op.buffer);
    source->op.buffer = NULL;
}

/* A paused source must not sit on one of the queue's few buffers: what came is moved out of it. */
static void receive_pause(errand_source *source)
{
    if (!source->held || !source->op.buffer)
        return;
    source->extra = malloc((size_t)source->op.result);
    if (source->extra)
        memcpy(source->extra, source->op.buffer, (size_t)source->op.result);
    else
        source->error = -ENOMEM; /* lost bytes must not go unnoticed: the stream ends with this */
    give_back(source);
}

static void receive_took(errand_source *source)
{
    /* All buffers are lent: they come back with the next wait. */
    bool again = source->op.result == -ENOBUFS || source->op.result == -EINTR || source->op.result == -EAGAIN;
    source->held = !again;
    if (source->stopped)
        return;
    if (source->paused)
        receive_pause(source);
    else
        queue_source_is_ready(source);
}

static bool receive_event(errand_source *source, struct errand_event *event)
{
    errand_queue *queue = source->queue;
    if (!source->held) { /* armed in vain: now there is a buffer */
        arm(source);
        return false;
    }
    event->kind = ERRAND_EVENT_DATA;
    source->held = false;
    int64_t result = source->error ? source->error : source->op.result;
    if (result > 0) {
        event->bytes = (uint64_t)result;
        event->data = source->extra ? source->extra : source->op.buffer;
        queue_lend(queue, (void *)event->data, source->extra != NULL);
        source->extra = source->op.buffer = NULL;
        arm(source);
        return true;
    }
    source->over = true;
    event->error = (int)result;
    return true;
}

static void receive_resume(errand_source *source)
{
    if (source->held)
        queue_source_is_ready(source);
    else
        arm(source);
}

static void receive_dispose(errand_source *source)
{
    if (source->held)
        give_back(source);
    free(source->extra);
}

int errand_source_receive(errand_queue *queue, int socket, void *user_data, errand_source **out)
{
    static const struct source_type type = {receive_took, receive_event, receive_pause, receive_resume,
                                            receive_dispose};
    int result = source_new_on(queue, &type, socket, false, user_data, out);
    if (result < 0)
        return result;
    (*out)->op.socket = socket;
    arm(*out);
    return 0;
}
