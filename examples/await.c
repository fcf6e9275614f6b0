/* SPDX-License-Identifier: MIT */
/* await FILE: prints how large a file is, but not before the program says so: here half a second later. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* excerpt: errand_step_await */
static int submit(errand_queue *queue, const char *path,
                  struct errand_stat *stat, errand_id *id)
{
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    errand_step_await(chain, NULL, NULL); /* for errand_resume() */
    int opened = errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(opened), stat);
    return errand_submit(chain, NULL, id);
}
/* end */

int main(int argc, char **argv)
{
    struct errand_stat stat = {0};
    struct errand_event event = {0};
    errand_queue *queue = NULL;
    errand_source *timer;
    errand_id id = 0;
    int result = argc == 2 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result = errand_source_timer(queue, 500 * ERRAND_MILLISECOND, 0,
                                     NULL, &timer);
    if (result == 0)
        result = submit(queue, argv[1], &stat, &id);
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN) {
        if (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) == 1 &&
            event.kind == ERRAND_EVENT_TIMER)
            result = errand_resume(queue, id, 0, 0);
    }
    if (result == 0)
        result = event.error;
    printf("%llu bytes, %s\n", (unsigned long long)stat.bytes,
           errand_error_name(result));
    if (queue)
        errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
