/* SPDX-License-Identifier: MIT */
/*
 * The other way round: something else's epoll descriptor, waited for by a queue. Reads the first bytes of each file
 * named on the command line; meanwhile what the epoll descriptor holds, a timer, is served when the queue says that it
 * is ready.
 */
#include <errand.h>
#include <fcntl.h>
#include <poll.h>
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

/* What the other side does with its descriptor; it never waits. Returns how many timers expired. */
static int run_theirs(int epoll_fd)
{
    struct epoll_event events[8];
    int n = epoll_wait(epoll_fd, events, 8, 0), expired = 0;
    for (int i = 0; i < n; i++) {
        uint64_t expirations;
        if (read(events[i].data.fd, &expirations, sizeof expirations) >
            0) {
            puts("the loop's timer");
            expired++;
        }
    }
    return expired;
}

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
    int theirs = epoll_create1(EPOLL_CLOEXEC),
        timer =
            timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    timerfd_settime(timer, 0, &soon, NULL);
    epoll_ctl(theirs, EPOLL_CTL_ADD, timer,
              &(struct epoll_event){.events = EPOLLIN, .data.fd = timer});

    errand_queue *queue;
    errand_source *source;
    int result = errand_queue_open(&queue, NULL);
    if (result == 0)
        result =
            errand_source_ready(queue, theirs, POLLIN, NULL, &source);
    if (result < 0) {
        fprintf(stderr, "no queue: %s\n", errand_error_name(result));
        return 1;
    }
    struct reading *readings = calloc((size_t)argc, sizeof *readings);
    int files = 0, timers = 1;
    for (int i = 1; readings && i < argc; i++)
        files += submit(queue, &readings[i], argv[i]) == 0;

    while (files > 0 || timers > 0) {
        struct errand_event events[16];
        int n = errand_queue_wait(queue, events, 16, ERRAND_FOREVER);
        for (int i = 0; i < n; i++) {
            if (events[i].kind == ERRAND_EVENT_READY) {
                timers -= run_theirs(theirs);
            } else {
                print(&events[i]);
                files--;
            }
        }
    }
    errand_source_stop(source);
    errand_queue_close(queue);
    close(timer);
    close(theirs);
    free(readings);
}
