/* SPDX-License-Identifier: MIT */
/* work PATH: a file's checksum, which a worker computes; when it cannot be read, once more after a second. */
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

struct job {
    int read, work; /* numbers of steps */
    size_t length;
    unsigned char data[1 << 20];
};

static int print(errand_chain *chain, void *context)
{
    const struct job *job = context;
    printf("%llx\n",
           (unsigned long long)errand_chain_result(chain, job->work));
    return 0;
}

/* excerpt: errand_step_work */
/* On a worker thread: what it touches is lent to it until the event. */
static int64_t checksum(void *context)
{
    const struct job *job = context;
    uint32_t sum = 0;
    for (size_t i = 0; i < job->length; i++)
        sum = sum * 31 + job->data[i];
    return sum;
}

/* Runs when the file was read. */
static int add_work(errand_chain *chain, void *context)
{
    struct job *job = context;
    job->length = (size_t)errand_chain_result(chain, job->read);
    job->work = errand_step_work(chain, checksum, job);
    errand_step_call(chain, print, job);
    return 0;
}
/* end */

static int submit(errand_queue *queue, const char *path, struct job *job,
                  int64_t delay)
{
    /* excerpt: errand_step_sleep */
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    if (delay > 0)
        errand_step_sleep(chain, delay);
    int opened = errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    /* end */
    job->read = errand_step_read(chain, ERRAND_SLOT(opened), job->data,
                                 sizeof job->data, 0, 0);
    errand_step_call(chain, add_work, job);
    return errand_submit(chain, NULL, NULL);
}

int main(int argc, char **argv)
{
    static struct job job;
    errand_queue *queue = NULL;
    int result = argc == 2 ? errand_queue_open(&queue, NULL) : -EINVAL;
    int tries = result == 0 ? 2 : 0;
    for (int64_t delay = 0; tries > 0; tries--, delay = ERRAND_SECOND) {
        struct errand_event event = {0};
        result = submit(queue, argv[1], &job, delay);
        while (result == 0 &&
               errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
            ;
        if (result == 0)
            result = event.error;
        if (result == 0)
            break;
        fprintf(stderr, "%s: %s\n", errand_step_name(event.step_kind),
                errand_error_name(result));
    }
    if (queue)
        errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
