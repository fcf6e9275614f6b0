/* SPDX-License-Identifier: MIT */
/* The calls on open files, which may wait for as long as the filesystem likes. */
#include "worker/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "worker/stat.h"

/* For so long a worker goes on filling a pipe whose first bytes could be sent. */
#define FILL_TIME (2 * ERRAND_MILLISECOND)

/* Which failures of an alternative say that no other will fare better. */
static bool is_out_of_resources(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static int64_t open_file(struct file_run *run, struct run_call *call)
{
    int mode = call->like ? run_mode_like(run, call->to) : (int)call->mode;
    if (mode < 0)
        return mode;
    int fd = -ENOENT;
    do {
        fd = run_open(run, call->place, call->path, (int)call->flags, (unsigned)mode);
        if (fd >= 0 || fd == RUN_CROSSES || is_out_of_resources(fd) || call->choice + 1 >= call->choices)
            break;
        call->choice++;
        call->path += strlen(call->path) + 1;
        run->crossed = false;
    } while (true);
    run->files[call->file].fd = fd < 0 ? -1 : fd;
    return fd;
}

static int64_t look(int fd, const struct run_call *call)
{
    int result = stat_of(fd, call->value);
    return result < 0 ? result : run_expects(call->flags, call->value);
}

static int64_t close_file(struct file_run *run, const struct run_call *call, int64_t fault)
{
    int *fd = &run->files[call->file].fd;
    int result = close(*fd) < 0 && errno != EINTR ? -errno : 0; /* EINTR: Linux has closed it */
    *fd = -1;
    return fault < 0 ? fault : result;
}

/* O_DIRECT wants aligned memory, which nobody takes beforehand: it cost 4 MB with 10,000 connections. */
static bool align_buffer(struct file_run *run)
{
    if ((uintptr_t)run->buffer % BUFFER_ALIGNMENT == 0)
        return false;
    void *aligned = aligned_alloc(BUFFER_ALIGNMENT, run->buffer_size);
    if (!aligned)
        return false;
    memcpy(aligned, run->buffer, run->buffer_size);
    free(run->buffer);
    run->buffer = aligned;
    return true;
}

static bool has_buffer(struct file_run *run)
{
    return run->buffer || (run->buffer = malloc(run->buffer_size));
}

/* Reads or writes all of the run's piece, as far as the file goes. */
static int64_t move_bytes(struct file_run *run, const struct run_call *call)
{
    bool writes = call->kind == ERRAND_STEP_WRITE;
    if (!has_buffer(run))
        return -ENOMEM;
    char *buffer = (char *)run->buffer + run->lead;
    int fd = run->files[call->file].fd;
    while (run->moved < (size_t)call->length) {
        uint64_t length = (size_t)call->length - run->moved;
        int64_t fault = fault_ask(FAULT_CALL + call->kind, &length);
        if (fault < 0)
            return fault;
        int64_t at = call->offset + (int64_t)run->moved;
        ssize_t n;
        if (!writes)
            n = pread(fd, buffer + run->moved, length, at);
        else if (call->offset == ERRAND_TO_END)
            n = pwritev2(fd, &(struct iovec){buffer + run->moved, length}, 1, 0, RWF_APPEND);
        else
            n = pwrite(fd, buffer + run->moved, length, at);
        if (n == 0)
            break;
        if (n > 0)
            run->moved += (size_t)n;
        else if (errno == EINVAL && align_buffer(run))
            buffer = (char *)run->buffer + run->lead;
        else if (errno == EINVAL && !writes && run->moved % 512 != 0)
            break; /* O_DIRECT: behind the end of the file, which came where no sector ends */
        else if (errno != EINTR)
            return -errno;
    }
    if (writes && run->moved < (size_t)call->length)
        return -EIO; /* nothing written, and no error: that does not happen to a file */
    if (!writes && run->moved < (size_t)call->length && (call->flags & ERRAND_EXACT))
        return -ENODATA;
    if (call->fits && run->moved == (size_t)call->length)
        return -EFBIG;
    return (int64_t)run->moved;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

/* Moves some pages of the file into a part of a pipe. Returns 0, -errno; -EAGAIN: it is full. */
static int fill_part(int fd, struct run_call *call, struct pipe_part *part, int64_t at, uint64_t length)
{
    length = length < BUFFER_LARGE ? length : BUFFER_LARGE;
    int64_t fault = fault_ask(FAULT_CALL + call->kind, &length);
    if (fault < 0)
        return (int)fault;
    ssize_t n = splice(fd, &at, part->into, NULL, length, SPLICE_F_NONBLOCK);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    part->held += (size_t)n;
    call->ended = n == 0;
    return 0;
}

/*
 * Fills the run's pipe. From a file that makes it wait it is a part only, so that the peer has soon what there is.
 * Fails only if it has not moved a byte: else it is the next one that is told.
 */
static int64_t fill_pipe(struct file_run *run, struct run_call *call)
{
    int64_t until = now() + FILL_TIME;
    size_t length = (size_t)call->length, moved = 0;
    int error = 0;
    bool enough = false;
    for (int i = 0; i < PIPE_PARTS && moved < length && error == 0 && !enough; i++) {
        struct pipe_part *part = &run->pipe->parts[i];
        size_t room = PIPE_SIZE - (size_t)(call->offset + (int64_t)moved) % 4096;
        if (room > length - moved)
            room = length - moved;
        error = pipe_make(part);
        while (part->held < room && error == 0 && !enough) {
            int64_t at = call->offset + (int64_t)(moved + part->held);
            error = fill_part(run->files[call->file].fd, call, part, at, room - part->held);
            enough = call->ended || run->abandoned || now() > until;
        }
        moved += part->held;
    }
    return moved > 0 ? (int64_t)moved : error;
}

static int64_t list_directory(struct file_run *run, const struct run_call *call)
{
    if (!has_buffer(run))
        return -ENOMEM;
    if (call->whole)
        lseek(run->files[call->file].fd, 0, SEEK_SET); /* what is no directory the next call says */
    long n = syscall(SYS_getdents64, run->files[call->file].fd, run->buffer, run->buffer_size);
    if (n < 0)
        return -errno;
    run->moved = (size_t)n;
    return n;
}

static struct timespec time_of(int64_t ns)
{
    if (ns == ERRAND_TIME_NOW)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if (ns == ERRAND_TIME_KEEP)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    struct timespec time = {.tv_sec = ns / ERRAND_SECOND, .tv_nsec = ns % ERRAND_SECOND};
    if (time.tv_nsec < 0) {
        time.tv_nsec += ERRAND_SECOND;
        time.tv_sec--;
    }
    return time;
}

static int64_t set_times(int fd, const struct run_call *call)
{
    struct timespec times[2] = {time_of(call->offset), time_of(call->to_offset)};
    if (utimensat(fd, "", times, AT_EMPTY_PATH) == 0) /* also of what was opened with O_PATH */
        return 0;
    return errno == EINVAL ? futimens(fd, times) : -1; /* before Linux 5.8 */
}

/* fgetxattr(2) and its siblings refuse what was opened with O_PATH; the path of its magic link serves both. */
static int64_t of_attributes(int fd, const struct run_call *call)
{
    char link[40];
    size_t size = (size_t)call->length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    bool by_path = (fcntl(fd, F_GETFL) & O_PATH) == O_PATH;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_GET_ATTRIBUTE:
        return by_path ? getxattr(link, call->path, call->value, size) : fgetxattr(fd, call->path, call->value, size);
    case ERRAND_STEP_SET_ATTRIBUTE:
        return by_path ? setxattr(link, call->path, call->value, size, (int)call->flags)
                       : fsetxattr(fd, call->path, call->value, size, (int)call->flags);
    case ERRAND_STEP_LIST_ATTRIBUTES:
        return by_path ? listxattr(link, call->value, size) : flistxattr(fd, call->value, size);
    default: return by_path ? removexattr(link, call->path) : fremovexattr(fd, call->path);
    }
}

/* The calls that answer as system calls do: -1, and errno. */
static int64_t of_file(int fd, const struct run_call *call)
{
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_SYNC: return call->flags & ERRAND_DATA_ONLY ? fdatasync(fd) : fsync(fd);
    case ERRAND_STEP_TRUNCATE: return ftruncate(fd, call->offset);
    case ERRAND_STEP_ALLOCATE: return fallocate(fd, (int)call->flags, call->offset, call->length);
    case ERRAND_STEP_CHMOD: return fchmod(fd, call->mode);
    case ERRAND_STEP_CHOWN: return fchownat(fd, "", call->flags, call->mode, AT_EMPTY_PATH);
    case ERRAND_STEP_UTIMES: return set_times(fd, call);
    case ERRAND_STEP_GET_ATTRIBUTE:
    case ERRAND_STEP_SET_ATTRIBUTE:
    case ERRAND_STEP_LIST_ATTRIBUTES:
    case ERRAND_STEP_REMOVE_ATTRIBUTE: return of_attributes(fd, call);
    default: errno = EINVAL; return -1;
    }
}

/* Whether the files of a call are open: its open step may have failed, or run_begin(). */
static int files_error(const struct file_run *run, const struct run_call *call)
{
    int fd = 0;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_CLOSE: return run->files[call->file].fd < 0 ? -EINVAL : 0; /* as of one that is closed */
    case ERRAND_STEP_COPY: fd = run->files[call->to].fd; break;
    case ERRAND_STEP_CONNECT: /* the caller's socket, or one that it makes */
        fd = run->files[call->file].fd;
        return run->files[call->file].borrowed && fd < 0 ? fd : 0;
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

int64_t run_call(struct file_run *run, struct run_call *call)
{
    int error = files_error(run, call);
    if (error < 0)
        return error;
    bool asks_itself =
        call->kind == ERRAND_STEP_READ || call->kind == ERRAND_STEP_WRITE || call->kind == ERRAND_STEP_SENDFILE;
    uint64_t length = 1;
    int64_t fault = asks_itself ? 0 : fault_ask(FAULT_CALL + call->kind, &length);
    if (fault < 0 && call->kind != ERRAND_STEP_CLOSE)
        return fault;
    int fd = run->files[call->file].fd;
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_OPEN: return open_file(run, call);
    case ERRAND_STEP_STAT: return look(fd, call);
    case ERRAND_STEP_READ:
    case ERRAND_STEP_WRITE: return move_bytes(run, call);
    case ERRAND_STEP_SENDFILE: return fill_pipe(run, call);
    case ERRAND_STEP_CLOSE: return close_file(run, call, fault);
    case ERRAND_STEP_COPY: return run_copy(run, call);
    case ERRAND_STEP_COPY_METADATA: return run_metadata(run, call);
    case ERRAND_STEP_LIST: return list_directory(run, call);
    case ERRAND_STEP_WORK: return call->work(call->context);
    case ERRAND_STEP_CONNECT:
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_REPLACE:
    case ERRAND_STEP_SYMLINK:
    case ERRAND_STEP_READ_LINK:
    case ERRAND_STEP_UNLINK:
    case ERRAND_STEP_MKDIR:
    case ERRAND_STEP_RMDIR:
    case ERRAND_STEP_MKNOD: return run_name_call(run, call);
    default: break;
    }
    int64_t result = of_file(fd, call);
    return result < 0 ? -errno : result;
}
