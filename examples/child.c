/* SPDX-License-Identifier: MIT */
/* child PROGRAM [ARGUMENT]...: runs a program for at most five seconds, on the queue that does everything else too. */
#include <errand.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int submit(errand_queue *queue, int pid_fd)
{
    /* excerpt: errand_step_poll */
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    errand_step_poll(chain, pid_fd, POLLIN); /* of pidfd_open(2) */
    struct errand_submit options = {
        .size = sizeof options,
        .timeout_ns = 5 * ERRAND_SECOND,
    };
    return errand_submit(chain, &options, NULL);
    /* end */
}

int main(int argc, char **argv)
{
    errand_queue *queue;
    struct errand_event event = {0};
    pid_t child;
    if (argc < 2 || errand_queue_open(&queue, NULL) < 0 ||
        posix_spawnp(&child, argv[1], NULL, NULL, argv + 1, environ) != 0)
        return 1;
    int pid_fd = (int)syscall(SYS_pidfd_open, child, 0);
    int result = submit(queue, pid_fd);
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN)
        errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
    if (event.error || result < 0)
        kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    printf("%s\n", event.error ? errand_error_name(event.error)
                               : "ended by itself");
    errand_queue_close(queue);
    close(pid_fd);
    return status != 0;
}
