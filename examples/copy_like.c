/* SPDX-License-Identifier: MIT */
/* copy_like FROM TO: copies a regular file with its owner, permissions, attributes and times. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int submit(errand_queue *queue, const char *from_path,
                  const char *to_path, struct errand_stat *stat)
{
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    /* excerpt: errand_step_copy_metadata */
    int from = ERRAND_SLOT(
        errand_step_open(chain, AT_FDCWD, from_path, O_RDONLY, 0));
    errand_step_expect(chain, from, ERRAND_REGULAR, stat);
    int to = ERRAND_SLOT(errand_step_open_like(
        chain, AT_FDCWD, to_path, O_WRONLY | O_CREAT | O_EXCL, from));
    errand_step_copy(chain, to, 0, from, 0, ERRAND_TO_END, ERRAND_HOLES);
    errand_step_copy_metadata(chain, to, from,
                              ERRAND_OWNER | ERRAND_MODE | ERRAND_TIMES |
                                  ERRAND_ATTRIBUTES);
    /* end */
    return errand_submit(chain, NULL, NULL);
}

int main(int argc, char **argv)
{
    struct errand_stat stat;
    struct errand_event event = {0};
    errand_queue *queue = NULL;
    int result = argc == 3 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result = submit(queue, argv[1], argv[2], &stat);
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN)
        errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
    if (result == 0)
        result = event.error;
    if (result < 0)
        fprintf(stderr, "%s: %s\n", errand_step_name(event.step_kind),
                errand_error_name(result));
    if (queue)
        errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
