/* SPDX-License-Identifier: MIT */
/* Describing a chain: the steps of names. */
#include "chain/builder.h"

#include <errno.h>
#include <limits.h>

/* A step with one path. */
static struct step *append_at(errand_chain *chain, enum errand_step_kind kind, int dir_fd, const char *path)
{
    struct step *step = builder_append(chain, kind, 0, 0);
    return step && builder_path(chain, step, dir_fd, path) ? step : NULL;
}

/* The path that a step makes: its second, or its only one beside a file or a text. */
static bool take_to(errand_chain *chain, struct step *step, int dir_fd, const char *path)
{
    struct root *root;
    const char *copy = builder_root(chain, &dir_fd, path, &root) == 0 ? builder_keep_path(chain, path) : NULL;
    if (!copy)
        return false;
    step->to_path = copy;
    step->to_root = root;
    step->to = dir_fd;
    if (root) {
        root_use(root);
        chain->to_rooted |= UINT64_C(1) << chain->steps_count;
    }
    return true;
}

/* A step that failed half way has nothing in use. */
static int give_up(errand_chain *chain)
{
    uint64_t bit = UINT64_C(1) << chain->steps_count;
    if (chain->rooted & bit)
        root_leave(chain->steps[chain->steps_count].root); /* never the last: it was found registered just now */
    chain->rooted &= ~bit;
    return chain->sticky;
}

static int with_two(errand_chain *chain, enum errand_step_kind kind, int from_dir_fd, const char *from, int to_dir_fd,
                    const char *to, unsigned flags)
{
    struct step *step = append_at(chain, kind, from_dir_fd, from);
    if (!step)
        return chain->sticky;
    if (!take_to(chain, step, to_dir_fd, to))
        return give_up(chain);
    step->mode = flags;
    return builder_appended(chain);
}

int errand_step_rename(errand_chain *chain, int from_dir_fd, const char *from, int to_dir_fd, const char *to,
                       unsigned flags)
{
    return with_two(chain, ERRAND_STEP_RENAME, from_dir_fd, from, to_dir_fd, to, flags);
}

int errand_step_link(errand_chain *chain, int from_dir_fd, const char *from, int to_dir_fd, const char *to)
{
    return with_two(chain, ERRAND_STEP_LINK, from_dir_fd, from, to_dir_fd, to, 0);
}

static int name_file(errand_chain *chain, enum errand_step_kind kind, int file, int dir_fd, const char *path)
{
    struct step *step = builder_append(chain, kind, 0, 0);
    if (!step)
        return chain->sticky;
    if (!builder_file(chain, step, file, false))
        return builder_stick(chain, -EINVAL);
    return take_to(chain, step, dir_fd, path) ? builder_appended(chain) : chain->sticky;
}

int errand_step_link_file(errand_chain *chain, int file, int dir_fd, const char *path)
{
    return name_file(chain, ERRAND_STEP_LINK_FILE, file, dir_fd, path);
}

int errand_step_replace(errand_chain *chain, int file, int dir_fd, const char *path)
{
    return name_file(chain, ERRAND_STEP_REPLACE, file, dir_fd, path);
}

int errand_step_symlink(errand_chain *chain, const char *target, int dir_fd, const char *path)
{
    struct step *step = builder_append(chain, ERRAND_STEP_SYMLINK, 0, 0);
    if (!step)
        return chain->sticky;
    if (!target)
        return builder_stick(chain, -EINVAL);
    if (!(step->path = builder_keep_path(chain, target)) || !take_to(chain, step, dir_fd, path))
        return chain->sticky;
    return builder_appended(chain);
}

int errand_step_read_link(errand_chain *chain, int dir_fd, const char *path, char *target, size_t size)
{
    if (!target || size == 0)
        return builder_stick(chain, -EINVAL);
    struct step *step = append_at(chain, ERRAND_STEP_READ_LINK, dir_fd, path);
    if (!step)
        return chain->sticky;
    step->value = target;
    step->size = size < PATH_MAX ? size : PATH_MAX;
    return builder_appended(chain);
}

/* A step of one path and a mode. */
static int with_one(errand_chain *chain, enum errand_step_kind kind, int dir_fd, const char *path, unsigned mode,
                    uint64_t device)
{
    struct step *step = append_at(chain, kind, dir_fd, path);
    if (!step)
        return chain->sticky;
    step->mode = mode;
    step->device = device;
    return builder_appended(chain);
}

int errand_step_unlink(errand_chain *chain, int dir_fd, const char *path)
{
    return with_one(chain, ERRAND_STEP_UNLINK, dir_fd, path, 0, 0);
}

int errand_step_mkdir(errand_chain *chain, int dir_fd, const char *path, unsigned mode)
{
    return mode & ~07777u ? builder_stick(chain, -EINVAL) : with_one(chain, ERRAND_STEP_MKDIR, dir_fd, path, mode, 0);
}

int errand_step_rmdir(errand_chain *chain, int dir_fd, const char *path)
{
    return with_one(chain, ERRAND_STEP_RMDIR, dir_fd, path, 0, 0);
}

int errand_step_mknod(errand_chain *chain, int dir_fd, const char *path, unsigned mode, uint64_t device)
{
    return with_one(chain, ERRAND_STEP_MKNOD, dir_fd, path, mode, device);
}
