/* SPDX-License-Identifier: MIT */
/* The immediate operations as system calls, each shown not to wait: see ARCHITECTURE.md, "Never block". */
#include "backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/kernel.h"
#include "worker/stat.h"

#define PAGE       ((size_t)4096)
#define MOST_PAGES 1024

static int64_t open_now(const struct op *op)
{
    long fd = syscall(SYS_openat2, op->fd, op->path, &op->how, sizeof op->how);
    return fd < 0 ? -errno : fd;
}

static int64_t read_now(const struct op *op)
{
    struct iovec part = {op->buffer, op->length};
    ssize_t n = preadv2(op->fd, &part, 1, op->offset, RWF_NOWAIT);
    return n < 0 ? -errno : n;
}

/*
 * Whether all of the range is in the page cache and up to date. cachestat(2) counts pages that are still being read,
 * and mincore(2) says yes to whoever may not know, so both are asked. Returns 0, -ENODATA: no, or why it cannot be
 * known.
 */
static int resident(int fd, int64_t offset, size_t length)
{
    struct kernel_cachestat_range range = {(uint64_t)offset, length};
    struct kernel_cachestat counts;
    if (syscall(SYS_cachestat, fd, &range, &counts, 0) < 0)
        return -errno;
    size_t before = (size_t)offset % PAGE, pages = (before + length + PAGE - 1) / PAGE;
    if (counts.cached < pages)
        return -ENODATA;
    unsigned char in_core[MOST_PAGES];
    void *map = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, offset - (int64_t)before);
    if (map == MAP_FAILED)
        return -errno;
    int result = mincore(map, pages * PAGE, in_core) < 0 ? -errno : 0;
    munmap(map, pages * PAGE);
    for (size_t i = 0; result == 0 && i < pages; i++)
        if (!(in_core[i] & 1))
            result = -ENODATA;
    return result;
}

static ssize_t move(const struct op *op, size_t length)
{
    off_t offset = op->offset;
    if (op->kind == OP_SENDFILE)
        return sendfile(op->socket, op->fd, &offset, length);
    unsigned flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (op->flags ? SPLICE_F_MORE : 0);
    return splice(op->fd, NULL, op->socket, NULL, length, flags);
}

/* sendfile(2) and splice(2) raise SIGPIPE, with no flag against it: it is held back, and taken away if it is ours. */
static int64_t move_without_signal(const struct op *op, size_t length)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    bool theirs = sigismember(&before, SIGPIPE) && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE);
    ssize_t n = move(op, length);
    int error = n < 0 ? errno : 0;
    if (error == EPIPE && !theirs)
        sigtimedwait(&pipe_only, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n < 0 ? -error : n;
}

/* To the socket, which has to be one that does not wait for the peer: what a pipe holds, or what is resident. */
static int64_t move_now(const struct op *op)
{
    int flags = fcntl(op->socket, F_GETFL);
    if (flags < 0)
        return -errno;
    if (!(flags & O_NONBLOCK))
        return -EINVAL; /* it would wait for the peer, and the flag is the caller's: read and send instead */
    if (op->kind == OP_SPLICE)
        return move_without_signal(op, op->length);
    size_t length = op->length < MOST_PAGES / 2 * PAGE ? op->length : MOST_PAGES / 2 * PAGE;
    int result = resident(op->fd, op->offset, length);
    if (result < 0)
        return result;
    return move_without_signal(op, length);
}

static int64_t read_file_now(struct op *op)
{
    int64_t fd = open_now(op);
    op->open_result = fd < 0 ? (int32_t)fd : 0;
    if (fd < 0)
        return fd;
    op->fd = (int32_t)fd;
    int64_t result = read_now(op);
    close((int)fd);
    return result;
}

void call_now(struct op *op)
{
    switch ((enum op_kind)op->kind) {
    case OP_OPEN: op->result = open_now(op); return;
    case OP_STAT: op->result = stat_of(op->fd, op->stat); return;
    case OP_READ: op->result = read_now(op); return;
    case OP_CLOSE: op->result = close(op->fd) < 0 && errno != EINTR ? -errno : 0; return;
    case OP_READ_FILE: op->result = read_file_now(op); return;
    case OP_SENDFILE:
    case OP_SPLICE: op->result = move_now(op); return;
    case OP_SHUTDOWN: op->result = shutdown(op->socket, (int)op->flags) < 0 ? -errno : 0; return;
    default: op->result = -EINVAL; return;
    }
}

bool connect_begin(struct op *op)
{
    op->fd = op->socket < 0;
    if (!op->fd)
        return true;
    sa_family_t family; /* the address lies where a path ended, at any place */
    memcpy(&family, op->data, sizeof family);
    op->socket = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    op->result = op->socket < 0 ? -errno : 0;
    return op->socket >= 0;
}

void connect_end(struct op *op, int64_t result)
{
    op->result = result < 0 ? result : op->socket;
    if (result < 0 && op->fd)
        close(op->socket);
}
