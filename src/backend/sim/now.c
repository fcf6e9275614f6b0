/* SPDX-License-Identifier: MIT */
/* The immediate operations in a simulated world: what backend/calls.c does in the real one. */
#include "backend/sim/world.h"

#include <errno.h>

static int64_t open_now(struct sim *sim, const struct op *op)
{
    struct sim_how how = {(int)op->how.flags, 0, (op->how.resolve & RESOLVE_BENEATH) != 0,
                          (op->how.resolve & RESOLVE_NO_XDEV) != 0};
    if (chance(sim, 4000))
        return -EAGAIN; /* the name is not cached */
    if (chance(sim, sim->options.fault_chance))
        return fault_of_op(sim, OP_OPEN);
    int result = path_open(sim, op->fd, op->path, &how);
    return result == LEADS_ELSEWHERE ? -EXDEV : result;
}

/* As far as it is resident: in whole pages. */
static int64_t read_now(struct sim *sim, int fd, const struct op *op)
{
    if (chance(sim, 3000))
        return -EAGAIN;
    if (chance(sim, sim->options.fault_chance))
        return fault_of_op(sim, OP_READ);
    size_t length = op->length;
    size_t page_end = 4096 - (size_t)(op->offset % 4096);
    if (length > page_end && chance(sim, 6000))
        length = page_end + below(sim, (length - page_end) / 4096 + 1) * 4096;
    return file_read(sim, fd, op->buffer, length < op->length ? length : op->length, op->offset);
}

static void read_file_now(struct sim *sim, struct op *op)
{
    int64_t fd = open_now(sim, op);
    op->result = fd;
    op->open_result = fd < 0 ? (int32_t)fd : 0;
    if (fd < 0)
        return;
    op->result = read_now(sim, (int)fd, op);
    struct sim_account *account = account_of(op);
    bool doubtful = (size_t)op->result < op->length && (op->offset + op->result) % 4096 == 0;
    if (account && op->result > 0 && !doubtful) /* else all of it is done again */
        account->bytes += (uint64_t)op->result;
    fd_close(sim, (int)fd);
}

static int64_t stat_now(struct sim *sim, const struct op *op)
{
    if (!inode_of(sim, op->fd, "a stat"))
        return -EBADF;
    if (chance(sim, sim->options.fault_chance))
        return fault_of_op(sim, OP_STAT);
    stat_fill(sim, sim->fds[op->fd].inode, op->stat);
    return 0;
}

static int64_t shutdown_now(struct sim *sim, const struct op *op)
{
    struct sim_fd *socket = fd_of(sim, op->socket, "a shutdown");
    if (!socket || socket->object != OBJECT_SOCKET)
        return -EBADF;
    if (chance(sim, sim->options.fault_chance))
        return fault_of_op(sim, OP_SHUTDOWN);
    socket->shut_read |= op->flags != 1;
    socket->shut_write |= op->flags != 0;
    return 0;
}

void perform_now(struct sim *sim, struct op *op)
{
    switch ((enum op_kind)op->kind) {
    case OP_OPEN: op->result = open_now(sim, op); break;
    case OP_STAT: op->result = stat_now(sim, op); break;
    case OP_READ: op->result = read_now(sim, op->fd, op); break;
    case OP_CLOSE:
        fd_close(sim, op->fd);
        op->result = chance(sim, sim->options.fault_chance) ? fault_of_op(sim, OP_CLOSE) : 0;
        break;
    case OP_READ_FILE: read_file_now(sim, op); break;
    case OP_SENDFILE:
    case OP_SPLICE: op->result = peer_sendfile(sim, op); break;
    case OP_SHUTDOWN: op->result = shutdown_now(sim, op); break;
    default: op->result = -EINVAL; break;
    }
}
