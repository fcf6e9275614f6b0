/* SPDX-License-Identifier: MIT */
/*
 * Readiness of a descriptor of the caller's. It is watched by an epoll descriptor of the source's own: so every kind
 * of event can be asked for, several sources can watch one descriptor, and what is told is what is so at that moment.
 * (A poll on the ring itself always ends with EPOLLRDHUP, asked for or not: waiting for output on a connection that
 * the peer has half closed would spin.)
 */
#include "source/source.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS (POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND)

static bool ready_event(errand_source *source, struct errand_event *event)
{
    struct epoll_event now;
    event->kind = ERRAND_EVENT_READY;
    if (source_poll_failed(source, event))
        return true;
    if (epoll_wait(source->fd, &now, 1, 0) <= 0) {
        source_arm_poll(source);
        return false;
    }
    event->bytes = now.events;
    queue_source_again(source); /* looked at again when the caller has seen to it */
    return true;
}

static void ready_dispose(errand_source *source)
{
    close(source->fd);
}

/* The first poll of a file beneath FUSE asks its server, and waits for it; of other files none tells anything. */
static int check(int fd)
{
    struct statx about;
    int result = fd < 0 ? -EBADF : system_look(fd, "", &about);
    if (result < 0)
        return result;
    return S_ISREG(about.stx_mode) || S_ISDIR(about.stx_mode) || S_ISBLK(about.stx_mode) ? -EPERM : 0;
}

static int watch(int fd, unsigned events)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return -errno;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = events}) < 0) {
        int result = -errno;
        close(epoll_fd);
        return result;
    }
    return epoll_fd;
}

int errand_source_ready(errand_queue *queue, int fd, unsigned events, void *user_data, errand_source **out)
{
    static const struct source_type type = {source_poll_took, ready_event, source_does_nothing, source_poll_resume,
                                            ready_dispose};
    if (events & ~(unsigned)EVENTS)
        return -EINVAL;
    int result = check(fd);
    if (result == 0)
        result = source_new(queue, &type, user_data, out);
    if (result < 0)
        return result;
    return source_own(out, watch(fd, events));
}
