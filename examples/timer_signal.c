/* SPDX-License-Identifier: MIT */
/* Ticks twenty times a second; SIGUSR1 stops and starts the ticks; SIGINT, or the tenth tick, ends it. */
#include <errand.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

enum { TICK, USR1, INT };

/* What was given as user_data, by which events are told apart. */
static int names[] = {TICK, USR1, INT};

static int add_sources(errand_queue *queue, errand_source **ticks)
{
    errand_source *source;
    /* excerpt: errand_source_signal */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals,
                    NULL); /* before other threads begin */
    int result =
        errand_source_signal(queue, SIGUSR1, &names[USR1], &source);
    if (result == 0)
        result =
            errand_source_signal(queue, SIGINT, &names[INT], &source);
    /* end */
    if (result < 0)
        return result;
    /* excerpt: errand_source_timer */
    int64_t period = 50 * ERRAND_MILLISECOND;
    result =
        errand_source_timer(queue, period, period, &names[TICK], ticks);
    /* end */
    return result;
}

int main(void)
{
    errand_queue *queue;
    errand_source *ticks = NULL;
    int result = errand_queue_open(&queue, NULL);
    if (result == 0)
        result = add_sources(queue, &ticks);
    bool paused = false;
    unsigned long long seen = 0;
    while (result == 0 && seen < 10) {
        struct errand_event event;
        if (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
            continue;
        int name = *(int *)event.user_data;
        if (name == INT)
            break;
        if (name == TICK) {
            seen += event.bytes; /* more than 1 if this loop was late */
            printf("tick %llu\n", seen);
        }
        /* excerpt: errand_source_pause */
        if (name == USR1) {
            paused = !paused;
            result = paused ? errand_source_pause(ticks)
                            : errand_source_resume(ticks);
        }
        /* end */
    }
    if (result < 0) {
        fprintf(stderr, "timer_signal: %s\n", errand_error_name(result));
        return 1;
    }
    errand_source_stop(ticks); /* errand_queue_close() would do it too */
    errand_queue_close(queue);
}
