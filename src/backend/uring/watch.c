/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a socket whose peer has half closed it. The ring's polls, its own within a send too, begin with a look
 * that EPOLLRDHUP ends, asked for or not (IO_POLL_UNMASK, seen up to Linux 6.18): who then tries to send again, and
 * cannot, would spin, and the kernel itself gives up after 128 turns and leaves the send to a worker thread of its own,
 * a thread for each such client. So sends never wait themselves; what has to is polled on the ring, and where that ends
 * with nothing that was asked for, watched by an epoll descriptor, which the ring polls.
 */
#include "backend/uring/ring.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#define WATCHED_AT_ONCE 32

static void arm(struct uring *uring)
{
    if (uring->watch_armed || uring->watched == 0)
        return;
    struct io_uring_sqe *sqe = uring_entry(uring, 1);
    io_uring_prep_poll_add(sqe, uring->watch_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, USER_DATA_WATCH);
    uring->watch_armed = true;
}

int uring_watch(struct uring *uring, struct op *op)
{
    if (uring->watch_fd < 0)
        uring->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    if (uring->watch_fd < 0)
        return -errno;
    struct epoll_event event = {.events = op->kind == OP_SEND ? EPOLLOUT : op->flags, .data.ptr = op};
    if (epoll_ctl(uring->watch_fd, EPOLL_CTL_ADD, op->socket, &event) < 0)
        return errno == EEXIST ? -EBUSY : -errno; /* two steps at a time */
    op->waits = WAITS_WATCHED;
    uring->watched++;
    arm(uring);
    return 0;
}

static void unwatch(struct uring *uring, struct op *op)
{
    epoll_ctl(uring->watch_fd, EPOLL_CTL_DEL, op->socket, NULL);
    uring->watched--;
}

/* It is done, with its result. */
static void give_back(struct uring *uring, struct op *op)
{
    if (op->kind == OP_POLL)
        uring_polled(uring, op);
    list_append(&uring->done, &op->node);
}

void uring_unwatch(struct uring *uring, struct op *op)
{
    unwatch(uring, op);
    op->waits = WAITS_CANCELLED;
    op->result = -ECANCELED;
    give_back(uring, op);
}

void uring_watched(struct uring *uring)
{
    struct epoll_event events[WATCHED_AT_ONCE];
    uring->watch_armed = false;
    int count = epoll_wait(uring->watch_fd, events, WATCHED_AT_ONCE, 0);
    for (int i = 0; i < count; i++) {
        struct op *op = events[i].data.ptr;
        unwatch(uring, op);
        if (op->kind == OP_SEND) {
            uring_prepare(uring, op);
            continue;
        }
        op->result = events[i].events;
        give_back(uring, op);
    }
    arm(uring);
}

void uring_poll_to_send(struct uring *uring, struct op *op)
{
    struct io_uring_sqe *sqe = uring_entry(uring, 1);
    io_uring_prep_poll_add(sqe, op->socket, POLLOUT);
    op->waits = WAITS_POLLED;
    op->serial = uring->ring.sq.sqe_tail;
    io_uring_sqe_set_data64(sqe, (uintptr_t)op | PART_WRITABLE);
}
