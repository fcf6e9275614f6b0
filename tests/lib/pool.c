/* SPDX-License-Identifier: MIT */
/* The worker pool by itself: its lanes when there are more devices than it has lanes for. */
#include "support.h"

#include "base/fault.h"
#include "chain/op.h"
#include "worker/pool.h"

#include <pthread.h>

enum { lanes = 128, sharing = 3, shared_runs = 60, runs = lanes + shared_runs };

/* Every close on a worker waits for a permit, as it would wait for a device that hangs. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static unsigned permits;

static int64_t take_permit(void *context, unsigned place, uint64_t *length)
{
    (void)context;
    (void)length;
    if (place != FAULT_CALL + ERRAND_STEP_CLOSE)
        return 0;
    pthread_mutex_lock(&lock);
    while (permits == 0)
        pthread_cond_wait(&more, &lock);
    permits--;
    pthread_mutex_unlock(&lock);
    return 0;
}

static void permit(unsigned n)
{
    pthread_mutex_lock(&lock);
    permits += n;
    pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
}

static struct pool_counts counts_of(struct pool *pool)
{
    struct pool_counts counts;
    pool_count(pool, &counts);
    return counts;
}

static bool all_lanes_run(void *pool)
{
    return counts_of(pool).running == lanes;
}

static bool permits_are_used(void *pool)
{
    (void)pool;
    pthread_mutex_lock(&lock);
    unsigned left = permits;
    pthread_mutex_unlock(&lock);
    return left == 0;
}

static bool nothing_runs(void *pool)
{
    return counts_of(pool).running == 0 && counts_of(pool).waiting == 0;
}

static struct file_run *submit_close(struct pool *pool, struct op *op, uint32_t device)
{
    struct file_run *run = run_close((int)REQUIRE_CALL(open("/dev/null", O_RDONLY | O_CLOEXEC)), device, 0);
    REQUIRE(run != NULL);
    run->op = op;
    pool_submit(pool, run);
    return run;
}

/* Devices that share a lane: what waits there can be recalled when other lanes are free by then, and everything is
 * counted where it is. */
TEST(more_devices_than_lanes)
{
    struct file_run *run[runs], *each;
    struct buffer_pool buffers = {.limit = MIB};
    struct op op = {0};
    struct pool *pool;
    unsigned recalled = 0, abandoned = 0, done = 0, step;
    errand_fault = (struct fault){.hook = take_permit};
    REQUIRE_INT(pool_open(&pool, 4, 2, &buffers), 0);
    for (unsigned i = 0; i < lanes; i++)
        run[i] = submit_close(pool, &op, i);
    CHECK(harness_eventually(all_lanes_run, pool, 10000)); /* a worker each, beyond the pool's bound of 4 */
    for (unsigned i = lanes; i < runs; i++)
        run[i] = submit_close(pool, &op, lanes + i % sharing);
    permit(lanes / 2);
    CHECK(harness_eventually(permits_are_used, pool, 10000));
    for (unsigned i = lanes; i < runs; i++) {
        enum pool_recall what = pool_recall(pool, run[i], &step);
        recalled += what == RECALL_YOURS;
        abandoned += what == RECALL_ABANDONED;
        if (what != RECALL_YOURS)
            continue;
        close(run[i]->files[0].fd);
        run_free(run[i], &buffers);
    }
    CHECK(recalled > 0);
    permit(runs);
    CHECK(harness_eventually(nothing_runs, pool, 10000));
    for (; (each = pool_take_done(pool)); done++) {
        CHECK_INT(each->error, 0);
        run_free(each, &buffers);
    }
    CHECK_INT(done + recalled + abandoned, runs);
    CHECK_INT(counts_of(pool).stuck, 0);
    CHECK_INT(pool_close(pool, 5 * ERRAND_SECOND), 0);
    errand_fault = (struct fault){0};
}
