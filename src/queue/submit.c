/* SPDX-License-Identifier: MIT */
/* Beginning, submitting and cancelling chains. */
#include "queue/queue.h"

#include "base/sized.h"

int errand_chain_new(errand_queue *queue, errand_chain **out)
{
    if (!queue || !out)
        return -EINVAL;
    if (!queue_is_ours(queue))
        return -EPERM;
    if (queue->closing)
        return -ECANCELED;
    errand_chain *chain = slab_take(&queue->chains);
    if (!chain)
        return -EAGAIN;
    chain_init(chain, &queue->context);
    *out = chain;
    return 0;
}

static errand_queue *queue_of(const errand_chain *chain)
{
    return container_of(chain->context, struct errand_queue, context);
}

void errand_chain_drop(errand_chain *chain)
{
    if (!chain || chain->state != CHAIN_DESCRIBED || !queue_is_ours(queue_of(chain)))
        return;
    chain_release(chain);
    slab_free(&queue_of(chain)->chains, chain);
}

static int set_times(errand_queue *queue, errand_chain *chain, const struct errand_submit *options)
{
    if (options->timeout_ns < 0 || options->stall_ns < 0)
        return -EINVAL;
    chain->rate = options->bytes_per_second;
    if (heap_reserve(&queue->timers, queue->chains.used + queue->sources.used) < 0)
        return -ENOMEM; /* also for chains that will want to wait: heap_set() cannot fail */
    if (options->timeout_ns == 0 && options->stall_ns == 0)
        return 0;
    int64_t now = queue_clock(queue);
    chain->deadline =
        options->timeout_ns == 0 || options->timeout_ns > HEAP_NEVER - now ? 0 : now + options->timeout_ns;
    chain->stall_ns = options->stall_ns < HEAP_NEVER / 2 ? options->stall_ns : HEAP_NEVER / 2;
    queue->context.now = now;
    chain->progressed = now;
    if (chain_due(chain) != HEAP_NEVER)
        heap_set(&queue->timers, &chain->timer, chain_due(chain));
    return 0;
}

/* An open that is only prepared, or handed to a worker, can be begun while the record is in the cache; a call step,
 * or what would be performed on the spot, belongs into errand_queue_wait(). */
static void begin(errand_queue *queue, errand_chain *chain)
{
    chain_start(chain);
    if (queue->backend->defers && chain->steps[0].kind == ERRAND_STEP_OPEN)
        queue_run_chain(queue, chain);
    else
        list_append(&queue->runnable, &chain->node);
}

int errand_submit(errand_chain *chain, const struct errand_submit *given, errand_id *id)
{
    if (!chain)
        return -EINVAL;
    errand_queue *queue = queue_of(chain);
    if (!queue_is_ours(queue) || chain->state != CHAIN_DESCRIBED)
        return -EPERM;
    static const struct errand_submit defaults = {.size = sizeof defaults};
    struct errand_submit copy;
    int result;
    const struct errand_submit *options = sized_view(given ? given : &defaults, &copy, sizeof copy, &result);
    if (result == 0)
        result = options->flags & ~ERRAND_UNHURRIED ? -EINVAL : chain->sticky;
    if (result == 0 && chain->steps_count == 0)
        result = -EINVAL;
    if (result == 0)
        result = set_times(queue, chain, options);
    if (result < 0) {
        errand_chain_drop(chain);
        return result;
    }
    chain->user_data = options->user_data;
    chain->ended = options->ended;
    chain->unhurried = options->flags & ERRAND_UNHURRIED;
    if (id)
        *id = slab_handle(&queue->chains, chain);
    begin(queue, chain);
    queue_touch(queue);
    return 0;
}

/* The chain that was submitted, in *chain. Returns 0; -EINVAL, -EPERM, -ENOENT. */
static int find_submitted(errand_queue *queue, errand_id id, errand_chain **chain)
{
    if (!queue)
        return -EINVAL;
    if (!queue_is_ours(queue))
        return -EPERM;
    *chain = slab_find(&queue->chains, id);
    return *chain && (*chain)->state != CHAIN_DESCRIBED ? 0 : -ENOENT;
}

int errand_cancel(errand_queue *queue, errand_id id)
{
    errand_chain *chain;
    int error = find_submitted(queue, id, &chain);
    if (error)
        return error;
    queue_stop_chain(queue, chain, -ECANCELED);
    queue_touch(queue);
    return 0;
}

int errand_resume(errand_queue *queue, errand_id id, int64_t result, uint64_t bytes)
{
    errand_chain *chain;
    int error = find_submitted(queue, id, &chain);
    if (error)
        return error;
    if (chain->resumed)
        return -EALREADY;
    chain->resumed = true;
    chain->resume_result = result;
    chain->resume_bytes = bytes;
    if (!chain->op.in_flight && !chain->in_call && chain->state == CHAIN_RUNNING)
        queue_go_on_later(queue, chain);
    queue_touch(queue);
    return 0;
}

int errand_set_rate(errand_queue *queue, errand_id id, uint64_t bytes_per_second)
{
    errand_chain *chain;
    int error = find_submitted(queue, id, &chain);
    if (error)
        return error;
    if (chain_set_rate(chain, bytes_per_second)) {
        chain->wake = 0;
        chain->progressed = queue->context.now; /* as when its time has come */
        queue_go_on_later(queue, chain);
    }
    queue_touch(queue);
    return 0;
}

int errand_chain_progress(errand_queue *queue, errand_id id, struct errand_progress *progress)
{
    if (!queue || !progress)
        return -EINVAL;
    if (!queue_is_ours(queue))
        return -EPERM;
    if (progress->size != sizeof *progress)
        return progress->size < sizeof *progress ? -EINVAL : -E2BIG;
    const errand_chain *chain = slab_find(&queue->chains, id);
    if (!chain || chain->state == CHAIN_DESCRIBED)
        return -ENOENT;
    bool at_a_step = chain->state == CHAIN_RUNNING && chain->current < chain->steps_count;
    progress->step = at_a_step ? chain->current : -1;
    progress->step_kind = at_a_step ? chain->steps[chain->current].kind : 0;
    progress->bytes = chain->moved;
    return 0;
}
