/* SPDX-License-Identifier: MIT */
/* Which worker accepts from which socket. */
#include "ftp/session.h"
#include "http/session.h"
#include "listen.h"
#include "record/status.h"
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned server_listeners(const struct server *server, enum listener_kind kind)
{
    unsigned count = 0;
    for (unsigned n = 0; n < server->listeners.count; n++)
        count += server->listeners.list[n].kind == kind;
    return count;
}

static const struct protocol *const protocols[LISTENER_KINDS] = {
    [LISTENER_HTTP] = &http_protocol, [LISTENER_FTP] = &ftp_protocol, [LISTENER_STATUS] = &status_protocol};

static bool add_endpoint(struct worker *worker, enum listener_kind kind, int listener)
{
    bool status = kind == LISTENER_STATUS;
    struct endpoint *endpoints = reallocarray(worker->endpoints, worker->endpoint_count + 1, sizeof *endpoints);
    if (endpoints == NULL)
        return false;
    worker->endpoints = endpoints;
    endpoints[worker->endpoint_count++] =
        (struct endpoint){.worker = worker,
                          .protocol = protocols[kind],
                          .gate = status ? NULL : worker->server->gate,
                          .listener = listener,
                          .most = status ? status_share(server_listeners(worker->server, kind)) : 0};
    return true;
}

/*
 * Every worker gets a socket of each address of the service, or several, or one that others have, too, as their numbers
 * come out: each socket must be somebody's. The status is worker 0's.
 */
static bool hand_out(struct server *server, struct listener *listener)
{
    unsigned workers = listener->kind == LISTENER_STATUS ? 1 : server->count;
    unsigned rounds = listener->count > workers ? listener->count : workers;
    bool good = true;
    for (unsigned i = listener->count; i < rounds && good; i++) {
        int shared = fcntl(listener->sockets[i % listener->count], F_DUPFD_CLOEXEC, 3);
        good = shared >= 0 && add_endpoint(&server->workers[i % workers], listener->kind, shared);
    }
    for (unsigned i = 0; i < listener->count && good; i++) {
        good = add_endpoint(&server->workers[i % workers], listener->kind, listener->sockets[i]);
        listener->sockets[i] = good ? -1 : listener->sockets[i];
    }
    return good;
}

bool server_listen(struct server *server, const struct listeners *running)
{
    char why[512];
    if (!listeners_open(&server->listeners, server->config, server->count, running, why, sizeof why)) {
        fprintf(stderr, "errand: %s\n", why);
        return false;
    }
    bool good = true;
    for (unsigned n = 0; n < server->listeners.count && good; n++)
        good = hand_out(server, &server->listeners.list[n]);
    if (!good)
        fprintf(stderr, "errand: cannot hand out the listening sockets: %s\n", strerror(errno));
    return good;
}

void server_forget_addresses(struct worker *worker, bool all)
{
    struct listeners *listeners = &worker->server->listeners;
    for (unsigned n = 0; n < listeners->count && worker->number == 0; n++)
        if (all || listeners->list[n].kind != LISTENER_STATUS)
            listener_forget(&listeners->list[n]);
}

/* "http://127.0.0.1:8080/, unix:/run/errand" */
void server_print_addresses(const struct server *server, bool status)
{
    char url[LISTEN_URL_SPACE];
    const char *before = "";
    for (unsigned n = 0; n < server->listeners.count; n++) {
        const struct listener *listener = &server->listeners.list[n];
        if ((listener->kind == LISTENER_STATUS) != status)
            continue;
        listen_url(&listener->address, listener->kind == LISTENER_FTP ? "ftp" : "http", url);
        printf("%s%s", before, url);
        before = ", ";
    }
    printf("\n");
}
