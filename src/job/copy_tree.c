/* SPDX-License-Identifier: MIT */
/*
 * Copying a tree. What the listing calls a regular file goes as one chain whose steps a worker does in one go, in the
 * hope that it is one, with one name. Everything else, and what disappoints that hope, is looked at first ("slow").
 */
#include "job/links.h"

#define EVERYTHING  (ERRAND_OWNER | ERRAND_MODE | ERRAND_TIMES | ERRAND_ATTRIBUTES)
#define TARGET_ROOM 4096

static int read_flags(struct tree_item *item)
{
    item->quiet = item->job->quiet;
    return O_RDONLY | O_NOFOLLOW | item->job->quiet;
}

/* The name of the copy: the first has one of its own. */
static const char *to_name(const struct tree_item *item)
{
    return item->dir == &item->job->top ? item->job->to : item->name;
}

/* The steps from the open of the copy on; from: the slot of the file. */
static void copy_steps(errand_chain *chain, const struct tree_item *item, int from)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    int to = ERRAND_SLOT(errand_step_open_like(chain, item->dir->to, to_name(item), flags, from));
    errand_step_copy(chain, to, 0, from, 0, ERRAND_TO_END, ERRAND_HOLES);
    errand_step_copy_metadata(chain, to, from, EVERYTHING);
    if (item->job->sync)
        errand_step_sync(chain, to, 0);
    errand_step_close(chain, to);
    errand_step_close(chain, from);
}

static void copy_regular(errand_chain *chain, struct tree_item *item, unsigned expected)
{
    int from = ERRAND_SLOT(errand_step_open(chain, item->dir->from, item->name, read_flags(item), 0));
    errand_step_expect(chain, from, expected, &item->stat);
    copy_steps(chain, item, from);
}

/* What was made with no more than the owner's permissions gets all that belongs to it. */
static void finish_made(errand_chain *chain, const struct tree_item *item)
{
    int made = ERRAND_SLOT(errand_step_open(chain, item->dir->to, to_name(item), O_PATH | O_NOFOLLOW, 0));
    errand_step_copy_metadata(chain, made, ERRAND_SLOT(0), EVERYTHING);
}

static int make_symlink(errand_chain *chain, void *context)
{
    struct tree_item *item = context;
    int64_t length = errand_chain_result(chain, 3);
    if (length < 0 || length >= TARGET_ROOM)
        return -ENAMETOOLONG;
    item->target[length] = 0;
    errand_step_symlink(chain, item->target, item->dir->to, to_name(item));
    finish_made(chain, item);
    return 0;
}

static int copy_symlink(errand_chain *chain, struct tree_item *item)
{
    if (!item->target && !(item->target = malloc(TARGET_ROOM)))
        return -ENOMEM;
    errand_step_read_link(chain, item->dir->from, item->name, item->target, TARGET_ROOM - 1);
    errand_step_call(chain, make_symlink, item);
    return 0;
}

/* Beneath the copy's directory, which confines the path. */
static int link_copy(errand_chain *chain, const struct tree_item *item, const char *path)
{
    struct tree_job *job = item->job;
    if (job->root == 0) {
        int result = errand_root_add(job->queue, job->root_dir->to, 0, &job->root);
        if (result < 0)
            return result;
    }
    errand_step_link(chain, job->root, path, item->dir->to, to_name(item));
    return 0;
}

/* The file was looked at: now it is known what it is. */
static int decide(errand_chain *chain, void *context)
{
    struct tree_item *item = context;
    const struct errand_stat *stat = &item->stat;
    const char *copy = NULL;
    if (S_ISDIR(stat->mode))
        return 0;
    enum links_role role = LINKS_FIRST;
    if (stat->links > 1 && item->job->root_dir && !item->link)
        role = links_meet(item->job, item, &copy);
    if (role == LINKS_WAITS)
        return 0;
    item->linked = role == LINKS_COPIED;
    if (item->linked)
        return link_copy(chain, item, copy);
    if (S_ISLNK(stat->mode))
        return copy_symlink(chain, item);
    if (S_ISREG(stat->mode)) {
        copy_regular(chain, item, ERRAND_REGULAR);
        return 0;
    }
    errand_step_mknod(chain, item->dir->to, to_name(item), (stat->mode & S_IFMT) | (stat->mode & 0700), stat->special);
    finish_made(chain, item);
    return 0;
}

static int start_item(struct tree_item *item)
{
    errand_chain *chain;
    int result = errand_chain_new(item->job->queue, &chain);
    if (result < 0)
        return result;
    if (item->slow) {
        errand_step_open(chain, item->dir->from, item->name, O_PATH | O_NOFOLLOW, 0);
        errand_step_stat(chain, ERRAND_SLOT(0), &item->stat);
        errand_step_call(chain, decide, item);
    } else {
        copy_regular(chain, item, ERRAND_REGULAR | ERRAND_ONE_LINK);
    }
    return tree_submit_item(item, chain);
}

/* The failure says only that it has to be done in another way. */
static bool other_way(struct tree_item *item, const struct errand_event *event)
{
    struct tree_job *job = item->job;
    int error = event->error;
    bool opening = event->step_kind == ERRAND_STEP_OPEN;
    if (error == -EPERM && opening && item->quiet) {
        job->quiet = 0; /* of other people's files only the privileged may read without a trace */
        return true;
    }
    bool disappointed =
        event->step_kind == ERRAND_STEP_STAT && (error == -EMLINK || error == -EISDIR || error == -ESPIPE);
    if (item->slow || !(disappointed || (opening && (error == -ELOOP || error == -ENXIO))))
        return false;
    item->slow = true;
    return true;
}

static void item_ended(struct tree_item *item, const struct errand_event *event)
{
    struct tree_job *job = item->job;
    int error = event->error;
    if (error < 0 && !job->stopping && other_way(item, event)) {
        tree_again(item);
        return;
    }
    if (item->link)
        links_copied(job, item, error == 0);
    if (error == 0 && !job->stopping && item->waits) {
        links_wait(job, item);
        return;
    }
    if (error == 0 && item->slow && S_ISDIR(item->stat.mode) && !job->stopping) {
        tree_is_dir(item);
        return;
    }
    if (error < 0) {
        tree_report(job, item, error, event->step_kind);
    } else {
        job->progress->files++;
        job->progress->bytes += event->bytes;
        if (item->linked)
            links_used(job, item);
    }
    tree_item_gone(item);
}

/* The copy lies in this directory: copying it would have no end. */
static int refuse_own_copy(errand_chain *chain, void *context)
{
    (void)chain;
    const struct tree_dir *dir = context;
    const struct errand_stat *copy = &dir->job->to_stat;
    return dir->stat.device == copy->device && dir->stat.inode == copy->inode ? -ELOOP : 0;
}

static void inherit_nothing(errand_chain *chain, int made, const char *name)
{
    errand_step_optional(chain, errand_step_remove_attribute(chain, made, name));
}

static int start_dir(struct tree_dir *dir)
{
    struct tree_job *job = dir->job;
    struct tree_dir *parent = dir->parent;
    const char *from = dir->item->name, *to = to_name(dir->item);
    bool top = parent == &job->top;
    errand_chain *chain;
    int result = errand_chain_new(job->queue, &chain);
    if (result < 0)
        return result;
    errand_step_open(chain, parent->from, from, read_flags(dir->item) | O_DIRECTORY, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), &dir->stat);
    if (!top && dir->item->inode == job->to_stat.inode)
        errand_step_call(chain, refuse_own_copy, dir);
    errand_step_mkdir(chain, parent->to, to, 0700);
    dir->to_step = errand_step_open(chain, parent->to, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (top) { /* what is made here is to be like what is copied, and to inherit nothing */
        job->root_dir = dir;
        errand_step_stat(chain, ERRAND_SLOT(dir->to_step), &job->to_stat);
        inherit_nothing(chain, ERRAND_SLOT(dir->to_step), "system.posix_acl_default");
        inherit_nothing(chain, ERRAND_SLOT(dir->to_step), "system.posix_acl_access");
    }
    tree_list_steps(dir, chain);
    errand_step_copy_metadata(chain, ERRAND_SLOT(dir->to_step), ERRAND_SLOT(0), EVERYTHING);
    if (job->sync) /* and with it the names, of symlinks too */
        errand_step_sync(chain, ERRAND_SLOT(dir->to_step), 0);
    if (!top) {
        errand_step_close(chain, ERRAND_SLOT(dir->to_step));
        errand_step_close(chain, ERRAND_SLOT(0));
    }
    return tree_submit_dir(dir, chain);
}

static enum tree_verdict dir_failed(struct tree_dir *dir, const struct errand_event *event)
{
    if (event->error == -EPERM && event->step_kind == ERRAND_STEP_OPEN && dir->item->quiet) {
        dir->job->quiet = 0;
        return TREE_AGAIN;
    }
    return TREE_REPORT;
}

static void end(struct tree_job *job)
{
    if (job->root)
        errand_root_remove(job->queue, job->root);
    links_free(job);
    free(job->to);
}

int errand_copy_tree(errand_queue *queue, const struct errand_copy_tree *given, errand_id *id)
{
    static const struct tree_kind kind = {start_item, start_dir, item_ended, dir_failed, links_stop, end, 1};
    struct errand_copy_tree copy;
    int result;
    if (!queue || !given)
        return -EINVAL;
    const struct errand_copy_tree *job = sized_view(given, &copy, sizeof copy, &result);
    if (result < 0)
        return result;
    if (!job->from || !job->to || job->flags & ~ERRAND_SYNC)
        return -EINVAL;
    struct tree_job *tree = calloc(1, sizeof *tree);
    if (!tree || !(tree->to = strdup(job->to))) {
        free(tree);
        return -ENOMEM;
    }
    tree->kind = &kind;
    tree->top.from = job->from_dir_fd;
    tree->top.to = job->to_dir_fd;
    tree->failed = job->failed;
    tree->context = job->context;
    tree->progress = job->progress;
    tree->limit = job->parallel;
    tree->quiet = O_NOATIME;
    tree->sync = job->flags & ERRAND_SYNC;
    struct errand_submit options = {.size = sizeof options, .user_data = job->user_data, .timeout_ns = job->timeout_ns};
    result = tree_begin(tree, queue, job->from, &options, id);
    if (result < 0) {
        free(tree->to);
        free(tree);
    }
    return result;
}
