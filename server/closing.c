/* SPDX-License-Identifier: MIT */
/* Closing on a worker. */
#include "closing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct closing {
    int fd;
    bool done;
};

static int64_t close_it(void *context)
{
    struct closing *closing = context;
    closing->done = true;
    close(closing->fd);
    return 0;
}

static void closed_it(const struct errand_event *event)
{
    struct closing *closing = event->user_data;
    if (!closing->done) /* the queue is being closed */
        close(closing->fd);
    free(closing);
}

void close_on_worker(errand_queue *queue, int fd)
{
    struct closing *closing = malloc(sizeof *closing);
    errand_chain *chain;
    if (closing == NULL || errand_chain_new(queue, &chain) < 0) {
        free(closing);
        close(fd);
        return;
    }
    *closing = (struct closing){.fd = fd};
    struct errand_submit options = {.size = sizeof options, .user_data = closing, .ended = closed_it};
    errand_step_work(chain, close_it, closing);
    if (errand_submit(chain, &options, NULL) < 0) {
        close(fd);
        free(closing);
    }
}
