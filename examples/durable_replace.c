/* SPDX-License-Identifier: MIT */
/* durable_replace DIR NAME TEXT: replaces DIR/NAME so that after a crash it holds the old text or the new one. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct replacing {
    const char *directory, *name, *text;
    char temporary[256];
    int opened, renamed; /* numbers of steps */
};

/* excerpt: clean */
/* Only when the first chain failed: takes the temporary file away. */
static int submit_removal(errand_queue *queue, struct replacing *r,
                          int dir_fd)
{
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    errand_step_unlink(chain, dir_fd, r->temporary);
    return errand_submit(chain, NULL, NULL);
}
/* end */

static int submit(errand_queue *queue, struct replacing *r, int dir_fd)
{
    /* excerpt: errand_step_write */
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    r->opened = errand_step_open(chain, dir_fd, r->temporary,
                                 O_WRONLY | O_CREAT | O_EXCL, 0644);
    int file = ERRAND_SLOT(r->opened);
    errand_step_write(chain, file, r->text, strlen(r->text), 0);
    errand_step_sync(chain, file, 0); /* the text before the name */
    errand_step_close(chain, file);
    /* end */
    /* excerpt: errand_step_rename */
    r->renamed = errand_step_rename(chain, dir_fd, r->temporary, dir_fd,
                                    r->name, 0);
    int directory =
        errand_step_open(chain, dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    errand_step_sync(chain, ERRAND_SLOT(directory), 0); /* the name too */
    /* end */
    /* excerpt: submit */
    struct errand_submit options = {
        .size = sizeof options,
        .user_data = r,
        .timeout_ns = 30 * ERRAND_SECOND,
    };
    return errand_submit(chain, &options, NULL);
    /* end */
}

static struct errand_event wait_for_chain(errand_queue *queue)
{
    struct errand_event event;
    while (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
        ;
    return event;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    struct replacing r = {
        .directory = argv[1], .name = argv[2], .text = argv[3]};
    errand_queue *queue;
    int dir_fd = open(r.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int length =
        snprintf(r.temporary, sizeof r.temporary, ".%s.new", r.name);
    if (dir_fd < 0 || length < 0 ||
        (size_t)length >= sizeof r.temporary ||
        errand_queue_open(&queue, NULL) < 0)
        return 1;
    int result = submit(queue, &r, dir_fd);
    if (result == 0) {
        /* excerpt: event */
        struct errand_event event = wait_for_chain(queue);
        result = event.error;
        if (result < 0)
            fprintf(stderr, "%s: %s\n", errand_step_name(event.step_kind),
                    errand_error_name(result));
        /* Made, and not yet renamed: the temporary file is left to us. */
        if (result < 0 && event.step > r.opened &&
            event.step <= r.renamed &&
            submit_removal(queue, &r, dir_fd) == 0)
            wait_for_chain(queue);
        /* end */
    }
    errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
