/* SPDX-License-Identifier: MIT */
/* Waits for a peer that says nothing: once until a deadline, once until it is cancelled. */
#include <errand.h>
#include <stdio.h>
#include <sys/socket.h>

static char text[100];

static int receive(errand_queue *queue, int socket, int64_t timeout_ns,
                   errand_id *id)
{
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    errand_step_receive(chain, socket, text, sizeof text, ERRAND_EXACT);
    struct errand_submit options = {.size = sizeof options,
                                    .timeout_ns = timeout_ns};
    return errand_submit(chain, &options, id);
}

/* Waits for the one event, and says what it was. */
static void print(errand_queue *queue)
{
    struct errand_event event;
    while (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
        ;
    printf("%s ended with %s\n", errand_step_name(event.step_kind),
           errand_error_name(event.error));
}

int main(void)
{
    errand_queue *queue;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   ends) != 0)
        return 1;
    /* excerpt: errand_queue_open */
    char why[200];
    struct errand_queue_options options = {
        .size = sizeof options,
        .chains = 100,
        .why = why,
        .why_size = sizeof why,
    };
    int result = errand_queue_open(&queue, &options);
    if (result < 0) {
        fprintf(stderr, "no queue: %s: %s\n", errand_error_name(result),
                why);
        return 1;
    }
    printf("backend: %s: %s\n", errand_queue_backend(queue), why);
    /* end */
    errand_id id = 0;
    if (receive(queue, ends[0], 50 * ERRAND_MILLISECOND, NULL) == 0)
        print(queue);
    /* excerpt: errand_cancel */
    if (receive(queue, ends[0], 0, &id) == 0) {
        errand_cancel(queue, id); /* does not wait */
        print(queue);             /* ERRAND_EVENT_CHAIN, -ECANCELED */
    }
    /* end */
    /* excerpt: errand_queue_stats */
    struct errand_stats stats = {.size = sizeof stats};
    if (errand_queue_stats(queue, &stats) == 0)
        printf("%u chains, %u operations, %u stuck\n", stats.chains,
               stats.operations, stats.stuck);
    /* end */
    return errand_queue_close(queue);
}
