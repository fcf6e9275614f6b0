/* SPDX-License-Identifier: MIT */
/*
 * A queue in systemd's event loop: its descriptor is an I/O source. Reads the first bytes of each file named on the
 * command line, while the loop goes on with a timer of its own.
 */
#include <errand.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>

struct reading {
    const char *path;
    char start[64];
};

static int files, timers; /* under way */

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

static int take_events(sd_event_source *source, int fd, uint32_t what,
                       void *queue)
{
    (void)source;
    (void)fd;
    (void)what;
    struct errand_event events[16];
    int n = errand_queue_dispatch(
        queue, events,
        16); /* what is left over keeps the descriptor readable */
    for (int i = 0; i < n; i++)
        print(&events[i]);
    files -= n;
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t time, void *context)
{
    (void)source;
    (void)time;
    (void)context;
    puts("the loop's timer");
    timers--;
    return 0;
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
    errand_queue *queue;
    sd_event *loop;
    int result = errand_queue_open(&queue, NULL);
    int queue_fd = result < 0 ? result : errand_queue_fd(queue);
    if (queue_fd < 0) {
        fprintf(stderr, "no queue: %s\n", errand_error_name(queue_fd));
        return 1;
    }
    if (sd_event_new(&loop) < 0)
        return 1;
    sd_event_source *source, *timer;
    sd_event_add_io(loop, &source, queue_fd, EPOLLIN, take_events, queue);
    sd_event_add_time_relative(loop, &timer, CLOCK_MONOTONIC, 1000, 0,
                               on_timer, NULL);
    timers = 1;

    struct reading *readings = calloc((size_t)argc, sizeof *readings);
    for (int i = 1; readings && i < argc; i++)
        files += submit(queue, &readings[i], argv[i]) == 0;

    while (files > 0 || timers > 0)
        sd_event_run(loop, UINT64_MAX);
    sd_event_source_unref(timer);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    errand_queue_close(queue);
    free(readings);
}
