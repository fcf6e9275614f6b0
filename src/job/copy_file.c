/* SPDX-License-Identifier: MIT */
/* A copy of a file. On errand.h alone: a program could have written it. */
#include "job/job.h"

/* Step 0 opens the file, step 2 its copy; between them it is looked at. */
static int then_copy(errand_chain *chain, void *context)
{
    const struct errand_stat *stat = context;
    if ((stat->mode & S_IFMT) != S_IFREG)
        return (stat->mode & S_IFMT) == S_IFDIR ? -EISDIR : -EINVAL;
    errand_step_chmod(chain, ERRAND_SLOT(2), stat->mode & 07777);
    return 0;
}

int errand_copy_file(errand_queue *queue, const struct errand_copy_file *given, errand_id *id)
{
    struct errand_copy_file copy;
    errand_chain *chain;
    int result;
    if (!given)
        return -EINVAL;
    const struct errand_copy_file *job = sized_view(given, &copy, sizeof copy, &result);
    if (result == 0 && (job->flags & ~(ERRAND_NEW | ERRAND_SYNC)))
        result = -EINVAL;
    if (result == 0)
        result = job_begin(queue, job->from_dir_fd, job->from, ERRAND_CLOSE, &chain);
    if (result < 0)
        return result;
    struct errand_stat *stat = errand_chain_memory(chain, sizeof *stat);
    if (!stat) {
        errand_chain_drop(chain);
        return -ENOMEM;
    }
    int flags = O_WRONLY | O_CREAT | O_TRUNC | (job->flags & ERRAND_NEW ? O_EXCL : 0);
    errand_step_stat(chain, ERRAND_SLOT(0), stat);
    errand_step_open(chain, job->to_dir_fd, job->to, flags, 0600);
    errand_step_copy(chain, ERRAND_SLOT(2), 0, ERRAND_SLOT(0), 0, ERRAND_TO_END, ERRAND_HOLES);
    if (job->flags & ERRAND_SYNC)
        errand_step_sync(chain, ERRAND_SLOT(2), 0);
    errand_step_call(chain, then_copy, stat);
    struct errand_submit options = {
        .size = sizeof options, .user_data = job->user_data, .timeout_ns = job->timeout_ns, .stall_ns = job->stall_ns};
    return errand_submit(chain, &options, id);
}
