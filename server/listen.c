/* SPDX-License-Identifier: MIT */
/* Listening sockets: one for each worker on the same port, the kernel spreads the clients over them. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 4096 }; /* the system's limit (net.core.somaxconn) may be lower */

bool listen_address_set_host(struct listen_address *address, const char *host, size_t length)
{
    char text[INET6_ADDRSTRLEN];
    in_port_t port = address->length == 0 ? 0 : address->v4.sin_port; /* at the same place in both */
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    if (length >= sizeof text)
        return false;
    memcpy(text, host, length);
    text[length] = '\0';
    struct listen_address result = {0};
    if (strcmp(text, "localhost") == 0)
        memcpy(text, "127.0.0.1", sizeof "127.0.0.1");
    if (inet_pton(AF_INET, text, &result.v4.sin_addr) == 1) {
        result.any.sa_family = AF_INET;
        result.length = sizeof result.v4;
    } else if (inet_pton(AF_INET6, text, &result.v6.sin6_addr) == 1) {
        result.any.sa_family = AF_INET6;
        result.length = sizeof result.v6;
    } else {
        return false;
    }
    result.v4.sin_port = port;
    *address = result;
    return true;
}

bool listen_address_set_port(struct listen_address *address, const char *port)
{
    unsigned value = 0;
    size_t length = strlen(port);
    if (length == 0 || length > 5)
        return false;
    for (; *port; port++) {
        if (*port < '0' || *port > '9')
            return false;
        value = value * 10 + (unsigned)(*port - '0');
    }
    if (value > 65535)
        return false;
    address->v4.sin_port = htons((in_port_t)value);
    return true;
}

bool listen_address_read(struct listen_address *address, const char *text)
{
    const char *colon = strrchr(text, ':');
    struct listen_address result = {0};
    if (colon == NULL)
        return listen_address_set_host(&result, "127.0.0.1", 9) && listen_address_set_port(&result, text) &&
               (*address = result, true);
    size_t host = (size_t)(colon - text);
    if (memchr(text, ':', host) != NULL && text[0] != '[')
        return false; /* "::1:80" could mean anything */
    if (!listen_address_set_host(&result, text, host) || !listen_address_set_port(&result, colon + 1))
        return false;
    *address = result;
    return true;
}

static int set(int fd, int level, int option)
{
    return setsockopt(fd, level, option, &(int){1}, sizeof(int));
}

/* One socket, listening. Connections inherit TCP_NODELAY. */
static int open_one(const struct listen_address *address, bool first)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (set(fd, SOL_SOCKET, SO_REUSEADDR) != 0 || set(fd, IPPROTO_TCP, TCP_NODELAY) != 0 ||
        (!first && set(fd, SOL_SOCKET, SO_REUSEPORT) != 0) || bind(fd, &address->any, address->length) != 0 ||
        listen(fd, BACKLOG) != 0 || (first && set(fd, SOL_SOCKET, SO_REUSEPORT) != 0)) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int listen_open(struct listen_address *address, int *sockets, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sockets[i] = open_one(address, i == 0);
        if (sockets[i] < 0) {
            int error = sockets[i];
            while (i > 0)
                close(sockets[--i]);
            return error;
        }
        socklen_t length = sizeof address->v6;
        if (i == 0 && getsockname(sockets[0], &address->any, &length) == 0)
            address->length = length;
    }
    return 0;
}

void listen_url(const struct listen_address *address, const char *scheme, char out[LISTEN_URL_SPACE])
{
    char text[INET6_ADDRSTRLEN] = "?";
    bool six = address->any.sa_family == AF_INET6;
    inet_ntop(address->any.sa_family, six ? (const void *)&address->v6.sin6_addr : &address->v4.sin_addr, text,
              sizeof text);
    snprintf(out, LISTEN_URL_SPACE, six ? "%s://[%s]:%u/" : "%s://%s:%u/", scheme, text, ntohs(address->v4.sin_port));
}
