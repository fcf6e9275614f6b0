/* SPDX-License-Identifier: MIT */
/* A thread computes squares and posts them to the queue of the main thread. */
#include <errand.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

static int squares[5];

/* excerpt: errand_source_post */
static void *compute(void *context)
{
    errand_source *source = context;
    for (int i = 0; i < 5; i++) {
        squares[i] = i * i;
        while (errand_post(source, &squares[i]) == -EAGAIN)
            sched_yield(); /* the queue's thread is behind */
    }
    return NULL;
}
/* end */

int main(void)
{
    errand_queue *queue;
    errand_source *source;
    pthread_t thread;
    if (errand_queue_open(&queue, NULL) < 0 ||
        errand_source_post(queue, NULL, &source) < 0 ||
        pthread_create(&thread, NULL, compute, source) != 0)
        return 1;
    for (int left = 5; left > 0;) {
        struct errand_event event;
        if (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
            continue;
        if (event.kind == ERRAND_EVENT_MESSAGE && event.error == 0) {
            printf("%d\n", *(const int *)event.data);
            left--;
        }
    }
    pthread_join(
        thread,
        NULL); /* before the source ends: nobody posts to it any more */
    errand_queue_close(queue);
}
