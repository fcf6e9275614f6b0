/* SPDX-License-Identifier: MIT */
/* Who comes in: see gate.h. */
#include "gate.h"
#include "log.h"
#include "peers.h"
#include "proxy.h"
#include "record/format.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool read_proxies(struct gate *gate, const struct config_texts *proxies)
{
    gate->proxies = calloc(proxies->count + 1, sizeof *gate->proxies);
    for (unsigned i = 0; i < proxies->count && gate->proxies != NULL; i++) {
        const struct config_text *text = &proxies->list[i];
        if (address_prefix_read(&gate->proxies[gate->proxy_count], text->bytes, text->length))
            gate->proxy_count++;
        else /* the only other word that there is */
            gate->proxy_is_local = true;
    }
    return gate->proxies != NULL;
}

int gate_open(struct gate **gate, const struct config *config)
{
    const struct config_limits *limits = &config->limits;
    bool counts = limits->connections_per_address > 0 || limits->requests_per_address > 0;
    *gate = NULL;
    if (!counts && limits->least_rate == 0 && config->proxies.count == 0)
        return 0;
    struct gate *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->pace = (struct pace_limit){.rate = limits->least_rate, .behind_ns = limits->least_rate_ns};
    if (counts)
        made->peers = peers_open(limits->connections_per_address, limits->requests_per_address);
    if (!read_proxies(made, &config->proxies) || (counts && made->peers == NULL)) {
        gate_close(made);
        return -ENOMEM;
    }
    *gate = made;
    return 0;
}

void gate_close(struct gate *gate)
{
    if (gate == NULL)
        return;
    peers_close(gate->peers);
    free(gate->proxies);
    free(gate);
}

size_t gate_size(const struct gate *gate)
{
    return gate != NULL ? sizeof(struct client) : 0;
}

struct client *gate_client(struct connection *connection)
{
    return (struct client *)((char *)connection + connection->endpoint->protocol->connection_size);
}

struct address gate_address(struct connection *connection)
{
    struct address address;
    if (connection->endpoint->gate != NULL)
        return gate_client(connection)->address;
    address_of_peer(connection->fd, &address); /* asked for each time: kept, it would cost every idle one memory */
    return address;
}

/* ------------------------------------------------------------------------------------------ coming and going */

static struct record *record_of(const struct connection *connection)
{
    return &connection->endpoint->worker->record;
}

static int64_t now_of(const struct connection *connection)
{
    errand_queue *queue = connection->endpoint->worker->queue;
    return queue != NULL ? errand_queue_now(queue) : 0; /* it was closed, and nobody comes any more */
}

static bool is_proxy(const struct gate *gate, int family, const struct address *address)
{
    if (family == AF_UNIX)
        return gate->proxy_is_local;
    for (unsigned i = 0; i < gate->proxy_count; i++)
        if (address_prefix_has(&gate->proxies[i], address))
            return true;
    return false;
}

/* Counts it among those of its address, which is known now. False: there are too many, as he is told. */
static bool join(struct connection *connection)
{
    const struct endpoint *endpoint = connection->endpoint;
    struct client *client = gate_client(connection);
    if (endpoint->gate->peers == NULL || !address_is_known(&client->address))
        return true;
    client->peer = peers_join(endpoint->gate->peers, &client->address, now_of(connection));
    if (client->peer != NULL)
        return true;
    const char *words = endpoint->protocol->crowded;
    send(connection->fd, words, strlen(words), MSG_DONTWAIT | MSG_NOSIGNAL); /* if it does not fit, so be it */
    record_limited(record_of(connection), METRICS_LIMIT_CONNECTIONS);
    return false;
}

bool gate_enter(struct connection *connection)
{
    const struct gate *gate = connection->endpoint->gate;
    struct client *client = gate_client(connection);
    int family = address_of_peer(connection->fd, &client->address);
    if (family == AF_UNSPEC) /* gone already, and with it what we would have to know */
        return false;
    if (is_proxy(gate, family, &client->address)) {
        client->header = calloc(1, sizeof *client->header);
        if (client->header == NULL)
            return false;
    } else if (!join(connection)) {
        return false;
    }
    pace_begin(connection->endpoint->worker);
    return true;
}

void gate_leave(struct connection *connection)
{
    struct client *client = gate_client(connection);
    if (client->peer != NULL)
        peers_leave(connection->endpoint->gate->peers, client->peer, now_of(connection));
    free(client->header);
}

/* ------------------------------------------------------------------------------------------ what they send */

static void tell_bad_header(const struct client *client)
{
    char name[46] = "unix";
    if (address_is_known(&client->address))
        *access_address(name, client->address.bytes) = '\0';
    log_error(
        "a connection from %s, whom ProxyFrom= names, had no good PROXY header and was closed: have him send one, "
        "or take him out of ProxyFrom=",
        name);
}

/* False: the connection was closed. */
static bool take_header(struct connection *connection)
{
    struct client *client = gate_client(connection);
    if (address_is_known(&client->header->address))
        client->address = client->header->address;
    free(client->header);
    client->header = NULL;
    if (join(connection))
        return true;
    connection_close(connection);
    return false;
}

size_t gate_input(struct connection *connection, const char **data, size_t length)
{
    struct client *client = gate_client(connection);
    size_t used;
    pace_received(connection, length);
    if (client->header == NULL)
        return length;
    switch (proxy_read(client->header, *data, length, &used)) {
    case PROXY_MORE:
        if (connection->wait != WAIT_INPUT) /* it has the time of a head */
            connection_wait(connection, WAIT_INPUT);
        return 0;
    case PROXY_INVALID:
        tell_bad_header(client);
        record_limited(record_of(connection), METRICS_LIMIT_PROXY);
        connection_close(connection);
        return 0;
    case PROXY_DONE: break;
    }
    if (!take_header(connection))
        return 0;
    if (used == length && connection->wait == WAIT_INPUT)
        connection_wait(connection, WAIT_IDLE);
    if (connection->endpoint->protocol->opened != NULL)
        connection->endpoint->protocol->opened(connection);
    *data += used;
    return length - used;
}

bool gate_admits(struct connection *connection)
{
    const struct gate *gate = connection->endpoint->gate;
    struct peer *peer = gate != NULL ? gate_client(connection)->peer : NULL;
    if (peer == NULL || peers_request(gate->peers, peer, now_of(connection)))
        return true;
    record_limited(record_of(connection), METRICS_LIMIT_REQUESTS);
    return false;
}
