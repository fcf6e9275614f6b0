/* SPDX-License-Identifier: MIT */
/* Data connections: see data.h; and the commands that say how they are made. */
#include "command.h"
#include "data.h"
#include "ports.h"
#include "session.h"
#include "shared.h"
#include "task.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LEAST_PORT = 1024 }; /* RFC 2577, 3: below are services that somebody might be made to talk to */

/* It is there, or no more. With the file that goes through it, it takes the place of two clients. */
static void count(struct ftp_session *session, int change)
{
    server_count_connection(session->base.endpoint->worker->server, 2 * change);
}

void ftp_data_close(struct ftp_session *session)
{
    struct ftp_data *data = &session->data;
    if (data->port != NULL)
        ftp_ports_leave(session);
    if (data->mode != FTP_DATA_NONE && data->fd >= 0) { /* a session that was never opened has zeros here */
        close(data->fd);
        count(session, -1);
    }
    data->fd = -1;
    data->mode = FTP_DATA_NONE;
}

void ftp_data_arrived(struct ftp_session *session, int fd)
{
    struct ftp_task *task = session->task;
    ftp_ports_leave(session);
    session->data.fd = fd;
    if (fd < 0)
        session->data.mode = FTP_DATA_NONE;
    else
        count(session, +1);
    if (task != NULL && task->awaits) {
        task->awaits = fd < 0;
        errand_resume(ftp_session_queue(session), session->base.chain, fd < 0 ? -ECONNABORTED : 0, 0);
    }
}

/* From the address that the client came to. */
static int connect_to_client(errand_chain *chain, struct ftp_session *session)
{
    struct ftp_data *data = &session->data;
    struct address local;
    struct sockaddr_in6 address;
    if (address_of_socket(session->base.fd, &local) == AF_UNSPEC)
        return -ENOTCONN;
    socklen_t length = address_to_socket(&local, 0, &address);
    data->fd = socket(address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (data->fd < 0)
        return -errno;
    count(session, +1);
    if (bind(data->fd, (struct sockaddr *)&address, length) != 0)
        return -errno;
    length = address_to_socket(&data->peer, data->active_port, &address);
    int step = errand_step_connect(chain, data->fd, &address, length);
    return step < 0 ? step : 0;
}

int ftp_data_append(errand_chain *chain, struct ftp_session *session, bool *awaits)
{
    struct ftp_data *data = &session->data;
    if (data->mode == FTP_DATA_ACTIVE)
        return connect_to_client(chain, session);
    if (data->fd >= 0)
        return 0;
    if (data->port == NULL)
        return -ENOTCONN;
    int step = errand_step_await(chain, NULL, NULL);
    *awaits = step >= 0;
    return step < 0 ? step : 0;
}

/* ------------------------------------------------------------------------------------------ passive */

/* Returns the port; or replies, and returns an error. */
static int wait_passive(struct ftp_session *session)
{
    ftp_data_close(session);
    if (address_of_peer(session->base.fd, &session->data.peer) == AF_UNSPEC) {
        connection_close(&session->base);
        return -ENOTCONN;
    }
    int port = ftp_ports_wait(ftp_session_shared(session)->ports, session);
    if (port > 0)
        session->data.mode = FTP_DATA_PASSIVE;
    else
        ftp_reply(session, 425, port == -EAGAIN ? "No port is free; try again later." : "No port can be opened.");
    return port;
}

static bool refuses_by_epsv_all(struct ftp_session *session)
{
    if (session->only_epsv)
        ftp_reply(session, 503, "EPSV ALL was sent: nothing else from then on (RFC 2428).");
    return session->only_epsv;
}

void ftp_pasv(struct ftp_session *session, char *argument)
{
    const struct config_ftp *config = ftp_session_config(session);
    struct address local;
    (void)argument;
    if (refuses_by_epsv_all(session))
        return;
    if (address_of_socket(session->base.fd, &local) == AF_UNSPEC || !address_is_ipv4(&local)) {
        ftp_reply(session, 425, "PASV is for IPv4; use EPSV.");
        return;
    }
    int port = wait_passive(session);
    if (port <= 0)
        return;
    unsigned char *ip = local.bytes + 12;
    if (config->passive_address.bytes != NULL)
        inet_pton(AF_INET, config->passive_address.bytes, ip);
    ftp_reply(session, 227, "Entering Passive Mode (%u,%u,%u,%u,%d,%d).", ip[0], ip[1], ip[2], ip[3], port >> 8,
              port & 255);
}

static bool is_family(const struct ftp_session *session, unsigned family)
{
    struct address local;
    return address_of_socket(session->base.fd, &local) != AF_UNSPEC && family == (address_is_ipv4(&local) ? 1 : 2);
}

static void refuse_family(struct ftp_session *session)
{
    ftp_reply(session, 522, "Network protocol not supported, use (%d).", is_family(session, 1) ? 1 : 2);
}

void ftp_epsv(struct ftp_session *session, char *argument)
{
    if (strcasecmp(argument, "ALL") == 0) {
        session->only_epsv = true;
        ftp_reply(session, 200, "Only EPSV from now on.");
        return;
    }
    if (*argument && (strspn(argument, "0123456789") != strlen(argument) || strlen(argument) > 5)) {
        ftp_reply(session, 501, "Want EPSV, EPSV 1, EPSV 2 or EPSV ALL.");
        return;
    }
    if (*argument && !is_family(session, (unsigned)strtoul(argument, NULL, 10))) {
        refuse_family(session);
        return;
    }
    int port = wait_passive(session);
    if (port > 0)
        ftp_reply(session, 229, "Entering Extended Passive Mode (|||%d|).", port);
}

/* ------------------------------------------------------------------------------------------ active */

static void take_active(struct ftp_session *session, const struct address *address, unsigned port)
{
    struct address peer;
    if (!ftp_session_config(session)->active) {
        ftp_reply(session, 502, "Active data connections are not made here; use PASV or EPSV.");
        return;
    }
    bool good = address_of_peer(session->base.fd, &peer) != AF_UNSPEC && memcmp(&peer, address, sizeof peer) == 0;
    if (!good || port < LEAST_PORT) {
        ftp_reply(session, 504, "Only to your own address, and a port above 1023.");
        return;
    }
    ftp_data_close(session);
    session->data.peer = peer;
    session->data.active_port = (uint16_t)port;
    session->data.mode = FTP_DATA_ACTIVE;
    ftp_reply(session, 200, "Will connect to it.");
}

void ftp_port(struct ftp_session *session, char *argument)
{
    unsigned n[6];
    int used = 0;
    if (refuses_by_epsv_all(session))
        return;
    bool good = sscanf(argument, "%3u,%3u,%3u,%3u,%3u,%3u%n", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &used) == 6 &&
                argument[used] == '\0' && strspn(argument, "0123456789,") == strlen(argument);
    unsigned char ip[4];
    for (unsigned i = 0; i < 6 && good; i++) {
        good = n[i] <= 255;
        if (i < 4)
            ip[i] = (unsigned char)n[i];
    }
    if (!good) {
        ftp_reply(session, 501, "Want PORT h1,h2,h3,h4,p1,p2.");
        return;
    }
    struct address address = address_of_ipv4(ip);
    take_active(session, &address, n[4] << 8 | n[5]);
}

/* "|1|192.0.2.1|50000|", with any character for the bar. */
static bool read_eprt(char *argument, unsigned *family, struct address *address, unsigned *port)
{
    unsigned char ip[16];
    char bar = argument[0], *parts[4], *at = argument + 1;
    if (bar < 33 || bar > 126)
        return false;
    for (unsigned i = 0; i < 3; i++) {
        parts[i] = at;
        at = strchr(at, bar);
        if (at == NULL)
            return false;
        *at++ = '\0';
    }
    size_t digits = strspn(parts[2], "0123456789");
    if (*at || strlen(parts[0]) != 1 || digits == 0 || digits > 5 || parts[2][digits])
        return false;
    *family = (unsigned)(parts[0][0] - '0');
    *port = (unsigned)strtoul(parts[2], NULL, 10);
    if (*family != 1 && *family != 2)
        return true; /* to be refused as such */
    if (inet_pton(*family == 1 ? AF_INET : AF_INET6, parts[1], ip) != 1 || *port > UINT16_MAX)
        return false;
    *address = *family == 1 ? address_of_ipv4(ip) : address_of_ipv6(ip);
    return true;
}

void ftp_eprt(struct ftp_session *session, char *argument)
{
    unsigned family, port;
    struct address address;
    if (refuses_by_epsv_all(session))
        return;
    if (!read_eprt(argument, &family, &address, &port))
        ftp_reply(session, 501, "Want EPRT |1|ADDRESS|PORT| or |2|ADDRESS|PORT|.");
    else if (!is_family(session, family))
        refuse_family(session);
    else
        take_active(session, &address, port);
}
