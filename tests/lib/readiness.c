/* SPDX-License-Identifier: MIT */
/* The ready source: any descriptor that somebody may wait for, level-triggered; and everybody's turn beside it. */
#include "support.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

/* The next event must be this source's, with these events of poll(2). */
static void expect(errand_queue *queue, void *user_data, unsigned events)
{
    struct errand_event event = next_event(queue);
    check_source_event(&event, ERRAND_EVENT_READY, user_data);
    CHECK_INT(event.bytes, events);
}

static void write_one(int fd)
{
    uint64_t one = 1;
    REQUIRE(write(fd, &one, sizeof one) == sizeof one);
}

static void read_one(int fd)
{
    uint64_t value;
    REQUIRE(read(fd, &value, sizeof value) == sizeof value);
}

/* Said again and again while it is so, once in each wait; and no more when it is not. */
TEST_EACH_BACKEND(levels)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    struct errand_event events[8];
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), mark;
    CHECK_INT(errand_source_ready(queue, fd, POLLIN, &mark, &source), 0);
    for (unsigned round = 0; round < 3; round++) {
        no_event(queue);
        write_one(fd);
        for (unsigned i = 0; i < 3; i++) {
            CHECK_INT(errand_queue_wait(queue, events, 8, ERRAND_FOREVER), 1);
            check_source_event(&events[0], ERRAND_EVENT_READY, &mark);
            CHECK_INT(events[0].bytes, POLLIN);
        }
        if (round == 1) { /* paused it is silent, however it is */
            CHECK_INT(errand_source_pause(source), 0);
            no_event(queue);
            CHECK_INT(errand_source_resume(source), 0);
            expect(queue, &mark, POLLIN);
        }
        read_one(fd);
    }
    no_event(queue);
    write_one(fd);
    CHECK_INT(errand_source_stop(source), 0);
    no_event(queue);
    close(fd);
    close_queue(queue);
}

TEST_EACH_BACKEND(kinds_of_descriptors)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    int sockets[2], pipes[2], event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    make_pair(PAIR_TCP, sockets);
    REQUIRE_CALL(pipe2(pipes, O_CLOEXEC | O_NONBLOCK));
    /* Sockets, both ways at once. */
    CHECK_INT(errand_source_ready(queue, sockets[0], POLLIN | POLLOUT | POLLRDHUP, NULL, &source), 0);
    expect(queue, NULL, POLLOUT);
    CHECK_INT(send(sockets[1], "data", 4, 0), 4);
    expect(queue, NULL, POLLIN | POLLOUT);
    REQUIRE_CALL(shutdown(sockets[1], SHUT_WR));
    expect(queue, NULL, POLLIN | POLLOUT | POLLRDHUP);
    CHECK_INT(errand_source_stop(source), 0);
    /* Pipes: the reading end hangs up when it was the last that could write. */
    CHECK_INT(errand_source_ready(queue, pipes[0], POLLIN, NULL, &source), 0);
    no_event(queue);
    write_one(pipes[1]);
    expect(queue, NULL, POLLIN);
    close(pipes[1]);
    expect(queue, NULL, POLLIN | POLLHUP);
    read_one(pipes[0]);
    expect(queue, NULL, POLLHUP);
    CHECK_INT(errand_source_stop(source), 0);
    close(pipes[0]);
    /* Another loop's. */
    int epoll_fd = (int)REQUIRE_CALL(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event wanted = {.events = EPOLLIN};
    REQUIRE_CALL(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &wanted));
    CHECK_INT(errand_source_ready(queue, epoll_fd, POLLIN, NULL, &source), 0);
    no_event(queue);
    write_one(event_fd);
    expect(queue, NULL, POLLIN);
    read_one(event_fd);
    no_event(queue);
    CHECK_INT(errand_source_stop(source), 0);
    int others[] = {sockets[0], sockets[1], event_fd, epoll_fd};
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        close(others[i]);
    close_queue(queue);
}

/* Waiting for output only, on a connection that the peer has half closed: that it has is no event. */
TEST_EACH_BACKEND(half_closed_is_not_writable)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    int sockets[2];
    char filler[4096] = "";
    make_pair(PAIR_UNIX, sockets);
    while (send(sockets[0], filler, sizeof filler, 0) > 0) {
    }
    REQUIRE_CALL(shutdown(sockets[1], SHUT_WR));
    CHECK_INT(errand_source_ready(queue, sockets[0], POLLOUT, NULL, &source), 0);
    no_event(queue);
    struct peer peer = {.socket = sockets[1]};
    peer_take(&peer);
    expect(queue, NULL, POLLOUT);
    CHECK_INT(errand_source_stop(source), 0);
    close(sockets[0]);
    peer_free(&peer);
    close_queue(queue);
}

TEST_EACH_BACKEND(urgent_data)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    int sockets[2];
    make_pair(PAIR_TCP, sockets);
    CHECK_INT(errand_source_ready(queue, sockets[0], POLLPRI, NULL, &source), 0);
    CHECK_INT(send(sockets[1], "x", 1, 0), 1);
    no_event(queue);
    CHECK_INT(send(sockets[1], "y", 1, MSG_OOB), 1);
    expect(queue, NULL, POLLPRI);
    CHECK_INT(errand_source_stop(source), 0);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

/* Several on one descriptor, beside a receive source of the same: each gets its events. */
TEST_EACH_BACKEND(one_descriptor_for_many)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *sources[3], *receive;
    int sockets[2];
    unsigned seen[3] = {0}, count = 0;
    make_pair(PAIR_UNIX, sockets);
    for (uintptr_t i = 0; i < 3; i++)
        CHECK_INT(errand_source_ready(queue, sockets[0], POLLIN, (void *)i, &sources[i]), 0);
    CHECK_INT(send(sockets[1], "data", 4, 0), 4);
    for (; !seen[0] || !seen[1] || !seen[2]; count++)
        seen[(uintptr_t)next_event(queue).user_data]++;
    CHECK(count <= 6); /* each has its turn */
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(errand_source_pause(sources[i]), 0);
    CHECK_INT(errand_source_receive(queue, sockets[0], NULL, &receive), 0);
    struct errand_event event = next_event(queue);
    check_source_event(&event, ERRAND_EVENT_DATA, NULL);
    CHECK_INT(event.bytes, 4);
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(errand_source_resume(sources[i]), 0);
    no_event(queue); /* it was received */
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(errand_source_stop(sources[i]), 0);
    CHECK_INT(errand_source_stop(receive), 0);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

TEST_EACH_BACKEND(bad_readiness)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source = NULL;
    int directory = open_directory(), sockets[2];
    int file = (int)REQUIRE_CALL(open(make_file("file", 1, 1), O_RDONLY | O_CLOEXEC));
    make_pair(PAIR_UNIX, sockets);
    CHECK_INT(errand_source_ready(queue, -1, POLLIN, NULL, &source), -EBADF);
    CHECK_INT(errand_source_ready(queue, 9999, POLLIN, NULL, &source), -EBADF);
    CHECK_INT(errand_source_ready(queue, AT_FDCWD, POLLIN, NULL, &source), -EBADF);
    CHECK_INT(errand_source_ready(queue, file, POLLIN, NULL, &source), -EPERM);
    CHECK_INT(errand_source_ready(queue, directory, POLLIN, NULL, &source), -EPERM);
    CHECK_INT(errand_source_ready(queue, sockets[0], EPOLLET | EPOLLIN, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_ready(queue, sockets[0], EPOLLONESHOT, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_ready(queue, sockets[0], POLLIN, NULL, NULL), -EINVAL);
    CHECK_INT(errand_source_ready(NULL, sockets[0], POLLIN, NULL, &source), -EINVAL);
    close(directory);
    close(file);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

static int nothing(errand_chain *chain, void *context)
{
    (void)chain;
    (void)context;
    return 0;
}

/* Descriptors that are always ready, changes that never end, chains and data: nobody keeps another from his events,
 * however few a caller takes at a time. */
TEST_EACH_BACKEND(nobody_is_starved_by_readiness)
{
    for (unsigned most = 1; most <= 4; most += 3) {
        errand_queue *queue = open_queue(backend, NULL);
        errand_source *ready[2], *watch, *receive;
        int sockets[2], writable = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        make_pair(PAIR_UNIX, sockets);
        for (unsigned i = 0; i < 2; i++)
            CHECK_INT(errand_source_ready(queue, writable, POLLOUT, NULL, &ready[i]), 0);
        CHECK_INT(errand_source_watch(queue, NULL, &watch), 0);
        int file = (int)REQUIRE_CALL(open(make_file("file", 1, 1), O_RDONLY | O_CLOEXEC));
        CHECK(errand_source_watch_add(watch, file, IN_ATTRIB) > 0);
        CHECK_INT(errand_source_receive(queue, sockets[0], NULL, &receive), 0);
        unsigned counts[ERRAND_EVENT_READY + 1] = {0};
        bool chain_out = false;
        for (unsigned i = 0; i < 400; i++) {
            struct errand_event events[4];
            if (!chain_out) {
                errand_chain *chain = new_chain(queue);
                errand_step_call(chain, nothing, NULL);
                submit(chain, NULL, 0);
                chain_out = true;
            }
            REQUIRE_CALL(fchmod(file, 0600));
            CHECK_INT(send(sockets[1], "x", 1, 0), 1);
            int n = errand_queue_wait(queue, events, most, ERRAND_FOREVER);
            for (int at = 0; at < n; at++) {
                counts[events[at].kind]++;
                chain_out = chain_out && events[at].kind != ERRAND_EVENT_CHAIN;
            }
        }
        CHECK(counts[ERRAND_EVENT_READY] >= 50);
        CHECK(counts[ERRAND_EVENT_WATCH] >= 50);
        CHECK(counts[ERRAND_EVENT_CHAIN] >= 50);
        CHECK(counts[ERRAND_EVENT_DATA] >= 50);
        for (unsigned i = 0; i < 2; i++)
            CHECK_INT(errand_source_stop(ready[i]), 0);
        CHECK_INT(errand_source_stop(watch), 0);
        CHECK_INT(errand_source_stop(receive), 0);
        struct errand_event event;
        while (errand_queue_dispatch(queue, &event, 1) > 0) {
        }
        int others[] = {sockets[0], sockets[1], writable, file};
        for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
            close(others[i]);
        close_queue(queue);
    }
}
