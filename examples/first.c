/* SPDX-License-Identifier: MIT */
/* first PATH...: opens the first of the files that can be opened, and takes the descriptor over. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* excerpt: errand_step_open_first */
static int say(errand_chain *chain, void *context)
{
    const char *const *paths = context;
    printf("%s\n", paths[errand_chain_choice(chain, 0)]);
    return 0;
}

static int submit(errand_queue *queue, const char **paths, unsigned count)
{
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    int opened =
        errand_step_open_first(chain, AT_FDCWD, paths, count, O_RDONLY);
    errand_step_call(chain, say, paths);
    errand_step_hand_over(chain, ERRAND_SLOT(opened));
    return errand_submit(chain, NULL, NULL);
}
/* end */

int main(int argc, char **argv)
{
    struct errand_event event = {.fd = -1};
    errand_queue *queue = NULL;
    int result = argc > 1 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result =
            submit(queue, (const char **)argv + 1, (unsigned)argc - 1);
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN)
        errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
    if (result == 0)
        result = event.error;
    if (result < 0)
        fprintf(stderr, "%s: %s\n", errand_step_name(event.step_kind),
                errand_error_name(result));
    if (event.fd >= 0)
        close(event.fd);
    if (queue)
        errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
