/* SPDX-License-Identifier: MIT */
/*
 * A queue in a program's own epoll loop: its descriptor is one of the loop's. Reads the first bytes of each file named
 * on the command line, while the loop goes on with a timer of its own.
 */
#include <errand.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct reading {
    const char *path;
    char start[64];
};

static void print(const struct errand_event *event)
{
    const struct reading *reading = event->user_data;
    if (event->error)
        printf("%s: %s\n", reading->path,
               errand_error_name(event->error));
    else
        printf("%s: begins with %llu bytes\n", reading->path,
               (unsigned long long)event->bytes);
}

/* excerpt: take_events */
/* All that the queue has now. Returns how many files that were. */
static int take_events(errand_queue *queue)
{
    struct errand_event events[16];
    int taken = 0, n;
    do {
        n = errand_queue_dispatch(queue, events, 16);
        for (int i = 0; i < n; i++)
            print(&events[i]);
        taken += n;
    } while (n == 16);
    return taken;
}
/* end */

static int submit(errand_queue *queue, struct reading *reading,
                  const char *path)
{
    reading->path = path;
    struct errand_read_file job = {
        .size = sizeof job,
        .dir_fd = AT_FDCWD,
        .path = path,
        .buffer = reading->start,
        .length = sizeof reading->start,
        .user_data = reading,
    };
    return errand_read_file(queue, &job, NULL);
}

int main(int argc, char **argv)
{
    errand_queue *queue;
    int result = errand_queue_open(&queue, NULL);
    /* excerpt: errand_queue_fd */
    int queue_fd = result < 0 ? result : errand_queue_fd(queue);
    if (queue_fd < 0) {
        fprintf(stderr, "no queue: %s\n", errand_error_name(queue_fd));
        return 1;
    }
    /* end */
    int loop = epoll_create1(EPOLL_CLOEXEC),
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    timerfd_settime(timer, 0, &soon, NULL);
    epoll_ctl(loop, EPOLL_CTL_ADD, timer,
              &(struct epoll_event){.events = EPOLLIN, .data.fd = timer});
    /* excerpt: join */
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = queue_fd};
    epoll_ctl(loop, EPOLL_CTL_ADD, queue_fd, &wanted);
    /* end */

    struct reading *readings = calloc((size_t)argc, sizeof *readings);
    int files = 0, timers = 1;
    for (int i = 1; readings && i < argc; i++)
        files += submit(queue, &readings[i], argv[i]) ==
                 0; /* makes queue_fd readable: nothing to flush */

    /* excerpt: loop */
    while (files > 0 || timers > 0) {
        struct epoll_event events[8];
        int n = epoll_wait(loop, events, 8, -1);
        for (int i = 0; i < n; i++) {
            uint64_t expirations;
            if (events[i].data.fd == queue_fd) {
                files -= take_events(queue);
            } else if (read(timer, &expirations, sizeof expirations) >
                       0) {
                puts("the loop's timer");
                timers--;
            }
        }
    }
    /* end */
    close(timer);
    close(loop);
    errand_queue_close(queue);
    free(readings);
}
