/* SPDX-License-Identifier: MIT */
/* Listening sockets: one for each worker on the same port, the kernel spreads the clients over them. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 4096 }; /* the system's limit (net.core.somaxconn) may be lower */

bool listen_address_set_host(struct listen_address *address, const char *host, size_t length)
{
    char text[INET6_ADDRSTRLEN];
    in_port_t port =
        address->length == 0 || listen_is_local(address) ? 0 : address->v4.sin_port; /* at the same place in both */
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
    if (length == 0 || length > 5 || listen_is_local(address))
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

static bool set_local(struct listen_address *address, const char *path)
{
    struct listen_address result = {.local.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof result.local.sun_path)
        return false;
    memcpy(result.local.sun_path, path, length + 1);
    result.length = sizeof result.local;
    *address = result;
    return true;
}

bool listen_address_read(struct listen_address *address, const char *text)
{
    if (strncmp(text, "unix:", 5) == 0)
        return set_local(address, text + 5);
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

/* A file that a server left behind when it was killed: nobody answers there. Returns 0 if it is gone now. */
static int remove_stale(const struct listen_address *address)
{
    struct stat status;
    if (lstat(address->local.sun_path, &status) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return -errno;
    int error = connect(probe, &address->any, address->length) == 0 ? EADDRINUSE : errno;
    close(probe);
    if (error != ECONNREFUSED)
        return error == EAGAIN ? -EADDRINUSE : -error; /* EAGAIN: so many wait there that no other may */
    return unlink(address->local.sun_path) == 0 ? 0 : -errno;
}

static int open_local(const struct listen_address *address)
{
    int error = remove_stale(address);
    if (error)
        return error;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, &address->any, address->length) != 0) {
        error = -errno;
        close(fd);
        return error;
    }
    /* Nobody gets in before it listens, so the mode comes in time. */
    if ((address->mode != 0 && chmod(address->local.sun_path, address->mode) != 0) || listen(fd, BACKLOG) != 0) {
        error = -errno;
        close(fd);
        unlink(address->local.sun_path);
        return error;
    }
    return fd;
}

/* Sockets in the filesystem cannot share a name, so all workers accept from the same one. */
static int open_next(const struct listen_address *address, const int *sockets, unsigned number)
{
    if (!listen_is_local(address))
        return open_one(address, number == 0);
    if (number == 0)
        return open_local(address);
    int fd = fcntl(sockets[0], F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? -errno : fd;
}

int listen_open(struct listen_address *address, int *sockets, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sockets[i] = open_next(address, sockets, i);
        if (sockets[i] < 0) {
            int error = sockets[i];
            if (i > 0 && listen_is_local(address))
                unlink(address->local.sun_path);
            while (i > 0)
                close(sockets[--i]);
            return error;
        }
        socklen_t length = sizeof address->v6;
        if (i == 0 && !listen_is_local(address) && getsockname(sockets[0], &address->any, &length) == 0)
            address->length = length;
    }
    return 0;
}

void listen_forget(struct listen_address *address)
{
    if (listen_is_local(address))
        unlink(address->local.sun_path);
    address->length = 0;
}

void listen_url(const struct listen_address *address, const char *scheme, char out[LISTEN_URL_SPACE])
{
    char text[INET6_ADDRSTRLEN] = "?";
    if (listen_is_local(address)) {
        snprintf(out, LISTEN_URL_SPACE, "unix:%s", address->local.sun_path);
        return;
    }
    bool six = address->any.sa_family == AF_INET6;
    inet_ntop(address->any.sa_family, six ? (const void *)&address->v6.sin6_addr : &address->v4.sin_addr, text,
              sizeof text);
    snprintf(out, LISTEN_URL_SPACE, six ? "%s://[%s]:%u/" : "%s://%s:%u/", scheme, text, ntohs(address->v4.sin_port));
}
