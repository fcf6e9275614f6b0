/* SPDX-License-Identifier: MIT */
/* errand_queue_fd(): another loop waits for the queue, is woken by all that there is to do, and by nothing else. */
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>

static bool readable(errand_queue *queue, int timeout_ms)
{
    struct pollfd outer = {.fd = errand_queue_fd(queue), .events = POLLIN};
    REQUIRE(outer.fd >= 0);
    return poll(&outer, 1, timeout_ms) == 1;
}

/* The next event, as another loop would take it: never waiting in the queue. */
static struct errand_event outer_event(errand_queue *queue)
{
    struct errand_event event;
    for (;;) {
        if (!readable(queue, 30000 * (int)harness_slowness())) {
            FAIL("the descriptor did not become readable");
            harness_give_up();
        }
        int n = errand_queue_dispatch(queue, &event, 1);
        REQUIRE(n >= 0);
        if (n == 1)
            return event;
    }
}

/* Soon there is nothing to do, no event comes of it, and the loop may sleep. */
static void settle(errand_queue *queue)
{
    struct errand_event event;
    unsigned turns = 0;
    while (readable(queue, 0)) {
        REQUIRE_INT(errand_queue_dispatch(queue, &event, 1), 0);
        REQUIRE(++turns < 10);
    }
}

static errand_queue *open_outer(enum errand_backend backend)
{
    errand_queue *queue = open_queue(backend, NULL);
    unsigned before = harness_count_descriptors();
    int fd = errand_queue_fd(queue);
    CHECK(fd >= 0);
    CHECK_INT(errand_queue_fd(queue), fd);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(harness_count_descriptors(), before + 3);
    settle(queue);
    return queue;
}

static void read_file(errand_queue *queue, int directory, const char *name, char *buffer, size_t length)
{
    struct errand_read_file job = {
        .size = sizeof job, .dir_fd = directory, .path = name, .buffer = buffer, .length = length};
    REQUIRE_INT(errand_read_file(queue, &job, NULL), 0);
}

/* By workers, whose path is a plain descriptor's, and on the queue's thread, beneath a root. */
TEST_EACH_BACKEND(chains)
{
    errand_queue *queue = open_outer(backend);
    char buffer[100], buffers[100][100]; /* what the kernel has is nobody else's meanwhile */
    make_file("file", sizeof buffer, 1);
    int directory = open_directory(), root = add_root(queue, harness_directory(), 0);
    for (unsigned i = 0; i < 300; i++) {
        read_file(queue, i % 3 ? root : directory, "file", buffer, sizeof buffer);
        CHECK(readable(queue, 0)); /* there is something to do at once */
        struct errand_event event = outer_event(queue);
        CHECK_EVENT(event, 0, -1, sizeof buffer);
        if (i % 10 == 0)
            settle(queue);
    }
    /* Many at once, taken a few at a time. */
    for (unsigned i = 0; i < 100; i++)
        read_file(queue, i % 3 ? root : directory, "file", buffers[i], sizeof buffers[i]);
    for (unsigned i = 0; i < 100; i++)
        CHECK_INT(outer_event(queue).error, 0);
    settle(queue);
    CHECK_INT(errand_root_remove(queue, root), 0);
    close(directory);
    close_queue(queue);
}

TEST_EACH_BACKEND(deadlines_and_cancel)
{
    errand_queue *queue = open_outer(backend);
    int sockets[2];
    char byte;
    make_pair(PAIR_UNIX, sockets);
    errand_chain *chain = new_chain(queue);
    errand_step_receive(chain, sockets[0], &byte, 1, 0);
    submit(chain, NULL, 20 * ERRAND_MILLISECOND);
    struct errand_event event = outer_event(queue);
    CHECK_EVENT(event, -ETIMEDOUT, 0, 0);
    chain = new_chain(queue);
    errand_step_receive(chain, sockets[0], &byte, 1, 0);
    errand_id id = submit(chain, NULL, 3600 * ERRAND_SECOND);
    settle(queue);
    CHECK_INT(errand_cancel(queue, id), 0);
    event = outer_event(queue);
    CHECK_EVENT(event, -ECANCELED, 0, 0);
    /* The peer goes on with it. */
    chain = new_chain(queue);
    errand_step_receive(chain, sockets[0], &byte, 1, 0);
    submit(chain, NULL, 0);
    settle(queue);
    CHECK_INT(send(sockets[1], "x", 1, 0), 1);
    event = outer_event(queue);
    CHECK_EVENT(event, 0, -1, 1);
    settle(queue);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

TEST_EACH_BACKEND(timers)
{
    enum { count = 20 };
    errand_queue *queue = open_outer(backend);
    errand_source *sources[count];
    for (unsigned i = 0; i < count; i++)
        CHECK_INT(errand_source_timer(queue, ERRAND_MILLISECOND, 0, NULL, &sources[i]), 0);
    for (unsigned i = 0; i < count; i++) { /* all due at once: what is left over keeps it readable */
        struct errand_event event = outer_event(queue);
        check_source_event(&event, ERRAND_EVENT_TIMER, NULL);
    }
    settle(queue);
    /* Set further away, and nearer; the latter while the loop sleeps for the former. */
    CHECK_INT(errand_source_set_timer(sources[0], 3600 * ERRAND_SECOND, 0), 0);
    settle(queue);
    CHECK_INT(errand_source_set_timer(sources[1], 5 * ERRAND_MILLISECOND, ERRAND_MILLISECOND), 0);
    for (unsigned i = 0; i < 5; i++)
        CHECK_INT(outer_event(queue).kind, ERRAND_EVENT_TIMER);
    for (unsigned i = 0; i < count; i++)
        CHECK_INT(errand_source_stop(sources[i]), 0);
    settle(queue);
    close_queue(queue);
}

static void *post_many(void *source)
{
    for (uintptr_t i = 1; i <= 1000;)
        if (errand_post(source, (void *)i) == 0)
            i++;
    return NULL;
}

/* No wake-up is lost: another thread posts whenever it likes. */
TEST_EACH_BACKEND(posts)
{
    errand_queue *queue = open_outer(backend);
    errand_source *source;
    pthread_t thread;
    CHECK_INT(errand_source_post(queue, NULL, &source), 0);
    settle(queue);
    pthread_create(&thread, NULL, post_many, source);
    for (uintptr_t i = 1; i <= 1000; i++)
        REQUIRE(outer_event(queue).data == (void *)i);
    pthread_join(thread, NULL);
    settle(queue);
    CHECK_INT(errand_source_stop(source), 0);
    close_queue(queue);
}

/* Woken by writes to eventfds again and again: these the kernel does not pass on to a ring's own eventfd. The sources
 * wait already when the descriptor is asked for. */
TEST_EACH_BACKEND(eventfds)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *post, *ready;
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK_INT(errand_source_post(queue, NULL, &post), 0);
    CHECK_INT(errand_source_ready(queue, event_fd, POLLIN, NULL, &ready), 0);
    no_event(queue);
    for (unsigned i = 0; i < 5; i++) {
        uint64_t value = 1;
        settle(queue);
        CHECK_INT(errand_post(post, "message"), 0);
        CHECK_INT(outer_event(queue).kind, ERRAND_EVENT_MESSAGE);
        settle(queue);
        CHECK_INT(write(event_fd, &value, sizeof value), sizeof value);
        CHECK_INT(outer_event(queue).kind, ERRAND_EVENT_READY);
        CHECK_INT(read(event_fd, &value, sizeof value), sizeof value);
    }
    settle(queue);
    CHECK_INT(errand_source_stop(post), 0);
    CHECK_INT(errand_source_stop(ready), 0);
    close(event_fd);
    close_queue(queue);
}

/* The same of chains that poll, several on one descriptor, some since before the descriptor is asked for. */
TEST_EACH_BACKEND(chains_that_poll)
{
    errand_queue *queue = open_queue(backend, NULL);
    enum { rounds = 4 };
    for (unsigned i = 0; i < rounds; i++) {
        int fds[2] = {eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), -1};
        fds[1] = backend == ERRAND_BACKEND_THREADS ? fcntl(fds[0], F_DUPFD_CLOEXEC, 3) : fds[0];
        for (unsigned turn = 0; turn < 2; turn++) {
            errand_chain *chain = new_chain(queue);
            errand_step_poll(chain, fds[turn], POLLIN);
            submit(chain, NULL, 0);
        }
        no_event(queue);
        settle(queue);
        uint64_t value = 1;
        CHECK_INT(write(fds[0], &value, sizeof value), sizeof value);
        for (unsigned turn = 0; turn < 2; turn++) {
            struct errand_event event = outer_event(queue);
            CHECK_EVENT(event, 0, -1, 0);
        }
        settle(queue);
        if (fds[1] != fds[0])
            close(fds[1]);
        close(fds[0]);
    }
    close_queue(queue);
}

static void *echo(void *context)
{
    int socket = *(int *)context;
    char byte;
    while (recv(socket, &byte, 1, 0) == 1)
        if (send(socket, &byte, 1, MSG_NOSIGNAL) != 1)
            break;
    return NULL;
}

/* No wake-up is lost, however soon after the thread has left the answer comes. */
TEST_EACH_BACKEND(answers_of_a_peer)
{
    errand_queue *queue = open_outer(backend);
    errand_source *source;
    int sockets[2];
    pthread_t thread;
    REQUIRE_CALL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
    CHECK_INT(errand_source_receive(queue, sockets[0], NULL, &source), 0);
    pthread_create(&thread, NULL, echo, &sockets[1]);
    for (unsigned i = 0; i < 2000; i++) {
        CHECK_INT(send(sockets[0], "x", 1, 0), 1);
        REQUIRE_INT(outer_event(queue).bytes, 1);
    }
    shutdown(sockets[0], SHUT_RDWR);
    pthread_join(thread, NULL);
    CHECK_INT(outer_event(queue).bytes, 0);
    CHECK_INT(errand_source_stop(source), 0);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

static int send_byte(errand_chain *chain, void *socket)
{
    (void)chain;
    CHECK_INT(send(*(int *)socket, "x", 1, 0), 1);
    return 0;
}

/* What comes while errand_queue_dispatch() is already taking events in: a call step sees to it that it does. */
TEST_EACH_BACKEND(answers_while_it_is_leaving)
{
    errand_queue *queue = open_outer(backend);
    errand_source *source;
    int sockets[2], trigger[2];
    char byte;
    make_pair(PAIR_UNIX, sockets);
    make_pair(PAIR_UNIX, trigger);
    CHECK_INT(errand_source_receive(queue, sockets[0], NULL, &source), 0);
    for (unsigned i = 0; i < 5; i++) {
        errand_chain *chain = new_chain(queue);
        errand_step_receive(chain, trigger[0], &byte, 1, 0);
        errand_step_call(chain, send_byte, &sockets[1]);
        submit(chain, NULL, 0);
        settle(queue);
        CHECK_INT(send(trigger[1], "x", 1, 0), 1);
        CHECK_INT(outer_event(queue).kind, ERRAND_EVENT_CHAIN);
        CHECK_INT(outer_event(queue).kind, ERRAND_EVENT_DATA);
    }
    CHECK_INT(errand_source_stop(source), 0);
    for (unsigned i = 0; i < 2; i++) {
        close(sockets[i]);
        close(trigger[i]);
    }
    close_queue(queue);
}

/* All kinds of sources; paused, resumed and stopped, too. */
TEST_EACH_BACKEND(sources)
{
    errand_queue *queue = open_outer(backend);
    errand_source *accept, *receive, *ready, *watch;
    uint16_t port;
    int listener = make_listener(&port), event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), sockets[2];
    make_pair(PAIR_UNIX, sockets);
    CHECK_INT(errand_source_accept(queue, listener, NULL, &accept), 0);
    CHECK_INT(errand_source_receive(queue, sockets[0], NULL, &receive), 0);
    CHECK_INT(errand_source_ready(queue, event_fd, POLLIN, NULL, &ready), 0);
    CHECK_INT(errand_source_watch(queue, NULL, &watch), 0);
    int directory = open_directory();
    CHECK(errand_source_watch_add(watch, directory, IN_CREATE) > 0);
    settle(queue);
    int client = connect_to(port);
    struct errand_event event = outer_event(queue);
    check_source_event(&event, ERRAND_EVENT_ACCEPT, NULL);
    close(event.fd);
    settle(queue);
    CHECK_INT(errand_source_pause(receive), 0);
    CHECK_INT(send(sockets[1], "data", 4, 0), 4);
    settle(queue);
    CHECK_INT(errand_source_resume(receive), 0);
    event = outer_event(queue);
    check_source_event(&event, ERRAND_EVENT_DATA, NULL);
    uint64_t value = 1;
    CHECK_INT(write(event_fd, &value, sizeof value), sizeof value);
    for (unsigned i = 0; i < 3; i++) { /* it is still so */
        event = outer_event(queue);
        check_source_event(&event, ERRAND_EVENT_READY, NULL);
    }
    CHECK_INT(read(event_fd, &value, sizeof value), sizeof value);
    settle(queue); /* it was seen to: not told again */
    make_file("new", 0, 0);
    event = outer_event(queue);
    check_source_event(&event, ERRAND_EVENT_WATCH, NULL);
    settle(queue);
    CHECK_INT(errand_source_stop(accept), 0);
    CHECK_INT(errand_source_stop(receive), 0);
    CHECK_INT(errand_source_stop(ready), 0);
    CHECK_INT(errand_source_stop(watch), 0);
    settle(queue);
    int others[] = {client, listener, event_fd, sockets[0], sockets[1], directory};
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        close(others[i]);
    close_queue(queue);
}

/* More sockets with data than there are buffers, and a caller that takes them all at once. */
TEST_EACH_BACKEND(few_buffers)
{
    enum { count = 20 };
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.receive_buffers = 4});
    errand_source *sources[count];
    int sockets[count][2];
    unsigned seen = 0;
    for (unsigned i = 0; i < count; i++) {
        make_pair(PAIR_UNIX, sockets[i]);
        CHECK_INT(errand_source_receive(queue, sockets[i][0], NULL, &sources[i]), 0);
        CHECK_INT(send(sockets[i][1], "data", 4, 0), 4);
    }
    while (seen < count) {
        struct errand_event events[count];
        REQUIRE(readable(queue, 30000));
        int n = errand_queue_dispatch(queue, events, count);
        CHECK(n >= 0 && n <= 4);
        seen += (unsigned)n;
    }
    CHECK_INT(seen, count);
    settle(queue);
    for (unsigned i = 0; i < count; i++) {
        CHECK_INT(errand_source_stop(sources[i]), 0);
        close(sockets[i][0]);
        close(sockets[i][1]);
    }
    close_queue(queue);
}

/* The queue's own waiting and another's take turns. */
TEST_EACH_BACKEND(both_ways_of_waiting)
{
    errand_queue *queue = open_outer(backend);
    char buffer[10];
    make_file("file", sizeof buffer, 1);
    int directory = open_directory();
    for (unsigned i = 0; i < 200; i++) {
        read_file(queue, directory, "file", buffer, sizeof buffer);
        struct errand_event event = i % 2 ? outer_event(queue) : next_event(queue);
        CHECK_EVENT(event, 0, -1, sizeof buffer);
    }
    settle(queue);
    close(directory);
    close_queue(queue);
}

static int ask_for_it(errand_chain *chain, void *context)
{
    (void)chain;
    errand_queue *queue = context;
    CHECK(errand_queue_fd(queue) >= 0);
    return 0;
}

/* Asked for within a call step, and with work that was begun before. */
TEST_EACH_BACKEND(asked_for_late)
{
    errand_queue *queue = open_queue(backend, NULL);
    char buffer[10];
    make_file("file", sizeof buffer, 1);
    int directory = open_directory();
    errand_chain *chain = new_chain(queue);
    errand_step_call(chain, ask_for_it, queue);
    submit(chain, NULL, 0);
    read_file(queue, directory, "file", buffer, sizeof buffer);
    CHECK_INT(next_event(queue).error, 0);
    CHECK_INT(outer_event(queue).error, 0);
    settle(queue);
    close(directory);
    close_queue(queue);
    queue = open_queue(backend, NULL);
    directory = open_directory();
    read_file(queue, directory, "file", buffer, sizeof buffer);
    CHECK_INT(outer_event(queue).error, 0);
    close(directory);
    close_queue(queue);
}

/* A queue around a queue: each in the other's place. */
TEST_EACH_BACKEND(a_queue_in_a_queue)
{
    errand_queue *outside = open_queue(backend, NULL), *inside = open_outer(backend);
    errand_source *source, *timer;
    char buffer[10];
    make_file("file", sizeof buffer, 1);
    int directory = open_directory();
    CHECK_INT(errand_source_ready(outside, errand_queue_fd(inside), POLLIN, inside, &source), 0);
    no_event(outside);
    CHECK_INT(errand_source_timer(inside, 0, ERRAND_MILLISECOND, NULL, &timer), 0);
    for (unsigned ticks = 0; ticks < 5;) {
        struct errand_event event = next_event(outside);
        check_source_event(&event, ERRAND_EVENT_READY, inside);
        ticks += (unsigned)errand_queue_dispatch(inside, &event, 1);
    }
    CHECK_INT(errand_source_stop(timer), 0);
    settle(inside);
    read_file(inside, directory, "file", buffer, sizeof buffer);
    struct errand_event event;
    do
        CHECK_INT(next_event(outside).kind, ERRAND_EVENT_READY);
    while (errand_queue_dispatch(inside, &event, 1) == 0);
    CHECK_EVENT(event, 0, -1, sizeof buffer);
    CHECK_INT(errand_source_stop(source), 0);
    close(directory);
    close_queue(inside);
    close_queue(outside);
}

TEST_EACH_BACKEND(no_descriptors_for_it)
{
    errand_queue *queue = open_queue(backend, NULL);
    CHECK_INT(errand_queue_fd(NULL), -EINVAL);
    int filler[256], count = 0;
    struct rlimit limit;
    REQUIRE_CALL(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 200;
    REQUIRE_CALL(setrlimit(RLIMIT_NOFILE, &limit));
    while ((filler[count] = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0)
        REQUIRE(++count < 256);
    for (unsigned left = 0; left < 3; left++) { /* it takes three */
        CHECK_INT(errand_queue_fd(queue), -EMFILE);
        close(filler[--count]);
    }
    CHECK(errand_queue_fd(queue) >= 0);
    while (count)
        close(filler[--count]);
    settle(queue);
    close_queue(queue);
}
