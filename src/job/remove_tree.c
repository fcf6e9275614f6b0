/* SPDX-License-Identifier: MIT */
/*
 * Removing a tree. Names go many in a chain, which a worker does in one go: taking one away costs little more than
 * handing it over. A name is taken away as a file's; only what then says that it is a directory is opened, never
 * through a symlink, and every name is looked up from the directory that was opened.
 */
#include "job/tree.h"

#define BATCH 11 /* and a call: what a queue's chains hold, if nobody asked for more or less */

/* What became of each. */
static int look(errand_chain *chain, void *context)
{
    struct tree_item *item = context;
    for (int step = 0; item; step++, item = item->batch)
        item->result = (int)errand_chain_result(chain, step);
    return 0;
}

static int start_item(struct tree_item *item)
{
    errand_chain *chain;
    int result = errand_chain_new(item->job->queue, &chain);
    if (result < 0)
        return result;
    for (struct tree_item *each = item; each; each = each->batch) {
        each->result = -ECANCELED;
        errand_step_optional(chain, errand_step_unlink(chain, each->dir->from, each->name));
    }
    errand_step_call(chain, look, item);
    return tree_submit_item(item, chain);
}

/* EPERM: what other systems, and some filesystems, say of a directory. Only one that is sure to be one is not reported
 * as what it was. */
static bool is_dir(const struct tree_item *item)
{
    return item->result == -EISDIR || (item->result == -EPERM && item->type == DT_UNKNOWN);
}

static void take_in(struct tree_item *item)
{
    struct tree_job *job = item->job;
    if (item->result >= 0)
        job->progress->files++;
    else if (is_dir(item) && !job->stopping) {
        item->dir->children++; /* as if it had been alone */
        tree_is_dir(item);
        return;
    } else if (item->result != -ENOENT)
        tree_report(job, item, item->result, ERRAND_STEP_UNLINK);
    free(item);
}

static void item_ended(struct tree_item *item, const struct errand_event *event)
{
    struct tree_dir *dir = item->dir;
    if (event->error < 0)
        tree_report(item->job, item, event->error, event->step_kind);
    while (item) {
        struct tree_item *more = item->batch;
        item->batch = NULL;
        if (event->error < 0)
            item->result = -ENOENT; /* told already */
        take_in(item);
        item = more;
    }
    tree_child_gone(dir);
}

/* A directory in which something is left, and was reported, is not asked to go. */
static int stay(errand_chain *chain, void *context)
{
    const struct tree_dir *dir = context;
    if (dir->failed)
        errand_chain_drop_following(chain);
    return 0;
}

static int start_dir(struct tree_dir *dir)
{
    errand_chain *chain;
    int result = errand_chain_new(dir->job->queue, &chain);
    if (result < 0)
        return result;
    int parent = dir->parent->from;
    errand_step_open(chain, parent, dir->item->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    tree_list_steps(dir, chain);
    errand_step_call(chain, stay, dir);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_rmdir(chain, parent, dir->item->name);
    return tree_submit_dir(dir, chain);
}

/* A listing may miss names while others are taken away, on some filesystems: a second one then finds them. */
static enum tree_verdict dir_failed(struct tree_dir *dir, const struct errand_event *event)
{
    if (event->error == -ENOENT)
        return TREE_QUIET;
    if (event->error == -ENOTEMPTY && dir->item->tries++ < 3)
        return TREE_AGAIN;
    if (event->step_kind == ERRAND_STEP_OPEN && (event->error == -ENOTDIR || event->error == -ELOOP) &&
        dir->item->tries++ < 3) {
        dir->item->type = DT_UNKNOWN; /* it was exchanged */
        return TREE_AGAIN;
    }
    return TREE_REPORT;
}

int errand_remove_tree(errand_queue *queue, const struct errand_remove_tree *given, errand_id *id)
{
    static const struct tree_kind kind = {start_item, start_dir, item_ended, dir_failed, NULL, NULL, BATCH};
    struct errand_remove_tree copy;
    int result;
    if (!queue || !given)
        return -EINVAL;
    const struct errand_remove_tree *job = sized_view(given, &copy, sizeof copy, &result);
    if (result < 0)
        return result;
    if (!job->path)
        return -EINVAL;
    struct tree_job *tree = calloc(1, sizeof *tree);
    if (!tree)
        return -ENOMEM;
    tree->kind = &kind;
    tree->top.from = job->dir_fd;
    tree->failed = job->failed;
    tree->context = job->context;
    tree->progress = job->progress;
    tree->limit = job->parallel;
    struct errand_submit options = {
        .size = sizeof options, .user_data = job->user_data, .timeout_ns = job->timeout_ns, .ended = job->ended};
    result = tree_begin(tree, queue, job->path, &options, id);
    if (result < 0)
        free(tree);
    return result;
}
