/* SPDX-License-Identifier: MIT */
/* The io_uring backend: operations into entries, completions into results. */
#include "backend/uring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/ledger.h"

/* The most that one operation moves: the result is a 32-bit number. */
#define LENGTH_LIMIT ((size_t)1 << 30)

/* The open's and the close's. */
#define READ_FILE_COMPLETIONS 2

static bool writes_to_memory(const struct op *op)
{
    return op->kind == OP_READ || op->kind == OP_READ_FILE || op->kind == OP_RECEIVE;
}

static unsigned length_of(const struct op *op)
{
    return (unsigned)(op->length < LENGTH_LIMIT ? op->length : LENGTH_LIMIT);
}

static uint64_t user_data_of(const struct op *op, enum part part)
{
    return (uintptr_t)op | part;
}

void uring_recycle(struct backend *backend, void *buffer)
{
    struct uring *uring = container_of(backend, struct uring, backend);
    size_t index = (size_t)((char *)buffer - uring->receive_memory) / uring->receive_size;
    io_uring_buf_ring_add(uring->receive_ring, buffer, uring->receive_size, (unsigned short)index,
                          io_uring_buf_ring_mask(uring->receive_buffers), 0);
    io_uring_buf_ring_advance(uring->receive_ring, 1);
}

/*
 * Open, read and close as one hard-linked group (a short read would break a soft one and leave the file open). All
 * three complete while they are submitted: the name is cached or the open fails, the read takes resident pages or
 * fails. The read's completion comes only if it failed or was short, which is a failure to io_uring; the open's and the
 * close's always, the close's last: then the direct descriptor is free. The open's must not be skipped: when the kernel
 * refuses one of the three before it begins, it silences what follows a skipped head, the close's completion too.
 */
static void prepare_read_file(struct uring *uring, struct op *op)
{
    op->direct = uring->direct_free[--uring->direct_count];
    op->open_result = 0;
    op->result = length_of(op);
    uring->immediate += READ_FILE_COMPLETIONS;
    ledger_lend(op->buffer, length_of(op));
    op->how.flags &= ~(uint64_t)O_CLOEXEC; /* a direct descriptor is never inherited, and refuses the flag */
    struct io_uring_sqe *open = uring_entry(uring, 3);
    io_uring_prep_openat2_direct(open, op->fd, op->path, &op->how, op->direct);
    open->flags |= IOSQE_IO_HARDLINK;
    io_uring_sqe_set_data64(open, user_data_of(op, PART_OPEN));
    struct io_uring_sqe *read = io_uring_get_sqe(&uring->ring);
    io_uring_prep_read(read, op->direct, op->buffer, length_of(op), (uint64_t)op->offset);
    read->rw_flags = RWF_NOWAIT;
    read->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(read, user_data_of(op, PART_READ));
    struct io_uring_sqe *close = io_uring_get_sqe(&uring->ring);
    io_uring_prep_close_direct(close, op->direct);
    io_uring_sqe_set_data64(close, user_data_of(op, PART_CLOSE));
}

static void prepare_close_first(struct uring *uring, int fd)
{
    struct io_uring_sqe *sqe = uring_entry(uring, 1);
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, USER_DATA_NOBODY);
}

static bool is_immediate(const struct op *op)
{
    return op->kind == OP_OPEN || op->kind == OP_READ || op->kind == OP_CLOSE;
}

void uring_prepare(struct uring *uring, struct op *op)
{
    op->waits = WAITS_ITSELF;
    uring->immediate += is_immediate(op);
    if (writes_to_memory(op))
        ledger_lend(op->buffer, length_of(op));
    if (op->kind == OP_SEND && op->close_first >= 0) {
        prepare_close_first(uring, op->close_first);
        op->close_first = -1;
    }
    struct io_uring_sqe *sqe = uring_entry(uring, 1);
    switch ((enum op_kind)op->kind) {
    case OP_OPEN: io_uring_prep_openat2(sqe, op->fd, op->path, &op->how); break;
    case OP_READ:
        io_uring_prep_read(sqe, op->fd, op->buffer, length_of(op), (uint64_t)op->offset);
        sqe->rw_flags = RWF_NOWAIT;
        break;
    case OP_CLOSE: io_uring_prep_close(sqe, op->fd); break;
    case OP_SEND:
        io_uring_prep_send(sqe, op->socket, op->data, length_of(op), (int)op->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case OP_RECEIVE: io_uring_prep_recv(sqe, op->socket, op->buffer, length_of(op), 0); break;
    case OP_POLL: io_uring_prep_poll_add(sqe, op->socket, op->flags); break;
    case OP_ACCEPT: io_uring_prep_accept(sqe, op->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); break;
    case OP_CONNECT: io_uring_prep_connect(sqe, op->socket, op->data, (socklen_t)op->length); break;
    case OP_RECEIVE_ANY:
        io_uring_prep_recv(sqe, op->socket, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = RECEIVE_GROUP;
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST; /* it was read until empty, or nearly: do not try in vain */
        break;
    default: io_uring_prep_nop(sqe); break; /* not for the ring: call_now() does those */
    }
    op->serial = uring->ring.sq.sqe_tail;
    io_uring_sqe_set_data64(sqe, user_data_of(op, PART_WHOLE));
}

bool uring_submit(struct backend *backend, struct op *op)
{
    struct uring *uring = container_of(backend, struct uring, backend);
    switch ((enum op_kind)op->kind) {
    case OP_STAT: /* the ring always hands statx to a kernel worker, at many times the cost of the call */
    case OP_SENDFILE:
    case OP_SPLICE:
    case OP_SHUTDOWN: call_now(op); return true;
    case OP_FILES: pool_submit(backend->pool, op->run); return false;
    case OP_CONNECT:
        if (!connect_begin(op))
            return true;
        uring_prepare(uring, op);
        return false;
    case OP_POLL:
        op->result = uring_polls(uring, op);
        if (op->result < 0)
            return true;
        uring_prepare(uring, op);
        return false;
    case OP_READ_FILE:
        if (uring->direct_count == 0)
            list_append(&uring->direct_waiting, &op->node);
        else
            prepare_read_file(uring, op);
        return false;
    default: uring_prepare(uring, op); return false;
    }
}

void uring_cancel(struct backend *backend, struct op *op)
{
    struct uring *uring = container_of(backend, struct uring, backend);
    if (op->waits == WAITS_CANCELLED)
        return;
    if (op->waits == WAITS_WATCHED) {
        uring_unwatch(uring, op);
        return;
    }
    enum part part = op->waits == WAITS_POLLED ? PART_WRITABLE : PART_WHOLE;
    op->waits = WAITS_CANCELLED;
    /* An entry that the kernel has not seen names a descriptor that its owner may close, and reuse, right after
     * this. */
    if ((int32_t)(op->serial - uring->ring.sq.sqe_head) > 0)
        uring_issue(uring);
    struct io_uring_sqe *sqe = uring_entry(uring, 1);
    io_uring_prep_cancel64(sqe, user_data_of(op, part), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, USER_DATA_NOBODY);
}

void uring_forget(struct backend *backend, int fd)
{
    (void)backend; /* the ring knows descriptors only while an operation is on its way */
    (void)fd;
}

static void free_direct(struct uring *uring, struct op *op)
{
    uring->direct_free[uring->direct_count++] = op->direct;
    struct list *waiting = list_take(&uring->direct_waiting);
    if (waiting)
        prepare_read_file(uring, container_of(waiting, struct op, node));
}

/* Takes in one part of an OP_READ_FILE. Returns the operation with its last. */
static struct op *took_part(struct uring *uring, struct op *op, enum part part, int result)
{
    uring->immediate -= part != PART_READ;
    if (part == PART_OPEN)
        op->open_result = result == -ECANCELED ? 0 : result; /* the read was refused, and says why */
    else if (part == PART_READ)
        op->result = result;
    if (part != PART_CLOSE)
        return NULL;
    ledger_return(op->buffer, length_of(op));
    free_direct(uring, op);
    return op;
}

static void took_received(struct uring *uring, struct op *op, const struct io_uring_cqe *cqe)
{
    op->buffer = NULL;
    if (!(cqe->flags & IORING_CQE_F_BUFFER))
        return;
    op->buffer = uring->receive_memory + (size_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT) * uring->receive_size;
    if (cqe->res <= 0) {
        uring_recycle(&uring->backend, op->buffer);
        op->buffer = NULL;
    }
}

/* A send was tried. Returns whether it waits. */
static bool send_waits(struct uring *uring, struct op *op)
{
    if (op->result != -EAGAIN)
        return false;
    if (op->waits == WAITS_CANCELLED)
        op->result = -ECANCELED;
    else
        uring_poll_to_send(uring, op);
    return op->result == -EAGAIN;
}

/* The ring's poll ended, for an OP_POLL or a send that waited. Returns whether the operation goes on. */
static bool poll_goes_on(struct uring *uring, struct op *op)
{
    int64_t asked = (op->kind == OP_SEND ? POLLOUT : op->flags) | POLLERR | POLLHUP | POLLNVAL;
    bool told = op->result < 0 || (op->result & asked);
    if (op->waits == WAITS_CANCELLED && (!told || op->kind == OP_SEND))
        op->result = -ECANCELED;
    if (op->result < 0 || (told && op->kind == OP_POLL))
        return false;
    if (told) {
        uring_prepare(uring, op);
        return true;
    }
    op->result = uring_watch(uring, op);
    return op->result == 0;
}

/* See ACCEPT_LEAVES_NOBODY. If the socket blocks, another could take him away, and we would wait for the next. */
static void take_whoever_came(struct op *op)
{
    if (!(fcntl(op->socket, F_GETFL) & O_NONBLOCK))
        return;
    int fd = accept4(op->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        op->result = fd;
}

static struct op *took(struct uring *uring, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == USER_DATA_NOBODY)
        return NULL;
    if (cqe->user_data == USER_DATA_WAKE) {
        uring->wake_armed = false;
        return NULL;
    }
    if (cqe->user_data == USER_DATA_WATCH) {
        uring_watched(uring);
        return NULL;
    }
    struct op *op = (struct op *)(uintptr_t)(cqe->user_data & ~(uint64_t)PART_MASK);
    enum part part = (enum part)(cqe->user_data & PART_MASK);
    if (part != PART_WHOLE && part != PART_WRITABLE)
        return took_part(uring, op, part, cqe->res);
    op->result = cqe->res;
    if (op->kind == OP_ACCEPT && op->result == -ECANCELED && (op->flags & ACCEPT_LEAVES_NOBODY))
        take_whoever_came(op);
    if (op->kind == OP_SEND && part == PART_WHOLE && send_waits(uring, op))
        return NULL;
    if ((op->kind == OP_POLL || part == PART_WRITABLE) && poll_goes_on(uring, op))
        return NULL;
    uring->immediate -= is_immediate(op);
    if (writes_to_memory(op))
        ledger_return(op->buffer, length_of(op));
    else if (op->kind == OP_SEND)
        ledger_check(op->data, length_of(op));
    if (op->kind == OP_RECEIVE_ANY)
        took_received(uring, op, cqe);
    else if (op->kind == OP_POLL)
        uring_polled(uring, op);
    else if (op->kind == OP_CONNECT)
        connect_end(op, cqe->res);
    return op;
}

struct op *uring_next(struct backend *backend)
{
    struct uring *uring = container_of(backend, struct uring, backend);
    struct file_run *run = pool_take_done(backend->pool);
    if (run)
        return run->op;
    struct io_uring_cqe *cqe;
    while (list_is_empty(&uring->done) && io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
        struct op *op = took(uring, cqe);
        io_uring_cqe_seen(&uring->ring, cqe);
        if (op)
            return op;
    }
    struct list *node = list_take(&uring->done);
    return node ? container_of(node, struct op, node) : NULL;
}
