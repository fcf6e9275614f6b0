/* SPDX-License-Identifier: MIT */
/* The io_uring backend: setting up and entering the kernel. */
#include "backend/uring/ring.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Small, because each is walked round and round: what fits into the first-level cache beside the chains is faster. When
 * the first is full it is submitted; what the second has no room for, the kernel keeps. */
#define ENTRIES     256
#define COMPLETIONS 2048

/* How long an operation that completes while it is submitted is waited for, should the kernel think otherwise. */
#define IMMEDIATE_LIMIT_NS INT64_C(1000000)

void uring_issue(struct uring *uring)
{
    /* The kernel leaves entries only while it has no memory for their requests. */
    while (io_uring_sq_ready(&uring->ring) > 0)
        if (io_uring_submit(&uring->ring) <= 0)
            sched_yield();
}

struct io_uring_sqe *uring_entry(struct uring *uring, unsigned together)
{
    /* Links end at a submission's end, so a linked group must fit into what is left. */
    if (io_uring_sq_space_left(&uring->ring) < together)
        uring_issue(uring);
    return io_uring_get_sqe(&uring->ring);
}

void uring_arm_wake(struct uring *uring)
{
    struct io_uring_sqe *sqe = uring_entry(uring, 1);
    io_uring_prep_read(sqe, pool_event_fd(uring->backend.pool), &uring->wake_count, sizeof uring->wake_count, 0);
    io_uring_sqe_set_data64(sqe, USER_DATA_WAKE);
    uring->wake_armed = true;
}

static int set_up_receiving(struct uring *uring, const struct backend_options *options)
{
    uring->receive_buffers = options->receive_buffers;
    uring->receive_size = options->receive_size;
    size_t ring_size = options->receive_buffers * sizeof(struct io_uring_buf);
    size_t memory_size = (size_t)options->receive_buffers * options->receive_size;
    int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    uring->receive_ring = mmap(NULL, ring_size, protection, flags, -1, 0);
    uring->receive_memory = mmap(NULL, memory_size, protection, flags, -1, 0);
    if (uring->receive_ring == MAP_FAILED || uring->receive_memory == MAP_FAILED)
        return -ENOMEM;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)uring->receive_ring, .ring_entries = options->receive_buffers, .bgid = RECEIVE_GROUP};
    int result = io_uring_register_buf_ring(&uring->ring, &registration, 0);
    if (result < 0)
        return result;
    io_uring_buf_ring_init(uring->receive_ring);
    for (uint32_t i = 0; i < options->receive_buffers; i++)
        uring_recycle(&uring->backend, uring->receive_memory + (size_t)i * options->receive_size);
    return 0;
}

/* Without direct descriptors OP_READ_FILE is not offered; everything else works. */
static void set_up_direct(struct uring *uring)
{
    struct rlimit limit;
    uint32_t wanted = DIRECT_LIMIT;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < wanted)
        wanted = (uint32_t)(limit.rlim_cur / 4);
    if (wanted == 0 || io_uring_register_files_sparse(&uring->ring, wanted) < 0)
        return;
    for (uint32_t i = 0; i < wanted; i++)
        uring->direct_free[i] = (uint16_t)(wanted - 1 - i);
    uring->direct_count = wanted;
    uring->backend.read_files = true;
}

/* A ring that was created may still be forbidden to work: have it do something. */
static int perform_nothing(struct uring *uring)
{
    struct io_uring_sqe *sqe = uring_entry(uring, 1);
    struct io_uring_cqe *cqe;
    io_uring_prep_nop(sqe);
    int result = io_uring_submit_and_wait(&uring->ring, 1);
    if (result >= 0)
        result = io_uring_peek_cqe(&uring->ring, &cqe);
    if (result < 0)
        return result;
    result = cqe->res;
    io_uring_cqe_seen(&uring->ring, cqe);
    return result;
}

static void uring_free(struct uring *uring)
{
    if (uring->receive_ring && uring->receive_ring != MAP_FAILED)
        munmap(uring->receive_ring, uring->receive_buffers * sizeof(struct io_uring_buf));
    if (uring->receive_memory && uring->receive_memory != MAP_FAILED)
        munmap(uring->receive_memory, (size_t)uring->receive_buffers * uring->receive_size);
    if (uring->watch_fd >= 0)
        close(uring->watch_fd);
    free(uring);
}

static int uring_open(struct backend **backend, const struct backend_options *options, const char **why)
{
    struct uring *uring = calloc(1, sizeof *uring);
    *why = "memory";
    if (!uring)
        return -ENOMEM;
    uring->backend = (struct backend){.ops = &uring_backend, .pool = options->pool, .defers = true};
    list_init(&uring->direct_waiting);
    list_init(&uring->polls);
    list_init(&uring->done);
    uring->watch_fd = -1;
    uring->outer_fd = -1;
    /* DEFER_TASKRUN is what needs Linux 6.1: completions are run when we ask, not whenever the kernel interrupts us. */
    struct io_uring_params params = {.cq_entries = COMPLETIONS,
                                     .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE};
    *why = "io_uring_setup(2)";
    int result = io_uring_queue_init_params(ENTRIES, &uring->ring, &params);
    if (result < 0) {
        free(uring);
        return result;
    }
    io_uring_register_ring_fd(&uring->ring); /* saves a look-up on each entry; works without */
    *why = "a first operation on the ring";
    result = perform_nothing(uring);
    if (result >= 0) {
        *why = "registering buffers for received data";
        result = set_up_receiving(uring, options);
    }
    if (result < 0) {
        io_uring_queue_exit(&uring->ring);
        uring_free(uring);
        return result;
    }
    set_up_direct(uring);
    *backend = &uring->backend;
    return 0;
}

static uint32_t uring_close(struct backend *backend, int64_t grace_ns)
{
    uint32_t left = pool_close(backend->pool, grace_ns);
    struct uring *uring = container_of(backend, struct uring, backend);
    io_uring_queue_exit(&uring->ring);
    uring_free(uring);
    return left;
}

static bool uring_has_next(struct backend *backend)
{
    struct uring *uring = container_of(backend, struct uring, backend);
    return io_uring_cq_ready(&uring->ring) > 0 || !list_is_empty(&uring->done) || pool_has_done(backend->pool);
}

/* Submits, and waits until so many completions are there. */
static void enter(struct uring *uring, unsigned wanted, int64_t timeout_ns)
{
    struct io_uring_cqe *cqe;
    if (wanted == 0) {
        io_uring_submit_and_get_events(&uring->ring);
    } else if (timeout_ns < 0) {
        io_uring_submit_and_wait(&uring->ring, wanted);
    } else {
        struct __kernel_timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
        io_uring_submit_and_wait_timeout(&uring->ring, &cqe, wanted, &time, NULL);
    }
}

/*
 * What completes while it is submitted is waited for all at once: the kernel runs what links and deferred work are left
 * only as far as it must for the number asked for (about 20 a time since Linux 6.8).
 */
static void uring_wait(struct backend *backend, int64_t timeout_ns)
{
    struct uring *uring = container_of(backend, struct uring, backend);
    if (uring->outer_fd >= 0)
        io_uring_cq_eventfd_toggle(&uring->ring, false); /* what comes now is seen anyway */
    if (!uring->wake_armed)
        uring_arm_wake(uring);
    unsigned done = io_uring_cq_ready(&uring->ring);
    if (uring->immediate > done) {
        enter(uring, uring->immediate, IMMEDIATE_LIMIT_NS);
        return;
    }
    if (timeout_ns != 0 && !pool_sleep(backend->pool))
        timeout_ns = 0;
    enter(uring, timeout_ns == 0 ? 0 : done + 1, timeout_ns);
    pool_awake(backend->pool);
}

const struct backend_ops uring_backend = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .forget = uring_forget,
    .next = uring_next,
    .has_next = uring_has_next,
    .wait = uring_wait,
    .announce = uring_announce,
    .leave = uring_leave,
    .recycle = uring_recycle,
    SYSTEM_OPS,
};
