/* SPDX-License-Identifier: MIT */
/*
 * bench-http: what bounds a server on io_uring, by hand and with nothing but the work itself: no parsing beyond the
 * path, no checks, no timers, one request at a time on a connection. Not a server: any surprise ends it.
 *
 *     bare memory|open PORT DIR
 *
 *     memory  every reply was made beforehand and is sent from memory: receive, send
 *     open    as `errand serve` has to work without a cache: receive, openat2 beneath DIR, fstat, read, send, close
 *
 * Received data comes by multishot receives into provided buffers; whatever is ready goes out in one submission.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../options.h"

enum { CONNECTIONS = 1 << 16, ENTRIES = 512, BUFFERS = 256, BUFFER_SIZE = 4096, REPLY = 16384, PLACES = 1 << 16 };
enum part { ACCEPT, RECEIVE, OPEN, READ, SEND, CLOSE };

struct connection {
    char *reply; /* REPLY bytes */
    int file;
    unsigned head, length, sent;
    char path[256];
};

struct kept {
    char *path, *reply;
    unsigned length;
};

static struct io_uring ring;
static struct io_uring_buf_ring *provided;
static char *received;
static struct connection *connections[CONNECTIONS]; /* by descriptor */
static struct kept kept[PLACES];
static struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                              .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_CACHED};
static bool from_memory;
static int root;

static _Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "bare: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

static struct io_uring_sqe *entry(int socket, enum part part)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    sqe->user_data = (uint64_t)socket << 4 | part; /* preparing an entry leaves it alone */
    return sqe;
}

static void give(unsigned index)
{
    io_uring_buf_ring_add(provided, received + (size_t)index * BUFFER_SIZE, BUFFER_SIZE, (unsigned short)index,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(provided, 1);
}

static void receive(int socket)
{
    struct io_uring_sqe *sqe = entry(socket, RECEIVE);
    io_uring_prep_recv_multishot(sqe, socket, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

static unsigned write_head(char *head, size_t bytes)
{
    return (unsigned)snprintf(head, 512,
                              "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: %zu\r\n"
                              "Content-Type: application/octet-stream\r\n"
                              "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nETag: \"0123456789abcdef-0123\"\r\n"
                              "Accept-Ranges: bytes\r\n\r\n",
                              bytes);
}

static unsigned place_of(const char *path)
{
    unsigned hash = 5381;
    for (const char *c = path; *c; c++)
        hash = hash * 33 + (unsigned char)*c;
    unsigned place = hash * 2654435769u >> 16;
    while (kept[place].path && strcmp(kept[place].path, path) != 0)
        place = (place + 1) % PLACES;
    return place;
}

/* The first time a path is asked for its reply is made; the benchmark asks for all of them before it measures. */
static const struct kept *reply_of(const char *path)
{
    struct kept *found = &kept[place_of(path)];
    struct stat st;
    if (found->path)
        return found;
    int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        die(path, errno);
    found->path = strdup(path);
    found->reply = malloc((size_t)st.st_size + 512);
    unsigned head = write_head(found->reply, (size_t)st.st_size);
    found->length = head + (unsigned)read(fd, found->reply + head, (size_t)st.st_size);
    close(fd);
    return found;
}

static void send_rest(int socket, const char *reply)
{
    struct connection *c = connections[socket];
    io_uring_prep_send(entry(socket, SEND), socket, reply + c->sent, c->length - c->sent, MSG_NOSIGNAL);
}

static void got_request(int socket, char *request, unsigned length)
{
    struct connection *c = connections[socket];
    char *end = length > 5 ? memchr(request + 5, ' ', length - 5) : NULL;
    if (!end || (size_t)(end - request - 5) >= sizeof c->path)
        die("a request in pieces", EPROTO);
    memcpy(c->path, request + 5, (size_t)(end - request - 5));
    c->path[end - request - 5] = 0;
    c->sent = 0;
    if (from_memory) {
        const struct kept *reply = reply_of(c->path);
        c->reply = reply->reply;
        c->length = reply->length;
        send_rest(socket, c->reply);
    } else {
        io_uring_prep_openat2(entry(socket, OPEN), root, c->path, &how);
    }
}

static void opened(int socket, int file)
{
    struct connection *c = connections[socket];
    struct stat st;
    if (file == -EAGAIN) /* not cached yet */
        file = openat(root, c->path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &st) < 0 || st.st_size > REPLY - 512)
        die(c->path, file < 0 ? file : EFBIG);
    c->file = file;
    c->head = write_head(c->reply, (size_t)st.st_size);
    io_uring_prep_read(entry(socket, READ), file, c->reply + c->head, (unsigned)st.st_size, 0);
}

static void got_file(int socket, int bytes)
{
    struct connection *c = connections[socket];
    if (bytes < 0)
        die("read", bytes);
    c->length = c->head + (unsigned)bytes;
    struct io_uring_sqe *sqe = entry(socket, CLOSE);
    io_uring_prep_close(sqe, c->file);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    send_rest(socket, c->reply);
}

static void take_received(int socket, const struct io_uring_cqe *cqe)
{
    if (cqe->res > 0) {
        unsigned index = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        got_request(socket, received + (size_t)index * BUFFER_SIZE, (unsigned)cqe->res);
        give(index);
        if (!(cqe->flags & IORING_CQE_F_MORE))
            receive(socket);
    } else if (cqe->res == -ENOBUFS) {
        receive(socket);
    } else {
        close(socket);
    }
}

static void accept_from(int listener)
{
    io_uring_prep_multishot_accept(entry(listener, ACCEPT), listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void accepted(int socket)
{
    if (socket < 0 || socket >= CONNECTIONS)
        die("accept", socket < 0 ? socket : EMFILE);
    if (!connections[socket]) {
        connections[socket] = calloc(1, sizeof *connections[socket]);
        if (!from_memory)
            connections[socket]->reply = malloc(REPLY);
    }
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    receive(socket);
}

static void take(const struct io_uring_cqe *cqe)
{
    int socket = (int)(cqe->user_data >> 4);
    switch ((enum part)(cqe->user_data & 15)) {
    case ACCEPT:
        accepted(cqe->res);
        if (!(cqe->flags & IORING_CQE_F_MORE)) /* the kernel ends it when more completions wait than the ring holds */
            accept_from(socket);
        return;
    case RECEIVE: take_received(socket, cqe); return;
    case OPEN: opened(socket, cqe->res); return;
    case READ: got_file(socket, cqe->res); return;
    case CLOSE: die("close", cqe->res);
    case SEND:
        if (cqe->res < 0)
            return; /* the client left */
        connections[socket]->sent += (unsigned)cqe->res;
        if (connections[socket]->sent < connections[socket]->length)
            send_rest(socket, connections[socket]->reply);
        return;
    }
}

static void set_up_ring(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_SUBMIT_ALL};
    int r = io_uring_queue_init_params(ENTRIES, &ring, &params);
    if (r < 0)
        die("io_uring_setup", r);
    io_uring_register_ring_fd(&ring);
    provided = aligned_alloc(4096, BUFFERS * sizeof(struct io_uring_buf));
    received = malloc((size_t)BUFFERS * BUFFER_SIZE);
    struct io_uring_buf_reg registration = {.ring_addr = (uintptr_t)provided, .ring_entries = BUFFERS};
    if (!provided || !received || (r = io_uring_register_buf_ring(&ring, &registration, 0)) < 0)
        die("buffers", r);
    io_uring_buf_ring_init(provided);
    for (unsigned i = 0; i < BUFFERS; i++)
        give(i);
}

/* The kernel lets go of a ring, and of what its requests hold, some time after its process has ended. */
static void listen_at(int listener, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    for (int tries = 0; bind(listener, (struct sockaddr *)&address, sizeof address) < 0; tries++) {
        if (errno != EADDRINUSE || tries == 500)
            die("bind", errno);
        usleep(10000);
    }
    if (listen(listener, 4096) < 0)
        die("listen", errno);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        die("bare memory|open PORT DIR", EINVAL);
    from_memory = strcmp(argv[1], "memory") == 0;
    root = open(argv[3], O_PATH | O_DIRECTORY | O_CLOEXEC);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (root < 0 || listener < 0)
        die(argv[3], errno);
    listen_at(listener, (uint16_t)option_number(argv[2], UINT16_MAX));
    set_up_ring();
    accept_from(listener);
    for (struct io_uring_cqe *cqe;;) {
        io_uring_submit_and_wait(&ring, 1);
        while (io_uring_peek_cqe(&ring, &cqe) == 0) {
            struct io_uring_cqe copy = *cqe;
            io_uring_cqe_seen(&ring, cqe);
            take(&copy);
        }
    }
}
