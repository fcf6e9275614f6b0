/* SPDX-License-Identifier: MIT */
/* Looking for what a killed server left: see sweep.h. */
#include "sweep.h"
#include "log.h"
#include "remover.h"
#include "shared.h"
#include "temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define AFTER_NS   (3 * ERRAND_SECOND)
#define TIMEOUT_NS (30 * ERRAND_SECOND)

enum {
    MEMORY = 16 << 20, /* of paths that wait */
    STUCK = 3,         /* so many directories that did not answer end it */
};

/* A path that waits to be looked at: of a directory, or one that has a name of ours. */
struct found {
    struct found *next;
    bool ours;
    char path[];
};

struct sweep {
    struct worker *worker;
    struct remover *remover;
    struct found *first; /* the last found: what is deep is done first */
    struct found *at;    /* being looked at */
    size_t memory;
    unsigned site, stuck, passed_over;
    int64_t started_ns; /* of the real-time clock */
    struct errand_stat stat;
    int open, verdict; /* steps of the chain under way */
    int fd;            /* what the first of them opened */
};

static void next(struct sweep *sweep);

/* ------------------------------------------------------------------------------------------- what was found */

static bool is_ours(const char *name)
{
    static const size_t prefix = sizeof ERRAND_TEMPORARY - 1;
    return strncmp(name, ERRAND_TEMPORARY, prefix) == 0 && strlen(name) == prefix + TEMPORARY_DIGITS &&
           strspn(name + prefix, "0123456789abcdef") == TEMPORARY_DIGITS;
}

static void add(struct sweep *sweep, const char *directory, const char *name, bool ours)
{
    size_t length = strlen(directory), name_length = strlen(name), slash = length > 0;
    size_t size = sizeof(struct found) + length + slash + name_length + 1;
    struct found *found = sweep->memory + size <= MEMORY ? malloc(size) : NULL;
    if (found == NULL) {
        sweep->passed_over++;
        return;
    }
    memcpy(found->path, directory, length);
    memcpy(found->path + length, "/", slash);
    memcpy(found->path + length + slash, name, name_length + 1);
    found->ours = ours;
    found->next = sweep->first;
    sweep->first = found;
    sweep->memory += size;
}

static void drop(struct sweep *sweep, struct found *found)
{
    sweep->memory -= sizeof *found + strlen(found->path) + 1;
    free(found);
}

static void end(struct sweep *sweep)
{
    while (sweep->first != NULL) {
        struct found *found = sweep->first;
        sweep->first = found->next;
        drop(sweep, found);
    }
    free(sweep);
}

/* ------------------------------------------------------------------------------------------- looking at it */

static int entry(errand_chain *chain, const struct errand_entry *what, void *context)
{
    struct sweep *sweep = context;
    (void)chain;
    if (is_ours(what->name))
        add(sweep, sweep->at->path, what->name, true);
    else if (what->type == DT_DIR || what->type == DT_UNKNOWN)
        add(sweep, sweep->at->path, what->name, false);
    return 0;
}

/* On a worker: a network filesystem asks its server. Closing the descriptor unlocks it. */
static int64_t try_lock(void *context)
{
    const struct sweep *sweep = context;
    return flock(sweep->fd, LOCK_EX | LOCK_NB) == 0 ? 1 : 0;
}

/* The call step: nobody uses it, or somebody does. */
static int judged(errand_chain *chain, void *context)
{
    struct sweep *sweep = context;
    char *path = errand_chain_result(chain, sweep->verdict) == 1 ? strdup(sweep->at->path) : NULL;
    if (path != NULL)
        remover_add(sweep->remover, sweep->worker->roots[sweep->site], path);
    return 0;
}

/* The call step: what has a name of ours was opened and looked at. */
static int looked(errand_chain *chain, void *context)
{
    struct sweep *sweep = context;
    const struct errand_stat *stat = &sweep->stat;
    int64_t latest = stat->changed_ns > stat->modified_ns ? stat->changed_ns : stat->modified_ns;
    sweep->fd = (int)errand_chain_result(chain, sweep->open);
    if (sweep->fd < 0 || latest >= sweep->started_ns || !(S_ISREG(stat->mode) || S_ISDIR(stat->mode)))
        return 0;
    sweep->verdict = errand_step_work(chain, try_lock, sweep);
    int step = errand_step_call(chain, judged, sweep);
    return step < 0 ? step : 0;
}

/* A chain on what is looked at now ended, or the pause before the first. */
static void ended(const struct errand_event *event)
{
    struct sweep *sweep = event->user_data;
    if (sweep->at != NULL)
        drop(sweep, sweep->at);
    sweep->at = NULL;
    sweep->stuck += event->error == -ETIMEDOUT;
    if (event->error == -ECANCELED) /* the queue is being closed */
        end(sweep);
    else
        next(sweep);
}

static bool submit(struct sweep *sweep, errand_chain *chain, int64_t timeout_ns)
{
    struct errand_submit options = {.size = sizeof options,
                                    .user_data = sweep,
                                    .timeout_ns = timeout_ns,
                                    .ended = ended,
                                    .flags = ERRAND_UNHURRIED};
    return errand_submit(chain, &options, NULL) == 0;
}

static bool look_at(struct sweep *sweep, const struct found *found)
{
    int root = sweep->worker->roots[sweep->site];
    const char *path = found->path[0] != '\0' ? found->path : ".";
    errand_chain *chain;
    if (errand_chain_new(sweep->worker->queue, &chain) != 0)
        return false;
    sweep->open = errand_step_open(chain, root, path, O_RDONLY | O_NOFOLLOW | (found->ours ? 0 : O_DIRECTORY), 0);
    if (found->ours) {
        errand_step_stat(chain, ERRAND_SLOT(sweep->open), &sweep->stat);
        errand_step_call(chain, looked, sweep);
    } else {
        errand_step_list(chain, ERRAND_SLOT(sweep->open), entry, sweep);
    }
    return submit(sweep, chain, TIMEOUT_NS);
}

/* Goes on with the next path, of this site or one that follows. */
static void next(struct sweep *sweep)
{
    const struct sites *sites = &sweep->worker->server->sites;
    while (sweep->first == NULL && ++sweep->site < sites->count)
        if (config_is_writable(sites->list[sweep->site].config))
            add(sweep, "", "", false);
    struct found *found = sweep->at = sweep->first;
    if (found != NULL)
        sweep->first = found->next;
    if (found != NULL && sweep->stuck < STUCK && look_at(sweep, found))
        return;
    if (found != NULL)
        drop(sweep, found);
    if (found != NULL || sweep->passed_over > 0)
        log_error("not all directories were looked through for what a killed server left");
    end(sweep);
}

void sweep_begin(struct worker *worker, struct remover *remover)
{
    const struct sites *sites = &worker->server->sites;
    bool any = false;
    for (unsigned i = 0; i < sites->count; i++)
        any = any || config_is_writable(sites->list[i].config);
    struct timespec now;
    struct sweep *sweep = any ? calloc(1, sizeof *sweep) : NULL;
    errand_chain *chain;
    if (sweep == NULL || errand_chain_new(worker->queue, &chain) != 0) {
        free(sweep);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    *sweep = (struct sweep){.worker = worker,
                            .remover = remover,
                            .site = UINT32_MAX, /* before the first */
                            .started_ns = now.tv_sec * ERRAND_SECOND + now.tv_nsec};
    errand_step_sleep(chain, AFTER_NS);
    if (!submit(sweep, chain, 0))
        end(sweep);
}
