/* SPDX-License-Identifier: MIT */
/*
 * What is asked of those who connect to the service: at most so many connections and requests of one address, a least
 * rate, a PROXY header from some. There is a gate only if one of these is configured; without one a connection costs
 * nothing more, neither memory nor time. With one, a struct client stands behind the connection's record.
 *
 * Who connects from an address that ProxyFrom= names has to begin with a PROXY header, and is from then on whom it
 * names. A header that is missing or broken ends the connection: one that may be left out could be forged by whoever
 * gets the proxy to pass on his bytes. Of others none is read: what begins so is a bad request.
 *
 * A connection beyond what its address may have is told so in a few ready bytes and closed at once: it takes no place,
 * not even for the time of lingering. A request beyond is answered with 429, and the connection stays.
 */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include "address.h"
#include "config/config.h"
#include "connection.h"
#include "pace.h"

struct gate {
    struct peers *peers; /* NULL: addresses are not counted */
    struct address_prefix *proxies;
    unsigned proxy_count;
    bool proxy_is_local; /* who comes through a socket in the filesystem is a proxy, too */
    struct pace_limit pace;
};

struct proxy_reader;

struct client {
    struct address address;
    struct peer *peer;           /* NULL: it is not counted */
    struct proxy_reader *header; /* still to come; NULL: none, or it has */
    struct pace pace;
};

/* *gate: NULL if nothing is asked. Returns 0 or -ENOMEM. */
int gate_open(struct gate **gate, const struct config *config);
void gate_close(struct gate *gate);

/* Bytes behind a connection's record. */
size_t gate_size(const struct gate *gate);

struct client *gate_client(struct connection *connection);

/* Of connections of a gate. A new one: false: it may not stay, and was told so. */
bool gate_enter(struct connection *connection);
void gate_leave(struct connection *connection);

/* Takes what is meant for the gate off the front of what came. Returns how many bytes are left; with 0 the connection
 * may have been closed. */
size_t gate_input(struct connection *connection, const char **data, size_t length);

/* May it have one more request answered? (Of any connection.) */
bool gate_admits(struct connection *connection);

/* The client's address, of any connection: as a PROXY header gave it, or the socket's. */
struct address gate_address(struct connection *connection);

#endif
