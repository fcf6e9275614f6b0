/* SPDX-License-Identifier: MIT */
/* The load generator's connections: what is asked on them, and whether the answers are what they should be. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 1024

static uint32_t random_below(uint32_t limit)
{
    load.random ^= load.random << 13, load.random ^= load.random >> 7, load.random ^= load.random << 17;
    return (uint32_t)((load.random >> 32) * limit >> 32);
}

/* Waits for the peer's kernel, which answers at once on loopback, but not for the server. */
static void open_connection(struct connection *connection)
{
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&options.address, sizeof options.address) != 0) {
        die("connect", errno);
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    connection->ended = false;
    int r = errand_source_receive(load.queue, connection->fd, connection, &connection->source);
    if (r < 0) {
        die("errand_source_receive", -r);
    }
}

void connect_all(void)
{
    load.connections = calloc(options.connections, sizeof *load.connections);
    char *heads = malloc((size_t)options.connections * HEAD_MAX);
    if (!load.connections || !heads) {
        die("memory", ENOMEM);
    }
    for (uint32_t i = 0; i < options.connections; i++) {
        load.connections[i] = (struct connection){.number = i, .head = heads + (size_t)i * HEAD_MAX};
        open_connection(&load.connections[i]);
    }
}

/* ------------------------------------------------------------------------------------------ requests */

/* A connection that has been asked for the last time is of no use any more, until it is a new one. */
bool can_ask(const struct connection *connection)
{
    return !connection->path && connection->source && !connection->last;
}

void ask(struct connection *connection, int64_t due_ns)
{
    uint32_t index = options.each ? (connection->number * options.each + connection->asked) % options.path_count
                                  : random_below(options.path_count);
    connection->path = &options.paths[index];
    connection->asked++;
    connection->last = options.connection_each;
    connection->due_ns = due_ns;
    errand_chain *chain;
    int r = errand_chain_new(load.queue, &chain);
    if (r == 0) {
        errand_step_send(chain, connection->fd, connection->path->request, connection->path->request_length, 0);
        struct errand_submit submit = {.size = sizeof submit, .user_data = connection};
        r = errand_submit(chain, &submit, NULL);
    }
    if (r < 0) {
        die("could not submit a request", -r);
    }
    connection->sending = true;
    load.busy++;
}

/* What the connection does when it has nothing to wait for. */
static void go_on(struct connection *connection)
{
    if (load.warming || load.ending || (options.each && connection->asked == options.each)) {
        return;
    }
    if (options.rate == 0) {
        ask(connection, now_ns());
    } else if (connection->waiting > 0) {
        connection->waiting--;
        ask(connection, connection->due_ns + period_ns());
    }
}

/* The server has closed a connection after its last answer: the next, unless its chain is still to give an event. */
static void renew(struct connection *connection)
{
    if (!connection->ended || connection->sending) {
        return;
    }
    errand_source_stop(connection->source);
    close(connection->fd);
    connection->last = false;
    load.busy--;
    load.renewed++;
    open_connection(connection);
    go_on(connection);
}

void take_time(const struct connection *connection, int64_t now)
{
    histogram_add(&load.times, now - connection->due_ns);
    if (options.trace) {
        fprintf(options.trace, "%.4f %.4f\n", (double)connection->due_ns / 1e9,
                (double)(now - connection->due_ns) / 1e6);
    }
}

/* The answer is complete: count it, and ask for the next. */
static void answered(struct connection *connection)
{
    int64_t now = now_ns();
    take_time(connection, now);
    load.requests++;
    load.busy -= !connection->last; /* which is waited for until it is a new one */
    load.last_ns = now;
    if (options.check && !connection->checked) {
        load.wrong_body++;
    }
    connection->path = NULL;
    connection->in_body = false;
    connection->head_length = 0;
    if (!connection->last) {
        go_on(connection);
    }
}

/* ------------------------------------------------------------------------------------------- answers */

/* Shows the first answer that is not what was asked for. */
static void show(const struct connection *connection, const char *head, size_t length)
{
    if (load.wrong_status + load.wrong_length == 0) {
        fprintf(stderr, "load: asked for %s, got: %.*s\n", connection->path->path, (int)length, head);
    }
}

/* Counts an answer that cannot be understood and gives its connection up. */
static void broken(struct connection *connection, uint64_t *counter)
{
    ++*counter;
    if (connection->path || connection->last) {
        load.busy--;
    }
    connection->path = NULL;
    errand_source_stop(connection->source);
    connection->source = NULL;
    shutdown(connection->fd, SHUT_RDWR); /* closed at the end: a send may still be under way on it */
}

/* Reads the head of an answer. False when it is not what was asked for. */
static bool read_head(struct connection *connection, const char *head, size_t length)
{
    static const char name[] = "\r\ncontent-length:", last[] = "\r\nconnection: close\r";
    if (length < 12 || memcmp(head, "HTTP/1.1 200", 12) != 0) {
        show(connection, head, length);
        broken(connection, &load.wrong_status);
        return false;
    }
    bool good = false;
    for (const char *line = head; (line = memchr(line, '\r', length - (size_t)(line - head))) != NULL; line++) {
        size_t left = length - (size_t)(line - head);
        if (left > sizeof last && strncasecmp(line, last, sizeof last - 1) == 0) {
            connection->last = true;
        }
        if (left > sizeof name && strncasecmp(line, name, sizeof name - 1) == 0) {
            good = strtoull(line + sizeof name - 1, NULL, 10) == connection->path->bytes;
        }
    }
    if (good) {
        connection->body_left = connection->path->bytes;
        connection->body_got = 0;
        connection->in_body = connection->checked = true;
        return true;
    }
    show(connection, head, length);
    broken(connection, &load.wrong_length);
    return false;
}

static void check_body(struct connection *connection, const char *data, size_t length)
{
    static char expected[65536];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", options.check, connection->path->path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (size_t done = 0; done < length;) {
        size_t part = length - done < sizeof expected ? length - done : sizeof expected;
        if (pread(fd, expected, part, (off_t)(connection->body_got + done)) != (ssize_t)part ||
            memcmp(expected, data + done, part) != 0) {
            connection->checked = false;
            break;
        }
        done += part;
    }
    close(fd);
}

/* Takes of what arrived what belongs to the head. False: there is no body yet to go on with. */
static bool take_head(struct connection *connection, const char **data, size_t *length)
{
    size_t room = HEAD_MAX - connection->head_length, part = *length < room ? *length : room;
    memcpy(connection->head + connection->head_length, *data, part);
    size_t known = connection->head_length + part;
    const char *end = memmem(connection->head, known, "\r\n\r\n", 4);
    if (!end) {
        connection->head_length = (unsigned)known;
        if (known == HEAD_MAX) {
            broken(connection, &load.wrong_length);
        }
        return false;
    }
    size_t head = (size_t)(end - connection->head) + 4, used = head - connection->head_length;
    *data += used, *length -= used;
    return read_head(connection, connection->head, head);
}

static void arrived(struct connection *connection, const char *data, size_t length)
{
    while (length > 0) {
        if (!connection->path) {
            broken(connection, &load.wrong_length); /* more than was promised */
            return;
        }
        if (!connection->in_body && !take_head(connection, &data, &length)) {
            return;
        }
        size_t part = length < connection->body_left ? length : connection->body_left;
        if (options.check && part > 0) {
            check_body(connection, data, part);
        }
        connection->body_left -= part, connection->body_got += part;
        load.bytes += part;
        data += part, length -= part;
        if (connection->body_left == 0) {
            answered(connection);
        }
    }
}

/* -------------------------------------------------------------------------------------------- events */

void take_chain_event(struct connection *connection, int error)
{
    connection->sending = false;
    if (error && connection->source) {
        broken(connection, &load.failed);
    } else if (connection->source) {
        renew(connection);
    }
}

void take_data_event(struct connection *connection, const struct errand_event *event)
{
    if (!connection->source) {
        return;
    }
    if (!event->error && event->bytes > 0) {
        arrived(connection, event->data, event->bytes);
    } else if (!event->error && connection->last && !connection->path) {
        connection->ended = true;
        renew(connection);
    } else {
        broken(connection, event->error ? &load.failed : &load.closed);
    }
}
