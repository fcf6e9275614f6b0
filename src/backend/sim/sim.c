/* SPDX-License-Identifier: MIT */
/* The simulated backend: operations, and the time in which they come to their ends. */
#include "backend/sim/world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NEVER (HEAP_NEVER / 4)

static struct sim *installed;

void complain(struct sim *sim, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sim->options.complain(sim->options.context, text);
}

/* ---- accounts */

struct sim_account *account_of(const struct op *op)
{
    return op && op->owner == OWNER_CHAIN ? container_of(op, struct errand_chain, op)->user_data : NULL;
}

void note_error(struct sim_account *account, int64_t result)
{
    unsigned error = (unsigned)-result;
    if (account && result < 0 && error < 192)
        account->errors[error / 64] |= UINT64_C(1) << error % 64;
}

static void begins(struct sim *sim, struct op *op)
{
    struct sim_account *account = account_of(op);
    if (!account)
        return;
    if (account->ended)
        complain(sim, "an operation of a chain that has had its event");
    if (account->in_flight++)
        complain(sim, "a chain has two operations under way");
}

/* What the chain's event has to tell of it; runs are counted in runs.c. */
static void ends(const struct sim *sim, struct op *op)
{
    struct sim_account *account = account_of(op);
    if (!account)
        return;
    account->in_flight--;
    account->progressed = sim->now;
    if (op->kind == OP_FILES)
        return;
    const struct errand_chain *chain = container_of(op, struct errand_chain, op);
    unsigned of = chain->state == CHAIN_RUNNING ? chain->steps[chain->current].kind : 0;
    note_error(account, op->result);
    if (op->kind == OP_READ_FILE)
        note_error(account, op->open_result);
    if (op->result <= 0)
        return;
    bool sends = op->kind == OP_SEND || op->kind == OP_SENDFILE || op->kind == OP_SPLICE;
    if (sends || op->kind == OP_RECEIVE)
        account->peers += (uint64_t)op->result;
    if (op->kind == OP_READ && of == ERRAND_STEP_LOAD)
        account->loaded += (uint64_t)op->result;
    if (sends || (op->kind == OP_RECEIVE && of == ERRAND_STEP_RECEIVE) ||
        (op->kind == OP_READ && of != ERRAND_STEP_SENDFILE))
        account->bytes += (uint64_t)op->result;
}

void give_back(struct sim *sim, struct op *op)
{
    ends(sim, op);
    list_append(&sim->done, &op->node);
}

/* ---- what will come */

struct pending *pend(struct sim *sim, int64_t due)
{
    struct pending *pending = &sim->pending[sim->first_free];
    if (sim->first_free == PENDING - 1)
        complain(sim, "more is on its way than the simulation has room for");
    sim->first_free = pending->next_free;
    *pending = (struct pending){0};
    heap_set(&sim->heap, &pending->timer, due);
    return pending;
}

void unpend(struct sim *sim, struct pending *pending)
{
    heap_remove(&sim->heap, &pending->timer);
    pending->op = NULL;
    pending->run = NULL;
    pending->next_free = sim->first_free;
    sim->first_free = (uint32_t)(pending - sim->pending);
}

static void peer_comes(struct sim *sim, struct pending *pending)
{
    struct op *op = pending->op;
    bool done = pending->cancelled == 2 || (!pending->cancelled && peer_try(sim, op));
    if (!done && !pending->cancelled) {
        heap_set(&sim->heap, &pending->timer, sim->now + 1000 + (int64_t)below(sim, 100000));
        return;
    }
    if (!done && op->kind == OP_CONNECT)
        peer_connect_end(sim, op, -ECANCELED);
    else if (!done)
        op->result = -ECANCELED;
    unpend(sim, pending);
    give_back(sim, op);
}

void let_come(struct sim *sim)
{
    while (heap_due(&sim->heap) <= sim->now) {
        struct pending *pending = container_of(sim->heap.nodes[0], struct pending, timer);
        if (pending->op)
            peer_comes(sim, pending);
        else
            run_goes_on(sim, pending);
    }
}

/* ---- the table */

static int sim_open(struct backend **out, const struct backend_options *options, const char **why)
{
    struct sim *sim = installed;
    *why = "memory";
    sim->receive_memory = malloc((size_t)options->receive_buffers * options->receive_size);
    sim->receive_free = calloc(options->receive_buffers, sizeof *sim->receive_free);
    if (!sim->receive_memory || !sim->receive_free)
        return -ENOMEM; /* sim_free() frees the one */
    sim->receive_buffers = sim->receive_count = options->receive_buffers;
    sim->receive_size = options->receive_size;
    for (uint32_t i = 0; i < options->receive_buffers; i++)
        sim->receive_free[i] = sim->receive_memory + (size_t)i * options->receive_size;
    sim->pool = options->pool;
    sim->buffers = options->buffers;
    sim->workers = options->workers;
    sim->lane_workers = options->lane_workers;
    *out = &sim->backend;
    return 0;
}

static struct sim *of(struct backend *backend)
{
    return container_of(backend, struct sim, backend);
}

static int64_t now(struct backend *backend)
{
    struct sim *sim = of(backend);
    return ++sim->now; /* no two looks at a clock are at the same time */
}

static void perform_deferred(struct sim *sim)
{
    struct list *node;
    while ((node = list_take(&sim->deferred))) {
        struct op *op = container_of(node, struct op, node);
        perform_now(sim, op);
        give_back(sim, op);
    }
}

static void wait_for(struct backend *backend, int64_t timeout_ns)
{
    struct sim *sim = of(backend);
    bool deferred = !list_is_empty(&sim->deferred);
    sim->now += (int64_t)below(sim, 1000); /* entering the kernel takes its time */
    perform_deferred(sim);
    let_come(sim);
    if (deferred || timeout_ns == 0 || !list_is_empty(&sim->done))
        return;
    int64_t until = timeout_ns < 0 ? NEVER : sim->now + timeout_ns;
    int64_t due = heap_due(&sim->heap);
    if (due >= NEVER && timeout_ns < 0)
        complain(sim, "the queue waits for ever for nothing");
    do { /* what nobody waits for does not end it; now and then a signal does */
        due = heap_due(&sim->heap);
        sim->now = due < until ? due : until;
        let_come(sim);
    } while (list_is_empty(&sim->done) && sim->now < until && !chance(sim, 256));
}

/* The time to leave as it is. Grace is given in virtual time. */
static uint32_t close_world(struct backend *backend, int64_t grace_ns)
{
    struct sim *sim = of(backend);
    int64_t until = sim->now + grace_ns;
    while (heap_due(&sim->heap) <= until) {
        sim->now = heap_due(&sim->heap) > sim->now ? heap_due(&sim->heap) : sim->now;
        let_come(sim);
    }
    uint32_t left = sim->waiting + sim->running;
    if (sim->receive_count != sim->receive_buffers)
        complain(sim, "%u buffers for received data are lost", sim->receive_buffers - sim->receive_count);
    if (!list_is_empty(&sim->done) || !list_is_empty(&sim->deferred))
        complain(sim, "the queue is closed, and operations are not back");
    sim->buffers = NULL;
    pool_close(sim->pool, 0);
    free(sim->receive_memory);
    free(sim->receive_free);
    sim->receive_memory = NULL;
    sim->receive_free = NULL;
    return left;
}

static bool submit_peer(struct sim *sim, struct op *op)
{
    if (op->kind == OP_CONNECT) {
        op->fd = op->socket < 0;
        if (op->fd)
            op->socket = fd_new(sim, OBJECT_SOCKET, 0);
        if (op->socket < 0) {
            op->result = op->socket;
            return true;
        }
    }
    if (op->kind == OP_SEND && op->close_first >= 0)
        fd_close(sim, op->close_first);
    if (!sim->options.defers && (op->kind == OP_SEND || op->kind == OP_RECEIVE) && chance(sim, 40000) &&
        peer_try(sim, op))
        return true;
    int64_t wait = 500 + (int64_t)below(sim, chance(sim, 50000) ? 5000 : 1000000);
    bool real = op->kind == OP_POLL && op->socket < FIRST_FD;
    bool never = chance(sim, sim->options.never_chance) && !real;
    struct pending *pending = pend(sim, never ? NEVER : sim->now + wait);
    pending->op = op;
    op->serial = (uint32_t)(pending - sim->pending);
    return false;
}

static bool submit_any(struct sim *sim, struct op *op)
{
    switch ((enum op_kind)op->kind) {
    case OP_FILES: run_enqueue(sim, op->run); return false;
    case OP_OPEN:
    case OP_READ:
    case OP_CLOSE:
    case OP_READ_FILE:
        if (!sim->options.defers)
            break;
        list_append(&sim->deferred, &op->node);
        return false;
    case OP_STAT:
    case OP_SENDFILE:
    case OP_SPLICE:
    case OP_SHUTDOWN: break;
    default: return submit_peer(sim, op);
    }
    perform_now(sim, op);
    return true;
}

static bool submit(struct backend *backend, struct op *op)
{
    struct sim *sim = of(backend);
    begins(sim, op);
    if (!submit_any(sim, op))
        return false;
    ends(sim, op);
    return true;
}

static void cancel(struct backend *backend, struct op *op)
{
    struct sim *sim = of(backend);
    struct pending *pending = &sim->pending[op->serial % PENDING];
    if (pending->op != op || pending->cancelled)
        return; /* it is done, or was cancelled before */
    /* Sometimes it is done just before: after this its descriptor may be closed. */
    pending->cancelled = chance(sim, 16384) && peer_try(sim, op) ? 2 : 1;
    heap_set(&sim->heap, &pending->timer, sim->now + (int64_t)below(sim, 2000));
}

static void forget(struct backend *backend, int fd)
{
    if (fd >= FIRST_FD)
        fd_of(of(backend), fd, "forgetting");
}

static struct op *next(struct backend *backend)
{
    struct list *node = list_take(&of(backend)->done);
    return node ? container_of(node, struct op, node) : NULL;
}

static bool has_next(struct backend *backend)
{
    return !list_is_empty(&of(backend)->done);
}

static void recycle(struct backend *backend, void *buffer)
{
    struct sim *sim = of(backend);
    if (sim->receive_count == sim->receive_buffers)
        complain(sim, "a buffer for received data comes back twice");
    else
        sim->receive_free[sim->receive_count++] = buffer;
}

static void leave(struct backend *backend, struct file_run *run)
{
    of(backend)->stuck++;
    run_enqueue(of(backend), run);
}

static enum pool_recall recall(struct backend *backend, struct file_run *run, unsigned *step)
{
    return run_recall(of(backend), run, step);
}

static void count(struct backend *backend, struct pool_counts *counts)
{
    const struct sim *sim = of(backend);
    *counts = (struct pool_counts){sim->waiting, sim->running, sim->stuck, sim->running};
}

static uint32_t lane(struct backend *backend, int fd, const char *path)
{
    struct sim *sim = of(backend);
    if (*path == '/' || fd < 0)
        return 1;
    const struct inode *inode = inode_of(sim, fd, "the lane");
    return inode ? lane_of_inode(inode) : 0;
}

static int root(struct backend *backend, int dir_fd, struct root *out)
{
    struct sim *sim = of(backend);
    const struct inode *inode = inode_of(sim, dir_fd, "a root");
    if (!inode || !S_ISDIR(inode->mode))
        return inode ? -ENOTDIR : -EBADF;
    out->fd = fd_duplicate(sim, dir_fd);
    out->lane = lane_of_inode(inode);
    out->open_inline = inode->device <= 4;
    out->read_inline = inode->device <= 3;
    return out->fd < 0 ? out->fd : 0;
}

static int check(struct backend *backend, int fd, bool listener)
{
    const struct sim_fd *socket = fd_of(of(backend), fd, "a source");
    if (!socket)
        return -EBADF;
    return socket->object == (listener ? OBJECT_LISTENER : OBJECT_SOCKET) ? 0 : -EINVAL;
}

static void drop(struct backend *backend, int fd)
{
    fd_close(of(backend), fd);
}

static const struct backend_ops ops = {
    .name = "sim",
    .open = sim_open,
    .close = close_world,
    .now = now,
    .submit = submit,
    .cancel = cancel,
    .forget = forget,
    .next = next,
    .has_next = has_next,
    .wait = wait_for,
    .recycle = recycle,
    .adopt = leave,
    .recall = recall,
    .count = count,
    .lane = lane,
    .root = root,
    .check = check,
    .drop = drop,
};

/* ---- for the tests */

struct sim *sim_new(const struct sim_options *options)
{
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim || heap_reserve(&sim->heap, PENDING) < 0) {
        free(sim);
        return NULL;
    }
    sim->options = *options;
    sim->random = options->seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    sim->now = ERRAND_SECOND;
    sim->backend = (struct backend){.ops = &ops, .read_files = true, .defers = options->defers};
    list_init(&sim->done);
    list_init(&sim->deferred);
    list_init(&sim->ready);
    for (unsigned i = 0; i < LANES; i++)
        list_init(&sim->lanes[i].waiting);
    for (uint32_t i = 0; i < PENDING; i++)
        sim->pending[i].next_free = i + 1;
    for (size_t i = 0; i < sizeof sim->pattern; i++)
        sim->pattern[i] = (char)(i % SIM_PERIOD);
    files_make(sim);
    return sim;
}

void sim_free(struct sim *sim)
{
    heap_close(&sim->heap);
    free(sim->receive_memory);
    free(sim->receive_free);
    free(sim);
}

void sim_install(struct sim *sim)
{
    installed = sim;
    backend_installed = sim ? &ops : NULL;
}
