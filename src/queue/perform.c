/* SPDX-License-Identifier: MIT */
/* Chains in motion: from their next operation to the backend and back. */
#include "queue/queue.h"

#include <errno.h>

#include "base/fault.h"

/* How much one chain does at once before others get their turn, when nothing makes it wait. */
#define TURN_BYTES ((uint64_t)4 << 20)

/* Tests only: has the operation fail, or move less than asked. Returns true: it is done. */
static bool fault_in(errand_queue *queue, struct op *op)
{
    op->fault = 0;
    uint64_t length = op->length;
    if (op->kind == OP_FILES)
        return false; /* asked call by call, on the worker */
    if (op->kind == OP_READ_FILE) {
        int64_t result = fault_ask(FAULT_OP + OP_OPEN, &length);
        op->fault = result < 0 ? 0 : (int32_t)fault_ask(FAULT_OP + OP_READ, &length);
        op->open_result = (int32_t)result; /* its length stays: a whole read is told from a short one by it */
        return result < 0;
    }
    int64_t result = fault_ask(FAULT_OP + op->kind, &length);
    if (op->length > 0)
        op->length = length;
    if (result >= 0)
        return false;
    if (op->kind == OP_CLOSE)
        queue->backend->ops->drop(queue->backend, op->fd);
    if (op->kind == OP_SEND && op->close_first >= 0)
        queue->backend->ops->drop(queue->backend, op->close_first);
    op->result = result;
    return true;
}

/* Tests only: a fault in the middle of what was performed as one. */
static void fault_after(struct op *op)
{
    if (op->kind == OP_READ_FILE && op->fault && op->open_result >= 0)
        op->result = op->fault;
}

/* What touches several devices waits for all of them: it has a lane that it shares only with its like. */
static uint32_t together(uint32_t lane, uint32_t other)
{
    if (lane == 0 || lane == other)
        return other;
    return other == 0 ? lane : (lane ^ other) * UINT32_C(2654435761) | 1;
}

/* The lane of a run: of the devices of its files, and of those where its paths begin. */
static void find_lane(errand_queue *queue, const errand_chain *chain, struct file_run *run)
{
    struct backend *backend = queue->backend;
    if (run->lane == LANE_WORK)
        return;
    for (unsigned i = 0; i < run->file_count; i++) {
        const struct run_file *file = &run->files[i];
        if (file->fd >= 0)
            run->lane = together(run->lane, file->borrowed ? backend->ops->lane(backend, file->fd, "")
                                                           : chain->steps[file->step].lane);
    }
    for (unsigned i = 0; i < run->place_count; i++) {
        const struct run_place *place = &run->places[i];
        run->lane = together(run->lane, place->root ? place->root->lane
                                                    : backend->ops->lane(backend, place->dir_fd, place->first));
    }
}

bool queue_perform(errand_queue *queue, struct op *op)
{
    op->in_flight = true;
#ifdef ERRAND_FAULTS
    if (fault_in(queue, op))
        return true;
#else
    (void)fault_in;
#endif
    if (op->kind == OP_FILES)
        find_lane(queue, container_of(op, struct errand_chain, op), op->run);
    queue->operations++;
    if (!queue->backend->ops->submit(queue->backend, op))
        return false;
    queue->operations--;
    fault_after(op);
    return true;
}

static void is_over(errand_queue *queue, errand_chain *chain)
{
    heap_remove(&queue->timers, &chain->timer);
    list_append(&queue->ready, &chain->op.node);
}

/* A chain that ended out of its turn does not wait for files: what closes them is left to itself. */
static bool leaves_run(const errand_chain *chain)
{
    return chain->op.kind == OP_FILES && chain->state == CHAIN_ENDING && chain->stopped;
}

static void leave_run(errand_queue *queue, errand_chain *chain)
{
    struct file_run *run = chain->op.run;
    run->op = NULL;
    queue->backend->ops->adopt(queue->backend, run);
    chain_abandoned(chain, chain->current);
}

static void give_op(errand_chain *chain)
{
    chain->op.run->op = &chain->op;
    chain->op.run->unhurried = chain->unhurried;
}

void queue_run_chain(errand_queue *queue, errand_chain *chain)
{
    uint64_t turn_ends = chain->moved + TURN_BYTES;
    for (;;) {
        enum chain_next next = chain_next(chain);
        if (next == CHAIN_IS_OVER) {
            is_over(queue, chain);
            return;
        }
        if (next == CHAIN_WAITS) {
            heap_set(&queue->timers, &chain->timer, chain_due(chain));
            return;
        }
        if (leaves_run(chain)) {
            leave_run(queue, chain);
            continue;
        }
        if (chain->op.kind == OP_FILES)
            give_op(chain);
        if (!queue_perform(queue, &chain->op))
            return;
        chain_took(chain);
        if (chain->moved >= turn_ends) {
            list_append(&queue->runnable, &chain->node);
            return;
        }
    }
}

void queue_go_on_later(errand_queue *queue, errand_chain *chain)
{
    if (list_is_linked(&chain->node))
        list_remove(&chain->node);
    list_append(&queue->runnable, &chain->node);
}

/* It had begun, and waits for another lane: the close of a duplicate of a file may wait, of a directory it does not. */
static void drop_borrowed(errand_queue *queue, struct file_run *run)
{
    for (unsigned i = 0; i < run->file_count && run->begun; i++)
        if (run->files[i].borrowed && run->files[i].fd >= 0)
            queue_close_later(queue, run->files[i].fd, run->lane);
    for (unsigned i = 0; i < run->place_count && run->begun; i++)
        if (run->places[i].borrowed && run->places[i].dir_fd >= 0)
            queue->backend->ops->drop(queue->backend, run->places[i].dir_fd);
}

static void stop_run(errand_queue *queue, errand_chain *chain)
{
    struct file_run *run = chain->op.run;
    unsigned step;
    switch (queue->backend->ops->recall(queue->backend, run, &step)) {
    case RECALL_YOURS:
        drop_borrowed(queue, run);
        run->error = -ECANCELED;
        chain_took(chain);
        break;
    case RECALL_ABANDONED: chain_abandoned(chain, step); break;
    case RECALL_DONE: return;
    }
    queue->operations--;
    queue_go_on_later(queue, chain);
}

void queue_stop_chain(errand_queue *queue, errand_chain *chain, int error)
{
    if (chain->state == CHAIN_ENDED)
        return;
    chain_stop(chain, error);
    if (chain->in_call)
        return; /* queue_run_chain() is under way with it */
    chain->wake = 0;
    if (!chain->op.in_flight) {
        queue_go_on_later(queue, chain);
        return;
    }
    switch ((enum op_kind)chain->op.kind) {
    case OP_FILES: stop_run(queue, chain); return;
    case OP_SEND:
    case OP_RECEIVE:
    case OP_ACCEPT:
    case OP_CONNECT:
    case OP_POLL: queue->backend->ops->cancel(queue->backend, &chain->op); return;
    default: return; /* immediate: it is back before the next sleep */
    }
}

void queue_run_runnable(errand_queue *queue)
{
    /* Only as many as are there now: one that is appended meanwhile has its turn next time. */
    struct list now;
    if (list_is_empty(&queue->runnable))
        return;
    now = queue->runnable;
    now.next->prev = now.prev->next = &now;
    list_init(&queue->runnable);
    struct list *node;
    while ((node = list_take(&now)))
        queue_run_chain(queue, container_of(node, struct errand_chain, node));
}

void queue_took(errand_queue *queue, struct op *op)
{
    queue->operations--;
    if (op->owner == OWNER_SOURCE) {
        errand_source *source = container_of(op, struct errand_source, op);
        op->in_flight = false;
        source->type->took(source);
        if (source->stopped && !op->in_flight)
            queue_source_gone(source);
        return;
    }
    errand_chain *chain = container_of(op, struct errand_chain, op);
    fault_after(op);
    chain_took(chain);
    queue_run_chain(queue, chain);
}
