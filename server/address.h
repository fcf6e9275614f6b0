/* SPDX-License-Identifier: MIT */
/* Addresses of clients, all of one form: an IPv6 address, or an IPv4 one mapped into it (RFC 4291, 2.5.5.2). */
#ifndef SERVER_ADDRESS_H
#define SERVER_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct address {
    unsigned char bytes[16]; /* all zero: not known */
};

struct address address_of_ipv4(const void *four_bytes);
struct address address_of_ipv6(const void *sixteen_bytes);

/* Is it an IPv4 address? */
bool address_is_ipv4(const struct address *address);

bool address_is_known(const struct address *address);

/* Whom a socket is connected with. Returns the family, AF_UNSPEC if it is not connected any more; what is neither IPv4
 * nor IPv6 has no address. Never waits. */
int address_of_peer(int socket, struct address *address);

/* The same of its own end, the address that the peer came to. */
int address_of_socket(int socket, struct address *address);

/* As bind(2) and connect(2) want it. Returns its length. */
unsigned address_to_socket(const struct address *address, unsigned port, struct sockaddr_in6 *out);

/* What one client may be taken to have for himself: an IPv4 address, or the /64 that an IPv6 address lies in. */
struct address address_of_one_client(const struct address *address);

struct address_prefix {
    struct address address;
    unsigned bits; /* of the 128 */
};

/* "10.0.0.0/8", "fd00::/8", "::1". False: it is not one. */
bool address_prefix_read(struct address_prefix *prefix, const char *text, size_t length);
bool address_prefix_has(const struct address_prefix *prefix, const struct address *address);

#endif
