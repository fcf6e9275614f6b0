/* SPDX-License-Identifier: MIT */
/* The calls on names in a simulated world: what worker/name_calls.c does in the real one. */
#include "backend/sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int64_t place_of(struct sim *sim, struct file_run *run, unsigned place, const char *path, struct found *found)
{
    if (place_error(run, place))
        return place_error(run, place);
    int64_t result = path_find(sim, run_directory_of(run, place), path, is_beneath(run, place), !run->crossed, found);
    return path_crosses(run, place, path, result);
}

static uint16_t *name_of(struct sim *sim, const struct found *found)
{
    return &sim->names[found->directory][found->name];
}

static void drop_name(struct sim *sim, uint16_t *name)
{
    unsigned inode = *name - 1u;
    *name = 0;
    sim->inodes[inode].links--;
    inode_leave(sim, inode);
}

static int64_t make(struct sim *sim, const struct found *at, unsigned mode, const char *target)
{
    if (*name_of(sim, at))
        return -EEXIST;
    int inode = inode_new(sim, mode, at->directory);
    if (inode < 0)
        return inode;
    struct found leads;
    sim->inodes[inode].links = 1;
    if (target && path_find(sim, (int)AT_FDCWD, target, false, false, &leads) == 0 && leads.name >= 0) {
        sim->inodes[inode].target_directory = (int8_t)(*target == 'n' ? at->directory : leads.directory);
        sim->inodes[inode].target_name = (uint8_t)leads.name;
    }
    if (target && sim->options.scene)
        memccpy(sim->inodes[inode].target, target, 0, sizeof sim->inodes[inode].target - 1);
    *name_of(sim, at) = (uint16_t)(inode + 1);
    return 0;
}

static int64_t give_name(struct sim *sim, unsigned inode, const struct found *to)
{
    struct inode *file = &sim->inodes[inode];
    if (*name_of(sim, to))
        return -EEXIST;
    if (S_ISDIR(file->mode))
        return -EPERM;
    if (file->device != to->directory)
        return -EXDEV;
    file->links++;
    *name_of(sim, to) = (uint16_t)(inode + 1);
    return 0;
}

/* At once in the place of what has the name. */
static int64_t replace_name(struct sim *sim, unsigned inode, const struct found *to)
{
    const struct inode *file = &sim->inodes[inode];
    unsigned old = *name_of(sim, to);
    if (!old || S_ISDIR(file->mode) || file->device != to->directory)
        return give_name(sim, inode, to);
    if (S_ISDIR(sim->inodes[old - 1].mode))
        return -EISDIR;
    if (old != inode + 1) {
        drop_name(sim, name_of(sim, to));
        return give_name(sim, inode, to);
    }
    return 0;
}

static int64_t rename_name(struct sim *sim, const struct found *from, const struct found *to, unsigned flags)
{
    uint16_t *old = name_of(sim, from), *new = name_of(sim, to);
    if (!*old)
        return -ENOENT;
    if (from->directory != to->directory)
        return -EXDEV;
    if (*new && (flags & 1)) /* RENAME_NOREPLACE */
        return -EEXIST;
    if (*old == *new) /* both are names of one file: nothing happens */
        return 0;
    bool directory = S_ISDIR(sim->inodes[*old - 1].mode);
    if (*new &&directory != S_ISDIR(sim->inodes[*new - 1].mode))
        return directory ? -ENOTDIR : -EISDIR;
    if (*new)
        drop_name(sim, new);
    *new = *old;
    *old = 0;
    return 0;
}

static int64_t call_of_one_name(struct sim *sim, struct file_run *run, struct run_call *call, const struct found *at)
{
    uint16_t *name = name_of(sim, at);
    struct inode *inode = *name ? &sim->inodes[*name - 1] : NULL;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_MKDIR: return make(sim, at, S_IFDIR | call->mode, NULL);
    case ERRAND_STEP_MKNOD: return make(sim, at, call->mode, NULL);
    case ERRAND_STEP_SYMLINK: return make(sim, at, S_IFLNK | 0777, call->path);
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_REPLACE: {
        int fd = run->files[call->file].fd;
        if (!inode_of(sim, fd, "a link"))
            return -EBADF;
        return call->kind == ERRAND_STEP_REPLACE ? replace_name(sim, sim->fds[fd].inode, at)
                                                 : give_name(sim, sim->fds[fd].inode, at);
    }
    default: break;
    }
    if (!inode)
        return -ENOENT;
    if (call->kind == ERRAND_STEP_READ_LINK) {
        if (!S_ISLNK(inode->mode))
            return -EINVAL;
        check_run_memory(sim, run, call->value, "symlink's text");
        size_t size = *inode->target ? strlen(inode->target) : 8;
        size_t n = call->length < (int64_t)size ? (size_t)call->length : size;
        memcpy(call->value, *inode->target ? inode->target : sim_pattern(sim, 0), n);
        return (int64_t)n;
    }
    bool directory = S_ISDIR(inode->mode);
    if (directory != (call->kind == ERRAND_STEP_RMDIR))
        return directory ? -EISDIR : -ENOTDIR;
    drop_name(sim, name);
    return 0;
}

int64_t call_of_names(struct sim *sim, struct file_run *run, struct run_call *call)
{
    bool two = call->kind == ERRAND_STEP_RENAME || call->kind == ERRAND_STEP_LINK;
    bool only_to =
        call->kind == ERRAND_STEP_SYMLINK || call->kind == ERRAND_STEP_LINK_FILE || call->kind == ERRAND_STEP_REPLACE;
    struct found from = {.name = -1}, to = {.name = -1};
    check_run_memory(sim, run, call->path, "path");
    check_run_memory(sim, run, call->to_path, "path");
    int64_t result = only_to ? 0 : place_of(sim, run, call->place, call->path, &from);
    if (result == 0 && (two || only_to))
        result = place_of(sim, run, call->to_place, call->to_path, &to);
    if (result < 0)
        return result;
    if ((!only_to && from.name < 0) || ((two || only_to) && to.name < 0))
        return -EBUSY;
    if (!two)
        return call_of_one_name(sim, run, call, only_to ? &to : &from);
    if (call->kind == ERRAND_STEP_RENAME)
        return rename_name(sim, &from, &to, call->flags);
    return *name_of(sim, &from) ? give_name(sim, *name_of(sim, &from) - 1u, &to) : -ENOENT;
}
