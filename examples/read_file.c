/* SPDX-License-Identifier: MIT */
/* Reads the first bytes of each file named on the command line, all at once: as events come, so they are printed. */
#include <errand.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

struct reading {
    const char *path;
    char start[64];
};

static int submit(errand_queue *queue, struct reading *reading)
{
    /* excerpt: errand_read_file */
    struct errand_read_file job = {
        .size = sizeof job,
        .dir_fd = AT_FDCWD,
        .path = reading->path,
        .buffer = reading->start,
        .length = sizeof reading->start,
        .timeout_ns = 5 * ERRAND_SECOND, /* holds on any filesystem */
        .user_data = reading,
    };
    int result = errand_read_file(queue, &job, NULL);
    /* end */
    if (result < 0)
        fprintf(stderr, "%s: %s\n", reading->path,
                errand_error_name(result));
    return result;
}

static void print(const struct errand_event *event)
{
    /* excerpt: errand_version */
    const struct reading *reading = event->user_data;
    if (event->error)
        printf("%s: %s failed: %s\n", reading->path,
               errand_step_name(event->step_kind),
               errand_error_name(event->error));
    /* end */
    else
        printf("%s: begins with %llu bytes\n", reading->path,
               (unsigned long long)event->bytes);
}

int main(int argc, char **argv)
{
    errand_queue *queue;
    int result = errand_queue_open(&queue, NULL);
    if (result < 0) {
        fprintf(stderr, "no queue: %s\n", errand_error_name(result));
        return 1;
    }
    struct reading *readings = calloc((size_t)argc, sizeof *readings);
    int submitted = 0;
    for (int i = 1; readings && i < argc; i++) {
        readings[i].path = argv[i];
        if (submit(queue, &readings[i]) == 0)
            submitted++;
    }
    /* excerpt: errand_queue_wait */
    while (submitted > 0) {
        struct errand_event events[16];
        int n = errand_queue_wait(queue, events, 16, ERRAND_FOREVER);
        for (int i = 0; i < n; i++)
            print(&events[i]);
        submitted -= n;
    }
    /* end */
    errand_queue_close(queue);
    free(readings);
}
