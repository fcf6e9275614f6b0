/* SPDX-License-Identifier: MIT */
/* copy_file FROM TO: copies a file with its permissions, times and, where both filesystems can, an attribute. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

struct copying {
    int from, to;  /* slots */
    int attribute; /* the number of a step */
    struct errand_stat stat;
    char value[256];
};

/* Runs when the file was copied and looked at. */
static int take_over(errand_chain *chain, void *context)
{
    struct copying *copying = context;
    int64_t length = errand_chain_result(chain, copying->attribute);
    if (length > 0)
        errand_step_set_attribute(chain, copying->to, "user.comment",
                                  copying->value, (size_t)length, 0);
    /* excerpt: errand_step_chmod */
    errand_step_chmod(chain, copying->to, copying->stat.mode & 07777);
    errand_step_utimes(chain, copying->to, ERRAND_TIME_KEEP,
                       copying->stat.modified_ns);
    return 0;
    /* end */
}

static int submit(errand_queue *queue, const char *from, const char *to,
                  struct copying *copying)
{
    /* excerpt: errand_step_copy */
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    copying->from =
        ERRAND_SLOT(errand_step_open(chain, AT_FDCWD, from, O_RDONLY, 0));
    copying->to = ERRAND_SLOT(errand_step_open(
        chain, AT_FDCWD, to, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    errand_step_copy(chain, copying->to, 0, copying->from, 0,
                     ERRAND_TO_END, ERRAND_HOLES);
    errand_step_stat(chain, copying->from, &copying->stat);
    /* end */
    /* excerpt: errand_step_get_attribute */
    copying->attribute =
        errand_step_get_attribute(chain, copying->from, "user.comment",
                                  copying->value, sizeof copying->value);
    /* end */
    /* excerpt: errand_step_optional */
    errand_step_optional(chain,
                         copying->attribute); /* -ENODATA: it has none */
    /* end */
    errand_step_call(chain, take_over, copying);
    return errand_submit(chain, NULL, NULL);
}

int main(int argc, char **argv)
{
    struct copying copying = {0};
    struct errand_event event = {0};
    errand_queue *queue = NULL;
    int result = argc == 3 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result = submit(queue, argv[1], argv[2], &copying);
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
