/* SPDX-License-Identifier: MIT */
/* What jobs on one file share: they open it first, and close it or hand it over last. */
#ifndef JOB_JOB_H
#define JOB_JOB_H

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/sized.h"
#include "errand.h"

/* A chain whose step 0 opens path for reading. */
static inline int job_begin(errand_queue *queue, int dir_fd, const char *path, enum errand_finish finish,
                            errand_chain **chain)
{
    if (finish != ERRAND_CLOSE && finish != ERRAND_HAND_OVER)
        return -EINVAL;
    int result = errand_chain_new(queue, chain);
    if (result < 0)
        return result;
    errand_step_open(*chain, dir_fd, path, O_RDONLY, 0);
    return 0;
}

static inline int job_submit(errand_chain *chain, enum errand_finish finish, int64_t timeout_ns, int64_t stall_ns,
                             void *user_data, errand_id *id)
{
    if (finish == ERRAND_HAND_OVER)
        errand_step_hand_over(chain, ERRAND_SLOT(0));
    else
        errand_step_close(chain, ERRAND_SLOT(0));
    struct errand_submit options = {
        .size = sizeof options, .user_data = user_data, .timeout_ns = timeout_ns, .stall_ns = stall_ns};
    return errand_submit(chain, &options, id);
}

#endif
