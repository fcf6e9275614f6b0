/* SPDX-License-Identifier: MIT */
/* children COMMAND...: runs shell commands side by side, and says how each ended. */
#include <errand.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int start(errand_queue *queue, char *command)
{
    /* excerpt: errand_source_child */
    char *arguments[] = {"sh", "-c", command, NULL};
    errand_source *source;
    pid_t pid;
    int error = posix_spawnp(&pid, "sh", NULL, NULL, arguments, environ);
    if (error)
        return -error;
    return errand_source_child(queue, pid, command, &source);
    /* end */
}

int main(int argc, char **argv)
{
    errand_queue *queue = NULL;
    int left = 0, result = errand_queue_open(&queue, NULL);
    for (int i = 1; result == 0 && i < argc; i++, left++)
        result = start(queue, argv[i]);
    while (result == 0 && left > 0) {
        struct errand_event event;
        if (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
            continue;
        int status = (int)event.bytes;
        printf("%s: %s %d\n", (char *)event.user_data,
               WIFEXITED(status) ? "status" : "signal",
               WIFEXITED(status) ? WEXITSTATUS(status)
                                 : WTERMSIG(status));
        left--;
    }
    if (result < 0)
        fprintf(stderr, "children COMMAND...: %s\n",
                errand_error_name(result));
    if (queue)
        errand_queue_close(queue);
    return result < 0;
}
