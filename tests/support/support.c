/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <time.h>

enum { patience_seconds = 30 };

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

bool long_runs(void)
{
    const char *wanted = getenv("TEST_LONG");
    return wanted && *wanted == '1';
}

errand_queue *open_queue(enum errand_backend backend, const struct errand_queue_options *options)
{
    char why[256] = "";
    errand_queue *queue = NULL;
    struct errand_queue_options chosen = options ? *options : (struct errand_queue_options){0};
    chosen.size = sizeof chosen;
    chosen.backend = backend;
    if (!chosen.why) {
        chosen.why = why;
        chosen.why_size = sizeof why;
    }
    int result = errand_queue_open(&queue, &chosen);
    if (result)
        harness_note("errand_queue_open: %s: %s", errand_error_name(result), chosen.why);
    REQUIRE_INT(result, 0);
    REQUIRE(queue != NULL);
    CHECK_STR(errand_queue_backend(queue), harness_backend_name(backend));
    return queue;
}

struct errand_stats stats_of(errand_queue *queue)
{
    struct errand_stats stats = {.size = sizeof stats};
    REQUIRE_INT(errand_queue_stats(queue, &stats), 0);
    return stats;
}

void check_idle(errand_queue *queue)
{
    struct errand_stats stats = stats_of(queue);
    CHECK_INT(stats.chains, 0);
    CHECK_INT(stats.sources, 0);
    CHECK_INT(stats.operations, 0);
    CHECK_INT(stats.files_waiting, 0);
    CHECK_INT(stats.stuck, 0);
    CHECK_INT(stats.descriptors, 0);
    CHECK_INT(stats.transfer_bytes, 0);
}

static bool is_idle(void *context)
{
    struct errand_stats stats = stats_of(context);
    return !stats.chains && !stats.sources && !stats.operations && !stats.files_waiting && !stats.stuck &&
           !stats.descriptors && !stats.transfer_bytes;
}

void close_queue(errand_queue *queue)
{
    no_event(queue);
    /* What a cancelled chain had opened a worker may still be closing. */
    run_until(queue, is_idle, queue);
    check_idle(queue);
    CHECK_INT(errand_queue_close(queue), 0);
}

struct errand_event next_event(errand_queue *queue)
{
    return next_event_with(queue, NULL);
}

/* With TEST_OUTER=1 in the environment as another event loop does it: every test becomes one of errand_queue_fd(). */
static int wait_for_event(errand_queue *queue, struct errand_event *event, int timeout_ms)
{
    const char *outer = getenv("TEST_OUTER");
    struct pollfd readable = {.fd = outer && *outer == '1' ? errand_queue_fd(queue) : -1, .events = POLLIN};
    if (readable.fd < 0) /* or no descriptor is left for it */
        return errand_queue_wait(queue, event, 1, timeout_ms * ERRAND_MILLISECOND);
    if (poll(&readable, 1, timeout_ms) <= 0)
        return 0;
    return errand_queue_dispatch(queue, event, 1);
}

struct errand_event next_event_with(errand_queue *queue, struct peer *peer)
{
    struct errand_event event = {0};
    int64_t end = now_ns() + patience_seconds * harness_slowness() * ERRAND_SECOND;
    while (now_ns() < end) {
        int count = wait_for_event(queue, &event, peer ? 1 : 1000);
        if (peer)
            peer_take(peer);
        if (count == 1)
            return event;
        REQUIRE_INT(count, 0);
    }
    FAIL("no event came");
    harness_give_up();
}

void no_event(errand_queue *queue)
{
    struct errand_event event;
    for (unsigned turn = 0; turn < 3; turn++)
        if (errand_queue_dispatch(queue, &event, 1) != 0)
            FAIL("an event that should not come: kind %u, error %d, step %d, bytes %llu", event.kind, event.error,
                 event.step, (unsigned long long)event.bytes);
}

bool run_until(errand_queue *queue, bool (*condition)(void *context), void *context)
{
    struct errand_event event;
    int64_t end = now_ns() + patience_seconds * harness_slowness() * ERRAND_SECOND;
    while (!condition(context)) {
        int count = errand_queue_wait(queue, &event, 1, ERRAND_MILLISECOND);
        if (!CHECK_INT(count, 0))
            return false;
        if (now_ns() >= end) {
            FAIL("what was waited for did not come about");
            return false;
        }
    }
    return true;
}

const char *path_of(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", harness_directory(), name);
    return path;
}

const char *make_file(const char *name, size_t size, uint64_t seed)
{
    const char *path = path_of(name);
    unsigned char piece[16384];
    int file = (int)REQUIRE_CALL(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    for (size_t at = 0; at < size;) {
        size_t part = size - at < sizeof piece ? size - at : sizeof piece;
        pattern_fill(piece, part, seed, at);
        REQUIRE(write(file, piece, part) == (ssize_t)part);
        at += part;
    }
    close(file);
    return path;
}

int open_directory(void)
{
    return (int)REQUIRE_CALL(open(harness_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int add_root(errand_queue *queue, const char *path, unsigned flags)
{
    int root = 0;
    int directory = (int)REQUIRE_CALL(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    REQUIRE_INT(errand_root_add(queue, directory, flags, &root), 0);
    CHECK(root < 0);
    close(directory);
    return root;
}

int make_listener(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    REQUIRE_CALL(bind(listener, (struct sockaddr *)&address, sizeof address));
    REQUIRE_CALL(listen(listener, 256));
    REQUIRE_CALL(getsockname(listener, (struct sockaddr *)&address, &length));
    *port = ntohs(address.sin_port);
    return listener;
}

int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int connection = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE_CALL(connect(connection, (struct sockaddr *)&address, sizeof address));
    return connection;
}

void make_pair(enum pair_kind kind, int sockets[2])
{
    if (kind == PAIR_UNIX) {
        REQUIRE_CALL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
    } else {
        uint16_t port;
        int listener = make_listener(&port);
        sockets[1] = connect_to(port);
        sockets[0] = (int)REQUIRE_CALL(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
        close(listener);
    }
    for (int i = 0; i < 2; i++)
        REQUIRE_CALL(fcntl(sockets[i], F_SETFL, O_NONBLOCK));
}

void peer_take(struct peer *peer)
{
    while (!peer->ended) {
        if (peer->room - peer->length < 65536) {
            peer->room = peer->room * 2 + 131072;
            peer->data = realloc(peer->data, peer->room);
            REQUIRE(peer->data != NULL);
        }
        size_t most = peer->most && peer->most < 65536 ? peer->most : peer->room - peer->length;
        ssize_t length = recv(peer->socket, peer->data + peer->length, most, MSG_DONTWAIT);
        if (length > 0)
            peer->length += (size_t)length;
        else if (length == 0 || (errno != EAGAIN && errno != EINTR))
            peer->ended = true;
        else if (errno == EAGAIN)
            break;
        if (peer->most)
            break;
    }
}

void peer_take_all(struct peer *peer)
{
    int64_t end = now_ns() + patience_seconds * ERRAND_SECOND;
    peer->most = 0;
    while (!peer->ended && now_ns() < end)
        peer_take(peer);
    CHECK(peer->ended);
}

void peer_free(struct peer *peer)
{
    if (peer->socket >= 0)
        close(peer->socket);
    free(peer->data);
    *peer = (struct peer){.socket = -1};
}

errand_chain *new_chain(errand_queue *queue)
{
    errand_chain *chain = NULL;
    REQUIRE_INT(errand_chain_new(queue, &chain), 0);
    REQUIRE(chain != NULL);
    return chain;
}

errand_id submit(errand_chain *chain, void *user_data, int64_t timeout_ns)
{
    errand_id id = 0;
    struct errand_submit options = {.size = sizeof options, .user_data = user_data, .timeout_ns = timeout_ns};
    REQUIRE_INT(errand_submit(chain, &options, &id), 0);
    CHECK(id != 0);
    return id;
}

void check_source_event(const struct errand_event *event, unsigned kind, void *user_data)
{
    CHECK_INT(event->kind, kind);
    CHECK_INT(event->error, 0);
    CHECK(event->user_data == user_data);
    CHECK_INT(event->step, -1);
    if (kind != ERRAND_EVENT_ACCEPT)
        CHECK_INT(event->fd, -1);
}
