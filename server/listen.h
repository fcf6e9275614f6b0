/* SPDX-License-Identifier: MIT */
/* Addresses to listen on, and listening sockets. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

struct listen_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    };
    socklen_t length; /* 0: off */
    unsigned mode;    /* of a socket in the filesystem; 0: as the umask has it */
};

enum { LISTEN_URL_SPACE = 128 };

static inline bool listen_is_local(const struct listen_address *address)
{
    return address->length != 0 && address->any.sa_family == AF_UNIX;
}

/* A numeric address ("127.0.0.1", "::1", "[::1]") or "localhost", and a port. False: it is not one. */
bool listen_address_set_host(struct listen_address *address, const char *host, size_t length);
bool listen_address_set_port(struct listen_address *address, const char *port);

/* "ADDR:PORT", "[IPV6]:PORT", "PORT" (of 127.0.0.1), "unix:PATH". */
bool listen_address_read(struct listen_address *address, const char *text);

/*
 * Opens count sockets that share one address. The first is bound without SO_REUSEPORT, so that an address which anybody
 * listens on already is refused, another errand included. Port 0 becomes the one that the system chose. Of a socket in
 * the filesystem they are duplicates; a file that is a socket on which nobody listens is replaced. Returns 0 or a
 * negative errno, with nothing left open.
 */
int listen_open(struct listen_address *address, int *sockets, unsigned count);

/*
 * Nobody is to come through this address any more: a socket's file is removed, and the address becomes none. To be
 * called while it is still listened on: afterwards, the file may be another server's.
 */
void listen_forget(struct listen_address *address);

/* Writes "http://127.0.0.1:8080/" or "unix:/run/errand". */
void listen_url(const struct listen_address *address, const char *scheme, char out[LISTEN_URL_SPACE]);

#endif
