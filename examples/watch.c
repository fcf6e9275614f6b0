/* SPDX-License-Identifier: MIT */
/* watch DIR: prints what changes in a directory, until standard input ends. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

static int watch(errand_queue *queue, const char *directory)
{
    /* excerpt: errand_source_watch */
    errand_source *source;
    int result = errand_source_watch(queue, NULL, &source);
    if (result < 0)
        return result;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    result = errand_source_watch_add(source, fd, IN_CREATE | IN_DELETE);
    close(fd); /* the watch does not need it */
    /* end */
    return result;
}

static int input_ends(errand_queue *queue)
{
    /* excerpt: errand_source_ready */
    errand_source *source;
    int result =
        errand_source_ready(queue, STDIN_FILENO, POLLIN, NULL, &source);
    /* end */
    return result;
}

int main(int argc, char **argv)
{
    errand_queue *queue = NULL;
    int result = argc == 2 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result = input_ends(queue);
    if (result == 0)
        result = watch(queue, argv[1]);
    while (result >= 0) {
        struct errand_event event;
        if (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
            continue;
        char text[256];
        result = event.error;
        if (event.kind == ERRAND_EVENT_READY &&
            read(STDIN_FILENO, text, sizeof text) <= 0)
            break;
        if (event.kind != ERRAND_EVENT_WATCH || event.error)
            continue;
        const struct inotify_event *change = event.data;
        printf("%s %s\n", change->mask & IN_CREATE ? "new:" : "gone:",
               change->len > 0 ? change->name : "");
    }
    if (result < 0)
        fprintf(stderr, "watch DIR: %s\n", errand_error_name(result));
    if (queue)
        errand_queue_close(queue);
    return result < 0;
}
