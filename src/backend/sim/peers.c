/* SPDX-License-Identifier: MIT */
/* The streams of a simulated world, and those at their other ends. */
#include "backend/sim/world.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#define ROOM 65536 /* the most that a socket takes at once */

/* What happens to a connection that breaks: one error, then as if it had been closed. */
static int64_t broken(struct sim *sim, struct sim_fd *socket, bool sends)
{
    (void)sim;
    if (!socket->reset)
        return 0;
    return sends ? -EPIPE : -ECONNRESET;
}

static int64_t fails(struct sim *sim, struct sim_fd *socket, const struct op *op, bool sends)
{
    int64_t result = broken(sim, socket, sends);
    if (result < 0 || !chance(sim, sim->options.fault_chance))
        return result;
    result = fault_of_op(sim, op->kind);
    if (result == -ECONNRESET || result == -EPIPE)
        socket->reset = true;
    return result;
}

static struct sim_fd *stream_of(struct sim *sim, int fd, const char *what)
{
    struct sim_fd *socket = fd_of(sim, fd, what);
    if (socket && socket->object != OBJECT_SOCKET)
        complain(sim, "%s of descriptor %d, which is no connection", what, fd);
    return socket && socket->object == OBJECT_SOCKET ? socket : NULL;
}

static bool try_send(struct sim *sim, struct op *op)
{
    struct sim_fd *socket = stream_of(sim, op->socket, "a send");
    if (!socket) {
        op->result = -EBADF;
        return true;
    }
    if (socket->deaf && !socket->shut_write)
        return false;
    op->result = socket->shut_write ? -EPIPE : fails(sim, socket, op, true);
    if (op->result < 0)
        return true;
    size_t room = chance(sim, 40000) ? ROOM : 1 + below(sim, ROOM);
    size_t n = op->length < room ? op->length : room;
    if (n > 1 && chance(sim, 10000))
        n = 1 + below(sim, n);
    if (memcmp(op->data, sim_pattern(sim, socket->sent), n) != 0)
        complain(sim, "wrong bytes are sent: %zu, behind %llu", n, (unsigned long long)socket->sent);
    socket->sent += n;
    op->result = (int64_t)n;
    return true;
}

/* The peer has sent what it had, and is still there. */
static bool is_silent(const struct sim_fd *socket)
{
    return socket && socket->left == 0 && socket->stays && !socket->shut_read;
}

static int64_t arrives(struct sim *sim, struct sim_fd *socket, char *buffer, size_t length)
{
    if (socket->left == 0 || socket->shut_read)
        return 0;
    size_t n = length < socket->left ? length : (size_t)socket->left;
    if (n > ROOM)
        n = ROOM;
    if (n > 1 && chance(sim, 20000))
        n = 1 + below(sim, n);
    memcpy(buffer, sim_pattern(sim, socket->received), n);
    socket->received += n;
    socket->left -= n;
    return (int64_t)n;
}

static bool try_receive(struct sim *sim, struct op *op)
{
    struct sim_fd *socket = stream_of(sim, op->socket, "a receive");
    if (is_silent(socket))
        return false;
    op->result = socket ? fails(sim, socket, op, false) : -EBADF;
    if (op->result == 0)
        op->result = arrives(sim, socket, op->buffer, op->length);
    return true;
}

static bool try_receive_any(struct sim *sim, struct op *op)
{
    struct sim_fd *socket = stream_of(sim, op->socket, "a receive");
    op->buffer = NULL;
    if (is_silent(socket))
        return false;
    op->result = socket ? fails(sim, socket, op, false) : -EBADF;
    if (op->result < 0)
        return true;
    if (sim->receive_count == 0) {
        op->result = -ENOBUFS;
        return true;
    }
    char *buffer = sim->receive_free[sim->receive_count - 1];
    op->result = arrives(sim, socket, buffer, sim->receive_size);
    if (op->result > 0) {
        op->buffer = buffer;
        sim->receive_count--;
    }
    return true;
}

static bool try_accept(struct sim *sim, struct op *op)
{
    struct sim_fd *listener = fd_of(sim, op->socket, "an accept");
    bool counts = sim->options.scene && listener && listener->object == OBJECT_LISTENER;
    op->result = !listener ? -EBADF : listener->object == OBJECT_LISTENER ? 0 : -EINVAL;
    if (counts && listener->left == 0)
        return false;
    if (chance(sim, sim->options.fault_chance))
        op->result = fault_of_op(sim, OP_ACCEPT);
    if (op->result < 0)
        return true;
    op->result = fd_new(sim, OBJECT_SOCKET, 0);
    if (op->result >= 0) {
        sim->fds[op->result].connected = true;
        sim->fds[op->result].left = counts ? listener->received : below(sim, 3000);
        sim->fds[op->result].stays = counts && listener->stays;
        listener->left -= counts;
    }
    return true;
}

void peer_connect_end(struct sim *sim, struct op *op, int64_t result)
{
    op->result = result < 0 ? result : op->socket;
    if (result < 0 && op->fd)
        fd_close(sim, op->socket);
}

/* Scenes have an address at which nobody listens. */
static bool is_refused(const struct sim *sim, const struct op *op)
{
    struct sockaddr_in address;
    if (!sim->options.scene || op->length < sizeof address)
        return false;
    memcpy(&address, op->data, sizeof address);
    return ntohs(address.sin_port) == SIM_REFUSED_PORT;
}

static bool try_connect(struct sim *sim, struct op *op)
{
    struct sim_fd *socket = stream_of(sim, op->socket, "a connect");
    int64_t result = socket ? 0 : -EBADF;
    if (socket && socket->connected && !op->fd)
        result = -EISCONN;
    else if (chance(sim, sim->options.fault_chance))
        result = fault_of_op(sim, OP_CONNECT);
    else if (is_refused(sim, op))
        result = -ECONNREFUSED;
    if (result == 0) {
        socket->connected = true;
        socket->stays = sim->options.scene;
        socket->left = op->fd && !sim->options.scene ? below(sim, 3000) : socket->left;
    }
    peer_connect_end(sim, op, result);
    return true;
}

static bool try_poll(struct sim *sim, struct op *op)
{
    bool real = op->socket >= 0 && op->socket < FIRST_FD;
    const struct sim_fd *socket = real ? NULL : fd_of(sim, op->socket, "a poll");
    uint32_t ready = POLLIN | POLLOUT;
    if (socket && sim->options.scene) /* of a listener too: a connection that waits */
        ready = (is_silent(socket) ? 0 : POLLIN) | (socket->deaf ? 0 : POLLOUT);
    op->result = real || socket ? (int64_t)(op->flags & ready) : -EBADF;
    if (chance(sim, sim->options.fault_chance))
        op->result = chance(sim, 32768) ? fault_of_op(sim, OP_POLL) : POLLERR | POLLHUP;
    return op->result != 0;
}

bool peer_try(struct sim *sim, struct op *op)
{
    switch ((enum op_kind)op->kind) {
    case OP_SEND: return try_send(sim, op);
    case OP_RECEIVE: return try_receive(sim, op);
    case OP_RECEIVE_ANY: return try_receive_any(sim, op);
    case OP_ACCEPT: return try_accept(sim, op);
    case OP_CONNECT: return try_connect(sim, op);
    case OP_POLL: return try_poll(sim, op);
    default: op->result = -EINVAL; return true;
    }
}

int64_t peer_sendfile(struct sim *sim, struct op *op)
{
    struct sim_fd *socket = stream_of(sim, op->socket, "a sendfile");
    bool piped = op->kind == OP_SPLICE;
    const struct inode *inode = piped ? NULL : inode_of(sim, op->fd, "a sendfile");
    if (!socket || (!inode && !piped))
        return -EBADF;
    if (chance(sim, 3000))
        return -EINVAL; /* not for this socket or file: read and send */
    if (!piped && chance(sim, 6000))
        return -ENODATA; /* not resident */
    if (socket->deaf || chance(sim, 10000))
        return -EAGAIN; /* the socket is full */
    int64_t result = socket->shut_write ? -EPIPE : fails(sim, socket, op, true);
    if (result < 0)
        return result;
    if (op->offset < 0)
        complain(sim, "a sendfile at %lld", (long long)op->offset);
    int64_t n = (int64_t)op->length;
    if (!piped && n > inode->size - op->offset)
        n = op->offset < inode->size ? inode->size - op->offset : 0;
    if (n > 1 && chance(sim, 20000))
        n = 1 + (int64_t)below(sim, (uint64_t)n);
    if (n > 0 && ((uint64_t)op->offset + SIM_PERIOD - socket->sent % SIM_PERIOD) % SIM_PERIOD != 0)
        complain(sim, "wrong bytes are sent of a file: from %lld, behind %llu", (long long)op->offset,
                 (unsigned long long)socket->sent);
    socket->sent += (uint64_t)n;
    return n;
}
