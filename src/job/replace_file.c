/* SPDX-License-Identifier: MIT */
/* A file replaced durably and at once. On errand.h alone: a program could have written it. */
#include "job/job.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* The steps; those from NAMED on only where the filesystem has no O_TMPFILE. */
enum { DIRECTORY, TEMPORARY, CHOOSE, NAMED, WRITE, SYNC, THEN_RENAME, RENAME };

struct replacing {
    int dir_fd, error;
    unsigned mode;
    const void *data;
    size_t length;
    const char *path, *directory, *temporary; /* behind this struct */
    char text[];
};

static int give_error(errand_chain *chain, void *context)
{
    (void)chain;
    return ((struct replacing *)context)->error;
}

/* The named temporary file goes, and the chain ends with the error. */
static int give_up(errand_chain *chain, struct replacing *r, int64_t error)
{
    r->error = (int)error;
    errand_step_optional(chain, errand_step_unlink(chain, r->dir_fd, r->temporary));
    errand_step_call(chain, give_error, r);
    return 0;
}

static int then_keep(errand_chain *chain, void *context)
{
    if (errand_chain_result(chain, RENAME) < 0)
        return give_up(chain, context, errand_chain_result(chain, RENAME));
    errand_step_sync(chain, ERRAND_SLOT(DIRECTORY), 0);
    return 0;
}

static int then_rename(errand_chain *chain, void *context)
{
    struct replacing *r = context;
    for (int step = WRITE; step <= SYNC; step++)
        if (errand_chain_result(chain, step) < 0)
            return give_up(chain, r, errand_chain_result(chain, step));
    errand_step_optional(chain, errand_step_rename(chain, r->dir_fd, r->temporary, r->dir_fd, r->path, 0));
    errand_step_call(chain, then_keep, r);
    return 0;
}

static int then_choose(errand_chain *chain, void *context)
{
    struct replacing *r = context;
    int64_t opened = errand_chain_result(chain, TEMPORARY);
    if (opened >= 0) {
        errand_step_write(chain, ERRAND_SLOT(TEMPORARY), r->data, r->length, 0);
        errand_step_sync(chain, ERRAND_SLOT(TEMPORARY), 0);
        errand_step_replace(chain, ERRAND_SLOT(TEMPORARY), r->dir_fd, r->path);
        errand_step_sync(chain, ERRAND_SLOT(DIRECTORY), 0);
        return 0;
    }
    /* What filesystems say that have no O_TMPFILE. */
    if (opened != -EOPNOTSUPP && opened != -EISDIR && opened != -EINVAL)
        return (int)opened;
    errand_step_open(chain, r->dir_fd, r->temporary, O_WRONLY | O_CREAT | O_EXCL, r->mode);
    errand_step_optional(chain, errand_step_write(chain, ERRAND_SLOT(NAMED), r->data, r->length, 0));
    errand_step_optional(chain, errand_step_sync(chain, ERRAND_SLOT(NAMED), 0));
    errand_step_call(chain, then_rename, r);
    return 0;
}

/* The path, its directory and a temporary name in that, which nobody else has. */
static struct replacing *describe(errand_chain *chain, const struct errand_replace_file *job)
{
    size_t length = strlen(job->path), room = 3 * length + 64;
    struct replacing *r = errand_chain_memory(chain, sizeof *r + room);
    if (!r)
        return NULL;
    *r = (struct replacing){.dir_fd = job->dir_fd, .mode = job->mode, .data = job->data, .length = job->length};
    const char *name = strrchr(job->path, '/');
    size_t directory = name ? (size_t)(name - job->path) + 1 : 0;
    char *at = r->text;
    uint64_t number;
    if (getrandom(&number, sizeof number, GRND_INSECURE) != sizeof number)
        number = (uint64_t)(uintptr_t)r;
    r->path = memcpy(at, job->path, length + 1);
    at += length + 1;
    r->directory = at;
    at += snprintf(at, length + 3, "%.*s", directory ? (int)directory : 1, directory ? job->path : ".") + 1;
    r->temporary = at;
    snprintf(at, length + 48, "%.*s" ERRAND_TEMPORARY "%016llx", (int)directory, job->path, (unsigned long long)number);
    return r;
}

int errand_replace_file(errand_queue *queue, const struct errand_replace_file *given, errand_id *id)
{
    struct errand_replace_file copy;
    errand_chain *chain;
    int result;
    if (!given)
        return -EINVAL;
    const struct errand_replace_file *job = sized_view(given, &copy, sizeof copy, &result);
    if (result == 0 && !job->path)
        result = -EINVAL;
    if (result == 0)
        result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    struct replacing *r = describe(chain, job);
    if (!r) {
        errand_chain_drop(chain);
        return -ENOMEM;
    }
    errand_step_open(chain, job->dir_fd, r->directory, O_RDONLY | O_DIRECTORY, 0);
    errand_step_open(chain, job->dir_fd, r->directory, O_TMPFILE | O_WRONLY, job->mode);
    errand_step_optional(chain, TEMPORARY);
    errand_step_call(chain, then_choose, r);
    struct errand_submit options = {
        .size = sizeof options, .user_data = job->user_data, .timeout_ns = job->timeout_ns, .stall_ns = job->stall_ns};
    return errand_submit(chain, &options, id);
}
