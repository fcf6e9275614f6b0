/* SPDX-License-Identifier: MIT */
/* Writing a file, receiving one, loading one. On errand.h alone: a program could have written it. */
#include "job/job.h"

static int write_flags(unsigned flags)
{
    return O_WRONLY | O_CREAT | (flags & ERRAND_NEW ? O_EXCL : 0);
}

static int finish(errand_chain *chain, unsigned flags, int64_t timeout_ns, int64_t stall_ns, void *user_data,
                  errand_id *id)
{
    if (flags & ERRAND_SYNC)
        errand_step_sync(chain, ERRAND_SLOT(0), 0);
    return job_submit(chain, ERRAND_CLOSE, timeout_ns, stall_ns, user_data, id);
}

int errand_write_file(errand_queue *queue, const struct errand_write_file *given, errand_id *id)
{
    struct errand_write_file copy;
    errand_chain *chain;
    int result;
    if (!given)
        return -EINVAL;
    const struct errand_write_file *job = sized_view(given, &copy, sizeof copy, &result);
    if (result == 0 && (job->flags & ~(ERRAND_NEW | ERRAND_SYNC)))
        result = -EINVAL;
    if (result == 0)
        result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    errand_step_open(chain, job->dir_fd, job->path, write_flags(job->flags) | O_TRUNC, job->mode);
    errand_step_write(chain, ERRAND_SLOT(0), job->data, job->length, 0);
    return finish(chain, job->flags, job->timeout_ns, job->stall_ns, job->user_data, id);
}

int errand_receive_file(errand_queue *queue, const struct errand_receive_file *given, errand_id *id)
{
    struct errand_receive_file copy;
    errand_chain *chain;
    int result;
    if (!given)
        return -EINVAL;
    const struct errand_receive_file *job = sized_view(given, &copy, sizeof copy, &result);
    if (result == 0 && (job->flags & ~(ERRAND_EXACT | ERRAND_NEW | ERRAND_SYNC)))
        result = -EINVAL;
    if (result == 0)
        result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    errand_step_open(chain, job->dir_fd, job->path, write_flags(job->flags) | (job->offset == 0 ? O_TRUNC : 0),
                     job->mode);
    errand_step_receive_file(chain, job->socket, ERRAND_SLOT(0), job->offset, job->length, job->flags & ERRAND_EXACT);
    return finish(chain, job->flags, job->timeout_ns, job->stall_ns, job->user_data, id);
}

int errand_load_file(errand_queue *queue, const struct errand_load_file *given, errand_id *id)
{
    struct errand_load_file copy;
    errand_chain *chain;
    int result;
    if (!given)
        return -EINVAL;
    const struct errand_load_file *job = sized_view(given, &copy, sizeof copy, &result);
    if (result == 0)
        result = job_begin(queue, job->dir_fd, job->path, ERRAND_CLOSE, &chain);
    if (result < 0)
        return result;
    errand_step_load(chain, ERRAND_SLOT(0), job->most);
    return job_submit(chain, ERRAND_CLOSE, job->timeout_ns, job->stall_ns, job->user_data, id);
}
