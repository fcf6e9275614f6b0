/* SPDX-License-Identifier: MIT */
/* The steps of peers and of time: accept, connect, what their slots are used for, poll, sleep. */
#include "support.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <time.h>

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static struct sockaddr_un unix_address(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    return address;
}

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

/* One chain serves, another asks, both with sockets of their own making, and again: numbers are used anew. */
TEST_EACH_BACKEND(both_ends)
{
    errand_queue *queue = open_queue(backend, NULL);
    uint16_t port;
    int listener = make_listener(&port);
    struct sockaddr_in address = loopback(port);
    make_file("file", 300000, 4);
    char *answer = malloc(300001), question[16];
    for (unsigned turn = 0; turn < 20; turn++) {
        bool closes = turn % 2;
        errand_chain *server = new_chain(queue);
        CHECK_INT(errand_step_accept(server, listener), 0);
        errand_step_receive(server, ERRAND_SLOT(0), question, 8, ERRAND_EXACT);
        errand_step_open(server, AT_FDCWD, path_of("file"), O_RDONLY, 0);
        errand_step_sendfile(server, ERRAND_SLOT(0), ERRAND_SLOT(2), 0, ERRAND_TO_END, NULL, 0, 0);
        if (closes)
            errand_step_close(server, ERRAND_SLOT(0));
        else
            errand_step_shutdown(server, ERRAND_SLOT(0), SHUT_WR);
        errand_step_close(server, ERRAND_SLOT(2));
        submit(server, "server", 0);
        errand_chain *client = new_chain(queue);
        errand_step_connect(client, -1, &address, sizeof address);
        errand_step_send(client, ERRAND_SLOT(0), "question", 8, 0);
        errand_step_receive(client, ERRAND_SLOT(0), answer, 300001, 0);
        if (closes)
            errand_step_close(client, ERRAND_SLOT(0));
        submit(client, "client", 0);
        for (unsigned i = 0; i < 2; i++) {
            struct errand_event event = next_event(queue);
            bool served = strcmp(event.user_data, "server") == 0;
            harness_at("turn %u, %s", turn, (char *)event.user_data);
            CHECK_EVENT(event, 0, -1, 300008);
            if (!served)
                CHECK_INT(pattern_check(answer, 300000, 4, 0), 300000);
        }
        CHECK_BYTES(question, "question", 8);
        CHECK_INT(stats_of(queue).descriptors, 0);
    }
    free(answer);
    close(listener);
    close_queue(queue);
}

/* What the slot is: close-on-exec, non-blocking, and yours when it is handed over. */
TEST_EACH_BACKEND(hands_over_sockets)
{
    errand_queue *queue = open_queue(backend, NULL);
    uint16_t port;
    int listener = make_listener(&port), ends[2];
    struct sockaddr_in address = loopback(port);
    errand_chain *chains[2] = {new_chain(queue), new_chain(queue)};
    errand_step_accept(chains[0], listener);
    errand_step_connect(chains[1], -1, &address, sizeof address);
    for (uintptr_t i = 0; i < 2; i++) {
        errand_step_hand_over(chains[i], ERRAND_SLOT(0));
        submit(chains[i], (void *)i, 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        REQUIRE(event.fd >= 0);
        ends[(uintptr_t)event.user_data] = event.fd;
        CHECK_INT(fcntl(event.fd, F_GETFD), FD_CLOEXEC);
        CHECK(fcntl(event.fd, F_GETFL) & O_NONBLOCK);
    }
    char byte;
    CHECK_INT(send(ends[0], "x", 1, 0), 1);
    struct pollfd readable = {.fd = ends[1], .events = POLLIN};
    CHECK_INT(poll(&readable, 1, 5000), 1);
    CHECK_INT(recv(ends[1], &byte, 1, 0), 1);
    close(ends[0]);
    close(ends[1]);
    close(listener);
    close_queue(queue);
}

static int check_same_socket(errand_chain *chain, void *context)
{
    const int *socket = context;
    CHECK_INT(errand_chain_result(chain, 0), *socket);
    return 0;
}

/* The caller's socket stays his; his unix socket, too. */
TEST_EACH_BACKEND(connects_callers_sockets)
{
    errand_queue *queue = open_queue(backend, NULL);
    uint16_t port;
    int tcp = make_listener(&port), local = (int)REQUIRE_CALL(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct sockaddr_in address = loopback(port);
    REQUIRE_CALL(chdir(harness_directory()));
    struct sockaddr_un path = unix_address("socket");
    REQUIRE_CALL(bind(local, (struct sockaddr *)&path, sizeof path));
    REQUIRE_CALL(listen(local, 5));
    for (unsigned turn = 0; turn < 4; turn++) {
        bool is_unix = turn % 2, own = turn / 2;
        harness_at("turn %u", turn);
        int client =
            own ? (int)REQUIRE_CALL(socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))
                : -1;
        errand_chain *chain = new_chain(queue);
        errand_step_connect(chain, client, is_unix ? (void *)&path : (void *)&address,
                            is_unix ? sizeof path : sizeof address);
        if (own) {
            CHECK_INT(errand_step_send(chain, client, "hello", 5, 0), 1);
            errand_step_call(chain, check_same_socket, &client);
        } else {
            CHECK_INT(errand_step_send(chain, ERRAND_SLOT(0), "hello", 5, 0), 1);
        }
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 5);
        int server = (int)REQUIRE_CALL(accept4(is_unix ? local : tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        char buffer[8];
        CHECK_INT(recv(server, buffer, 8, 0), 5);
        CHECK_INT(recv(server, buffer, 8, 0), own ? -1 : 0);
        close(server);
        if (own)
            close(client);
    }
    close(tcp);
    close(local);
    close_queue(queue);
}

/* However long its name, and with nothing behind it: an address need not end with a NUL. */
TEST_EACH_BACKEND(connects_by_long_paths)
{
    static const struct {
        int directory, name;
    } lengths[] = {{0, 107}, {1, 105}, {1, 106}, {50, 57}, {100, 7}, {20, 66}, {20, 67}};
    errand_queue *queue = open_queue(backend, NULL);
    REQUIRE_CALL(chdir(harness_directory()));
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int n = lengths[i].directory;
        harness_at("a directory of %d bytes, a name of %d", n, lengths[i].name);
        memset(address.sun_path, 'd', (size_t)n);
        if (n > 0) {
            mkdir(address.sun_path, 0700);
            address.sun_path[n++] = '/';
        }
        memset(address.sun_path + n, 'n', (size_t)lengths[i].name);
        socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)(n + lengths[i].name));
        int local = (int)REQUIRE_CALL(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE_CALL(bind(local, (struct sockaddr *)&address, length));
        REQUIRE_CALL(listen(local, 5));
        struct sockaddr_un *exact = malloc(length);
        memcpy(exact, &address, length);
        errand_chain *chain = new_chain(queue);
        CHECK_INT(errand_step_connect(chain, -1, exact, length), 0);
        CHECK_INT(errand_step_hand_over(chain, ERRAND_SLOT(0)), 1);
        free(exact);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        CHECK(event.fd >= 0 && (fcntl(event.fd, F_GETFL) & O_NONBLOCK) && (fcntl(event.fd, F_GETFD) & FD_CLOEXEC));
        int server = (int)REQUIRE_CALL(accept4(local, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        CHECK_INT(send(event.fd, "x", 1, 0), 1);
        close(event.fd);
        close(server);
        close(local);
    }
    close_queue(queue);
}

TEST_EACH_BACKEND(connect_fails)
{
    errand_queue *queue = open_queue(backend, NULL);
    uint16_t port;
    close(make_listener(&port));
    struct sockaddr_in address = loopback(port);
    REQUIRE_CALL(chdir(harness_directory()));
    struct sockaddr_un none = unix_address("none");
    struct sockaddr strange = {.sa_family = 45};
    for (unsigned turn = 0; turn < 4; turn++) {
        harness_at("turn %u", turn);
        int own = turn == 3 ? (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) : -1;
        errand_chain *chain = new_chain(queue);
        if (turn == 1)
            errand_step_connect(chain, -1, &none, sizeof none);
        else if (turn == 2)
            errand_step_connect(chain, -1, &strange, sizeof strange);
        else
            errand_step_connect(chain, own, &address, sizeof address);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, turn == 1 ? -ENOENT : turn == 2 ? -EAFNOSUPPORT : -ECONNREFUSED, 0, 0);
        CHECK_INT(event.step_kind, ERRAND_STEP_CONNECT);
        if (own >= 0)
            close(own);
    }
    errand_chain *chain = new_chain(queue);
    CHECK_INT(errand_step_connect(chain, -2, &address, sizeof address), -EINVAL);
    errand_chain_drop(chain);
    chain = new_chain(queue);
    CHECK_INT(errand_step_connect(chain, -1, &address, 129), -EINVAL);
    errand_chain_drop(chain);
    close_queue(queue);
}

enum end { CANCELLED, DEADLINE, QUEUE_CLOSED, ENDS };

/* Ends the chain that waits at step 0 and cannot go on. */
static void end_it(errand_queue *queue, errand_chain *chain, enum end end, unsigned kind)
{
    struct errand_event event;
    harness_at("%s, end %d", errand_step_name(kind), end);
    errand_id id = submit(chain, NULL, end == DEADLINE ? 60 * ERRAND_MILLISECOND : 0);
    if (end != DEADLINE)
        CHECK_INT(errand_queue_wait(queue, &event, 1, 30 * ERRAND_MILLISECOND), 0);
    if (end == QUEUE_CLOSED) {
        CHECK_INT(errand_queue_close(queue), 0);
        return;
    }
    if (end == CANCELLED)
        CHECK_INT(errand_cancel(queue, id), 0);
    event = next_event(queue);
    CHECK_EVENT(event, end == CANCELLED ? -ECANCELED : -ETIMEDOUT, 0, 0);
    CHECK_INT(event.step_kind, kind);
    CHECK_INT(event.fd, -1);
    close_queue(queue);
}

TEST_EACH_BACKEND(ended_while_waiting)
{
    for (enum end end = 0; end < ENDS; end++) {
        for (unsigned turn = 0; turn < 6; turn++) {
            errand_queue *queue = open_queue(backend, NULL);
            errand_chain *chain = new_chain(queue);
            uint16_t port = 0;
            int listener = -1, fillers[8], count = 0, pipes[2] = {-1, -1}, own = -1;
            unsigned kind = ERRAND_STEP_SLEEP;
            if (turn == 0) {
                kind = ERRAND_STEP_ACCEPT;
                errand_step_accept(chain, listener = make_listener(&port));
            } else if (turn < 3) { /* its backlog is full: what comes is not answered */
                kind = ERRAND_STEP_CONNECT;
                listener = make_listener(&port);
                REQUIRE_CALL(listen(listener, 0));
                struct sockaddr_in address = loopback(port);
                while (count < 8) {
                    int filler = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
                    CHECK(connect(filler, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS);
                    fillers[count++] = filler;
                }
                if (turn == 2)
                    own = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
                errand_step_connect(chain, own, &address, sizeof address);
            } else if (turn < 5) {
                kind = ERRAND_STEP_POLL;
                REQUIRE_CALL(pipe2(pipes, O_CLOEXEC));
                errand_step_poll(chain, pipes[0], turn == 3 ? POLLIN : POLLIN | POLLPRI | POLLOUT);
            } else {
                errand_step_sleep(chain, INT64_MAX);
            }
            errand_step_mkdir(chain, AT_FDCWD, path_of("must not be made"), 0700);
            end_it(queue, chain, end, kind);
            CHECK(access(path_of("must not be made"), F_OK) < 0);
            while (count > 0)
                close(fillers[--count]);
            close(listener);
            close(pipes[0]);
            close(pipes[1]);
            close(own);
        }
    }
}

static int64_t polled;

static int note_polled(errand_chain *chain, void *context)
{
    (void)context;
    polled = errand_chain_result(chain, 0);
    return 0;
}

static int64_t poll_chain(errand_queue *queue, int fd, unsigned events, int write_to)
{
    errand_chain *chain = new_chain(queue);
    errand_step_poll(chain, fd, events);
    errand_step_call(chain, note_polled, NULL);
    submit(chain, NULL, 0);
    if (write_to >= 0) {
        static const uint64_t one = 1;
        struct errand_event event;
        CHECK_INT(errand_queue_wait(queue, &event, 1, 10 * ERRAND_MILLISECOND), 0);
        CHECK_INT(write(write_to, &one, sizeof one), sizeof one);
    }
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    return polled;
}

TEST_EACH_BACKEND(polls)
{
    errand_queue *queue = open_queue(backend, NULL);
    int pipes[2], sockets[2], event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    REQUIRE_CALL(pipe2(pipes, O_CLOEXEC));
    make_pair(PAIR_UNIX, sockets);
    CHECK_INT(poll_chain(queue, pipes[0], POLLIN, pipes[1]), POLLIN);
    CHECK_INT(poll_chain(queue, pipes[0], POLLIN | POLLOUT, -1), POLLIN);
    CHECK_INT(poll_chain(queue, pipes[1], POLLOUT, -1), POLLOUT);
    CHECK_INT(poll_chain(queue, event_fd, POLLIN, event_fd), POLLIN);
    CHECK_INT(poll_chain(queue, event_fd, POLLIN | POLLOUT, -1), POLLIN | POLLOUT);
    CHECK_INT(poll_chain(queue, sockets[0], POLLOUT, -1), POLLOUT);
    /* No room to write: what arrives is told all the same. */
    char bytes[4096] = {0};
    while (send(sockets[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    CHECK_INT(poll_chain(queue, sockets[0], POLLIN | POLLOUT, sockets[1]), POLLIN);
    CHECK_INT(poll_chain(queue, sockets[0], POLLIN, -1), POLLIN);
    close(sockets[1]);
    CHECK(poll_chain(queue, sockets[0], POLLIN | POLLRDHUP, -1) & POLLHUP);
    close(pipes[1]);
    char rest[64];
    REQUIRE(read(pipes[0], rest, sizeof rest) == 8);
    CHECK_INT(poll_chain(queue, pipes[0], POLLIN, -1), POLLHUP);
    /* Always ready, says poll(2). */
    int file = (int)REQUIRE_CALL(open(make_file("file", 1, 1), O_RDONLY | O_CLOEXEC));
    CHECK_INT(poll_chain(queue, file, POLLIN, -1), POLLIN);
    close(file);
    close(pipes[0]);
    close(sockets[0]);
    close(event_fd);
    close_queue(queue);
}

/* In the middle of a chain, between others of a chain, and no shorter than asked. */
TEST_EACH_BACKEND(sleeps)
{
    errand_queue *queue = open_queue(backend, NULL);
    static const int64_t times[] = {0, 1, ERRAND_MILLISECOND, 20 * ERRAND_MILLISECOND};
    for (unsigned i = 0; i < 4; i++) {
        harness_at("%lld ns", (long long)times[i]);
        errand_chain *chain = new_chain(queue);
        errand_step_mkdir(chain, AT_FDCWD, path_of("d"), 0700);
        errand_step_sleep(chain, times[i]);
        errand_step_sleep(chain, times[i]);
        errand_step_rmdir(chain, AT_FDCWD, path_of("d"));
        int64_t before = now_ns();
        submit(chain, NULL, 25 * ERRAND_SECOND);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        CHECK(now_ns() - before >= 2 * times[i]);
        CHECK_INT(access(path_of("d"), F_OK), -1);
    }
    /* The time without progress does not forbid a shorter sleep; a deadline ends one. */
    errand_chain *chain = new_chain(queue);
    for (unsigned i = 0; i < 5; i++)
        errand_step_sleep(chain, 30 * ERRAND_MILLISECOND);
    REQUIRE_INT(errand_submit(
                    chain,
                    &(struct errand_submit){.size = sizeof(struct errand_submit), .stall_ns = 100 * ERRAND_MILLISECOND},
                    NULL),
                0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    chain = new_chain(queue);
    errand_step_sleep(chain, 0);
    errand_step_sleep(chain, 20 * ERRAND_SECOND);
    submit(chain, NULL, 40 * ERRAND_MILLISECOND);
    event = next_event(queue);
    CHECK_EVENT(event, -ETIMEDOUT, 1, 0);
    chain = new_chain(queue);
    CHECK_INT(errand_step_sleep(chain, -1), -EINVAL);
    errand_chain_drop(chain);
    close_queue(queue);
}

/* A unix listener whose backlog is full says so, or lets us wait: never for longer than we want. */
TEST_EACH_BACKEND(full_unix_listener)
{
    errand_queue *queue = open_queue(backend, NULL);
    REQUIRE_CALL(chdir(harness_directory()));
    struct sockaddr_un path = unix_address("socket");
    int local = (int)REQUIRE_CALL(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), fillers[8], count = 0;
    REQUIRE_CALL(bind(local, (struct sockaddr *)&path, sizeof path));
    REQUIRE_CALL(listen(local, 0));
    do
        fillers[count] = (int)REQUIRE_CALL(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    while (connect(fillers[count++], (struct sockaddr *)&path, sizeof path) == 0 && count < 8);
    CHECK(count < 8);
    errand_chain *chain = new_chain(queue);
    errand_step_connect(chain, -1, &path, sizeof path);
    submit(chain, NULL, 100 * ERRAND_MILLISECOND);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -EAGAIN, 0, 0);
    while (count > 0)
        close(fillers[--count]);
    close(local);
    close_queue(queue);
}

TEST_EACH_BACKEND(progress)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct errand_progress progress = {.size = sizeof progress};
    errand_chain *chain = new_chain(queue);
    errand_step_mkdir(chain, AT_FDCWD, path_of("d"), 0700);
    errand_step_sleep(chain, 20 * ERRAND_SECOND);
    errand_id id = submit(chain, NULL, 0);
    struct errand_event event;
    for (unsigned i = 0; i < 3000 && progress.step != 1; i++) {
        CHECK_INT(errand_queue_wait(queue, &event, 1, ERRAND_MILLISECOND), 0);
        CHECK_INT(errand_chain_progress(queue, id, &progress), 0);
    }
    CHECK_INT(progress.step_kind, ERRAND_STEP_SLEEP);
    CHECK_INT(progress.bytes, 0);
    CHECK_INT(errand_chain_progress(queue, id + 1, &progress), -ENOENT);
    CHECK_INT(errand_chain_progress(queue, id, NULL), -EINVAL);
    CHECK_INT(errand_chain_progress(NULL, id, &progress), -EINVAL);
    progress.size--;
    CHECK_INT(errand_chain_progress(queue, id, &progress), -EINVAL);
    progress.size += 9;
    CHECK_INT(errand_chain_progress(queue, id, &progress), -E2BIG);
    CHECK_INT(errand_cancel(queue, id), 0);
    event = next_event(queue);
    CHECK_EVENT(event, -ECANCELED, 1, 0);
    progress.size = sizeof progress;
    CHECK_INT(errand_chain_progress(queue, id, &progress), -ENOENT);
    close_queue(queue);
}
