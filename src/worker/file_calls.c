/* SPDX-License-Identifier: MIT */
/* What a worker does: the system calls of one run, which may wait for as long as the filesystem likes. */
#include "worker/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "worker/stat.h"

/* A rename under way makes openat2(2) answer EAGAIN; it has to be very unlucky for that to happen so often. */
#define LOOKUP_TRIES 1000

static int directory_of(const struct file_run *run)
{
    return run->root ? run->root->fd : run->dir_fd;
}

static int open_file(struct file_run *run)
{
    int directory = directory_of(run);
    struct open_how how = {.flags = (uint64_t)(unsigned)run->open_flags};
    if (run->open_flags & (O_CREAT | __O_TMPFILE))
        how.mode = run->mode;
    how.resolve = (run->root ? run->root->resolve : 0) | (run->crossed ? 0 : RESOLVE_NO_XDEV);
    for (int i = 0; i < LOOKUP_TRIES; i++) {
        long fd = syscall(SYS_openat2, directory, run->path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            break;
        sched_yield();
    }
    return -errno;
}

static int read_file(struct file_run *run)
{
    if (!(run->buffer = malloc(run->buffer_size)))
        return -ENOMEM;
    char *buffer = (char *)run->buffer + run->lead;
    while (run->moved < run->length) {
        uint64_t length = run->length - run->moved;
        int64_t fault = fault_ask(FAULT_CALL + CALL_READ, &length);
        if (fault < 0)
            return (int)fault;
        ssize_t n = pread(run->fd, buffer + run->moved, length, run->offset + (int64_t)run->moved);
        if (n == 0)
            return 0;
        if (n > 0)
            run->moved += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static int close_file(struct file_run *run)
{
    int result = close(run->fd) < 0 && errno != EINTR ? -errno : 0; /* EINTR: Linux has closed it */
    run->fd = -1;
    return result;
}

static int perform_call(struct file_run *run, enum file_call call)
{
    uint64_t length = 1;
    int64_t fault = call == CALL_READ ? 0 : fault_ask(FAULT_CALL + call, &length);
    if (fault < 0 && call != CALL_CLOSE)
        return (int)fault;
    switch (call) {
    case CALL_OPEN: {
        int fd = open_file(run);
        run->fd = fd < 0 ? -1 : fd;
        return fd < 0 ? fd : 0;
    }
    case CALL_STAT: return stat_of(run->fd, &run->stat);
    case CALL_READ: return read_file(run);
    case CALL_CLOSE: {
        int result = close_file(run);
        return fault < 0 ? (int)fault : result;
    }
    }
    return -EINVAL;
}

int run_begin(struct file_run *run)
{
    if (!run->borrowed)
        return 0;
    int *fd = run->calls[0].call == CALL_OPEN ? &run->dir_fd : &run->fd;
    int copy = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    *fd = copy;
    run->borrowed = false;
    return 0;
}

void run_drop_directory(struct file_run *run)
{
    if (run->dir_fd >= 0 && !run->borrowed)
        close(run->dir_fd);
    run->dir_fd = AT_FDCWD;
}

void run_drop_root(struct file_run *run)
{
    struct root *root = run->root;
    run->root = NULL;
    if (!root || !root_unused(root))
        return;
    if (root->fd >= 0)
        close(root->fd);
    free(root);
}

bool run_perform(struct file_run *run, struct mounts *mounts)
{
    while (run->done < run->count) {
        enum file_call call = run->calls[run->done].call;
        int result = perform_call(run, call);
        if (call == CALL_OPEN && result == -EXDEV && !run->crossed && !(run->root && run->root->one_mount)) {
            run->crossed = true;
            run->lane = mounts_lane(mounts, directory_of(run), run->path, run->lane);
            return true;
        }
        if (result < 0) {
            run->error = result;
            break;
        }
        run->done++;
    }
    run_drop_root(run);
    run_drop_directory(run);
    return false;
}
