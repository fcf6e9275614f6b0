/* SPDX-License-Identifier: MIT */
/* The queue: carries operations between chains or sources and a backend, and events to the caller. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <pthread.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "base/heap.h"
#include "base/slab.h"
#include "chain/chain.h"

struct source_type {
    /* The source's operation is back: op.result. */
    void (*took)(errand_source *source);

    /* Fills in the next event of a source that said it was ready. Returns whether there was one; it may become ready
     * again. */
    bool (*event)(errand_source *source, struct errand_event *event);

    /* It was paused; resumed. */
    void (*pause)(errand_source *source);
    void (*resume)(errand_source *source);

    /* Nothing of it is in flight any more: frees what it holds. */
    void (*dispose)(errand_source *source);
};

/* What every source begins with. op.node links it into queue.ready while it has an event to give. */
struct errand_source {
    struct op op;
    const struct source_type *type;
    errand_queue *queue;
    void *user_data;
    bool paused, stopped;
    bool held;              /* the result of op waits to be delivered */
    bool over;              /* receive: its stream has ended; accept: no more are wanted */
    struct heap_node timer; /* timer only */
    int64_t period;
    void *extra; /* receive: held data, copied; post: its messages; watch: a batch of events */
    int32_t fd;  /* its own, which it is told of when readable: a signalfd, a pidfd ...; or -1 */
    int32_t error;
    uint64_t count; /* timer: expirations not yet told */
};

struct errand_queue {
    pthread_t owner;
    volatile char *alive; /* on a page that is wiped in a child after fork(2): 0 there */
    struct backend *backend;
    struct pool *pool;
    struct chain_context context;
    struct buffer_pool buffers;
    struct slab chains, sources, roots;
    struct heap timers;
    struct list ready;    /* op.node of chains and sources with an event, in order */
    struct list again;    /* op.node of sources that go on when the caller waits again */
    struct list runnable; /* chains to go on with */
    uint32_t operations;  /* in flight */
    uint32_t lent_count, lent_limit;
    struct lent {
        void *buffer;
        bool allocated;  /* by malloc(3), not the backend's */
    } * lent;            /* received data that the caller sees until the next wait */
    uint32_t messages;   /* limit of each post source */
    struct outer *outer; /* another event loop's view of it; NULL: nobody asked for one */
    bool closing;
    int64_t close_grace_ns;
    char reason[192];
};

/* Whether a function may be called: from the owner's thread, in the process that opened the queue. */
static inline bool queue_is_ours(const errand_queue *queue)
{
    return *queue->alive && pthread_equal(queue->owner, pthread_self());
}

/* perform.c: gives an operation to the backend. Returns true: it is done. */
bool queue_perform(errand_queue *queue, struct op *op);
void queue_run_chain(errand_queue *queue, errand_chain *chain);
void queue_stop_chain(errand_queue *queue, errand_chain *chain, int error);
/* The chain can go on. */
void queue_go_on_later(errand_queue *queue, errand_chain *chain);
/* Goes on with the chains that can. */
void queue_run_runnable(errand_queue *queue);
/* Takes in one operation that is back. */
void queue_took(errand_queue *queue, struct op *op);

/* wait.c */
int64_t queue_clock(const errand_queue *queue);
void queue_source_is_ready(errand_source *source);
/* It is ready when the caller waits again: when he has seen to its last event, and is done with that event's data. */
void queue_source_again(errand_source *source);
void queue_source_gone(errand_source *source);
/* Something that does not have to be waited for. */
bool queue_has_work(errand_queue *queue);
/* The buffer goes back when the caller waits again. */
void queue_lend(errand_queue *queue, void *buffer, bool allocated);
void queue_recycle_lent(errand_queue *queue);
/* Takes the event of an ended chain to who wants it. Returns false: that is not the caller. */
bool queue_take_event(errand_queue *queue, errand_chain *chain, struct errand_event *event);
void queue_drop_event(errand_queue *queue, errand_chain *chain);
/* Has a worker close the descriptor of a file that may make it wait. */
void queue_close_later(errand_queue *queue, int fd, uint32_t lane);

/* root.c */
/* At the queue's end: all of them. */
void queue_remove_roots(errand_queue *queue);
/* Closes those that nobody uses any more. */
void queue_close_roots(errand_queue *queue);

/* outer.c, for errand_queue_fd(). queue_touch(): the caller has given the queue something to do, from outside of
 * errand_queue_wait(). */
void queue_ring(errand_queue *queue);
static inline void queue_touch(errand_queue *queue)
{
    if (queue->outer)
        queue_ring(queue);
}
/* The thread is in errand_queue_wait(), leaves it; only with an outer loop. */
void queue_outer_entered(errand_queue *queue);
void queue_outer_leaves(errand_queue *queue);
void queue_outer_close(errand_queue *queue);

/* backend selection: backends.c */
int backend_choose(errand_queue *queue, enum errand_backend wanted, const struct backend_options *options);

#endif
