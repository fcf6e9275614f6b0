/* SPDX-License-Identifier: MIT */
/* The work step: the caller's own function on a worker thread, which nothing can take from it once it has begun. */
#include "holdfs.h"
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

struct job {
    pthread_t thread;
    atomic_int begun, may_end, ended;
    int64_t result;
};

static int64_t at_once(void *context)
{
    struct job *job = context;
    job->thread = pthread_self();
    job->begun++;
    job->ended++;
    return job->result;
}

static int64_t until_told(void *context)
{
    struct job *job = context;
    job->thread = pthread_self();
    job->begun++;
    while (!job->may_end)
        sched_yield();
    job->ended++;
    return job->result;
}

static bool has_begun(void *context)
{
    struct job *job = context;
    return job->begun > 0;
}

static int check_result(errand_chain *chain, void *context)
{
    const struct job *job = context;
    CHECK_INT(errand_chain_result(chain, 0), job->result);
    return 0;
}

TEST_EACH_BACKEND(runs_elsewhere)
{
    errand_queue *queue = open_queue(backend, NULL);
    static const int64_t results[] = {0, 1, INT64_MAX, -EIO, -ENODATA};
    for (unsigned i = 0; i < sizeof results / sizeof *results; i++) {
        struct job job = {.result = results[i]};
        errand_chain *chain = new_chain(queue);
        CHECK_INT(errand_step_work(chain, at_once, &job), 0);
        errand_step_call(chain, check_result, &job);
        if (i == 4)
            CHECK_INT(errand_step_optional(chain, 0), 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        bool fails = results[i] < 0 && i != 4;
        CHECK_EVENT(event, fails ? results[i] : 0, fails ? 0 : -1, 0);
        CHECK_INT(event.step_kind, fails ? ERRAND_STEP_WORK : 0);
        CHECK_INT(job.ended, 1);
        CHECK(!pthread_equal(job.thread, pthread_self()));
    }
    close_queue(queue);
}

/* Its result is an operand like any other; steps around it keep their order. */
TEST_EACH_BACKEND(amid_file_steps)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct job job = {.result = 1000};
    char buffer[100];
    const char *path = make_file("file", 5000, 3);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), NULL);
    CHECK_INT(errand_step_work(chain, at_once, &job), 2);
    errand_step_read(chain, ERRAND_SLOT(0), buffer, sizeof buffer, ERRAND_RESULT(2), 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 100);
    CHECK_INT(pattern_check(buffer, 100, 3, 1000), 100);
    close_queue(queue);
}

static void end_while_it_runs(enum errand_backend backend, bool by_deadline, bool last, bool fails)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct job job = {.result = fails ? -EIO : 5};
    struct errand_event event;
    harness_at("%s, %s, %s", by_deadline ? "deadline" : "cancel", last ? "last" : "not the last", fails ? "fails" : "");
    errand_chain *chain = new_chain(queue);
    errand_step_sleep(chain, 0);
    errand_step_work(chain, until_told, &job);
    if (!last)
        errand_step_mkdir(chain, AT_FDCWD, path_of("must not be made"), 0700);
    errand_id id = submit(chain, NULL, by_deadline ? 100 * ERRAND_MILLISECOND : 0);
    run_until(queue, has_begun, &job);
    if (!by_deadline)
        CHECK_INT(errand_cancel(queue, id), 0);
    CHECK_INT(errand_queue_wait(queue, &event, 1, 200 * ERRAND_MILLISECOND), 0);
    CHECK_INT(stats_of(queue).stuck, 0);
    job.may_end = 1;
    event = next_event(queue);
    CHECK_EVENT(event, by_deadline ? -ETIMEDOUT : -ECANCELED, 1, 0);
    CHECK_INT(job.ended, 1);
    CHECK(access(path_of("must not be made"), F_OK) < 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(ended_while_it_runs)
{
    for (unsigned i = 0; i < 8; i++)
        end_while_it_runs(backend, i & 1, i & 2, i & 4);
}

/* More than a lane's workers: the rest waits, and is taken back at once. */
TEST_EACH_BACKEND(cancelled_before_it_begins)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.lane_workers = 2});
    struct job jobs[3] = {0};
    errand_id ids[3];
    for (uintptr_t i = 0; i < 3; i++) {
        errand_chain *chain = new_chain(queue);
        errand_step_work(chain, until_told, &jobs[i]);
        ids[i] = submit(chain, (void *)i, 0);
    }
    run_until(queue, has_begun, &jobs[0]);
    run_until(queue, has_begun, &jobs[1]);
    CHECK_INT(stats_of(queue).files_waiting, 1);
    CHECK_INT(errand_cancel(queue, ids[2]), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -ECANCELED, 0, 0);
    CHECK_INT((uintptr_t)event.user_data, 2);
    CHECK_INT(jobs[2].begun, 0);
    jobs[0].may_end = jobs[1].may_end = 1;
    for (unsigned i = 0; i < 2; i++) {
        event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
    }
    CHECK_INT(jobs[2].begun, 0);
    close_queue(queue);
}

static int64_t takes_a_while(void *context)
{
    struct job *job = context;
    job->begun++;
    struct timespec time = {.tv_nsec = 300 * ERRAND_MILLISECOND};
    nanosleep(&time, NULL);
    job->ended++;
    return 0;
}

/* However short the grace: what it touches is the caller's. */
TEST_EACH_BACKEND(queue_closes_after_it)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.close_grace_ns = 1});
    struct job job = {0};
    errand_chain *chain = new_chain(queue);
    errand_step_work(chain, takes_a_while, &job);
    submit(chain, NULL, 0);
    run_until(queue, has_begun, &job);
    CHECK_INT(job.ended, 0);
    CHECK_INT(errand_queue_close(queue), 0);
    CHECK_INT(job.ended, 1);
}

static bool it_is_held(void *context)
{
    return holdfs_held(context) >= 1;
}

/* File steps with a work step behind them: they wait in the lane of their device, not in that of the functions, and a
 * deadline does not wait for them. */
TEST_EACH_BACKEND(behind_a_filesystem_that_hangs)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.lane_workers = 1});
    struct job job = {0}, other = {.result = 1};
    struct holdfs *holdfs = holdfs_start(&(struct holdfs_options){.files = 4});
    int root = add_root(queue, holdfs_path(holdfs), 0);
    holdfs_hold(holdfs, "all");
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, root, "f1", O_RDONLY, 0);
    errand_step_work(chain, at_once, &job);
    errand_id id = submit(chain, NULL, 0);
    run_until(queue, it_is_held, holdfs);
    chain = new_chain(queue);
    errand_step_work(chain, at_once, &other);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    CHECK_INT(errand_cancel(queue, id), 0);
    event = next_event(queue);
    CHECK_EVENT(event, -ECANCELED, 0, 0);
    CHECK_INT(job.begun, 0);
    holdfs_pass(holdfs);
    errand_root_remove(queue, root);
    close_queue(queue);
    CHECK_INT(job.begun, 0);
    holdfs_stop(holdfs);
}
