/* SPDX-License-Identifier: MIT */
/* open_close PATH: opens a file, perhaps of a hung filesystem, looks at it, and takes its descriptor over. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int submit(errand_queue *queue, const char *path,
                  struct errand_stat *stat, char *start, size_t size)
{
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    /* excerpt: errand_step_open */
    int opened = errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_hand_over(chain, ERRAND_SLOT(opened));
    /* end */
    /* excerpt: errand_step_read */
    errand_step_stat(chain, ERRAND_SLOT(opened), stat);
    errand_step_read(chain, ERRAND_SLOT(opened), start, size, 0, 0);
    /* end */
    struct errand_submit options = {.size = sizeof options,
                                    .timeout_ns = ERRAND_SECOND};
    return errand_submit(chain, &options, NULL);
}

int main(int argc, char **argv)
{
    struct errand_event event = {.fd = -1};
    struct errand_stat stat = {0};
    char start[16];
    errand_queue *queue = NULL;
    int result = argc == 2 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result = submit(queue, argv[1], &stat, start, sizeof start);
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN)
        errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
    if (result == 0)
        result = event.error;
    if (queue)
        errand_queue_close(queue); /* event.fd is ours and stays open */
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", errand_step_name(event.step_kind),
                errand_error_name(result));
        return 1;
    }
    printf("descriptor %d, %llu bytes, %llu of them read\n", event.fd,
           (unsigned long long)stat.bytes,
           (unsigned long long)event.bytes);
    close(event.fd);
    return 0;
}
