/* SPDX-License-Identifier: MIT */
/*
 * Scenes of sources, and the table that says on which backends each is played. Those that stand on a descriptor of the
 * kernel's own (messages, signals, children, readiness) have it of the real kernel in the simulated world, too; what is
 * simulated is when and how often it is polled.
 */
#include "scene.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/wait.h>

static void quiet(struct world *w, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++)
        expect_nothing(w);
}

SCENE(timers_run_off)
{
    errand_source *once, *again;
    int64_t begun = errand_queue_now(w->queue);
    REQUIRE_INT(errand_source_timer(w->queue, 5 * ERRAND_MILLISECOND, 0, &once, &once), 0);
    struct errand_event event = expect_source(w, ERRAND_EVENT_TIMER, &once, 0);
    CHECK_INT(event.bytes, 1);
    quiet(w, 4); /* once is once */
    REQUIRE_INT(errand_source_timer(w->queue, 0, 10 * ERRAND_MILLISECOND, &again, &again), 0);
    uint64_t times = 0;
    for (unsigned i = 0; i < 5; i++)
        times += expect_source(w, ERRAND_EVENT_TIMER, &again, 0).bytes;
    int64_t passed = errand_queue_now(w->queue) - begun;
    CHECK(times >= 5 && passed >= 5 * ERRAND_MILLISECOND + 4 * 10 * ERRAND_MILLISECOND);
    /* What it ran off meanwhile comes when it is resumed, as one event. */
    CHECK_INT(errand_source_pause(again), 0);
    quiet(w, 10);
    CHECK_INT(errand_source_resume(again), 0);
    CHECK(expect_source(w, ERRAND_EVENT_TIMER, &again, 0).bytes >= 3);
    CHECK_INT(errand_source_stop(again), 0);
    quiet(w, 4);
    REQUIRE_INT(errand_source_set_timer(once, ERRAND_MILLISECOND, 0), 0);
    CHECK_INT(expect_source(w, ERRAND_EVENT_TIMER, &once, 0).bytes, 1);
    CHECK_INT(errand_source_stop(once), 0);
}

SCENE_WITH(messages_are_posted, .chains = 4, .messages = 8)
{
    static const char letters[9] = "abcdefgh";
    errand_source *source;
    REQUIRE_INT(errand_source_post(w->queue, &source, &source), 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned i = 0; i < 8; i++)
            CHECK_INT(errand_post(source, letters + i), 0);
        CHECK_INT(errand_post(source, letters), -EAGAIN);
        if (turn == 1) { /* they are kept */
            CHECK_INT(errand_source_pause(source), 0);
            quiet(w, 2);
            CHECK_INT(errand_source_resume(source), 0);
        }
        for (unsigned i = 0; i < 8; i++)
            CHECK(expect_source(w, ERRAND_EVENT_MESSAGE, &source, 0).data == letters + i);
        expect_nothing(w);
    }
    CHECK_INT(errand_source_stop(source), 0);
}

SCENE(connections_come)
{
    errand_source *source;
    int listener = world_listener(w);
    world_connect(w, listener, 0, PEER_STAYS);
    world_connect(w, listener, 0, PEER_STAYS);
    REQUIRE_INT(errand_source_accept(w->queue, listener, &source, &source), 0);
    for (unsigned i = 0; i < 2; i++)
        world_take(w, expect_source(w, ERRAND_EVENT_ACCEPT, &source, 0).fd);
    quiet(w, 2);
    CHECK_INT(errand_source_pause(source), 0);
    world_connect(w, listener, 0, PEER_STAYS);
    quiet(w, 2);
    CHECK_INT(errand_source_resume(source), 0);
    world_take(w, expect_source(w, ERRAND_EVENT_ACCEPT, &source, 0).fd);
    world_connect(w, listener, 0, PEER_STAYS); /* nobody will want it */
    CHECK_INT(errand_source_stop(source), 0);
    quiet(w, 2);
}

SCENE(no_more_connections_come)
{
    errand_source *source;
    int listener = world_listener(w);
    world_connect(w, listener, 0, PEER_STAYS);
    REQUIRE_INT(errand_source_accept(w->queue, listener, &source, &source), 0);
    world_take(w, expect_source(w, ERRAND_EVENT_ACCEPT, &source, 0).fd);
    quiet(w, 2);
    CHECK_INT(errand_source_accept_no_more(source), 0);
    expect_source(w, ERRAND_EVENT_ACCEPT, &source, -ECANCELED);
    world_connect(w, listener, 0, PEER_STAYS); /* somebody else's */
    quiet(w, 2);
    CHECK_INT(errand_source_stop(source), 0);
}

/* In whatever pieces. */
static void take_data(struct world *w, errand_source **source, uint64_t from, uint64_t to)
{
    while (from < to) {
        struct errand_event event = world_next(w);
        REQUIRE(event.kind == ERRAND_EVENT_DATA && event.error == 0 && event.user_data == source);
        REQUIRE(event.bytes > 0 && event.bytes <= 1024);
        CHECK_BYTES(event.data, world_pattern(from), event.bytes);
        from += event.bytes;
    }
    CHECK_INT(from, to);
    world_log(w, "%llu bytes", (unsigned long long)to);
}

SCENE_WITH(data_arrives, .chains = 4, .receive_buffers = 4, .receive_size = 1024)
{
    errand_source *sources[3];
    for (unsigned i = 0; i < 3; i++) {
        int socket = world_socket(w, 10000, i == 0 ? PEER_ENDS : PEER_STAYS);
        REQUIRE_INT(errand_source_receive(w->queue, socket, &sources[i], &sources[i]), 0);
        if (i == 1)
            CHECK_INT(errand_source_pause(sources[i]), 0);
        take_data(w, &sources[i], 0, i == 1 ? 0 : 10000);
        if (i == 0) { /* the end of the stream is told once */
            struct errand_event event = expect_source(w, ERRAND_EVENT_DATA, &sources[i], 0);
            CHECK_INT(event.bytes, 0);
        }
        quiet(w, 2);
    }
    CHECK_INT(errand_source_resume(sources[1]), 0);
    take_data(w, &sources[1], 0, 10000);
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(errand_source_stop(sources[i]), 0);
}

SCENE(what_is_ready_is_told_while_it_is)
{
    uint64_t number = 3;
    errand_source *source;
    int fd = (int)REQUIRE_CALL(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    REQUIRE_INT(errand_source_ready(w->queue, fd, POLLIN, &source, &source), 0);
    quiet(w, 2);
    REQUIRE(write(fd, &number, sizeof number) == sizeof number);
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(expect_source(w, ERRAND_EVENT_READY, &source, 0).bytes, POLLIN);
    REQUIRE(read(fd, &number, sizeof number) == sizeof number);
    quiet(w, 2);
    CHECK_INT(errand_source_pause(source), 0);
    REQUIRE(write(fd, &number, sizeof number) == sizeof number);
    quiet(w, 2);
    CHECK_INT(errand_source_resume(source), 0);
    CHECK_INT(expect_source(w, ERRAND_EVENT_READY, &source, 0).bytes, POLLIN);
    CHECK_INT(errand_source_stop(source), 0);
    quiet(w, 1);
    close(fd);
    REQUIRE_INT(errand_source_ready(w->queue, fd, POLLIN, &source, &source), -EBADF);
}

SCENE(signals_come)
{
    sigset_t set;
    errand_source *source;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    CHECK_INT(errand_source_signal(w->queue, SIGUSR2, &source, &source), -EINVAL);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    REQUIRE_INT(errand_source_signal(w->queue, SIGUSR2, &source, &source), 0);
    quiet(w, 1);
    for (unsigned turn = 0; turn < 3; turn++) {
        if (turn == 1)
            CHECK_INT(errand_source_pause(source), 0);
        REQUIRE_INT(raise(SIGUSR2), 0);
        if (turn == 1) {
            quiet(w, 2);
            CHECK_INT(errand_source_resume(source), 0);
        }
        CHECK_INT(expect_source(w, ERRAND_EVENT_SIGNAL, &source, 0).bytes, SIGUSR2);
    }
    quiet(w, 1);
    CHECK_INT(errand_source_stop(source), 0);
}

SCENE(children_end)
{
    errand_source *source;
    for (unsigned turn = 0; turn < 2; turn++) {
        pid_t child = fork();
        REQUIRE_CALL(child);
        if (child == 0) {
            if (turn == 1)
                raise(SIGKILL);
            _exit(7);
        }
        REQUIRE_INT(errand_source_child(w->queue, child, &source, &source), 0);
        struct errand_event event = expect_source(w, ERRAND_EVENT_CHILD, &source, 0);
        CHECK_INT(event.id, child);
        CHECK_INT(event.bytes, turn == 0 ? 7 << 8 : SIGKILL);
        world_log(w, "it ended with %llu", (unsigned long long)event.bytes);
        quiet(w, 1);
        CHECK_INT(errand_source_stop(source), 0);
        CHECK(waitpid(child, NULL, 0) < 0 && errno == ECHILD); /* it was taken away */
    }
}

/* Not simulated: the kernel itself is asked to watch an open file, and no simulated one is the kernel's. */
static void scene_changes_are_told(struct world *w)
{
    errand_source *source;
    REQUIRE_INT(errand_source_watch(w->queue, &source, &source), 0);
    int watch = errand_source_watch_add(source, w->directory, IN_CREATE);
    if (watch == -EOPNOTSUPP)
        SKIP("no filesystem here that can be watched");
    REQUIRE(watch > 0);
    quiet(w, 1);
    world_file(w, "n1", 100);
    struct errand_event event = expect_source(w, ERRAND_EVENT_WATCH, &source, 0);
    const struct inotify_event *change = event.data;
    CHECK_INT(change->mask, IN_CREATE);
    CHECK_STR(change->name, "n1");
    CHECK_INT(errand_source_stop(source), 0);
}

TEST_EACH_BACKEND(changes_are_told)
{
    const struct errand_queue_options options = {.chains = 16};
    for (enum way way = 0; way < WAYS; way++)
        free(scene_play(scene_changes_are_told, backend, way, 1, &options));
}

/* ---- the table */

static bool plays(const char *source, scene play, enum errand_backend backend)
{
    const struct errand_queue_options options = {
        .chains = 16, .messages = 8, .receive_buffers = 4, .receive_size = 1024};
    unsigned before = harness_failures();
    if (backend == HARNESS_SIM && play == scene_changes_are_told) {
        printf("%-9s", "kernel's");
        return true;
    }
    if (backend == ERRAND_BACKEND_URING && !scene_has_uring()) {
        printf("%-9s", "-");
        return true;
    }
    free(scene_play(play, backend, BY_ROOT, 1, &options));
    bool good = harness_failures() == before;
    printf("%-9s", good ? "yes" : "MISSING");
    if (!good)
        harness_note("%s on %s", source, harness_backend_name(backend));
    return good;
}

TEST(sources)
{
    static const struct {
        const char *name;
        scene play;
    } rows[] = {{"timer", scene_timers_run_off},    {"post", scene_messages_are_posted},
                {"accept", scene_connections_come}, {"accept, no more", scene_no_more_connections_come},
                {"receive", scene_data_arrives},    {"ready", scene_what_is_ready_is_told_while_it_is},
                {"signal", scene_signals_come},     {"child", scene_children_end},
                {"watch", scene_changes_are_told}};
    harness_show();
    printf("%-18s", "source");
    for (unsigned column = 0; column < COLUMNS; column++)
        printf("%-9s", harness_backend_name(columns[column]));
    printf("\n");
    for (unsigned row = 0; row < sizeof rows / sizeof *rows; row++) {
        printf("%-18s", rows[row].name);
        for (unsigned column = 0; column < COLUMNS; column++)
            CHECK(plays(rows[row].name, rows[row].play, columns[column]));
        printf("\n");
    }
    printf("kernel's: inotify tells of the real kernel's files, of which a simulated world has none\n");
}
