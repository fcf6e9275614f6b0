/* SPDX-License-Identifier: MIT */
/*
 * The data connection of a session's next transfer. Passive: a port was named to the client (ports.h), and he comes to
 * it before the transfer's command or after. Active: he has named an address of his own, above port 1023, to which we
 * connect; of anybody else's none is taken (RFC 2577, 3).
 */
#ifndef SERVER_FTP_DATA_H
#define SERVER_FTP_DATA_H

#include "address.h"
#include "errand.h"

#include <stdbool.h>

struct ftp_port;
struct ftp_session;

enum ftp_data_mode { FTP_DATA_NONE, FTP_DATA_PASSIVE, FTP_DATA_ACTIVE };

struct ftp_data {
    struct ftp_port *port;    /* where it is waited for; NULL: nowhere */
    struct ftp_session *next; /* who waits there, too */
    int fd;                   /* the connection's, or what is being connected; -1: none */
    uint8_t mode;             /* enum ftp_data_mode */
    uint16_t active_port;     /* of the client's */
    struct address peer;      /* the client's, that alone may come, and that alone we go to */
};

/* Somebody came to the port where it was waited for; fd: -1: nobody will. */
void ftp_data_arrived(struct ftp_session *session, int fd);

/* Appends what has it made: nothing if it is there already. *awaits: the chain stands until ftp_data_arrived().
 * After it, data.fd is it. Returns 0; -ENOTCONN: the client did not say how. */
int ftp_data_append(errand_chain *chain, struct ftp_session *session, bool *awaits);

/* Ends it, and what was set up for it. */
void ftp_data_close(struct ftp_session *session);

#endif
