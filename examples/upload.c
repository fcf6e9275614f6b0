/* SPDX-License-Identifier: MIT */
/* upload PATH: writes what comes on a socket to a new file. Here the other end of the socket is the program's own. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int submit(errand_queue *queue, int socket, const char *path)
{
    /* excerpt: errand_receive_file */
    struct errand_receive_file job = {
        .size = sizeof job,
        .socket = socket,
        .dir_fd = AT_FDCWD,
        .path = path,
        .mode = 0644,
        .flags = ERRAND_NEW, /* never over an old one */
        .length = ERRAND_TO_END,
        .stall_ns = 10 * ERRAND_SECOND,
    };
    return errand_receive_file(queue, &job, NULL);
    /* end */
}

int main(int argc, char **argv)
{
    struct errand_event event = {0};
    errand_queue *queue = NULL;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   ends) != 0 ||
        write(ends[1], "uploaded\n", 9) != 9 ||
        shutdown(ends[1], SHUT_WR) != 0)
        return 1;
    int result = argc == 2 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result = submit(queue, ends[0], argv[1]);
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN)
        errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
    if (result == 0)
        result = event.error;
    printf("%llu bytes, %s\n", (unsigned long long)event.bytes,
           errand_error_name(result));
    if (queue)
        errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
