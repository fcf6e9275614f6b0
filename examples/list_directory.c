/* SPDX-License-Identifier: MIT */
/* list_directory DIR: prints the names in a directory of any size, without ever waiting for its disk. */
#include <errand.h>
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

/* excerpt: errand_step_list */
static int print(errand_chain *chain, const struct errand_entry *what,
                 void *context)
{
    (void)chain, (void)context;
    printf("%s%s\n", what->name, what->type == DT_DIR ? "/" : "");
    return 0; /* go on */
}

static int submit(errand_queue *queue, const char *path)
{
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    int opened = errand_step_open(chain, AT_FDCWD, path,
                                  O_RDONLY | O_DIRECTORY, 0);
    errand_step_list(chain, ERRAND_SLOT(opened), print, NULL);
    return errand_submit(chain, NULL, NULL);
}
/* end */

int main(int argc, char **argv)
{
    struct errand_event event = {0};
    errand_queue *queue = NULL;
    int result = argc == 2 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result = submit(queue, argv[1]);
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
