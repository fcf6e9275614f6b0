/* SPDX-License-Identifier: MIT */
/* What has no name yet: see temporary.h. */
#include "temporary.h"
#include "place.h"
#include "closing.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

enum { FILE_MODE = 0666 };

char *temporary_path(const char *path)
{
    size_t directory = place_directory(path), size = directory + sizeof ERRAND_TEMPORARY + TEMPORARY_DIGITS;
    uint64_t number;
    char *own;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number || (own = malloc(size)) == NULL)
        return NULL;
    snprintf(own, size, "%.*s" ERRAND_TEMPORARY "%0*llx", (int)directory, path, TEMPORARY_DIGITS,
             (unsigned long long)number);
    return own;
}

int temporary_open(errand_chain *chain, struct temporary *temporary, int root, const char *path)
{
    const char *parent = place_parent(chain, path);
    if (parent == NULL)
        return -ENOMEM;
    temporary->root = root;
    temporary->step = errand_step_open(chain, root, parent, O_TMPFILE | O_WRONLY, FILE_MODE);
    return errand_step_optional(chain, temporary->step);
}

int temporary_opened(errand_chain *chain, struct temporary *temporary, const char *path)
{
    int64_t opened = errand_chain_result(chain, temporary->step);
    if (opened >= 0)
        return 0;
    if (opened != -EOPNOTSUPP && opened != -EISDIR && opened != -EINVAL) /* is it only O_TMPFILE that there is not? */
        return (int)opened;
    if ((temporary->path = temporary_path(path)) == NULL)
        return -ENOMEM;
    temporary->step = errand_step_open(chain, temporary->root, temporary->path, O_WRONLY | O_CREAT | O_EXCL, FILE_MODE);
    return temporary->step < 0 ? temporary->step : 0;
}

/* On a worker: a network filesystem asks its server. One that has no locks is not swept. */
static int64_t lock(void *context)
{
    const struct temporary *temporary = context;
    flock(temporary->locked, LOCK_EX | LOCK_NB);
    return 0;
}

bool temporary_wants_lock(const struct temporary *temporary)
{
    return temporary->path != NULL && temporary->locked == 0;
}

void temporary_lock(errand_chain *chain, struct temporary *temporary)
{
    temporary->locked = temporary->fd >= 0 ? temporary->fd : (int)errand_chain_result(chain, temporary->step);
    errand_step_work(chain, lock, temporary);
}

int temporary_name(errand_chain *chain, const struct temporary *temporary, const char *path, bool only_new)
{
    int root = temporary->root;
    if (temporary->path != NULL)
        return errand_step_rename(chain, root, temporary->path, root, path, only_new ? RENAME_NOREPLACE : 0);
    return only_new ? errand_step_link_file(chain, temporary->fd, root, path)
                    : errand_step_replace(chain, temporary->fd, root, path);
}

void temporary_named(struct temporary *temporary)
{
    free(temporary->path);
    temporary->path = NULL;
}

void temporary_drop(struct temporary *temporary, struct remover *remover)
{
    errand_queue *queue = remover->worker->queue;
    if (temporary->fd >= 0 && queue != NULL) /* with its last close all of an unnamed file is freed, which takes time */
        close_on_worker(queue, temporary->fd);
    else if (temporary->fd >= 0)
        close(temporary->fd);
    temporary->fd = -1;
    if (temporary->path != NULL)
        remover_add(remover, temporary->root, temporary->path);
    temporary->path = NULL;
}
