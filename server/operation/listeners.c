/* SPDX-License-Identifier: MIT */
/* Opens, shares and closes what is listened on. */
#include "listeners.h"
#include "notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *const listener_kinds[LISTENER_KINDS] = {"http", "ftp", "status"};

void listener_name(const struct listen_address *address, char out[LISTEN_URL_SPACE])
{
    char url[LISTEN_URL_SPACE];
    listen_url(address, "http", url);
    const char *from = url;
    size_t length = strlen(url);
    if (!listen_is_local(address)) {
        from += strlen("http://");
        length = strlen(from) - 1;
    }
    memcpy(out, from, length);
    out[length] = '\0';
}

static bool is_same(const struct listen_address *one, const struct listen_address *other)
{
    char name[LISTEN_URL_SPACE], other_name[LISTEN_URL_SPACE];
    listener_name(one, name);
    listener_name(other, other_name);
    return strcmp(name, other_name) == 0;
}

void listener_forget(struct listener *listener)
{
    if (!listener->borrowed)
        listen_forget(&listener->address);
}

/* ------------------------------------------------------------------------------------------ the list */

bool listeners_add(struct listeners *listeners, const struct listener *listener, const int *sockets)
{
    struct listener *list = reallocarray(listeners->list, listeners->count + 1, sizeof *list);
    int *copy = list == NULL ? NULL : calloc(listener->count, sizeof *copy);
    if (list != NULL)
        listeners->list = list;
    if (copy == NULL)
        return false;
    memcpy(copy, sockets, listener->count * sizeof *copy);
    unsigned at = listeners->count++;
    for (; at > 0 && list[at - 1].kind > listener->kind; at--)
        list[at] = list[at - 1];
    list[at] = *listener;
    list[at].sockets = copy;
    return true;
}

static bool add_given(struct listeners *listeners, const struct activation_socket *socket)
{
    struct listener listener = {.count = 1, .given = true, .borrowed = true};
    for (unsigned kind = 0; kind < LISTENER_KINDS; kind++)
        if (strcmp(socket->name, listener_kinds[kind]) == 0)
            listener.kind = (uint8_t)kind;
    socklen_t length = sizeof listener.address.local;
    if (getsockname(socket->fd, &listener.address.any, &length) == 0)
        listener.address.length = length;
    listener.configured = listener.address;
    return listeners_add(listeners, &listener, &socket->fd);
}

/* FTP tells its clients addresses to connect to. */
static bool are_for_their_kind(const struct listeners *listeners, char *why, size_t why_size)
{
    for (unsigned n = 0; n < listeners->count; n++) {
        if (listeners->list[n].kind == LISTENER_FTP && listen_is_local(&listeners->list[n].address)) {
            snprintf(why, why_size, "the service manager has a socket of a file for ftp: want an address and a port");
            return false;
        }
    }
    return true;
}

bool listeners_take_given(struct listeners *listeners, char *why, size_t why_size)
{
    struct activation activation;
    if (!activation_take(&activation, why, why_size))
        return false;
    bool good = true;
    for (unsigned i = 0; i < activation.count; i++)
        good = good && add_given(listeners, &activation.list[i]);
    activation_free(&activation);
    if (!good)
        snprintf(why, why_size, "out of memory");
    return good && are_for_their_kind(listeners, why, why_size);
}

static bool has_socket(const struct listeners *listeners, int socket)
{
    for (unsigned n = 0; listeners != NULL && n < listeners->count; n++)
        for (unsigned i = 0; i < listeners->list[n].count; i++)
            if (listeners->list[n].sockets[i] == socket)
                return true;
    return false;
}

static void close_one(struct listener *listener, const struct listeners *kept)
{
    if (listener->count == 0 || !has_socket(kept, listener->sockets[0]))
        listener_forget(listener); /* while it is still listened on: afterwards the file may be another's */
    for (unsigned i = 0; i < listener->count; i++)
        if (listener->sockets[i] >= 0 && !has_socket(kept, listener->sockets[i]))
            close(listener->sockets[i]);
    listener->count = 0;
}

void listeners_close(struct listeners *listeners, const struct listeners *kept)
{
    for (unsigned n = 0; n < listeners->count; n++)
        close_one(&listeners->list[n], kept);
    listeners_free(listeners);
}

void listeners_close_service(struct listeners *listeners)
{
    for (unsigned n = 0; n < listeners->count; n++)
        if (listeners->list[n].kind != LISTENER_STATUS)
            close_one(&listeners->list[n], NULL);
}

void listeners_free(struct listeners *listeners)
{
    for (unsigned n = 0; n < listeners->count; n++)
        free(listeners->list[n].sockets);
    free(listeners->list);
    *listeners = (struct listeners){0};
}

/* ------------------------------------------------------------------------------------------ opening */

static void explain(const struct listen_address *address, int error, enum listener_kind kind, char *why,
                    size_t why_size)
{
    char url[LISTEN_URL_SPACE];
    listen_url(address, kind == LISTENER_FTP ? "ftp" : "http", url);
    bool local = listen_is_local(address);
    const char *remedy =
        error == -EADDRINUSE && local ? "another program listens there (choose another path)"
        : error == -EADDRINUSE && kind == LISTENER_FTP
            ? "another program listens there (choose another address with --ftp, or --ftp off)"
        : error == -EADDRINUSE      ? "another program listens there (choose another port with -p, 0 takes a free one)"
        : error == -EACCES && local ? "no permission to make a socket there (choose another folder)"
        : error == -EACCES          ? "no permission (ports below 1024 are for root; choose another with -p)"
        : error == -EADDRNOTAVAIL   ? "this machine does not have that address (0.0.0.0 means all of its addresses)"
        : error == -EEXIST          ? "a file that is no socket is in its place (remove it, or choose another path)"
                                    : strerror(-error);
    snprintf(why, why_size, "cannot listen on %s%s: %s", url, kind == LISTENER_STATUS ? " for the status" : "", remedy);
}

/* One of the kind that matches and has not been taken yet: two of port 0 are two. NULL: none. */
static const struct listener *find(const struct listeners *running, const struct listen_address *configured,
                                   enum listener_kind kind, const struct listeners *taken)
{
    for (unsigned n = 0; n < running->count; n++) {
        const struct listener *listener = &running->list[n];
        if (listener->kind == kind && is_same(&listener->configured, configured) &&
            !has_socket(taken, listener->sockets[0]))
            return listener;
    }
    return NULL;
}

static int open_new(struct listeners *listeners, const struct listen_address *configured, unsigned mode,
                    unsigned sockets, enum listener_kind kind)
{
    struct listener listener = {
        .configured = *configured, .address = *configured, .count = sockets, .kind = (uint8_t)kind};
    int *fds = calloc(sockets, sizeof *fds);
    listener.address.mode = mode;
    int error = fds == NULL ? -ENOMEM : listen_open(&listener.address, fds, sockets);
    if (error == 0 && !listeners_add(listeners, &listener, fds)) {
        listener_forget(&listener);
        for (unsigned i = 0; i < sockets; i++)
            close(fds[i]);
        error = -ENOMEM;
    }
    free(fds);
    return error;
}

/* Those of a kind that were given. Returns whether there are any. */
static bool share_given(struct listeners *listeners, const struct listeners *running, enum listener_kind kind,
                        int *error)
{
    bool any = false;
    for (unsigned n = 0; n < running->count; n++) {
        const struct listener *listener = &running->list[n];
        if (!listener->given || listener->kind != kind)
            continue;
        any = true;
        if (!listeners_add(listeners, listener, listener->sockets))
            *error = -ENOMEM;
    }
    return any;
}

static bool open_kind(struct listeners *listeners, const struct config *config, unsigned sockets,
                      const struct listeners *running, enum listener_kind kind, char *why, size_t why_size)
{
    const struct config_addresses *addresses = kind == LISTENER_HTTP  ? &config->http
                                               : kind == LISTENER_FTP ? &config->ftp.listen
                                                                      : &config->status;
    int error = 0;
    if (share_given(listeners, running, kind, &error))
        return error == 0 || (snprintf(why, why_size, "out of memory"), false);
    for (unsigned i = 0; i < addresses->count; i++) {
        const struct listen_address *configured = &addresses->list[i];
        const struct listener *same = find(running, configured, kind, listeners);
        if (same != NULL)
            error = listeners_add(listeners, same, same->sockets) ? 0 : -ENOMEM;
        else
            error = open_new(listeners, configured, config->socket_mode, sockets, kind);
        if (error) {
            explain(configured, error, kind, why, why_size);
            return false;
        }
    }
    return true;
}

bool listeners_open(struct listeners *listeners, const struct config *config, unsigned sockets,
                    const struct listeners *running, char *why, size_t why_size)
{
    *listeners = (struct listeners){0};
    if (open_kind(listeners, config, sockets, running, LISTENER_HTTP, why, why_size) &&
        open_kind(listeners, config, sockets, running, LISTENER_FTP, why, why_size) &&
        open_kind(listeners, config, 1, running, LISTENER_STATUS, why, why_size))
        return true;
    listeners_close(listeners, running);
    return false;
}
