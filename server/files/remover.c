/* SPDX-License-Identifier: MIT */
/* Removing in the background: see remover.h. */
#include "remover.h"
#include "log.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>

enum { AT_ONCE = 4, PARALLEL = 4 };

struct removal {
    struct removal *next;
    struct remover *remover;
    char *path;
    int root;
};

static void begin(struct remover *remover);

static void drop(struct removal *removal)
{
    free(removal->path);
    free(removal);
}

static void removed(const struct errand_event *event)
{
    struct removal *removal = event->user_data;
    struct remover *remover = removal->remover;
    remover->running--;
    drop(removal);
    if (event->error == -ECANCELED) /* the queue is being closed */
        return;
    if (event->error != 0 && event->error != -ENOENT)
        log_error("what was deleted could not be removed for good, and is left as .errand-...: %s",
                  errand_error_name(event->error));
    begin(remover);
    if (remover_is_idle(remover) && remover->worker->phase != WORKER_SERVES)
        errand_post(remover->worker->post, remover); /* only to have its loop look whether it may end */
}

static void begin(struct remover *remover)
{
    while (remover->first != NULL && remover->running < AT_ONCE) {
        struct removal *removal = remover->first;
        struct errand_remove_tree job = {.size = sizeof job,
                                         .dir_fd = removal->root,
                                         .path = removal->path,
                                         .parallel = PARALLEL,
                                         .user_data = removal,
                                         .ended = removed};
        int error = errand_remove_tree(remover->worker->queue, &job, NULL);
        if (error == -EAGAIN && remover->running > 0) /* when another has ended */
            return;
        remover->first = removal->next;
        remover->running += error == 0;
        if (error != 0) { /* the next start will find it */
            log_error("what was deleted is left as .errand-...: %s", errand_error_name(error));
            drop(removal);
        }
    }
}

void remover_add(struct remover *remover, int root, char *path)
{
    struct removal *removal = remover->worker->queue != NULL ? malloc(sizeof *removal) : NULL;
    if (removal == NULL) {
        free(path);
        return;
    }
    *removal = (struct removal){.remover = remover, .path = path, .root = root};
    if (remover->first == NULL)
        remover->first = removal;
    else
        remover->last->next = removal;
    remover->last = removal;
    begin(remover);
}

bool remover_is_idle(const struct remover *remover)
{
    return remover->running == 0 && remover->first == NULL;
}

void remover_close(struct remover *remover)
{
    while (remover->first != NULL) {
        struct removal *next = remover->first->next;
        drop(remover->first);
        remover->first = next;
    }
}
