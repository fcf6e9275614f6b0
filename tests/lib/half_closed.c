/* SPDX-License-Identifier: MIT */
/*
 * Peers that have shut their side down, and read nothing yet: one who waits until he can send to them waits, and spins
 * no more than he takes a kernel thread of his own for it (see backend/uring/watch.c).
 */
#include "support.h"

#include <dirent.h>
#include <poll.h>
#include <time.h>

enum { clients = 12, size = 8 << 20 };

enum what { SEND, SENDFILE, POLL, POLL_URGENT, WHATS };
static const char *const names[WHATS] = {"send", "sendfile", "poll for output", "poll for urgent data"};

struct stage {
    errand_queue *queue;
    int root;
    char *data;
    int sockets[clients][2];
};

static void set_stage(struct stage *stage, enum errand_backend backend, enum what what)
{
    harness_at("%s", names[what]);
    stage->queue = open_queue(backend, NULL);
    stage->root = add_root(stage->queue, harness_directory(), 0);
    stage->data = malloc(size);
    pattern_fill(stage->data, size, 3, 0);
    make_file("file", size, 3);
    for (unsigned i = 0; i < clients; i++) {
        make_pair(PAIR_TCP, stage->sockets[i]);
        REQUIRE_CALL(shutdown(stage->sockets[i][1], SHUT_WR));
        if (what == POLL) /* nothing more can be written */
            while (send(stage->sockets[i][0], stage->data, size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                ;
    }
}

static errand_id begin(struct stage *stage, enum what what, unsigned i, int64_t timeout_ns)
{
    int socket = stage->sockets[i][0];
    errand_chain *chain = new_chain(stage->queue);
    if (what == SENDFILE)
        errand_step_open(chain, stage->root, "file", O_RDONLY, 0);
    if (what == SENDFILE)
        errand_step_sendfile(chain, socket, ERRAND_SLOT(0), 0, size, NULL, 0, 0);
    else if (what == SEND)
        errand_step_send(chain, socket, stage->data, size, 0);
    else
        errand_step_poll(chain, socket, what == POLL ? POLLOUT : POLLPRI);
    return submit(chain, (void *)(uintptr_t)i, timeout_ns);
}

static unsigned kernel_workers(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "re");
        if (file && fgets(name, sizeof name, file))
            count += strncmp(name, "iou-wrk", 7) == 0;
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return count;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

/* No event for a while, in which the thread is mostly asleep. */
static void sleeps(struct stage *stage)
{
    struct errand_event event;
    for (unsigned turns = 0; turns < 50; turns++) /* until all that can be sent was */
        CHECK_INT(errand_queue_wait(stage->queue, &event, 1, ERRAND_MILLISECOND), 0);
    int64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), time = clock_ns(CLOCK_MONOTONIC);
    CHECK_INT(errand_queue_wait(stage->queue, &event, 1, 300 * ERRAND_MILLISECOND), 0);
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu, time = clock_ns(CLOCK_MONOTONIC) - time;
    CHECK(cpu < time / 3);
    CHECK_INT(kernel_workers(), 0);
}

static void close_stage(struct stage *stage)
{
    for (unsigned i = 0; i < clients; i++) {
        close(stage->sockets[i][0]);
        close(stage->sockets[i][1]);
    }
    errand_root_remove(stage->queue, stage->root);
    free(stage->data);
    close_queue(stage->queue);
}

/* What waited goes on when they read. */
TEST_EACH_BACKEND(reads_later)
{
    for (enum what what = SEND; what <= POLL; what++) {
        struct stage stage;
        set_stage(&stage, backend, what);
        for (unsigned i = 0; i < clients; i++)
            begin(&stage, what, i, 0);
        sleeps(&stage);
        for (unsigned i = 0; i < clients; i++) {
            struct peer peer = {.socket = stage.sockets[i][1]};
            struct errand_event event = next_event_with(stage.queue, &peer);
            CHECK_INT((uintptr_t)event.user_data, i);
            CHECK_EVENT(event, 0, -1, what == POLL ? 0 : size);
            shutdown(stage.sockets[i][0], SHUT_WR);
            peer_take_all(&peer);
            CHECK(what == POLL || CHECK_INT(peer.length, size));
            CHECK_INT(pattern_check(peer.data, size < peer.length ? size : peer.length, 3, 0),
                      size < peer.length ? size : peer.length);
            free(peer.data);
        }
        close_stage(&stage);
    }
}

/* Cancel and deadline end what waits, also what begins to be cancelled at any moment of its course. */
TEST_EACH_BACKEND(ends_early)
{
    for (enum what what = SEND; what < WHATS; what++) {
        for (unsigned turns = 0; turns < 12; turns++) {
            struct stage stage;
            errand_id ids[clients];
            set_stage(&stage, backend, what);
            bool deadline = turns % 2;
            for (unsigned i = 0; i < clients; i++)
                ids[i] = begin(&stage, what, i, deadline ? (1 + turns) * ERRAND_MILLISECOND : 0);
            struct errand_event event;
            if (turns == 10)
                sleeps(&stage);
            for (unsigned i = 0; !deadline && i < turns / 2; i++)
                CHECK_INT(errand_queue_wait(stage.queue, &event, 1, 0), 0);
            for (unsigned i = 0; !deadline && i < clients; i++)
                CHECK_INT(errand_cancel(stage.queue, ids[i]), 0);
            for (unsigned i = 0; i < clients; i++) {
                event = next_event(stage.queue);
                CHECK_INT(event.error, deadline ? -ETIMEDOUT : -ECANCELED);
            }
            close_stage(&stage);
        }
    }
}
