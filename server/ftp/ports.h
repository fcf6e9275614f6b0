/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets for passive data connections, a worker's. Sessions share them: who comes to a port is known by his
 * address, so sessions of different clients can wait at one, and a session that waits has one to itself among those of
 * its client. Anybody else who comes is turned away. So a transfer costs no socket to listen on, ten thousand sessions
 * cost as many as the busiest client needs at once, and nobody gets what is not his.
 */
#ifndef SERVER_FTP_PORTS_H
#define SERVER_FTP_PORTS_H

#include <stdint.h>

enum { FTP_PORTS_MAX = 1024 }; /* of one worker */

struct ftp_ports;
struct ftp_session;
struct worker;

/* NULL: no memory. */
struct ftp_ports *ftp_ports_open(struct worker *worker);
void ftp_ports_close(struct ftp_ports *ports);

/* Has the session wait at a port, of the address that its client came to. Returns the port; -EAGAIN: all are taken;
 * another error of the socket. */
int ftp_ports_wait(struct ftp_ports *ports, struct ftp_session *session);

/* Those at which somebody waits. */
unsigned ftp_ports_busy(const struct ftp_ports *ports);

/* It waits no more. */
void ftp_ports_leave(struct ftp_session *session);

#endif
