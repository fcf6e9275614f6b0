/* SPDX-License-Identifier: MIT */
/* chain_call PATH: prints a file. One chain opens it, looks at its size, makes room for that, reads and closes it. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

struct file {
    int opened, seen; /* numbers of steps */
    char *text;
};

/* excerpt: errand_step_call */
/* Runs when open and stat have succeeded: now the size is known. */
static int make_room(errand_chain *chain, void *context)
{
    struct file *file = context;
    size_t size = (size_t)errand_chain_result(chain, file->seen);
    file->text = malloc(size + 1);
    if (!file->text)
        return -ENOMEM; /* ends the chain at this step */
    errand_step_read(chain, ERRAND_SLOT(file->opened), file->text, size,
                     0, 0);
    errand_step_close(chain, ERRAND_SLOT(file->opened));
    return 0;
}
/* end */

static int submit(errand_queue *queue, const char *path,
                  struct file *file)
{
    /* excerpt: errand_chain_new */
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    file->opened = errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    file->seen = errand_step_stat(chain, ERRAND_SLOT(file->opened), NULL);
    errand_step_call(chain, make_room, file);

    /* A step that could not be appended is reported by errand_submit(). */
    struct errand_submit options = {
        .size = sizeof options,
        .user_data = file,
        .timeout_ns = 5 * ERRAND_SECOND,
    };
    return errand_submit(chain, &options, NULL);
    /* end */
}

int main(int argc, char **argv)
{
    struct file file = {0};
    struct errand_event event = {0};
    errand_queue *queue = NULL;
    int result = argc == 2 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0)
        result = submit(queue, argv[1], &file);
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN)
        errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
    if (result == 0)
        result = event.error;
    if (result == 0)
        fwrite(file.text, 1, event.bytes, stdout);
    else
        fprintf(stderr, "%s: %s\n", errand_step_name(event.step_kind),
                errand_error_name(result));
    free(file.text);
    if (queue)
        errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
