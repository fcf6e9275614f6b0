/* SPDX-License-Identifier: MIT */
/* Addresses and prefixes of them: see address.h. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { MAPPED = 96 }; /* bits before an IPv4 address */

static const unsigned char mapped[MAPPED / 8] = {[10] = 0xff, [11] = 0xff};

struct address address_of_ipv4(const void *four_bytes)
{
    struct address address;
    memcpy(address.bytes, mapped, sizeof mapped);
    memcpy(address.bytes + sizeof mapped, four_bytes, 4);
    return address;
}

struct address address_of_ipv6(const void *sixteen_bytes)
{
    struct address address;
    memcpy(address.bytes, sixteen_bytes, sizeof address.bytes);
    return address;
}

bool address_is_known(const struct address *address)
{
    static const struct address unknown;
    return memcmp(address, &unknown, sizeof unknown) != 0;
}

bool address_is_ipv4(const struct address *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

static int address_by(int (*ask)(int, struct sockaddr *, socklen_t *), int socket, struct address *address)
{
    struct sockaddr_storage end = {0};
    socklen_t length = sizeof end;
    *address = (struct address){0};
    if (ask(socket, (struct sockaddr *)&end, &length) != 0)
        return AF_UNSPEC;
    if (end.ss_family == AF_INET6)
        *address = address_of_ipv6(&((struct sockaddr_in6 *)&end)->sin6_addr);
    else if (end.ss_family == AF_INET)
        *address = address_of_ipv4(&((struct sockaddr_in *)&end)->sin_addr);
    return end.ss_family;
}

int address_of_peer(int socket, struct address *address)
{
    return address_by(getpeername, socket, address);
}

int address_of_socket(int socket, struct address *address)
{
    return address_by(getsockname, socket, address);
}

unsigned address_to_socket(const struct address *address, unsigned port, struct sockaddr_in6 *out)
{
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    memcpy(&out->sin6_addr, address->bytes, sizeof address->bytes);
    if (!address_is_ipv4(address))
        return sizeof *out;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    memcpy(&v4.sin_addr, address->bytes + sizeof mapped, 4);
    memcpy(out, &v4, sizeof v4);
    return sizeof v4;
}

struct address address_of_one_client(const struct address *address)
{
    struct address client = *address;
    if (!address_is_ipv4(address))
        memset(client.bytes + 8, 0, 8);
    return client;
}

/* Behind the slash: at most three digits. -1: it is no number. */
static int read_bits(const char *text)
{
    int bits = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 3)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        bits = 10 * bits + *text - '0';
    }
    return bits;
}

bool address_prefix_read(struct address_prefix *prefix, const char *text, size_t length)
{
    char copy[INET6_ADDRSTRLEN + 4];
    struct in_addr v4;
    struct in6_addr v6;
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    bool is_v4 = inet_pton(AF_INET, copy, &v4) == 1;
    if (!is_v4 && inet_pton(AF_INET6, copy, &v6) != 1)
        return false;
    int most = is_v4 ? 32 : 128, bits = slash != NULL ? read_bits(slash + 1) : most;
    if (bits < 0 || bits > most)
        return false;
    prefix->address = is_v4 ? address_of_ipv4(&v4) : address_of_ipv6(&v6);
    prefix->bits = (unsigned)bits + (is_v4 ? MAPPED : 0);
    return true;
}

bool address_prefix_has(const struct address_prefix *prefix, const struct address *address)
{
    unsigned whole = prefix->bits / 8, left = prefix->bits % 8;
    if (memcmp(prefix->address.bytes, address->bytes, whole) != 0)
        return false;
    return left == 0 || ((prefix->address.bytes[whole] ^ address->bytes[whole]) >> (8 - left)) == 0;
}
