/* SPDX-License-Identifier: MIT */
/*
 * The io_uring backend, when another event loop waits for the queue. With DEFER_TASKRUN the ring's descriptor does not
 * wake those who wait for it, because completions are made only when the thread asks for them; a registered eventfd is
 * written to as soon as there is one to make. Not, though, if what makes it is itself a write to an eventfd: then it is
 * written to only after a grace period (19 ms were seen), and on Linux 6.18 no second time. So what may be woken by one
 * is also waited for beside the ring, level-triggered: the pool's eventfd, and what is polled, which can be anything.
 * Data and connections of sockets cannot.
 */
#include "backend/uring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

static int hold(struct uring *uring, struct op *op)
{
    struct epoll_event event = {.events = op->flags};
    op->held = op->socket;
    int result = epoll_ctl(uring->outer_fd, EPOLL_CTL_ADD, op->held, &event);
    if (result < 0 && errno == EEXIST) { /* another polls it, too */
        op->held = fcntl(op->socket, F_DUPFD_CLOEXEC, 3);
        result = op->held < 0 ? -1 : epoll_ctl(uring->outer_fd, EPOLL_CTL_ADD, op->held, &event);
    }
    if (result == 0)
        return 0;
    result = -errno;
    if (op->held >= 0 && op->held != op->socket)
        close(op->held);
    op->held = -1;
    return result == -EPERM || result == -EBADF ? 0 : result; /* the ring says at once what is to be said of it */
}

static void release(struct uring *uring, struct op *op)
{
    if (op->held < 0)
        return;
    epoll_ctl(uring->outer_fd, EPOLL_CTL_DEL, op->held, NULL);
    if (op->held != op->socket)
        close(op->held);
    op->held = -1;
}

int uring_polls(struct uring *uring, struct op *op)
{
    op->held = -1;
    int result = uring->outer_fd >= 0 ? hold(uring, op) : 0;
    if (result == 0)
        list_append(&uring->polls, &op->node);
    return result;
}

void uring_polled(struct uring *uring, struct op *op)
{
    list_remove(&op->node);
    release(uring, op);
}

static int hold_all(struct uring *uring)
{
    int result = 0;
    for (struct list *node = uring->polls.next; result == 0 && node != &uring->polls; node = node->next)
        result = hold(uring, container_of(node, struct op, node));
    return result;
}

int uring_announce(struct backend *backend, int epoll_fd, int bell)
{
    struct uring *uring = container_of(backend, struct uring, backend);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pool_event_fd(backend->pool), &event) < 0)
        return -errno;
    uring->outer_fd = epoll_fd;
    int result = hold_all(uring);
    if (result == 0)
        result = io_uring_register_eventfd(&uring->ring, bell);
    if (result == 0)
        return 0;
    for (struct list *node = uring->polls.next; node != &uring->polls; node = node->next)
        release(uring, container_of(node, struct op, node));
    uring->outer_fd = -1;
    return result;
}

/* Whether completions are there, or can be made. */
static bool is_readable(struct uring *uring)
{
    struct pollfd ring = {.fd = uring->ring.ring_fd, .events = POLLIN};
    return poll(&ring, 1, 0) != 0;
}

bool uring_leave(struct backend *backend)
{
    struct uring *uring = container_of(backend, struct uring, backend);
    if (!uring->wake_armed)
        uring_arm_wake(uring);
    bool nothing_done = pool_sleep(backend->pool);
    /* First have all that comes announced, then look at what has come: a completion that waited to be made when the
     * next came would keep that from being announced too. */
    io_uring_cq_eventfd_toggle(&uring->ring, true);
    atomic_thread_fence(memory_order_seq_cst);
    if (io_uring_sq_ready(&uring->ring) > 0)
        io_uring_submit(&uring->ring);
    return nothing_done && io_uring_sq_ready(&uring->ring) == 0 && !is_readable(uring);
}
