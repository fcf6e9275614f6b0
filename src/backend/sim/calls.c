/* SPDX-License-Identifier: MIT */
/* The calls of a run in a simulated world, and those that move bytes: what worker/file_calls.c and copy.c do in the
 * real one. */
#include "backend/sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A path that leads onto another mount: where a root says that it must not, or in another lane. */
int64_t path_crosses(struct file_run *run, unsigned place, const char *path, int64_t result)
{
    if (result != LEADS_ELSEWHERE)
        return result;
    if (run->places[place].root && run->places[place].root->one_mount)
        return -EXDEV;
    run->crossing = (struct run_crossing){(uint8_t)place, path};
    return result;
}

/* What a run has to do with is its own: neither the caller's memory nor the chain's. */
void check_run_memory(struct sim *sim, const struct file_run *run, const void *memory, const char *what)
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
    int64_t fd = place_error(run, call->place);
    int mode = call->like ? call_mode_like(sim, run, call->to) : (int)call->mode;
    if (mode < 0 || fd < 0)
        return mode < 0 ? mode : fd;
    for (;;) {
        struct sim_how how = {(int)call->flags, (unsigned)mode, is_beneath(run, call->place), !run->crossed};
        fd = chance(sim, sim->options.fault_chance) ? fault_of_step(sim, ERRAND_STEP_OPEN) : 0;
        if (fd == 0)
            fd = path_open(sim, run_directory_of(run, call->place), call->path, &how);
        fd = path_crosses(run, call->place, call->path, fd);
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
    if (n >= 0 && n < call->length && fault == 0 && (call->flags & ERRAND_EXACT))
        return -ENODATA;
    if (n == call->length && fault == 0 && call->fits)
        return -EFBIG;
    return fault < 0 ? fault : n;
}

/* A pipe holds no bytes here: peer_sendfile() sees to it that the right ones would come out. */
static int64_t call_pipe(struct sim *sim, struct file_run *run, struct run_call *call)
{
    int fd = run->files[call->file].fd;
    const struct inode *inode = inode_of(sim, fd, "a splice");
    if (!inode || !fd_allows(sim, fd, O_RDONLY))
        return -EBADF;
    if (!S_ISREG(inode->mode))
        return -EINVAL;
    if (pipe_next(run->pipe))
        complain(sim, "a pipe is filled that is not empty");
    int64_t left = call->offset < inode->size ? inode->size - call->offset : 0;
    int64_t n = call->length < left ? call->length : left;
    if (n > 1 && chance(sim, 8192))
        n = 1 + (int64_t)below(sim, (uint64_t)n);
    else
        call->ended = call->length > left;
    size_t first = n > 1 ? 1 + (size_t)below(sim, (uint64_t)n) : (size_t)n;
    run->pipe->parts[0].held = first;
    run->pipe->parts[1].held = (size_t)n - first;
    return n;
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
    if (!fd_allows(sim, fd, O_WRONLY))
        return -EBADF;
    if (run->lead + n > run->buffer_size)
        complain(sim, "a run writes what is behind its buffer");
    check_run_memory(sim, run, run->buffer, "data to be written");
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
    if (!fd_allows(sim, run->files[call->file].fd, O_RDONLY) || !fd_allows(sim, run->files[call->to].fd, O_WRONLY))
        return -EBADF;
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
    if (call->whole)
        *at = 0; /* from the first entry on */
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

static int64_t call_close(struct sim *sim, struct file_run *run, const struct run_call *call, int64_t fault)
{
    fd_close(sim, run->files[call->file].fd);
    run->files[call->file].fd = -1;
    return fault;
}

/* Whether the files of a call are open: its open step may have failed, or begin() of runs.c. */
static int files_error(const struct file_run *run, const struct run_call *call)
{
    int fd = 0;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_CLOSE: return run->files[call->file].fd < 0 ? -EINVAL : 0;
    case ERRAND_STEP_COPY:
    case ERRAND_STEP_COPY_METADATA: fd = run->files[call->to].fd; break;
    case ERRAND_STEP_OPEN:
    case ERRAND_STEP_WORK:
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
    case ERRAND_STEP_SYMLINK:
    case ERRAND_STEP_READ_LINK:
    case ERRAND_STEP_UNLINK:
    case ERRAND_STEP_MKDIR:
    case ERRAND_STEP_RMDIR:
    case ERRAND_STEP_MKNOD: return 0;
    default: break;
    }
    if (run->files[call->file].fd < 0)
        fd = run->files[call->file].fd;
    return fd == -1 ? -EBADF : fd < 0 ? fd : 0;
}

static int64_t call_look(struct sim *sim, struct file_run *run, const struct run_call *call)
{
    int fd = run->files[call->file].fd;
    if (!inode_of(sim, fd, "a stat"))
        return -EBADF;
    check_run_memory(sim, run, call->value, "stat");
    stat_fill(sim, sim->fds[fd].inode, call->value);
    return run_expects(call->flags, call->value);
}

int64_t call_perform(struct sim *sim, struct file_run *run, struct run_call *call)
{
    int error = files_error(run, call);
    if (error < 0)
        return error;
    bool faulty = call->kind != ERRAND_STEP_OPEN && chance(sim, sim->options.fault_chance);
    int64_t fault = faulty ? fault_of_step(sim, call->kind) : 0;
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
    case ERRAND_STEP_STAT: return call_look(sim, run, call);
    case ERRAND_STEP_LIST: return call_list(sim, run, call);
    case ERRAND_STEP_SENDFILE: return call_pipe(sim, run, call);
    case ERRAND_STEP_COPY_METADATA: return call_metadata(sim, run, call);
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_REPLACE:
    case ERRAND_STEP_SYMLINK:
    case ERRAND_STEP_READ_LINK:
    case ERRAND_STEP_UNLINK:
    case ERRAND_STEP_MKDIR:
    case ERRAND_STEP_RMDIR:
    case ERRAND_STEP_MKNOD: return call_of_names(sim, run, call);
    default: break;
    }
    int fd = run->files[call->file].fd;
    struct inode *inode = inode_of(sim, fd, errand_step_name(call->kind));
    return inode ? call_of_file(sim, inode, fd, call) : -EBADF;
}
