/* SPDX-License-Identifier: MIT */
/*
 * A queue in libuv's loop: its descriptor is a uv_poll_t. Reads the first bytes of each file named on the command line,
 * while the loop goes on with a timer of its own.
 */
#include <errand.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct reading {
    const char *path;
    char start[64];
};

static int files; /* under way */

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

static void take_events(uv_poll_t *poll, int status, int what)
{
    (void)status;
    (void)what;
    struct errand_event events[16];
    int n = errand_queue_dispatch(
        poll->data, events,
        16); /* what is left over keeps the descriptor readable */
    for (int i = 0; i < n; i++)
        print(&events[i]);
    files -= n;
    if (files == 0)
        uv_close((uv_handle_t *)poll, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    puts("the loop's timer");
    uv_close((uv_handle_t *)timer, NULL);
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
    uv_loop_t loop;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_timer, 1, 0);
    uv_poll_init(&loop, &poll, queue_fd);
    poll.data = queue;
    uv_poll_start(&poll, UV_READABLE, take_events);

    struct reading *readings = calloc((size_t)argc, sizeof *readings);
    for (int i = 1; readings && i < argc; i++)
        files += submit(queue, &readings[i], argv[i]) == 0;
    if (files == 0)
        uv_close((uv_handle_t *)&poll, NULL);

    uv_run(&loop, UV_RUN_DEFAULT); /* until no handle is left */
    uv_loop_close(&loop);
    errand_queue_close(queue);
    free(readings);
}
