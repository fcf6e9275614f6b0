/* SPDX-License-Identifier: MIT */
/* Sources: timers, signals, messages, new connections; pausing, resuming, stopping each. Arriving data: receives.c. */
#include "support.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#define TICK (2 * ERRAND_MILLISECOND)

static int64_t clock_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

TEST_EACH_BACKEND(timer_once)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    int mark;
    int64_t start = clock_now();
    CHECK_INT(errand_source_timer(queue, 3 * TICK, 0, &mark, &source), 0);
    struct errand_event event = next_event(queue);
    CHECK(clock_now() - start >= 3 * TICK);
    check_source_event(&event, ERRAND_EVENT_TIMER, &mark);
    CHECK_INT(event.bytes, 1);
    no_event(queue);
    CHECK_INT(errand_source_set_timer(source, 0, 0), 0); /* anew, at once */
    event = next_event(queue);
    check_source_event(&event, ERRAND_EVENT_TIMER, &mark);
    /* Moved away before it runs off. */
    CHECK_INT(errand_source_set_timer(source, TICK, 0), 0);
    CHECK_INT(errand_source_set_timer(source, 3600 * ERRAND_SECOND, 0), 0);
    CHECK_INT(errand_queue_wait(queue, &event, 1, 3 * TICK), 0);
    CHECK_INT(errand_source_stop(source), 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(timer_periodic)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    uint64_t expirations = 0;
    int64_t start = clock_now();
    CHECK_INT(errand_source_timer(queue, 0, TICK, NULL, &source), 0);
    while (expirations < 20) {
        struct errand_event event = next_event(queue);
        CHECK_INT(event.kind, ERRAND_EVENT_TIMER);
        CHECK(event.bytes >= 1);
        expirations += event.bytes;
    }
    CHECK(clock_now() - start >= 19 * TICK);
    /* While it is paused they are counted, and come as one. */
    CHECK_INT(errand_source_pause(source), 0);
    CHECK_INT(errand_source_pause(source), 0);
    no_event(queue);
    struct errand_event event;
    CHECK_INT(errand_queue_wait(queue, &event, 1, 5 * TICK), 0);
    CHECK_INT(errand_source_resume(source), 0);
    CHECK_INT(errand_source_resume(source), 0);
    event = next_event(queue);
    CHECK(event.bytes >= 4);
    CHECK_INT(errand_source_stop(source), 0);
    CHECK_INT(errand_queue_wait(queue, &event, 1, 3 * TICK), 0);
    close_queue(queue);
}

/* They come in the order of their times, whatever the order in which they were made. */
TEST_EACH_BACKEND(timers_in_order)
{
    errand_queue *queue = open_queue(backend, NULL);
    enum { count = 100 };
    errand_source *sources[count];
    for (uintptr_t i = 0; i < count; i++) {
        uintptr_t rank = i * 37 % count;
        CHECK_INT(errand_source_timer(queue, (int64_t)(rank + 1) * ERRAND_MILLISECOND, 0, (void *)rank, &sources[i]),
                  0);
    }
    for (uintptr_t i = 0; i < count; i++)
        CHECK_INT((uintptr_t)next_event(queue).user_data, i);
    for (unsigned i = 0; i < count; i++)
        CHECK_INT(errand_source_stop(sources[i]), 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(signals)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source = NULL;
    sigset_t set;
    int mark;
    CHECK_INT(errand_source_signal(queue, SIGUSR1, &mark, &source), -EINVAL); /* not blocked */
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    CHECK_INT(errand_source_signal(queue, SIGUSR1, &mark, &source), 0);
    no_event(queue);
    kill(getpid(), SIGUSR1);
    struct errand_event event = next_event(queue);
    check_source_event(&event, ERRAND_EVENT_SIGNAL, &mark);
    CHECK_INT(event.bytes, SIGUSR1);
    CHECK_INT(errand_source_pause(source), 0);
    kill(getpid(), SIGUSR1);
    no_event(queue);
    CHECK_INT(errand_source_resume(source), 0);
    event = next_event(queue);
    CHECK_INT(event.bytes, SIGUSR1);
    CHECK_INT(errand_source_stop(source), 0);
    /* Stopped: the signal is the caller's again. */
    kill(getpid(), SIGUSR1);
    no_event(queue);
    CHECK_INT(sigtimedwait(&set, NULL, &(struct timespec){0}), SIGUSR1);
    close_queue(queue);
}

TEST_EACH_BACKEND(bad_signals)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source = NULL;
    CHECK_INT(errand_source_signal(queue, 0, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_signal(queue, -1, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_signal(queue, 1000, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_signal(queue, SIGKILL, NULL, &source), -EINVAL);
    close_queue(queue);
}

enum { posters = 4, posts_each = 5000 };
static void *post_many(void *context)
{
    static _Atomic unsigned number;
    uintptr_t base = (uintptr_t)number++ * posts_each;
    for (uintptr_t i = 1; i <= posts_each;) {
        int result = errand_post(context, (void *)(base + i));
        if (result == 0)
            i++;
        else if (result == -EAGAIN)
            sched_yield();
        else
            return (void *)1;
    }
    return NULL;
}

TEST_EACH_BACKEND(posts_from_threads)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.messages = 100});
    errand_source *source;
    pthread_t threads[posters];
    uintptr_t last[posters] = {0};
    void *result;
    int mark;
    CHECK_INT(errand_source_post(queue, &mark, &source), 0);
    for (unsigned i = 0; i < posters; i++)
        pthread_create(&threads[i], NULL, post_many, source);
    for (unsigned i = 0; i < posters * posts_each; i++) {
        struct errand_event event = next_event(queue);
        uintptr_t value = (uintptr_t)event.data - 1, poster = value / posts_each;
        REQUIRE(event.kind == ERRAND_EVENT_MESSAGE && event.user_data == &mark && poster < posters);
        REQUIRE_INT(value % posts_each, last[poster]); /* each one's in order */
        last[poster]++;
    }
    for (unsigned i = 0; i < posters; i++) {
        pthread_join(threads[i], &result);
        CHECK(!result);
    }
    CHECK_INT(errand_source_stop(source), 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(posts_are_bounded)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.messages = 10});
    errand_source *source;
    CHECK_INT(errand_source_post(queue, NULL, &source), 0);
    CHECK_INT(errand_source_pause(source), 0);
    for (uintptr_t i = 0; i < 10; i++)
        CHECK_INT(errand_post(source, (void *)(i + 1)), 0);
    CHECK_INT(errand_post(source, (void *)99), -EAGAIN);
    no_event(queue);
    CHECK_INT(errand_source_resume(source), 0);
    for (uintptr_t i = 0; i < 10; i++)
        CHECK_INT((uintptr_t)next_event(queue).data, i + 1);
    CHECK_INT(errand_post(source, NULL), 0); /* any pointer */
    struct errand_event event = next_event(queue);
    check_source_event(&event, ERRAND_EVENT_MESSAGE, NULL);
    CHECK(event.data == NULL);
    CHECK_INT(errand_post(NULL, NULL), -EINVAL);
    /* What waits when it is stopped is gone. */
    CHECK_INT(errand_post(source, (void *)1), 0);
    CHECK_INT(errand_source_stop(source), 0);
    close_queue(queue);
}

static void *post_later(void *context)
{
    struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL); /* the queue is asleep by then, or the test shows nothing; it holds either way */
    errand_post(context, context);
    return NULL;
}

TEST_EACH_BACKEND(post_wakes_a_sleeping_queue)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    pthread_t thread;
    struct errand_event event;
    CHECK_INT(errand_source_post(queue, NULL, &source), 0);
    pthread_create(&thread, NULL, post_later, source);
    CHECK_INT(errand_queue_wait(queue, &event, 1, ERRAND_FOREVER), 1);
    CHECK(event.data == source);
    pthread_join(thread, NULL);
    CHECK_INT(errand_source_stop(source), 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(accepts)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    uint16_t port;
    int listener = make_listener(&port), clients[50], mark;
    CHECK_INT(errand_source_accept(queue, listener, &mark, &source), 0);
    for (unsigned i = 0; i < 50; i++)
        clients[i] = connect_to(port);
    for (unsigned i = 0; i < 50; i++) {
        struct errand_event event = next_event(queue);
        check_source_event(&event, ERRAND_EVENT_ACCEPT, &mark);
        REQUIRE(event.fd >= 0);
        CHECK(fcntl(event.fd, F_GETFD) & FD_CLOEXEC);
        CHECK(fcntl(event.fd, F_GETFL) & O_NONBLOCK);
        close(event.fd);
    }
    /* Paused: new connections wait in the kernel; one that was under way waits in the source. */
    CHECK_INT(errand_source_pause(source), 0);
    int late = connect_to(port), later = connect_to(port);
    no_event(queue);
    CHECK_INT(errand_source_resume(source), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct errand_event event = next_event(queue);
        CHECK_INT(event.kind, ERRAND_EVENT_ACCEPT);
        close(event.fd);
    }
    CHECK_INT(errand_source_stop(source), 0);
    /* Stopped: the listener is the caller's. */
    int last = connect_to(port), accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    no_event(queue);
    CHECK(accepted >= 0);
    close(accepted);
    close(last);
    close(late);
    close(later);
    for (unsigned i = 0; i < 50; i++)
        close(clients[i]);
    close(listener);
    close_queue(queue);
}

/* Stopped with connections that were accepted and not fetched: none of them leaks (the harness looks). */
TEST_EACH_BACKEND(accept_stopped_in_between)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    uint16_t port;
    int listener = make_listener(&port), clients[20];
    CHECK_INT(errand_source_accept(queue, listener, NULL, &source), 0);
    for (unsigned i = 0; i < 20; i++)
        clients[i] = connect_to(port);
    struct errand_event event = next_event(queue);
    close(event.fd);
    CHECK_INT(errand_source_stop(source), 0);
    for (unsigned i = 0; i < 20; i++)
        close(clients[i]);
    close(listener);
    close_queue(queue);
}

/* No more, in the middle of a crowd: whoever was accepted comes, the others wait for the next who accepts. */
TEST_EACH_BACKEND(accept_no_more)
{
    enum { CLIENTS = 40 };
    for (unsigned fetched = 0; fetched < 4; fetched++) {
        errand_queue *queue = open_queue(backend, NULL);
        errand_source *source;
        uint16_t port;
        int listener = make_listener(&port), clients[CLIENTS], servers[CLIENTS], taken = 0, last;
        CHECK_INT(errand_source_accept(queue, listener, &source, &source), 0);
        for (unsigned i = 0; i < CLIENTS; i++)
            clients[i] = connect_to(port);
        for (unsigned i = 0; i < fetched; i++)
            servers[taken++] = next_event(queue).fd;
        if (fetched == 3)
            CHECK_INT(errand_source_pause(source), 0);
        CHECK_INT(errand_source_accept_no_more(source), 0);
        while ((last = next_event(queue).fd) >= 0)
            servers[taken++] = last;
        CHECK(taken < CLIENTS);
        no_event(queue); /* the end is told once */
        CHECK_INT(errand_source_stop(source), 0);
        close_queue(queue);
        while (taken < CLIENTS && (last = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
            servers[taken++] = last;
        CHECK_INT(taken, CLIENTS); /* nobody was lost on the way */
        for (unsigned i = 0; i < CLIENTS; i++) {
            close(servers[i]);
            close(clients[i]);
        }
        close(listener);
    }
}

/*
 * Two accept from one socket, and the first accepts no more at the moment at which a connection comes: the kernel may
 * have told the first alone of it, so the first has to take it, or the second never hears.
 */
TEST_EACH_BACKEND(accept_no_more_passes_nobody_over)
{
    for (unsigned turn = 0; turn < 20; turn++) {
        errand_queue *queues[2] = {open_queue(backend, NULL), open_queue(backend, NULL)};
        errand_source *sources[2];
        uint16_t port;
        int listener = make_listener(&port), taken = -1;
        for (unsigned i = 0; i < 2; i++) {
            CHECK_INT(errand_source_accept(queues[i], listener, sources, &sources[i]), 0);
            no_event(queues[i]);
        }
        int client = connect_to(port);
        CHECK_INT(errand_source_accept_no_more(sources[turn % 2]), 0);
        for (int fd; (fd = next_event(queues[turn % 2]).fd) >= 0;)
            taken = fd;
        if (taken < 0)
            taken = next_event(queues[1 - turn % 2]).fd;
        CHECK(taken >= 0);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_INT(errand_source_stop(sources[i]), 0);
            close_queue(queues[i]);
        }
        close(taken);
        close(client);
        close(listener);
    }
}

TEST_EACH_BACKEND(bad_descriptors)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source = NULL;
    CHECK_INT(errand_source_accept(queue, -1, NULL, &source), -EBADF);
    CHECK_INT(errand_source_accept(queue, 9999, NULL, &source), -EBADF);
    CHECK_INT(errand_source_accept_no_more(NULL), -EINVAL);
    CHECK_INT(errand_source_timer(queue, ERRAND_SECOND, 0, NULL, &source), 0);
    CHECK_INT(errand_source_accept_no_more(source), -EINVAL);
    CHECK_INT(errand_source_stop(source), 0);
    CHECK_INT(errand_source_receive(queue, -1, NULL, &source), -EBADF);
    CHECK_INT(errand_source_receive(queue, 9999, NULL, &source), -EBADF);
    CHECK_INT(errand_source_timer(queue, -1, 0, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_timer(queue, 0, -1, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_timer(queue, 0, 0, NULL, NULL), -EINVAL);
    CHECK_INT(errand_source_timer(NULL, 0, 0, NULL, &source), -EINVAL);
    close_queue(queue);
}

static void setrlimit_to(int descriptors)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)descriptors;
    REQUIRE_CALL(setrlimit(RLIMIT_NOFILE, &limit));
}

/* Descriptors run out: said once, then paused; resumed when one was closed, it goes on. */
TEST_EACH_BACKEND(accept_without_descriptors)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    uint16_t port;
    int listener = make_listener(&port), client = connect_to(port), filler[4096], fillers = 0;
    errand_source *timer;
    REQUIRE_INT(errand_source_timer(queue, 3600 * ERRAND_SECOND, 0, NULL, &timer), 0);
    while (fillers < 4096 && (filler[fillers] = dup(0)) >= 0) {
        if (++fillers == 100)
            setrlimit_to(filler[99] + 1);
    }
    CHECK_INT(errand_source_accept(queue, listener, NULL, &source), 0);
    struct errand_event event = next_event(queue);
    CHECK_INT(event.kind, ERRAND_EVENT_ACCEPT);
    CHECK_INT(event.error, -EMFILE);
    CHECK_INT(event.fd, -1);
    no_event(queue);
    close(filler[--fillers]);
    no_event(queue); /* paused until it is resumed */
    CHECK_INT(errand_source_resume(source), 0);
    event = next_event(queue);
    CHECK_INT(event.error, 0);
    CHECK(event.fd >= 0);
    close(event.fd);
    CHECK_INT(errand_source_stop(source), 0);
    CHECK_INT(errand_source_stop(timer), 0);
    while (fillers)
        close(filler[--fillers]);
    close(client);
    close(listener);
    close_queue(queue);
}

TEST_EACH_BACKEND(sources_are_bounded)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.sources = 3});
    errand_source *sources[3], *more;
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned i = 0; i < 3; i++)
            CHECK_INT(errand_source_timer(queue, 3600 * ERRAND_SECOND, 0, NULL, &sources[i]), 0);
        CHECK_INT(errand_source_timer(queue, 1, 0, NULL, &more), -EAGAIN);
        CHECK_INT(stats_of(queue).sources, 3);
        for (unsigned i = 0; i < 3; i++)
            CHECK_INT(errand_source_stop(sources[i]), 0);
        CHECK_INT(stats_of(queue).sources, 0);
    }
    close_queue(queue);
}

/* A period that no clock reaches. */
TEST_EACH_BACKEND(timer_with_an_endless_period)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    CHECK_INT(errand_source_timer(queue, 1, INT64_MAX, NULL, &source), 0);
    CHECK_INT(next_event(queue).bytes, 1);
    no_event(queue);
    CHECK_INT(errand_source_set_timer(source, INT64_MAX, INT64_MAX), 0);
    no_event(queue);
    CHECK_INT(errand_source_stop(source), 0);
    close_queue(queue);
}
