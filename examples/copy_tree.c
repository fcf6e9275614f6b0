/* SPDX-License-Identifier: MIT */
/* copy_tree FROM TO: copies a tree, and says how far it is and what
 * could not be copied. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* excerpt: errand_tree_failed */
static int failed(const struct errand_tree_failure *failure,
                  void *context)
{
    (void)context;
    fprintf(stderr, "%s: %s: %s\n", failure->path,
            errand_step_name(failure->step_kind),
            errand_error_name(failure->error));
    return 0; /* go on with the others */
}
/* end */

int main(int argc, char **argv)
{
    struct errand_event event = {0};
    errand_queue *queue = NULL;
    int result = argc == 3 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result < 0) {
        fprintf(stderr, "copy_tree FROM TO: %s\n",
                errand_error_name(result));
        return 1;
    }
    /* excerpt: errand_copy_tree */
    struct errand_tree_progress done = {.size = sizeof done};
    struct errand_copy_tree job = {.size = sizeof job,
                                   .from_dir_fd = AT_FDCWD,
                                   .to_dir_fd = AT_FDCWD,
                                   .from = argv[1],
                                   .to = argv[2],
                                   .failed = failed,
                                   .progress = &done};
    result = errand_copy_tree(queue, &job, NULL);
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN) {
        errand_queue_wait(queue, &event, 1, ERRAND_SECOND);
        printf("%llu files\n", (unsigned long long)done.files);
    }
    /* end */
    if (result == 0)
        result = event.error;
    errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
