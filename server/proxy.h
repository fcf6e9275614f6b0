/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol (haproxy's proxy-protocol.txt, versions 1 and 2): what a proxy says of the client that it speaks
 * for, before anything else. Works on bytes alone, in pieces of any size; it does not guess.
 */
#ifndef SERVER_PROXY_H
#define SERVER_PROXY_H

#include "address.h"

#include <stdint.h>

enum {
    PROXY_TEXT_MAX = 107, /* a header of version 1, with its CR LF */
    /* One of version 2, extensions included: a certificate's names and some identifiers need a few hundred bytes. More
     * would only have us read on (it may say up to 65551) before the time for a head begins to mean anything. */
    PROXY_BINARY_MAX = 4096,
};

/* All zero at first. */
struct proxy_reader {
    struct address address; /* the client's, when it is done; not known: the header names none (UNKNOWN, LOCAL, UNSPEC,
                               a socket in a filesystem, datagrams), and the connection is what it looks like */
    uint16_t have;          /* of bytes */
    uint16_t skipped;       /* of those behind them that are of no use */
    unsigned char bytes[PROXY_TEXT_MAX + 1];
};

enum proxy_result {
    PROXY_MORE,    /* all bytes were used, and it goes on */
    PROXY_DONE,    /* *used of them were the rest of the header */
    PROXY_INVALID, /* it is none, or a broken one */
};

/* Takes the next bytes. Not to be called again after an end. */
enum proxy_result proxy_read(struct proxy_reader *reader, const char *data, size_t length, size_t *used);

#endif
