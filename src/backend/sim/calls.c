/* SPDX-License-Identifier: MIT */
/* The calls of a run in a simulated world: what worker/file_calls.c, copy.c and name_calls.c do in the real one. */
#include "backend/sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int run_directory_of(const struct file_run *run, unsigned place)
{
    const struct run_place *where = &run->places[place];
    return where->root ? where->root->fd : where->dir_fd;
}

static bool is_beneath(const struct file_run *run, unsigned place)
{
    return run->places[place].root && run->places[place].root->resolve;
}

/* A path that leads onto another mount: where a root says that it must not, or in another lane. */
static int64_t crossing(struct file_run *run, unsigned place, const char *path, int64_t result)
{
    if (result != LEADS_ELSEWHERE)
        return result;
    if (run->places[place].root && run->places[place].root->one_mount)
        return -EXDEV;
    run->crossing = (struct run_crossing){(uint8_t)place, path};
    return result;
}

/* What a run has to do with is its own: neither the caller's memory nor the chain's. */
static void check_memory(struct sim *sim, const struct file_run *run, const void *memory, const char *what)
{
    const char *at = memory, *from = sim->options.caller, *record = (const char *)run;
    bool in_run = at >= record && at < record + sizeof *run;
    if (at && !in_run && !run->blocks && memory != run->buffer)
        complain(sim, "a run's %s is not its own memory", what);
    if (at && ((at >= from && at < from + sim->options.caller_size) ||
               (at >= sim->pattern && at < sim->pattern + sizeof sim->pattern)))
        complain(sim, "a run's %s is the caller's memory", what);
}

static int64_t call_open(struct sim *sim, struct file_run *run, struct run_call *call)
{
    int64_t fd;
    for (;;) {
        struct sim_how how = {(int)call->flags, call->mode, is_beneath(run, call->place), !run->crossed};
        fd = chance(sim, sim->options.fault_chance) ? fault_of_step(sim, ERRAND_STEP_OPEN) : 0;
        if (fd == 0)
            fd = path_open(sim, run_directory_of(run, call->place), call->path, &how);
        fd = crossing(run, call->place, call->path, fd);
        bool ends = fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM;
        if (fd >= 0 || fd == LEADS_ELSEWHERE || ends || call->choice + 1 >= call->choices)
            break;
        call->choice++;
        call->path += strlen(call->path) + 1;
        run->crossed = false;
    }
    run->files[call->file].fd = fd < 0 ? -1 : (int)fd;
    return fd;
}

static int64_t call_read(struct sim *sim, struct file_run *run, const struct run_call *call, int64_t fault)
{
    if (!run->buffer && !(run->buffer = aligned_alloc(BUFFER_ALIGNMENT, run->buffer_size)))
        return -ENOMEM;
    if (run->lead + (size_t)call->length > run->buffer_size)
        complain(sim, "a run reads beyond its buffer");
    int64_t n =
        file_read(sim, run->files[call->file].fd, (char *)run->buffer + run->lead, (size_t)call->length, call->offset);
    if (n > 0 && fault < 0)
        n = (int64_t)below(sim, (uint64_t)n);
    run->moved = n > 0 ? (size_t)n : 0;
    return fault < 0 ? fault : n;
}

static int64_t call_write(struct sim *sim, struct file_run *run, const struct run_call *call, int64_t fault)
{
    int fd = run->files[call->file].fd;
    struct inode *inode = inode_of(sim, fd, "a write");
    size_t n = (size_t)call->length;
    if (!inode)
        return -EBADF;
    if (!S_ISREG(inode->mode) || sim->fds[fd].path_only)
        return S_ISFIFO(inode->mode) ? -ESPIPE : -EBADF;
    if (run->lead + n > run->buffer_size)
        complain(sim, "a run writes what is behind its buffer");
    check_memory(sim, run, run->buffer, "data to be written");
    bool appends = call->offset == ERRAND_TO_END;
    int64_t at = appends ? inode->size : call->offset;
    if (at < 0)
        complain(sim, "a write at %lld", (long long)at);
    if (!appends && memcmp((char *)run->buffer + run->lead, sim_pattern(sim, (uint64_t)at), n) != 0)
        complain(sim, "wrong bytes are written: %zu at %lld", n, (long long)at);
    if (fault < 0 && n > 0)
        n = below(sim, n);
    if (at + (int64_t)n > inode->size)
        inode->size = at + (int64_t)n;
    inode->modified = sim->now;
    run->moved = n;
    return fault < 0 ? fault : (int64_t)n;
}

static int64_t call_copy(struct sim *sim, struct file_run *run, struct run_call *call, int64_t fault)
{
    const struct inode *from = inode_of(sim, run->files[call->file].fd, "a copy");
    struct inode *to = inode_of(sim, run->files[call->to].fd, "a copy");
    if (!from || !to)
        return -EBADF;
    if (!S_ISREG(from->mode) || !S_ISREG(to->mode))
        return -EINVAL;
    if (call->offset < 0 || call->to_offset < 0 || call->length < 0)
        complain(sim, "a copy from %lld to %lld", (long long)call->offset, (long long)call->to_offset);
    int64_t left = call->offset < from->size ? from->size - call->offset : 0;
    int64_t n = call->length < left ? call->length : left;
    if (fault < 0)
        n = n > 1 ? (int64_t)below(sim, (uint64_t)n) : 0;
    else if (n > 1 && chance(sim, 8192))
        n = 1 + (int64_t)below(sim, (uint64_t)n);
    else
        call->ended = call->length > left || (call->whole && call->length >= left);
    if (call->to_offset + n > to->size)
        to->size = call->to_offset + n;
    return n > 0 || fault == 0 ? n : fault;
}

static int64_t call_list(struct sim *sim, struct file_run *run, const struct run_call *call)
{
    struct kernel_entry {
        uint64_t inode;
        int64_t offset;
        uint16_t length;
        uint8_t type;
        char name[5];
    };
    int fd = run->files[call->file].fd;
    const struct inode *directory = inode_of(sim, fd, "a list");
    if (!directory || !S_ISDIR(directory->mode) || sim->fds[fd].path_only)
        return directory && !S_ISDIR(directory->mode) ? -ENOTDIR : -EBADF;
    if (!run->buffer && !(run->buffer = aligned_alloc(BUFFER_ALIGNMENT, run->buffer_size)))
        return -ENOMEM;
    uint8_t *at = &sim->fds[fd].listed;
    struct kernel_entry *entry = run->buffer;
    unsigned most = 1 + (unsigned)below(sim, 40), count = 0;
    for (; directory->directory && *at < SIM_NAMES && count < most; (*at)++) {
        unsigned inode = sim->names[directory->directory - 1][*at];
        if (inode == 0)
            continue;
        *entry = (struct kernel_entry){.inode = inode, .length = sizeof *entry};
        entry->name[0] = 'n';
        entry->name[1] = (char)(*at < 10 ? '0' + *at : '0' + *at / 10);
        entry->name[2] = (char)(*at < 10 ? 0 : '0' + *at % 10);
        entry++;
        count++;
    }
    run->moved = count * sizeof *entry;
    return (int64_t)run->moved;
}

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
        if (known && chance(sim, 20000)) /* or most would soon have none */
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

static int64_t call_of_file(struct sim *sim, struct inode *inode, int fd, const struct run_call *call)
{
    bool regular = S_ISREG(inode->mode) && !sim->fds[fd].path_only;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_SYNC: return sim->fds[fd].path_only ? -EBADF : 0;
    case ERRAND_STEP_TRUNCATE:
        if (call->offset < 0)
            complain(sim, "a file's length of %lld", (long long)call->offset);
        inode->size = regular ? call->offset : inode->size;
        return regular ? 0 : -EINVAL;
    case ERRAND_STEP_ALLOCATE:
        if (call->offset < 0 || call->length < 0)
            complain(sim, "an allocation at %lld", (long long)call->offset);
        if (!regular || call->length == 0)
            return -EINVAL;
        if (call->flags == 0 && call->offset + call->length > inode->size)
            inode->size = call->offset + call->length;
        return 0;
    case ERRAND_STEP_CHMOD: inode->mode = (inode->mode & S_IFMT) | call->mode; return 0;
    case ERRAND_STEP_CHOWN: inode->user = call->flags; return 0;
    case ERRAND_STEP_UTIMES: inode->modified = call->to_offset; return 0;
    default: return call_attribute(sim, inode, call);
    }
}

/* ---- names */

static int64_t place_of(struct sim *sim, struct file_run *run, unsigned place, const char *path, struct found *found)
{
    int64_t result = path_find(sim, run_directory_of(run, place), path, is_beneath(run, place), !run->crossed, found);
    return crossing(run, place, path, result);
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

static int64_t rename_name(struct sim *sim, const struct found *from, const struct found *to, unsigned flags)
{
    uint16_t *old = name_of(sim, from), *new = name_of(sim, to);
    if (!*old)
        return -ENOENT;
    if (from->directory != to->directory)
        return -EXDEV;
    if (*new && (flags & 1)) /* RENAME_NOREPLACE */
        return -EEXIST;
    if (old == new)
        return 0;
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
    case ERRAND_STEP_LINK_FILE: {
        int fd = run->files[call->file].fd;
        return inode_of(sim, fd, "a link") ? give_name(sim, sim->fds[fd].inode, at) : -EBADF;
    }
    default: break;
    }
    if (!inode)
        return -ENOENT;
    if (call->kind == ERRAND_STEP_READ_LINK) {
        if (!S_ISLNK(inode->mode))
            return -EINVAL;
        check_memory(sim, run, call->value, "symlink's text");
        size_t n = call->length < 8 ? (size_t)call->length : 8;
        memcpy(call->value, sim_pattern(sim, 0), n);
        return (int64_t)n;
    }
    bool directory = S_ISDIR(inode->mode);
    if (directory != (call->kind == ERRAND_STEP_RMDIR))
        return directory ? -EISDIR : -ENOTDIR;
    drop_name(sim, name);
    return 0;
}

static int64_t call_of_names(struct sim *sim, struct file_run *run, struct run_call *call)
{
    bool two = call->kind == ERRAND_STEP_RENAME || call->kind == ERRAND_STEP_LINK;
    bool only_to = call->kind == ERRAND_STEP_SYMLINK || call->kind == ERRAND_STEP_LINK_FILE;
    struct found from = {.name = -1}, to = {.name = -1};
    check_memory(sim, run, call->path, "path");
    check_memory(sim, run, call->to_path, "path");
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

static int64_t call_close(struct sim *sim, struct file_run *run, const struct run_call *call, int64_t fault)
{
    fd_close(sim, run->files[call->file].fd);
    run->files[call->file].fd = -1;
    return fault;
}

/* A file that an optional open in this run did not get. */
static bool lacks_file(const struct file_run *run, const struct run_call *call)
{
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_OPEN:
    case ERRAND_STEP_WORK:
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
    case ERRAND_STEP_SYMLINK:
    case ERRAND_STEP_READ_LINK:
    case ERRAND_STEP_UNLINK:
    case ERRAND_STEP_MKDIR:
    case ERRAND_STEP_RMDIR:
    case ERRAND_STEP_MKNOD: return false;
    case ERRAND_STEP_COPY: return run->files[call->file].fd < 0 || run->files[call->to].fd < 0;
    default: return run->files[call->file].fd < 0;
    }
}

int64_t call_perform(struct sim *sim, struct file_run *run, struct run_call *call)
{
    bool faulty = call->kind != ERRAND_STEP_OPEN && chance(sim, sim->options.fault_chance);
    int64_t fault = faulty ? fault_of_step(sim, call->kind) : 0;
    int fd = run->files[call->file].fd;
    if (lacks_file(run, call))
        return -EBADF;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_OPEN: return call_open(sim, run, call);
    case ERRAND_STEP_READ: return call_read(sim, run, call, fault);
    case ERRAND_STEP_WRITE: return call_write(sim, run, call, fault);
    case ERRAND_STEP_COPY: return call_copy(sim, run, call, fault);
    case ERRAND_STEP_CLOSE: return call_close(sim, run, call, fault);
    case ERRAND_STEP_WORK: return call->work(call->context);
    default: break;
    }
    if (fault < 0)
        return fault;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_LIST: return call_list(sim, run, call);
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_SYMLINK:
    case ERRAND_STEP_READ_LINK:
    case ERRAND_STEP_UNLINK:
    case ERRAND_STEP_MKDIR:
    case ERRAND_STEP_RMDIR:
    case ERRAND_STEP_MKNOD: return call_of_names(sim, run, call);
    default: break;
    }
    struct inode *inode = inode_of(sim, fd, errand_step_name(call->kind));
    if (!inode)
        return -EBADF;
    if (call->kind != ERRAND_STEP_STAT)
        return call_of_file(sim, inode, fd, call);
    check_memory(sim, run, call->value, "stat");
    stat_fill(sim, sim->fds[fd].inode, call->value);
    return 0;
}
