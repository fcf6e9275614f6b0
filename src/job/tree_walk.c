/* SPDX-License-Identifier: MIT */
/* A job on a tree: directories being listed, items that wait, chains that end. */
#include "job/tree.h"

#define LOW 128 /* a listing goes on when fewer of its entries wait */

static void update_busy(struct tree_dir *dir)
{
    bool busy = dir->files.first || (!dir->listed && !dir->paused);
    if (dir->busy != busy)
        dir->job->busy += busy ? 1u : UINT32_MAX;
    dir->busy = busy;
}

void tree_wait(struct tree_item *item)
{
    struct tree_dir *dir = item->dir;
    struct tree_job *job = item->job;
    dir->waiting++;
    if (item->type == DT_DIR) {
        items_append(&dir->dirs, item);
        if (!dir->in_dirs) {
            dir->in_dirs = true;
            dir->next_dirs = job->with_dirs;
            job->with_dirs = dir;
        }
        return;
    }
    items_append(&dir->files, item);
    if (dir->in_files)
        return;
    dir->in_files = true;
    dir->next_files = NULL;
    if (job->with_files)
        job->with_files_last->next_files = dir;
    else
        job->with_files = dir;
    job->with_files_last = dir;
}

void tree_again(struct tree_item *item)
{
    items_append(&item->job->again, item);
}

void tree_is_dir(struct tree_item *item)
{
    item->type = DT_DIR;
    item->dir->children--;
    tree_wait(item);
}

/* A directory whose contents are all done goes on; one of which little waits is listed on. */
void tree_check_dir(struct tree_dir *dir)
{
    struct tree_job *job = dir->job;
    if (!dir->parent || dir->id == 0)
        return;
    update_busy(dir);
    if (job->stopping) {
        if (dir->children == 0)
            errand_cancel(job->queue, dir->id);
        return;
    }
    if (dir->in_entry)
        return;
    if (dir->paused && dir->waiting < LOW) {
        dir->paused = false;
        update_busy(dir);
        errand_resume(job->queue, dir->id, 0, 0);
    } else if (dir->listed && !dir->done && dir->children == 0 && dir->waiting == 0) {
        dir->done = true;
        errand_resume(job->queue, dir->id, 0, 0);
    }
}

static void forget_dir(struct tree_dir *dir)
{
    struct tree_job *job = dir->job;
    if (dir->busy)
        job->busy--;
    *(dir->prev ? &dir->prev->next : &job->dirs) = dir->next;
    if (dir->next)
        dir->next->prev = dir->prev;
    free(dir);
}

void tree_child_gone(struct tree_dir *dir)
{
    dir->children--;
    if (!dir->ended) {
        tree_check_dir(dir);
    } else if (dir->children == 0) {
        struct tree_item *item = dir->item;
        forget_dir(dir);
        tree_item_gone(item);
    }
}

void tree_item_gone(struct tree_item *item)
{
    struct tree_dir *dir = item->dir;
    while (item) {
        struct tree_item *more = item->batch;
        free(item->target);
        free(item);
        item = more;
    }
    tree_child_gone(dir);
}

static void item_ended(const struct errand_event *event)
{
    struct tree_item *item = event->user_data;
    struct tree_job *job = item->job;
    items_remove(&job->running, item);
    job->in_flight--;
    job->chains--;
    if (event->error == -ECANCELED)
        tree_stop(job, -ECANCELED); /* by us, or the queue is being closed */
    job->kind->item_ended(item, event);
    tree_pump(job);
}

/* It failed. */
static enum tree_verdict judge(struct tree_dir *dir, const struct errand_event *event)
{
    struct tree_job *job = dir->job;
    enum tree_verdict verdict = job->stopping ? TREE_QUIET : job->kind->dir_failed(dir, event);
    if (verdict == TREE_REPORT)
        tree_report(job, dir->item, event->error, event->step_kind);
    return verdict;
}

static void dir_ended(const struct errand_event *event)
{
    struct tree_dir *dir = event->user_data;
    struct tree_job *job = dir->job;
    struct tree_item *item = dir->item;
    enum tree_verdict verdict = TREE_QUIET;
    job->chains--;
    if (event->error == -ECANCELED)
        tree_stop(job, -ECANCELED);
    if (event->error == 0)
        job->progress->directories++;
    else
        verdict = judge(dir, event);
    if (dir->failed)
        dir->parent->failed = true;
    dir->ended = true;
    if (dir->children == 0) {
        forget_dir(dir);
        if (verdict == TREE_AGAIN)
            tree_again(item);
        else
            tree_item_gone(item);
    }
    tree_pump(job);
}

static int submit(struct tree_job *job, errand_chain *chain, void *user_data,
                  void (*ended)(const struct errand_event *event), errand_id *id)
{
    struct errand_submit options = {
        .size = sizeof options, .user_data = user_data, .ended = ended, .flags = ERRAND_UNHURRIED};
    job->chains++;
    int result = errand_submit(chain, &options, id);
    if (result < 0)
        job->chains--;
    return result;
}

int tree_submit_item(struct tree_item *item, errand_chain *chain)
{
    return submit(item->job, chain, item, item_ended, &item->id);
}

int tree_submit_dir(struct tree_dir *dir, errand_chain *chain)
{
    return submit(dir->job, chain, dir, dir_ended, &dir->id);
}

/* An entry of a directory. Everything it names waits, and with the end of what was read the listing pauses. */
static int entry(errand_chain *chain, const struct errand_entry *what, void *context)
{
    struct tree_dir *dir = context;
    struct tree_job *job = dir->job;
    if (job->stopping)
        return 1;
    size_t size = strlen(what->name) + 1;
    struct tree_item *item = calloc(1, sizeof *item + size);
    if (!item)
        return -ENOMEM;
    memcpy(item->name, what->name, size);
    item->job = job;
    item->dir = dir;
    item->type = what->type;
    item->inode = what->inode;
    item->slow = what->type != DT_REG;
    if (dir->from < 0)
        dir->from = (int)errand_chain_result(chain, 0);
    if (dir->to < 0 && dir->to_step >= 0)
        dir->to = (int)errand_chain_result(chain, dir->to_step);
    dir->paused = true;
    tree_wait(item);
    update_busy(dir);
    if (job->in_flight < job->limit) {
        dir->in_entry = true;
        tree_pump(job);
        dir->in_entry = false;
    }
    return job->stopping ? 1 : ERRAND_PAUSE;
}

static int listed(errand_chain *chain, void *context)
{
    struct tree_dir *dir = context;
    struct tree_job *job = dir->job;
    int64_t result = errand_chain_result(chain, dir->list_step);
    if (result < 0 && !job->stopping)
        tree_report(job, dir->item, (int)result, ERRAND_STEP_LIST);
    dir->listed = true;
    dir->paused = false;
    tree_check_dir(dir);
    tree_pump(job);
    return 0;
}

void tree_list_steps(struct tree_dir *dir, errand_chain *chain)
{
    dir->list_step = errand_step_list(chain, ERRAND_SLOT(0), entry, dir);
    errand_step_optional(chain, dir->list_step);
    errand_step_call(chain, listed, dir);
    errand_step_await(chain, NULL, NULL);
}

const char *tree_path(const struct tree_item *item, const struct tree_dir *above, char *buffer, size_t size)
{
    char *at = buffer + size - 1;
    *at = 0;
    for (bool last = true;; last = false) {
        size_t length = strlen(item->name);
        if ((size_t)(at - buffer) < length + 1)
            return NULL;
        if (!last)
            *--at = '/';
        at -= length;
        memcpy(at, item->name, length);
        if (item->dir == above || !item->dir->item)
            return at;
        item = item->dir->item;
    }
}
