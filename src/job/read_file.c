/* SPDX-License-Identifier: MIT */
/* A range of a file into a buffer. On errand.h alone: a program could have written it. */
#include "job/job.h"

int errand_read_file(errand_queue *queue, const struct errand_read_file *given, errand_id *id)
{
    struct errand_read_file copy;
    if (!given)
        return -EINVAL;
    int result;
    const struct errand_read_file *job = sized_view(given, &copy, sizeof copy, &result);
    errand_chain *chain;
    if (result == 0)
        result = job_begin(queue, job->dir_fd, job->path, job->finish, &chain);
    if (result < 0)
        return result;
    errand_step_read(chain, ERRAND_SLOT(0), job->buffer, job->length, job->offset, job->flags);
    return job_submit(chain, job->finish, job->timeout_ns, job->stall_ns, job->user_data, id);
}
