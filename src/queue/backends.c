/* SPDX-License-Identifier: MIT */
/* Which backend: asked for by option, else by environment, else the best that works when tried. */
#include "queue/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int try_backend(errand_queue *queue, const struct backend_ops *ops, const struct backend_options *options,
                       const char *by)
{
    const char *why = "";
    int result = ops->open(&queue->backend, options, &why);
    if (result < 0)
        snprintf(queue->reason, sizeof queue->reason, "%s %s, but %s failed: %s (%s)", ops->name, by, why,
                 strerror(-result), errand_error_name(result));
    else
        snprintf(queue->reason, sizeof queue->reason, "%s %s", ops->name, by);
    return result;
}

static int choose_best(errand_queue *queue, const struct backend_options *options)
{
    if (try_backend(queue, &uring_backend, options, "works here") == 0)
        return 0;
    char refused[sizeof queue->reason];
    memcpy(refused, queue->reason, sizeof refused);
    const char *reason = strstr(refused, "but ");
    int result = try_backend(queue, &threads_backend, options, "works everywhere");
    if (result == 0)
        snprintf(queue->reason, sizeof queue->reason, "threads, because io_uring is not available: %.120s",
                 reason ? reason + 4 : refused);
    return result;
}

int backend_choose(errand_queue *queue, enum errand_backend wanted, const struct backend_options *options)
{
    const char *by = "was asked for by the program";
#ifdef ERRAND_FAULTS
    if (backend_installed)
        return try_backend(queue, backend_installed, options, "was installed");
#endif
    if (wanted == ERRAND_BACKEND_AUTO) {
        const char *environment = getenv("ERRAND_BACKEND");
        by = "was asked for by ERRAND_BACKEND";
        if (!environment || !*environment || strcmp(environment, "auto") == 0)
            return choose_best(queue, options);
        if (strcmp(environment, "uring") == 0) {
            wanted = ERRAND_BACKEND_URING;
        } else if (strcmp(environment, "threads") == 0) {
            wanted = ERRAND_BACKEND_THREADS;
        } else {
            snprintf(queue->reason, sizeof queue->reason, "ERRAND_BACKEND=%.32s is not known: uring, threads or auto",
                     environment);
            return -EINVAL;
        }
    }
    switch (wanted) {
    case ERRAND_BACKEND_URING: return try_backend(queue, &uring_backend, options, by);
    case ERRAND_BACKEND_THREADS: return try_backend(queue, &threads_backend, options, by);
    case ERRAND_BACKEND_AUTO: break;
    }
    snprintf(queue->reason, sizeof queue->reason, "backend %d is not known", (int)wanted);
    return -EINVAL;
}
