/* SPDX-License-Identifier: MIT */
/* errand_queue_wait(): what ends it, and that everybody has his turn in it. */
#include "support.h"

#include <signal.h>
#include <time.h>

static void ignore(int signal_number)
{
    (void)signal_number;
}

/* Also when the wait has entries to submit at first, as the second one here has. */
TEST_EACH_BACKEND(signals_interrupt_a_wait)
{
    struct sigaction action = {.sa_handler = ignore};
    struct errand_event event;
    sigset_t set;
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    errand_queue *queue = open_queue(backend, NULL);
    timer_t timer;
    struct sigevent by_signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    REQUIRE_CALL(timer_create(CLOCK_MONOTONIC, &by_signal, &timer));
    struct itimerspec again = {.it_value.tv_nsec = 10000000, .it_interval.tv_nsec = 10000000}; /* one is not missed */
    REQUIRE_CALL(timer_settime(timer, 0, &again, NULL));
    errand_source *source;
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    CHECK_INT(errand_queue_wait(queue, &event, 1, 3600 * ERRAND_SECOND), 0);
    CHECK_INT(errand_queue_wait(queue, &event, 1, ERRAND_FOREVER), 0);
    CHECK_INT(errand_source_receive(queue, sockets[0], NULL, &source), 0);
    CHECK_INT(errand_queue_wait(queue, &event, 1, ERRAND_FOREVER), 0);
    CHECK_INT(errand_queue_wait(queue, &event, 1, 3600 * ERRAND_SECOND), 0);
    timer_delete(timer);
    CHECK_INT(errand_source_stop(source), 0);
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

static void submit_nothing(errand_queue *queue)
{
    errand_chain *chain = new_chain(queue);
    errand_step_call(chain, nothing, NULL);
    submit(chain, NULL, 0);
}

/* Who always has another event, and a caller who takes one at a time, must not keep others from theirs. */
TEST_EACH_BACKEND(nobody_is_starved)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *receive, *post;
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    CHECK_INT(errand_source_receive(queue, sockets[0], NULL, &receive), 0);
    CHECK_INT(errand_source_post(queue, NULL, &post), 0);
    CHECK_INT(errand_post(post, "message"), 0);
    submit_nothing(queue);
    CHECK_INT(send(sockets[1], "data", 4, 0), 4);
    bool came = false;
    for (unsigned i = 0; i < 1000 && !came; i++) {
        struct errand_event event = next_event(queue);
        if (event.kind == ERRAND_EVENT_CHAIN)
            submit_nothing(queue);
        else if (event.kind == ERRAND_EVENT_MESSAGE)
            CHECK_INT(errand_post(post, "message"), 0);
        else
            came = event.kind == ERRAND_EVENT_DATA;
    }
    CHECK(came);
    CHECK_INT(errand_source_stop(receive), 0);
    CHECK_INT(errand_source_stop(post), 0);
    struct errand_event event;
    while (errand_queue_dispatch(queue, &event, 1) > 0) {
    }
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

/* A chain that never has to wait does not keep errand_queue_wait() from coming back when its time is over. */
TEST_EACH_BACKEND(time_limits_hold_for_busy_chains)
{
    enum { steps = 12, piece = 2 << 20 };
    errand_queue *queue = open_queue(backend, NULL);
    make_file("big", piece, 1);
    int root = add_root(queue, harness_directory(), 0);
    char *buffer = malloc(piece);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, root, "big", O_RDONLY, 0);
    for (unsigned i = 1; i < steps; i++)
        errand_step_read(chain, ERRAND_SLOT(0), buffer, piece, 0, 0);
    submit(chain, NULL, 0);
    unsigned waits = 0;
    struct errand_event event;
    while (errand_queue_dispatch(queue, &event, 1) == 0)
        waits++;
    CHECK_EVENT(event, 0, -1, (steps - 1) * piece);
    CHECK(waits >= 3); /* a turn is 4 MiB */
    free(buffer);
    errand_root_remove(queue, root);
    close_queue(queue);
}
