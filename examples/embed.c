/* SPDX-License-Identifier: MIT */
/* embed PATH...: reads files on a queue that is one of the descriptors of a program's own epoll loop. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static char buffers[16][4096];

static int submit(errand_queue *queue, char **paths, int count)
{
    int submitted = 0;
    for (int i = 0; i < count && i < 16; i++) {
        struct errand_read_file job = {
            .size = sizeof job,
            .dir_fd = AT_FDCWD,
            .path = paths[i],
            .buffer = buffers[i],
            .length = sizeof buffers[i],
            .timeout_ns = 5 * ERRAND_SECOND,
            .user_data = paths[i],
        };
        submitted += errand_read_file(queue, &job, NULL) == 0;
    }
    return submitted;
}

/* excerpt: join */
static int join(int loop, errand_queue *queue)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = queue};
    int fd = errand_queue_fd(queue); /* stays the queue's */
    if (fd < 0)
        return fd;
    return epoll_ctl(loop, EPOLL_CTL_ADD, fd, &wanted) == 0 ? 0 : -errno;
}
/* end */

/* excerpt: drain */
/* Takes all events that are there. Returns how many chains ended. */
static int drain(errand_queue *queue)
{
    struct errand_event events[16];
    int ended = 0, n;
    while ((n = errand_queue_dispatch(queue, events, 16)) > 0) {
        for (int i = 0; i < n; i++) {
            printf("%s: %s\n", (char *)events[i].user_data,
                   errand_error_name(events[i].error));
            ended += events[i].kind == ERRAND_EVENT_CHAIN;
        }
    }
    return ended;
}
/* end */

int main(int argc, char **argv)
{
    errand_queue *queue;
    int loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0 || errand_queue_open(&queue, NULL) < 0 ||
        join(loop, queue) < 0)
        return 1;
    int left = submit(queue, argv + 1, argc - 1);
    /* excerpt: loop */
    while (left > 0) {
        struct epoll_event ready[16];
        int n = epoll_wait(loop, ready, 16, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr == queue)
                left -= drain(queue);
            /* else: a descriptor of the program's own */
        }
    }
    /* end */
    errand_queue_close(queue);
    close(loop);
}
