/* SPDX-License-Identifier: MIT */
/* A job on a tree: its beginning and end, what it begins next, its failures. */
#include "job/tree.h"

#define LISTS 8 /* directories listed at a time */

static void finish(struct tree_job *job)
{
    errand_queue *queue = job->queue;
    if (job->kind->free)
        job->kind->free(job);
    job->progress->job = NULL;
    errand_resume(queue, job->id, job->error, job->progress->bytes);
    free(job);
}

/* The chain that the caller knows was cancelled, or its time is over. */
static int stop_hook(errand_chain *chain, void *context)
{
    (void)chain;
    struct tree_job *job = context;
    tree_stop(job, -ECANCELED);
    if (job->chains == 0)
        finish(job);
    return 0;
}

int tree_begin(struct tree_job *job, errand_queue *queue, const char *path, const struct errand_submit *options,
               errand_id *id)
{
    errand_chain *chain;
    size_t size = strnlen(path, 4096) + 1;
    if (size == 1 || size > 4096)
        return size == 1 ? -ENOENT : -ENAMETOOLONG;
    struct tree_item *item = calloc(1, sizeof *item + size);
    int result = item ? errand_chain_new(queue, &chain) : -ENOMEM;
    if (result < 0) {
        free(item);
        return result;
    }
    memcpy(item->name, path, size);
    item->job = job->top.job = job;
    item->dir = &job->top;
    item->slow = true;
    job->queue = queue;
    job->limit = job->limit ? job->limit : 64;
    errand_step_await(chain, stop_hook, job);
    result = errand_submit(chain, options, &job->id);
    if (result < 0) {
        free(item);
        return result;
    }
    if (id)
        *id = job->id;
    if (!job->progress)
        job->progress = &job->own_progress;
    size_t progress_size = job->progress->size;
    *job->progress = (struct errand_tree_progress){.size = progress_size, .job = job};
    tree_wait(item);
    tree_pump(job);
    return 0;
}

/* What was put back comes first; then files, of each directory in turn. */
static struct tree_item *next_file(struct tree_job *job)
{
    struct tree_item *item = items_take(&job->again);
    if (item)
        return item;
    struct tree_dir *dir = job->with_files;
    if (!dir)
        return NULL;
    item = items_take(&dir->files);
    struct tree_item **end = &item->batch;
    dir->waiting--;
    for (uint32_t i = 1; i < job->kind->batch && dir->files.first; i++, dir->waiting--) {
        *end = items_take(&dir->files);
        end = &(*end)->batch;
    }
    job->with_files = dir->next_files;
    if (!dir->files.first)
        dir->in_files = false;
    else if (job->with_files)
        job->with_files_last->next_files = dir;
    else
        job->with_files = dir;
    if (dir->files.first)
        job->with_files_last = dir;
    dir->next_files = NULL;
    dir->children++;
    return item;
}

/* The one named last: what is deep is finished first. */
static struct tree_item *next_dir(struct tree_job *job)
{
    struct tree_dir *dir = job->with_dirs;
    if (!dir)
        return NULL;
    struct tree_item *item = items_take(&dir->dirs);
    dir->waiting--;
    dir->children++;
    if (!dir->dirs.first) {
        dir->in_dirs = false;
        job->with_dirs = dir->next_dirs;
    }
    return item;
}

static int start_dir(struct tree_item *item)
{
    struct tree_job *job = item->job;
    struct tree_dir *dir = calloc(1, sizeof *dir);
    if (!dir)
        return -ENOMEM;
    *dir = (struct tree_dir){
        .job = job, .parent = item->dir, .item = item, .from = -1, .to = -1, .to_step = -1, .busy = true};
    dir->next = job->dirs;
    if (dir->next)
        dir->next->prev = dir;
    job->dirs = dir;
    job->busy++;
    int result = job->kind->start_dir(dir);
    if (result == 0)
        return 0;
    job->busy--;
    job->dirs = dir->next;
    if (job->dirs)
        job->dirs->prev = NULL;
    free(dir);
    return result;
}

static int start(struct tree_item *item)
{
    if (item->type == DT_DIR)
        return start_dir(item);
    item->job->in_flight++;
    items_append(&item->job->running, item);
    int result = item->job->kind->start_item(item);
    if (result < 0) {
        items_remove(&item->job->running, item);
        item->job->in_flight--;
    }
    return result;
}

static struct tree_item *next(struct tree_job *job)
{
    struct tree_item *item = job->in_flight < job->limit ? next_file(job) : NULL;
    bool may_open = job->busy < LISTS || job->chains == 0;
    return item || !may_open ? item : next_dir(job);
}

void tree_pump(struct tree_job *job)
{
    if (job->pumping)
        return;
    job->pumping = true;
    struct tree_item *item;
    while (!job->stopping && (item = next(job))) {
        struct tree_dir *dir = item->dir;
        int result = start(item);
        if (result == -EAGAIN && job->chains > 0) { /* the queue has no chain left: when one of ours ends */
            items_append(&job->again, item);
            break;
        }
        if (result < 0) {
            tree_report(job, item, result, 0);
            tree_item_gone(item);
        }
        tree_check_dir(dir);
    }
    job->pumping = false;
    if (job->chains == 0 && (job->stopping || (job->top.children == 0 && job->top.waiting == 0)))
        finish(job);
}

void tree_report(struct tree_job *job, const struct tree_item *item, int error, unsigned step_kind)
{
    char buffer[16384];
    if (job->stopping)
        return;
    const char *path = tree_path(item, &job->top, buffer, sizeof buffer);
    struct errand_tree_failure failure = {
        .path = path ? path : item->name, .error = error, .step_kind = (uint16_t)step_kind};
    item->dir->failed = true;
    job->progress->errors++;
    if (job->error == 0)
        job->error = error;
    int result = job->failed ? job->failed(&failure, job->context) : error;
    if (result < 0)
        tree_stop(job, result);
}

static void drop(struct tree_items *items)
{
    struct tree_item *item;
    while ((item = items_take(items)))
        free(item);
}

void tree_stop(struct tree_job *job, int error)
{
    if (job->stopping)
        return;
    job->stopping = true;
    if (job->error == 0)
        job->error = error;
    struct tree_item *item;
    while ((item = items_take(&job->again)))
        tree_item_gone(item);
    if (job->kind->stop)
        job->kind->stop(job);
    drop(&job->top.files);
    drop(&job->top.dirs);
    for (item = job->running.first; item; item = item->next)
        errand_cancel(job->queue, item->id);
    for (struct tree_dir *dir = job->dirs; dir; dir = dir->next) {
        drop(&dir->files);
        drop(&dir->dirs);
        dir->waiting = 0;
        tree_check_dir(dir);
    }
}

int errand_tree_update(errand_queue *queue, struct errand_tree_progress *progress)
{
    if (!queue || !progress)
        return -EINVAL;
    const struct tree_job *job = progress->job;
    progress->moving = 0;
    for (const struct tree_item *item = job ? job->running.first : NULL; item; item = item->next) {
        struct errand_progress part = {.size = sizeof part};
        if (errand_chain_progress(queue, item->id, &part) == 0)
            progress->moving += part.bytes;
    }
    return 0;
}
