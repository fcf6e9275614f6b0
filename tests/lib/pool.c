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
    permit(shared_runs / 2); /* fewer than wait: one worker may use them all up before another wakes */
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

static bool four_run(void *pool)
{
    return counts_of(pool).running == 4;
}

static bool has_done(void *pool)
{
    return pool_has_done(pool);
}

/* One worker is called for many runs; each calls the next before his own run can make him wait, whether threads have to
 * be started for it or are idle. */
TEST(hanging_workers_called_the_next)
{
    enum { many = 6, limit = 4 };
    struct buffer_pool buffers = {.limit = MIB};
    struct op op = {0};
    struct pool *pool;
    errand_fault = (struct fault){.hook = take_permit};
    REQUIRE_INT(pool_open(&pool, 2 * limit, limit, &buffers), 0);
    for (unsigned again = 0; again < 2; again++) {
        struct file_run *each;
        unsigned done = 0;
        for (unsigned i = 0; i < many; i++)
            submit_close(pool, &op, 1);
        CHECK(harness_eventually(four_run, pool, 10000));
        CHECK_INT(counts_of(pool).waiting, many - limit);
        if (again == 0)
            CHECK_INT(counts_of(pool).threads, limit); /* the second time one may not have lain down yet */
        permit(many);
        CHECK(harness_eventually(nothing_runs, pool, 10000));
        for (; (each = pool_take_done(pool)); done++)
            run_free(each, &buffers);
        CHECK_INT(done, many);
    }
    CHECK_INT(pool_close(pool, 5 * ERRAND_SECOND), 0);
    errand_fault = (struct fault){0};
}

/* What a worker reads lies in a buffer that the queue's thread had left, and can go back to it. */
TEST(spare_buffers_are_lent)
{
    struct buffer_pool buffers = {.limit = MIB};
    struct op op = {0};
    struct pool *pool;
    int fd = (int)REQUIRE_CALL(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    size_t size = buffer_grant(&buffers, 4096);
    void *spare = buffer_take(&buffers, size);
    REQUIRE(spare != NULL);
    buffer_free(&buffers, spare, size);
    REQUIRE_INT(pool_open(&pool, 4, 2, &buffers), 0);
    for (unsigned again = 0; again < 3; again++) {
        struct file_run *run = run_new();
        REQUIRE(run != NULL);
        run->files[run->file_count++] = (struct run_file){.fd = fd};
        run_next_call(run, ERRAND_STEP_READ, 0)->length = 4096;
        run->count++;
        run->wants_buffer = true;
        run->op = &op;
        pool_submit(pool, run);
        REQUIRE(harness_eventually(has_done, pool, 10000));
        CHECK(pool_take_done(pool) == run);
        CHECK_INT(run->moved, 4096);
        CHECK(run->buffer == spare);
        run_free(run, &buffers);
    }
    CHECK_INT(buffers.used, 0);
    CHECK_INT(pool_close(pool, 5 * ERRAND_SECOND), 0);
    buffer_trim(&buffers);
    close(fd);
}
