/* SPDX-License-Identifier: MIT */
/*
 * TYPE A (RFC 959, 3.1.1.1): on the way lines end with CR LF, in files with LF. Every LF goes out as CR LF, and every
 * CR LF comes in as LF; any other CR stays what it is. So what was sent and comes back is the same, whatever it was.
 */
#ifndef SERVER_FTP_ASCII_H
#define SERVER_FTP_ASCII_H

#include "errand.h"

#include <stdbool.h>

struct ftp_ascii {
    bool cr; /* was put out, and its LF was not; or was taken, and nothing was put out for it */
};

/* Filters of a sendfile and of a receive-file step; the context is a struct ftp_ascii of the step's own. */
int ftp_ascii_send(void *context, struct errand_pieces *pieces);
int ftp_ascii_receive(void *context, struct errand_pieces *pieces);

#endif
