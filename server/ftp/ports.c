/* SPDX-License-Identifier: MIT */
/* Passive ports: see ports.h. */
#include "ports.h"
#include "log.h"
#include "session.h"
#include "shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 64,
    KEPT = 64, /* so many stay open when nobody waits at them */
};

struct ftp_port {
    struct endpoint endpoint; /* listener -1: closed, to be used again */
    struct ftp_port *next;    /* in a ring */
    struct ftp_session *waiting;
    struct address local;
    uint16_t number;
};

struct ftp_ports {
    struct worker *worker;
    struct ftp_port *last; /* used; NULL: none was ever opened */
    unsigned count, open;
};

/* ------------------------------------------------------------------------------------------ who comes */

static struct ftp_session *waiting_for(const struct ftp_port *port, const struct address *peer)
{
    struct ftp_session *at = port->waiting;
    while (at != NULL && memcmp(&at->data.peer, peer, sizeof *peer) != 0)
        at = at->data.next;
    return at;
}

static void close_port(struct ftp_ports *ports, struct ftp_port *port)
{
    errand_source_stop(port->endpoint.source);
    close(port->endpoint.listener);
    port->endpoint.source = NULL;
    port->endpoint.listener = -1;
    ports->open--;
}

/* Descriptors have run out. The port goes with all who are in its backlog: later they would be taken for somebody else
 * of their client's. */
static void give_up(struct ftp_port *port, int error)
{
    struct ftp_ports *ports = port->endpoint.worker->ftp->ports;
    log_error("cannot accept a data connection: %s (see ulimit -n)", errand_error_name(error));
    while (port->waiting != NULL)
        ftp_data_arrived(port->waiting, -1);
    if (port->endpoint.listener >= 0)
        close_port(ports, port);
}

static void on_accepted(struct endpoint *endpoint, const struct errand_event *event)
{
    struct ftp_port *port = (struct ftp_port *)endpoint;
    struct address peer;
    if (event->error != 0) {
        give_up(port, event->error);
        return;
    }
    struct ftp_session *session = address_of_peer(event->fd, &peer) == AF_UNSPEC ? NULL : waiting_for(port, &peer);
    if (session != NULL)
        ftp_data_arrived(session, event->fd);
    else
        close(event->fd);
}

static const struct protocol data_protocol = {.name = "ftp-data", .accepted = on_accepted};

/* ------------------------------------------------------------------------------------------ opening */

static int listen_at(const struct address *local, unsigned number)
{
    struct sockaddr_in6 address;
    socklen_t length = address_to_socket(local, number, &address);
    int fd = socket(address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    if (fd < 0)
        return -errno;
    /* Connections that were here keep their port in TIME_WAIT: that must not keep us from it. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(fd, (struct sockaddr *)&address, length) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

/* Of the configured range, from anywhere in it on, so that workers and successive sessions do not meet. */
static int listen_in_range(const struct config_ftp *config, const struct address *local)
{
    unsigned all = config->passive_last - config->passive_first + 1, begin = 0;
    int fd = -EAGAIN;
    if (config->passive_first == 0)
        return listen_at(local, 0);
    if (getrandom(&begin, sizeof begin, 0) != (ssize_t)sizeof begin)
        return -EIO;
    for (unsigned i = 0; i < all; i++) {
        fd = listen_at(local, config->passive_first + (begin + i) % all);
        if (fd != -EADDRINUSE)
            return fd;
    }
    return -EAGAIN;
}

static unsigned number_of(int fd)
{
    struct sockaddr_in6 address = {0};
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin6_port); /* where an IPv4 address has it, too */
}

/* One that is closed, or a new one. */
static struct ftp_port *unused(struct ftp_ports *ports)
{
    struct ftp_port *port = ports->last;
    for (unsigned i = 0; i < ports->count && ports->open < ports->count; i++, port = port->next)
        if (port->endpoint.listener < 0)
            return port;
    if (ports->count == FTP_PORTS_MAX || (port = calloc(1, sizeof *port)) == NULL)
        return NULL;
    port->endpoint = (struct endpoint){.worker = ports->worker, .protocol = &data_protocol, .listener = -1};
    port->next = port;
    if (ports->last != NULL) {
        port->next = ports->last->next;
        ports->last->next = port;
    }
    ports->last = port;
    ports->count++;
    return port;
}

static int open_port(struct ftp_ports *ports, const struct address *local, struct ftp_port **out)
{
    struct ftp_port *port = unused(ports);
    if (port == NULL)
        return -EAGAIN;
    int fd = listen_in_range(&ports->worker->server->config->ftp, local);
    if (fd < 0)
        return fd;
    int error = errand_source_accept(ports->worker->queue, fd, port, &port->endpoint.source);
    if (error) {
        close(fd);
        return error;
    }
    port->endpoint.listener = fd;
    port->local = *local;
    port->number = (uint16_t)number_of(fd);
    ports->open++;
    *out = port;
    return 0;
}

/* ------------------------------------------------------------------------------------------ waiting */

/* Open, and nobody of this client waits there. The one that was used longest ago first: who comes late to a port that
 * was his, and is another session's now, is then least likely. */
static struct ftp_port *free_for(struct ftp_ports *ports, const struct address *local, const struct address *peer)
{
    struct ftp_port *port = ports->last;
    for (unsigned i = 0; i < ports->count; i++) {
        port = port->next;
        if (port->endpoint.listener >= 0 && memcmp(&port->local, local, sizeof *local) == 0 &&
            waiting_for(port, peer) == NULL)
            return port;
    }
    return NULL;
}

int ftp_ports_wait(struct ftp_ports *ports, struct ftp_session *session)
{
    struct address local;
    if (address_of_socket(session->base.fd, &local) == AF_UNSPEC || !address_is_known(&local))
        return -ENOTCONN;
    struct ftp_port *port = free_for(ports, &local, &session->data.peer);
    if (port == NULL) {
        int error = open_port(ports, &local, &port);
        if (error)
            return error;
    }
    ports->last = port;
    session->data.port = port;
    session->data.next = port->waiting;
    port->waiting = session;
    return port->number;
}

void ftp_ports_leave(struct ftp_session *session)
{
    struct ftp_port *port = session->data.port;
    struct ftp_session **at = &port->waiting;
    while (*at != session)
        at = &(*at)->data.next;
    *at = session->data.next;
    session->data.port = NULL;
    struct ftp_ports *ports = ftp_session_shared(session)->ports;
    if (port->waiting == NULL && ports->open > KEPT && ports->worker->queue != NULL)
        close_port(ports, port);
}

unsigned ftp_ports_busy(const struct ftp_ports *ports)
{
    const struct ftp_port *port = ports->last;
    unsigned busy = 0;
    for (unsigned i = 0; i < ports->count; i++, port = port->next)
        busy += port->waiting != NULL;
    return busy;
}

struct ftp_ports *ftp_ports_open(struct worker *worker)
{
    struct ftp_ports *ports = calloc(1, sizeof *ports);
    if (ports != NULL)
        ports->worker = worker;
    return ports;
}

void ftp_ports_close(struct ftp_ports *ports)
{
    for (unsigned i = 0; ports != NULL && i < ports->count; i++) {
        struct ftp_port *next = ports->last->next;
        if (ports->last->endpoint.listener >= 0) /* its source went with the queue */
            close(ports->last->endpoint.listener);
        free(ports->last);
        ports->last = next;
    }
    free(ports);
}
