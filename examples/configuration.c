/* SPDX-License-Identifier: MIT */
/* configuration FILE LINE: appends a line to a file: keeps a copy, loads it, replaces it, and says so in FILE.log. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static char text[4096];
static size_t length;

/* Waits for the one event. What event.data points to is valid until the next wait. */
static struct errand_event wait_for_event(errand_queue *queue)
{
    struct errand_event event;
    while (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
        ;
    return event;
}

static int keep_copy(errand_queue *queue, const char *path,
                     const char *old)
{
    /* excerpt: errand_copy_file */
    struct errand_copy_file job = {
        .size = sizeof job,
        .from_dir_fd = AT_FDCWD,
        .from = path,
        .to_dir_fd = AT_FDCWD,
        .to = old,
    };
    int result = errand_copy_file(queue, &job, NULL);
    /* end */
    return result < 0 ? result : wait_for_event(queue).error;
}

static int load(errand_queue *queue, const char *path)
{
    /* excerpt: errand_load_file */
    struct errand_load_file job = {
        .size = sizeof job,
        .dir_fd = AT_FDCWD,
        .path = path,
        .most = sizeof text,
        .timeout_ns = 5 * ERRAND_SECOND,
    };
    int result = errand_load_file(queue, &job, NULL);
    if (result < 0)
        return result;
    struct errand_event event = wait_for_event(queue);
    if (event.error == 0) {
        memcpy(text, event.data, event.bytes);
        length = event.bytes;
    }
    /* end */
    return event.error;
}

static int replace(errand_queue *queue, const char *path)
{
    /* excerpt: errand_replace_file */
    struct errand_replace_file job = {
        .size = sizeof job,
        .dir_fd = AT_FDCWD,
        .path = path,
        .mode = 0644,
        .data = text, /* borrowed until the event */
        .length = length,
        .timeout_ns = 30 * ERRAND_SECOND,
    };
    int result = errand_replace_file(queue, &job, NULL);
    /* end */
    return result < 0 ? result : wait_for_event(queue).error;
}

static int log_it(errand_queue *queue, const char *path)
{
    /* excerpt: errand_write_file */
    static const char done[] = "changed\n";
    struct errand_write_file job = {
        .size = sizeof job,
        .dir_fd = AT_FDCWD,
        .path = path,
        .mode = 0600,
        .data = done,
        .length = strlen(done),
        .flags = ERRAND_SYNC,
    };
    int result = errand_write_file(queue, &job, NULL);
    /* end */
    return result < 0 ? result : wait_for_event(queue).error;
}

int main(int argc, char **argv)
{
    char old[4096], log[4096];
    errand_queue *queue = NULL;
    int result = argc == 3 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0) {
        snprintf(old, sizeof old, "%s.old", argv[1]);
        snprintf(log, sizeof log, "%s.log", argv[1]);
        result = keep_copy(queue, argv[1], old);
    }
    if (result == 0)
        result = load(queue, argv[1]);
    if (result == 0 && strlen(argv[2]) + 1 > sizeof text - length)
        result = -EFBIG;
    if (result == 0) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "%s\n", argv[2]);
        result = replace(queue, argv[1]);
    }
    if (result == 0)
        result = log_it(queue, log);
    if (result < 0)
        fprintf(stderr, "configuration FILE LINE: %s\n",
                errand_error_name(result));
    if (queue)
        errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
