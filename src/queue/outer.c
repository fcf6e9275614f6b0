/* SPDX-License-Identifier: MIT */
/*
 * Another event loop around the queue: a descriptor that is readable while errand_queue_dispatch() has something to do.
 * It is an epoll descriptor that holds
 *   - a bell, an eventfd: rung by the ring (which is told to while the thread is away: its own descriptor does not wake
 *     an epoll that it is in, with DEFER_TASKRUN), by calls that give the queue something to do, and by
 *     errand_queue_dispatch() itself when it leaves something over;
 *   - a timer, set to the earliest of the queue's heap each time the thread leaves;
 *   - what the backend adds: its epoll descriptor (threads), or what a ring does not ring the bell for.
 */
#include "queue/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct outer {
    int epoll_fd, bell, timer;
    int64_t due; /* what the timer is set to; HEAP_NEVER: not */
    bool rung;   /* we have rung the bell, or the thread is in errand_queue_wait() and will look itself */
};

static void outer_free(struct outer *outer)
{
    int fds[] = {outer->epoll_fd, outer->bell, outer->timer};
    for (unsigned i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(outer);
}

static int hold(struct outer *outer, int fd)
{
    return epoll_ctl(outer->epoll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN}) < 0 ? -errno : 0;
}

static int set_up(struct outer *outer)
{
    outer->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (outer->epoll_fd >= 0)
        outer->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (outer->bell >= 0)
        outer->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (outer->timer < 0)
        return -errno;
    int result = hold(outer, outer->bell);
    return result < 0 ? result : hold(outer, outer->timer);
}

int errand_queue_fd(errand_queue *queue)
{
    if (!queue)
        return -EINVAL;
    if (!queue_is_ours(queue))
        return -EPERM;
    if (queue->outer)
        return queue->outer->epoll_fd;
    if (!queue->backend->ops->announce)
        return -EOPNOTSUPP; /* a simulated one */
    struct outer *outer = malloc(sizeof *outer);
    if (!outer)
        return -ENOMEM;
    *outer = (struct outer){.epoll_fd = -1, .bell = -1, .timer = -1, .due = HEAP_NEVER};
    int result = set_up(outer);
    if (result == 0)
        result = queue->backend->ops->announce(queue->backend, outer->epoll_fd, outer->bell);
    if (result < 0) {
        outer_free(outer);
        return result;
    }
    queue->outer = outer;
    outer->rung = queue->context.in_call; /* errand_queue_wait() is under way, and looks when it leaves */
    queue_touch(queue);                   /* there may be something by now */
    return outer->epoll_fd;
}

void queue_ring(errand_queue *queue)
{
    struct outer *outer = queue->outer;
    uint64_t one = 1;
    if (!outer->rung)
        outer->rung = write(outer->bell, &one, sizeof one) == sizeof one;
}

void queue_outer_entered(errand_queue *queue)
{
    uint64_t ignored;
    ssize_t n = read(queue->outer->bell, &ignored, sizeof ignored);
    (void)n;
    queue->outer->rung = true;
}

/* Setting it anew also ends its being readable. */
static void set_timer(struct outer *outer, int64_t due)
{
    if (due == outer->due)
        return;
    struct itimerspec at = {0};
    if (due != HEAP_NEVER)
        at.it_value = (struct timespec){.tv_sec = due / ERRAND_SECOND, .tv_nsec = due % ERRAND_SECOND};
    timerfd_settime(outer->timer, TFD_TIMER_ABSTIME, &at, NULL);
    outer->due = due;
}

void queue_outer_leaves(errand_queue *queue)
{
    queue_close_roots(queue); /* of chains whose events were just taken */
    set_timer(queue->outer, heap_due(&queue->timers));
    bool idle = queue->backend->ops->leave(queue->backend);
    queue->outer->rung = false;
    if (!idle || queue_has_work(queue))
        queue_ring(queue);
}

void queue_outer_close(errand_queue *queue)
{
    if (queue->outer)
        outer_free(queue->outer);
}
