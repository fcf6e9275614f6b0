/* SPDX-License-Identifier: MIT */
/* What belongs to a file besides its bytes, in a simulated world: what worker/metadata.c, and the shorter ones of
 * worker/file_calls.c, do in the real one. The world's user is 0, and may do everything. */
#include "backend/sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int64_t call_attribute(struct sim *sim, struct inode *inode, const struct run_call *call)
{
    bool known = strcmp(call->path ? call->path : "", "user.a") == 0 && inode->attribute != UINT16_MAX;
    int64_t size =
        call->kind == ERRAND_STEP_LIST_ATTRIBUTES ? (inode->attribute == UINT16_MAX ? 0 : 7) : inode->attribute;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_SET_ATTRIBUTE:
        if (known && (call->flags & 1)) /* XATTR_CREATE */
            return -EEXIST;
        inode->attribute = (uint16_t)call->length;
        return 0;
    case ERRAND_STEP_REMOVE_ATTRIBUTE:
        if (known && (sim->options.scene || chance(sim, 20000))) /* or most would soon have none */
            inode->attribute = UINT16_MAX;
        return known ? 0 : -ENODATA;
    case ERRAND_STEP_GET_ATTRIBUTE:
        if (!known)
            return -ENODATA;
        break;
    default: break;
    }
    if (call->length > 0 && call->length < size)
        return -ERANGE;
    if (call->length > 0 && size > 0)
        memcpy(call->value, call->kind == ERRAND_STEP_GET_ATTRIBUTE ? sim_pattern(sim, 0) : "user.a", (size_t)size);
    return size;
}

static void set_time(const struct sim *sim, int64_t *time, int64_t to)
{
    if (to != ERRAND_TIME_KEEP)
        *time = to == ERRAND_TIME_NOW ? sim->now : to;
}

int64_t call_of_file(struct sim *sim, struct inode *inode, int fd, const struct run_call *call)
{
    bool regular = S_ISREG(inode->mode) && !sim->fds[fd].path_only && fd_allows(sim, fd, O_WRONLY);
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_SYNC:
        if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode))
            return -EINVAL;
        return sim->fds[fd].path_only ? -EBADF : 0;
    case ERRAND_STEP_TRUNCATE:
        if (call->offset < 0)
            complain(sim, "a file's length of %lld", (long long)call->offset);
        inode->size = regular ? call->offset : inode->size;
        return regular ? 0 : -EINVAL;
    case ERRAND_STEP_ALLOCATE:
        if (call->offset < 0 || call->length < 0)
            complain(sim, "an allocation at %lld", (long long)call->offset);
        if (!regular || call->length == 0)
            return fd_allows(sim, fd, O_WRONLY) ? -EINVAL : -EBADF;
        if (call->flags == 0 && call->offset + call->length > inode->size)
            inode->size = call->offset + call->length;
        return 0;
    case ERRAND_STEP_CHMOD: inode->mode = (inode->mode & S_IFMT) | call->mode; return 0;
    case ERRAND_STEP_CHOWN:
        inode->user = call->flags == UINT32_MAX ? inode->user : call->flags;
        inode->group = call->mode == UINT32_MAX ? inode->group : call->mode;
        return 0;
    case ERRAND_STEP_UTIMES:
        set_time(sim, &inode->accessed, call->offset);
        set_time(sim, &inode->modified, call->to_offset);
        return 0;
    default: return call_attribute(sim, inode, call);
    }
}

/* ---- from one file to another */

static bool is_look(const struct run_call *call, unsigned file)
{
    return call->kind == ERRAND_STEP_STAT && call->file == file && call->result >= 0;
}

/* The last look of this run's that the caller knows of. */
static const struct errand_stat *found_for_caller(const struct file_run *run, unsigned file)
{
    for (unsigned i = run->done; i-- > 0;)
        if (is_look(&run->calls[i], file) && run->calls[i].told)
            return run->calls[i].value;
    return NULL;
}

int64_t call_metadata(struct sim *sim, struct file_run *run, const struct run_call *call)
{
    int from_fd = run->files[call->file].fd, to_fd = run->files[call->to].fd;
    const struct inode *from = inode_of(sim, from_fd, "a copy of metadata");
    struct inode *to = inode_of(sim, to_fd, "a copy of metadata");
    const struct errand_stat *found = found_for_caller(run, call->file);
    struct errand_stat like;
    if (!from || !to)
        return -EBADF;
    check_run_memory(sim, run, call->value, "finding");
    stat_fill(sim, sim->fds[from_fd].inode, &like);
    if (found || call->value)
        like = found ? *found : *(const struct errand_stat *)call->value;
    if (call->flags & ERRAND_OWNER) {
        to->user = like.user;
        to->group = like.group;
    }
    if ((call->flags & ERRAND_ATTRIBUTES) && from->attribute != UINT16_MAX)
        to->attribute = from->attribute;
    if ((call->flags & ERRAND_MODE) && !S_ISLNK(like.mode))
        to->mode = (to->mode & S_IFMT) | (like.mode & 07777);
    if (call->flags & ERRAND_TIMES) {
        to->accessed = like.accessed_ns;
        to->modified = like.modified_ns;
    }
    return 0;
}

/* No look of the run's saves another here: it would find the same, or be out of date. */
int call_mode_like(struct sim *sim, const struct file_run *run, unsigned file)
{
    struct errand_stat like;
    if (run->files[file].fd < 0 || !inode_of(sim, run->files[file].fd, "a look"))
        return -EBADF;
    stat_fill(sim, sim->fds[run->files[file].fd].inode, &like);
    return (int)(like.mode & (like.user == 0 && like.group == 0 ? 0777u : 0700u));
}
