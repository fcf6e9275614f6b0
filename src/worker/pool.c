/* SPDX-License-Identifier: MIT */
#include "worker/pool.h"
#include "worker/run.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define LANES             128
#define IDLE_SECONDS      5
#define UNHURRIED_WAITING 8 /* runs in a lane that keep its workers busy while the queue's thread wakes up */
#define STACK_SIZE        ((size_t)1 << 20) /* for the callers' own functions; ours touch some pages of it */

/* Idle: no runs, no workers. A lane whose key is another's (the table is full) is shared. */
struct lane {
    struct list waiting; /* runs */
    struct list ready;   /* in pool.unserved or pool.ready */
    uint32_t key, active, count;
    uint32_t takeable; /* runs that may begin now, as far as the lane's own bound goes */
    bool unserved;     /* which of the two */
};

struct worker {
    struct list node; /* in pool.idle; in pool.exited when it has ended and is to be joined; in pool.spare then */
    struct pool *pool;
    pthread_t thread;
    pthread_cond_t call;
};

/* Whom to wake as soon as the lock is free: see unlock(). */
struct wakes {
    struct worker *worker;
    bool queue; /* if it sleeps */
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct lane lanes[LANES];
    struct list unserved; /* lanes with runs and no worker: they come first, and may exceed the pool's bound */
    struct list ready;    /* lanes with runs that have a worker and may have another, within the pool's bound */
    struct list done;     /* runs */
    struct list idle;     /* workers, the last to have had work first: what it touches is still cached */
    struct list exited;   /* workers */
    struct list spare;    /* of no thread now, but it may be signalled still, without the lock */
    uint32_t workers_limit, lane_limit;
    uint32_t threads;
    uint32_t takeable, unserved_count; /* of all lanes */
    uint32_t coming;                   /* workers that were called, or started, and have not come round yet */
    uint32_t waiting, running, stuck;
    struct buffer_pool *buffers; /* NULL when the queue is gone */
    bool closing, orphaned;      /* orphaned: the last worker frees the pool */
    struct mounts mounts;
    int event_fd;
    _Atomic uint32_t done_count;
    _Atomic bool sleeping;
};

static void *work(void *argument);

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void pool_free(struct pool *pool)
{
    struct list *node;
    while ((node = list_take(&pool->spare))) {
        struct worker *worker = container_of(node, struct worker, node);
        pthread_cond_destroy(&worker->call);
        free(worker);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->ended);
    close(pool->event_fd);
    mounts_close(&pool->mounts);
    free(pool);
}

int pool_open(struct pool **out, uint32_t workers, uint32_t lane_workers, struct buffer_pool *buffers)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return -ENOMEM;
    pool->event_fd = eventfd(0, EFD_CLOEXEC);
    if (pool->event_fd < 0) {
        free(pool);
        return -errno;
    }
    /* It is held for less than going to sleep takes. */
    pthread_mutexattr_t adaptive;
    pthread_mutexattr_init(&adaptive);
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&pool->lock, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
    init_condition(&pool->ended);
    mounts_open(&pool->mounts);
    list_init(&pool->unserved);
    list_init(&pool->ready);
    list_init(&pool->done);
    list_init(&pool->idle);
    list_init(&pool->exited);
    list_init(&pool->spare);
    for (int i = 0; i < LANES; i++)
        list_init(&pool->lanes[i].waiting);
    pool->workers_limit = workers;
    pool->lane_limit = lane_workers;
    pool->buffers = buffers;
    *out = pool;
    return 0;
}

/* The lane with this key, an idle one for it, or one to share. */
static struct lane *find_lane(struct pool *pool, uint32_t key)
{
    struct lane *idle = NULL;
    for (uint32_t i = 0; i < LANES; i++) {
        struct lane *lane = &pool->lanes[(key + i) % LANES];
        bool busy = lane->active || lane->count;
        if (busy && lane->key == key)
            return lane;
        if (!busy && !idle)
            idle = lane;
    }
    if (!idle)
        return &pool->lanes[key % LANES];
    idle->key = key;
    return idle;
}

/* Puts the lane where its runs and workers have it belong. */
static void update_ready(struct pool *pool, struct lane *lane)
{
    uint32_t room = pool->lane_limit > lane->active ? pool->lane_limit - lane->active : 0;
    pool->takeable -= lane->takeable;
    lane->takeable = lane->count < room ? lane->count : room;
    pool->takeable += lane->takeable;
    if (list_is_linked(&lane->ready)) {
        pool->unserved_count -= lane->unserved;
        list_remove(&lane->ready);
    }
    if (lane->takeable == 0)
        return;
    lane->unserved = lane->active == 0;
    pool->unserved_count += lane->unserved;
    list_append(lane->unserved ? &pool->unserved : &pool->ready, &lane->ready);
}

static void join_exited(struct pool *pool)
{
    struct list *node;
    while ((node = list_take(&pool->exited))) {
        struct worker *worker = container_of(node, struct worker, node);
        pthread_join(worker->thread, NULL);
        list_append(&pool->spare, node);
    }
}

static struct worker *new_worker(struct pool *pool)
{
    struct list *node = list_take(&pool->spare);
    if (node)
        return container_of(node, struct worker, node);
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    worker->pool = pool;
    init_condition(&worker->call);
    return worker;
}

/* The new thread inherits a mask that blocks every signal: signals are the program's, and so is SIGPIPE. */
static void start_worker(struct pool *pool)
{
    struct worker *worker = new_worker(pool);
    if (!worker)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int error = pthread_create(&worker->thread, &attributes, work, worker);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) { /* a worker that becomes free takes the run */
        list_append(&pool->spare, &worker->node);
        return;
    }
    pool->threads++;
    pool->coming++;
}

static void enqueue(struct pool *pool, struct file_run *run)
{
    struct lane *lane = find_lane(pool, run->lane);
    run->state = RUN_WAITING;
    run->waits = lane;
    list_append(&lane->waiting, &run->node);
    lane->count++;
    pool->waiting++;
    update_ready(pool, lane);
}

static void hand_back(struct pool *pool, struct file_run *run, struct wakes *wakes)
{
    run->state = RUN_DONE;
    list_append(&pool->done, &run->node);
    atomic_fetch_add(&pool->done_count, 1);
    if (!run->unhurried || run->waits->count < UNHURRIED_WAITING) /* else there will be others, from this lane */
        wakes->queue = true;
}

/*
 * Sees to it that what may begin is taken. One worker on his way is enough: when he has taken a run, and so before he
 * may wait for its device, he sees to the next. So a thread that submits many runs wakes one worker, and workers that
 * find nothing are not woken while those at work keep up.
 */
static void call_worker(struct pool *pool, struct wakes *wakes)
{
    bool beyond = pool->running >= pool->workers_limit;
    if (pool->coming > 0 || (beyond ? pool->unserved_count : pool->takeable) == 0)
        return;
    struct list *node = list_take(&pool->idle);
    if (node) {
        wakes->worker = container_of(node, struct worker, node);
        pool->coming++;
    } else {
        start_worker(pool);
    }
}

/* Wakes whom to wake when they can have the lock: on the same CPU they would run at once, and into it. */
static void unlock(struct pool *pool, struct wakes *wakes)
{
    pthread_mutex_unlock(&pool->lock);
    if (wakes->queue && atomic_exchange(&pool->sleeping, false)) {
        uint64_t one = 1;
        ssize_t ignored = write(pool->event_fd, &one, sizeof one);
        (void)ignored;
    }
    if (wakes->worker)
        pthread_cond_signal(&wakes->worker->call);
    *wakes = (struct wakes){0};
}

/* Takes a waiting run out of its lane. */
static void dequeue(struct pool *pool, struct file_run *run)
{
    list_remove(&run->node);
    run->waits->count--;
    pool->waiting--;
    update_ready(pool, run->waits);
}

/* Frees a run that nobody waits for, with all that it owns. Called, and returns, with the lock held, but closing may
 * wait. */
static void discard(struct pool *pool, struct file_run *run)
{
    size_t granted = run->buffer_size;
    bool has_pipe = run->pipe;
    pthread_mutex_unlock(&pool->lock);
    run_drop_files(run, true);
    run_drop_places(run);
    run_free(run, NULL);
    pthread_mutex_lock(&pool->lock);
    pool->stuck--;
    if (pool->buffers)
        buffer_return(pool->buffers, granted);
    if (pool->buffers && has_pipe)
        pipe_return(&pool->buffers->pipes);
}

void pool_submit(struct pool *pool, struct file_run *run)
{
    struct wakes wakes = {0};
    pthread_mutex_lock(&pool->lock);
    join_exited(pool);
    run_lend_buffer(run, pool->buffers);
    if (!run->op)
        pool->stuck++;
    enqueue(pool, run);
    call_worker(pool, &wakes);
    if (pool->threads == 0) { /* not one thread can be had: the run fails rather than wait for ever */
        dequeue(pool, run);
        run->error = -EAGAIN;
        if (run->op)
            hand_back(pool, run, &wakes);
        else
            discard(pool, run);
    }
    unlock(pool, &wakes);
}

enum pool_recall pool_recall(struct pool *pool, struct file_run *run, unsigned *step)
{
    enum pool_recall result = RECALL_DONE;
    pthread_mutex_lock(&pool->lock);
    if (run->state == RUN_WAITING) {
        dequeue(pool, run);
        result = RECALL_YOURS;
    } else if (run->state == RUN_RUNNING && run->calls[0].kind != ERRAND_STEP_WORK) { /* its lane may be changing */
        unsigned done = run->done; /* perhaps all of them: it is on its way back */
        *step = run->calls[done < run->count ? done : run->count - 1u].step;
        run->op = NULL;
        run->abandoned = true;
        pool->stuck++;
        result = RECALL_ABANDONED;
    }
    pthread_mutex_unlock(&pool->lock);
    return result;
}

struct file_run *pool_take_done(struct pool *pool)
{
    if (atomic_load_explicit(&pool->done_count, memory_order_relaxed) == 0)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    struct list *node = list_take(&pool->done);
    pthread_mutex_unlock(&pool->lock);
    if (!node)
        return NULL;
    atomic_fetch_sub(&pool->done_count, 1);
    return container_of(node, struct file_run, node);
}

bool pool_has_done(struct pool *pool)
{
    return atomic_load_explicit(&pool->done_count, memory_order_relaxed) > 0;
}

int pool_event_fd(const struct pool *pool)
{
    return pool->event_fd;
}

bool pool_sleep(struct pool *pool)
{
    atomic_store(&pool->sleeping, true);
    if (atomic_load(&pool->done_count) == 0)
        return true;
    atomic_store(&pool->sleeping, false);
    return false;
}

void pool_awake(struct pool *pool)
{
    atomic_store_explicit(&pool->sleeping, false, memory_order_relaxed);
}

void pool_count(struct pool *pool, struct pool_counts *counts)
{
    pthread_mutex_lock(&pool->lock);
    *counts = (struct pool_counts){pool->waiting, pool->running, pool->stuck, pool->threads};
    pthread_mutex_unlock(&pool->lock);
}

/* ------------------------------------------------------------------------------------- on a worker's thread */

static struct timespec time_from_now(int64_t ns)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t part = ns % 1000000000 + time.tv_nsec;
    time.tv_sec += ns / 1000000000 + part / 1000000000;
    time.tv_nsec = part % 1000000000;
    return time;
}

/* The lane whose next run is to begin; NULL: none may. */
static struct lane *next_lane(struct pool *pool)
{
    struct list *lanes = !list_is_empty(&pool->unserved)       ? &pool->unserved
                         : pool->running < pool->workers_limit ? &pool->ready
                                                               : NULL;
    return lanes && !list_is_empty(lanes) ? container_of(lanes->next, struct lane, ready) : NULL;
}

/* Returns NULL when there has been none for a while, or the pool is closing. */
static struct lane *wait_for_lane(struct worker *worker)
{
    struct pool *pool = worker->pool;
    struct timespec until = time_from_now(IDLE_SECONDS * INT64_C(1000000000));
    struct lane *lane;
    bool late = false;
    while (!(lane = next_lane(pool)) && !pool->closing && !late) {
        list_prepend(&pool->idle, &worker->node);
        late = pthread_cond_timedwait(&worker->call, &pool->lock, &until) == ETIMEDOUT;
        if (list_is_linked(&worker->node))
            list_remove(&worker->node);
        else
            pool->coming--;
    }
    return lane;
}

/* Performs one run. Called, and returns, with the lock held. */
static void perform(struct pool *pool, struct lane *lane, struct wakes *wakes)
{
    struct file_run *run = container_of(list_take(&lane->waiting), struct file_run, node);
    run->state = RUN_RUNNING;
    run_begin(run);
    run_grant_buffer(run, pool->buffers);
    lane->count--;
    lane->active++;
    pool->waiting--;
    pool->running++;
    update_ready(pool, lane);
    call_worker(pool, wakes);
    unlock(pool, wakes);
    bool crosses = run_perform(run, &pool->mounts);
    pthread_mutex_lock(&pool->lock);
    if (!run->op)
        discard(pool, run);
    else if (crosses)
        enqueue(pool, run);
    else
        hand_back(pool, run, wakes);
    lane->active--;
    pool->running--;
    update_ready(pool, lane);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    pool->coming--;
    struct wakes wakes = {0};
    struct lane *lane;
    while ((lane = wait_for_lane(worker))) {
        do
            perform(pool, lane, &wakes);
        while ((lane = next_lane(pool)));
        unlock(pool, &wakes);
        pthread_mutex_lock(&pool->lock);
    }
    pool->threads--;
    list_append(&pool->exited, &worker->node);
    bool last = pool->threads == 0;
    if (last)
        pthread_cond_broadcast(&pool->ended);
    if (!pool->orphaned) {
        pthread_mutex_unlock(&pool->lock);
        return NULL;
    }
    list_remove(&worker->node);
    list_append(&pool->spare, &worker->node);
    pthread_detach(worker->thread);
    pthread_mutex_unlock(&pool->lock);
    if (last)
        pool_free(pool);
    return NULL;
}

uint32_t pool_close(struct pool *pool, int64_t grace_ns)
{
    struct timespec until = time_from_now(grace_ns);
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    for (struct list *node = pool->idle.next; node != &pool->idle; node = node->next)
        pthread_cond_signal(&container_of(node, struct worker, node)->call);
    while (pool->threads > 0) {
        if (pool->running + pool->waiting == 0)
            pthread_cond_wait(&pool->ended, &pool->lock); /* they hold nothing that could hang */
        else if (pthread_cond_timedwait(&pool->ended, &pool->lock, &until) != 0 && pool->running + pool->waiting > 0)
            break;
    }
    join_exited(pool);
    pool->buffers = NULL;
    uint32_t left = pool->running + pool->waiting;
    pool->orphaned = pool->threads > 0;
    bool free_now = !pool->orphaned;
    pthread_mutex_unlock(&pool->lock);
    if (free_now)
        pool_free(pool);
    return left;
}
