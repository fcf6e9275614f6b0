/* SPDX-License-Identifier: MIT */
/*
 * The other way round: a libuv loop, waited for by a queue. Reads the first bytes of each file named on the command
 * line; meanwhile the loop has its timer, and work on its own threads, whose end wakes it by its descriptor.
 */
#include <errand.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

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

static void on_timer(uv_timer_t *timer)
{
    puts("the loop's timer");
    uv_close((uv_handle_t *)timer, NULL);
}

static void work(uv_work_t *request)
{
    (void)request;
}

static void after_work(uv_work_t *request, int status)
{
    (void)request;
    (void)status;
    puts("the loop's work");
}

/* The loop's timers are not in its descriptor: it says itself how long one may wait. */
static int64_t time_of(uv_loop_t *loop)
{
    int ms = uv_backend_timeout(loop);
    return !uv_loop_alive(loop) || ms < 0 ? ERRAND_FOREVER
                                          : ms * ERRAND_MILLISECOND;
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
    uv_loop_t loop;
    uv_timer_t timer;
    uv_work_t request;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_timer, 1, 0);
    uv_queue_work(&loop, &request, work, after_work);

    errand_queue *queue;
    errand_source *source;
    int result = errand_queue_open(&queue, NULL);
    if (result == 0)
        result = errand_source_ready(queue, uv_backend_fd(&loop), POLLIN,
                                     NULL, &source);
    if (result < 0) {
        fprintf(stderr, "no queue: %s\n", errand_error_name(result));
        return 1;
    }
    struct reading *readings = calloc((size_t)argc, sizeof *readings);
    int files = 0;
    for (int i = 1; readings && i < argc; i++)
        files += submit(queue, &readings[i], argv[i]) == 0;

    while (uv_run(&loop, UV_RUN_NOWAIT) || files > 0) {
        struct errand_event events[16];
        int n = errand_queue_wait(queue, events, 16, time_of(&loop));
        for (int i = 0; i < n; i++) {
            if (events[i].kind == ERRAND_EVENT_READY)
                continue; /* the loop is run above */
            print(&events[i]);
            files--;
        }
    }
    errand_source_stop(source);
    errand_queue_close(queue);
    uv_loop_close(&loop);
    free(readings);
}
