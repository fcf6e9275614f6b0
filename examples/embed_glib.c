/* SPDX-License-Identifier: MIT */
/*
 * A queue in GLib's main loop: its descriptor is a source of the main context. Reads the first bytes of each file named
 * on the command line, while the loop goes on with a timer of its own.
 */
#include <errand.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>

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

static gboolean take_events(int fd, GIOCondition condition, void *queue)
{
    (void)fd;
    (void)condition;
    struct errand_event events[16];
    int n = errand_queue_dispatch(
        queue, events,
        16); /* what is left over keeps the descriptor readable */
    for (int i = 0; i < n; i++)
        print(&events[i]);
    files -= n;
    return G_SOURCE_CONTINUE;
}

static gboolean on_timer(void *context)
{
    (void)context;
    puts("the loop's timer");
    timers--;
    return G_SOURCE_REMOVE;
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
    int result = errand_queue_open(&queue, NULL);
    int queue_fd = result < 0 ? result : errand_queue_fd(queue);
    if (queue_fd < 0) {
        fprintf(stderr, "no queue: %s\n", errand_error_name(queue_fd));
        return 1;
    }
    unsigned source =
        g_unix_fd_add(queue_fd, G_IO_IN, take_events, queue);
    g_timeout_add(1, on_timer, NULL);
    timers = 1;

    struct reading *readings = calloc((size_t)argc, sizeof *readings);
    for (int i = 1; readings && i < argc; i++)
        files += submit(queue, &readings[i], argv[i]) == 0;

    while (files > 0 || timers > 0)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(source);
    errand_queue_close(queue);
    free(readings);
}
