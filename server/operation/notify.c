/* SPDX-License-Identifier: MIT */
/* Messages to the service manager, and sockets from it. */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------ messages */

/* "/run/systemd/notify", or "@name" of the abstract namespace. Returns the address's length, 0: it is neither. */
static socklen_t manager_address(struct sockaddr_un *address, const char *name)
{
    size_t length = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof address->sun_path)
        return 0;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, name, length);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

int notify_connect(int *manager)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    *manager = -1;
    if (name == NULL)
        return 0;
    socklen_t length = manager_address(&address, name);
    if (length == 0)
        return -EINVAL;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, length) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *manager = fd;
    return 0;
}

int notify_send(int manager, const char *state)
{
    return manager < 0 || send(manager, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : -errno;
}

int notify_state(const char *state)
{
    int manager, error = notify_connect(&manager);
    if (error == 0)
        error = notify_send(manager, state);
    if (manager >= 0)
        close(manager);
    return error;
}

/* ------------------------------------------------------------------------------------------ sockets */

enum { ACTIVATION_FIRST = 3, ACTIVATION_MOST = 4096 };

/* A variable's value as a number up to most. -1: it is not set, or is none. */
static long number_of(const char *variable, long most)
{
    const char *text = getenv(variable);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    long value = strtol(text, &end, 10);
    return *end == '\0' && errno == 0 && value <= most ? value : -1;
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

/* What is wrong with it; NULL: nothing. */
static const char *socket_problem(int fd)
{
    if (fcntl(fd, F_GETFD) < 0)
        return "is not open";
    int domain = option_of(fd, SO_DOMAIN);
    if (option_of(fd, SO_TYPE) != SOCK_STREAM || (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX))
        return "is no stream socket (its unit wants ListenStream=)";
    return option_of(fd, SO_ACCEPTCONN) == 1 ? NULL : "does not listen (its unit wants Accept=no)";
}

/* As the server's own listening sockets are: connections inherit TCP_NODELAY. */
static bool prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return false;
    return option_of(fd, SO_DOMAIN) == AF_UNIX || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0;
}

static bool check_sockets(struct activation *activation, char *why, size_t why_size)
{
    for (unsigned i = 0; i < activation->count; i++) {
        const struct activation_socket *socket = &activation->list[i];
        const char *problem = socket_problem(socket->fd);
        if (problem == NULL && !prepare(socket->fd))
            problem = strerror(errno);
        if (problem != NULL) {
            snprintf(why, why_size, "of the sockets that the service manager passed, number %u (%s) %s", i + 1,
                     socket->name, problem);
            return false;
        }
    }
    return true;
}

/* "http:status", one each; they may be missing as a whole, or at the end. */
static bool make_list(struct activation *activation, unsigned count)
{
    const char *names = getenv("LISTEN_FDNAMES");
    activation->list = calloc(count, sizeof *activation->list);
    activation->names = strdup(names != NULL ? names : "");
    if (activation->list == NULL || activation->names == NULL)
        return false;
    char *rest = activation->names;
    for (activation->count = 0; activation->count < count; activation->count++) {
        const char *name = strsep(&rest, ":");
        activation->list[activation->count] = (struct activation_socket){
            .fd = ACTIVATION_FIRST + (int)activation->count, .name = name != NULL ? name : ""};
    }
    return true;
}

static bool take(struct activation *activation, char *why, size_t why_size)
{
    if (number_of("LISTEN_PID", INT_MAX) != getpid())
        return true;
    long count = number_of("LISTEN_FDS", ACTIVATION_MOST);
    if (count < 0) {
        snprintf(why, why_size,
                 "LISTEN_FDS is no number up to %d (the service manager sets it; unset LISTEN_PID to do "
                 "without its sockets)",
                 ACTIVATION_MOST);
        return false;
    }
    if (count > 0 && !make_list(activation, (unsigned)count)) {
        snprintf(why, why_size, "out of memory");
        return false;
    }
    return check_sockets(activation, why, why_size);
}

bool activation_take(struct activation *activation, char *why, size_t why_size)
{
    *activation = (struct activation){0};
    bool good = take(activation, why, why_size);
    if (!good)
        activation_free(activation);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return good;
}

void activation_free(struct activation *activation)
{
    free(activation->list);
    free(activation->names);
    *activation = (struct activation){0};
}
