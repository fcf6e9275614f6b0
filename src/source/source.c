/* SPDX-License-Identifier: MIT */
#include "source/source.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

int source_new(errand_queue *queue, const struct source_type *type, void *user_data, errand_source **out)
{
    if (!queue || !out)
        return -EINVAL;
    if (!queue_is_ours(queue))
        return -EPERM;
    errand_source *source = slab_take(&queue->sources);
    if (!source)
        return -EAGAIN;
    *source =
        (errand_source){.op = {.owner = OWNER_SOURCE}, .type = type, .queue = queue, .user_data = user_data, .fd = -1};
    source->timer.kind = OWNER_SOURCE;
    *out = source;
    queue_touch(queue);
    return 0;
}

int source_new_on(errand_queue *queue, const struct source_type *type, int fd, bool listener, void *user_data,
                  errand_source **out)
{
    if (!queue || !out)
        return -EINVAL;
    int result = queue_is_ours(queue) ? queue->backend->ops->check(queue->backend, fd, listener) : -EPERM;
    return result < 0 ? result : source_new(queue, type, user_data, out);
}

void source_arm(errand_source *source, enum op_kind kind)
{
    source->op.kind = (uint8_t)kind;
    if (queue_perform(source->queue, &source->op)) {
        source->op.in_flight = false;
        source->type->took(source);
    }
}

void source_arm_poll(errand_source *source)
{
    if (source->op.in_flight)
        return;
    source->op.socket = source->fd;
    source->op.flags = POLLIN;
    source_arm(source, OP_POLL);
}

int source_own(errand_source **out, int fd)
{
    errand_source *source = *out;
    if (fd < 0) {
        free(source->extra);
        slab_free(&source->queue->sources, source);
        return fd;
    }
    source->fd = fd;
    source_arm_poll(source);
    return 0;
}

void source_poll_took(errand_source *source)
{
    if (source->op.result < 0)
        source->error = (int32_t)source->op.result;
    if (!source->stopped && !source->paused)
        queue_source_is_ready(source);
}

void source_poll_resume(errand_source *source)
{
    if (!source->op.in_flight)
        queue_source_again(source);
}

bool source_poll_failed(errand_source *source, struct errand_event *event)
{
    event->error = source->error;
    source->error = 0;
    source->paused = event->error != 0; /* trying again at once would only spin */
    return source->paused;
}

void source_does_nothing(errand_source *source)
{
    (void)source;
}

/* While its operation is in flight the node may be the backend's. */
static void not_ready(errand_source *source)
{
    if (!source->op.in_flight && list_is_linked(&source->op.node))
        list_remove(&source->op.node);
}

int errand_source_pause(errand_source *source)
{
    if (!source)
        return -EINVAL;
    if (!queue_is_ours(source->queue))
        return -EPERM;
    if (!source->paused) {
        source->paused = true;
        not_ready(source);
        source->type->pause(source);
    }
    return 0;
}

int errand_source_resume(errand_source *source)
{
    if (!source)
        return -EINVAL;
    if (!queue_is_ours(source->queue))
        return -EPERM;
    if (source->paused) {
        source->paused = false;
        source->type->resume(source);
        queue_touch(source->queue);
    }
    return 0;
}

int errand_source_stop(errand_source *source)
{
    if (!source)
        return -EINVAL;
    errand_queue *queue = source->queue;
    if (!queue_is_ours(queue))
        return -EPERM;
    source->stopped = true;
    not_ready(source);
    heap_remove(&queue->timers, &source->timer);
    if (source->op.in_flight) {
        queue->backend->ops->cancel(queue->backend, &source->op);
        queue_touch(queue);
        return 0;
    }
    if (source->op.kind != OP_NONE)
        queue->backend->ops->forget(queue->backend, source->op.socket);
    queue_source_gone(source);
    return 0;
}
