/* SPDX-License-Identifier: MIT */
/*
 * A chain that waits, at each kind of step, and is ended from outside: cancelled, by its deadline, by the time limit
 * without progress, by the close of its queue. One event (none for the close), what it says is true, and the caller's
 * memory is the caller's: it is refilled with a pattern at the event and still holds it at the very end, whatever peers
 * and filesystems do meanwhile.
 */
#include "holdfs.h"
#include "support.h"

#include <poll.h>

enum place {
    RECEIVES,         /* a silent peer */
    RECEIVES_REST,    /* a peer that sent a part and fell silent */
    SENDS,            /* a peer that does not read */
    SENDS_FILE,       /* likewise, a file beneath a root */
    SENDS_PLAIN_FILE, /* likewise, a path of a plain descriptor: through a worker */
    OPENS,            /* from here on: a filesystem that holds that operation */
    LOOKS_UP,
    STATS,
    READS,
    READS_TO_SEND,
    CLOSES,
    PLACES
};
static const char *const place_names[PLACES] = {
    "receive", "receive's rest", "send",         "sendfile", "sendfile of a plain path", "open", "lookup",
    "stat",    "read",           "read to send", "close",
};

enum end { CANCELLED, DEADLINE, STALLED, QUEUE_CLOSED, ENDS };
static const char *const end_names[ENDS] = {"cancelled", "deadline", "without progress", "queue closed"};

/* All that a waiting chain uses. */
struct scene {
    errand_queue *queue;
    errand_id id;
    int sockets[2], root;
    enum place place;
    int step; /* the one that waits */
    unsigned char *buffer;
    struct errand_stat stat;
    struct holdfs *holdfs;
};

enum { buffer_size = 3 << 20, file_size = 6 << 20, refill = 12345 };

static bool on_files(enum place place)
{
    return place >= OPENS;
}

static const char *held_operation(enum place place)
{
    return place == OPENS      ? "open"
           : place == LOOKS_UP ? "lookup"
           : place == STATS    ? "getattr"
           : place == CLOSES   ? "flush"
                               : "read";
}

static errand_chain *describe(struct scene *scene)
{
    errand_chain *chain = new_chain(scene->queue);
    unsigned char *buffer = scene->buffer;
    switch (scene->place) {
    case RECEIVES:
    case RECEIVES_REST: scene->step = errand_step_receive(chain, scene->sockets[0], buffer, buffer_size, 0); break;
    case SENDS: scene->step = errand_step_send(chain, scene->sockets[0], buffer, buffer_size, 0); break;
    case SENDS_FILE:
    case SENDS_PLAIN_FILE:
        errand_step_open(chain, scene->place == SENDS_FILE ? scene->root : AT_FDCWD,
                         scene->place == SENDS_FILE ? "big" : path_of("big"), O_RDONLY, 0);
        scene->step = errand_step_sendfile(chain, scene->sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, buffer, 1000, 0);
        break;
    case OPENS:
    case LOOKS_UP:
        scene->step = errand_step_open(chain, AT_FDCWD, path_of("held/f3"), O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(0), buffer, buffer_size, 0, 0);
        break;
    case STATS:
        errand_step_open(chain, AT_FDCWD, path_of("held/f3"), O_RDONLY, 0);
        scene->step = errand_step_stat(chain, ERRAND_SLOT(0), &scene->stat);
        break;
    case READS:
        errand_step_open(chain, AT_FDCWD, path_of("held/f3"), O_RDONLY, 0);
        scene->step = errand_step_read(chain, ERRAND_SLOT(0), buffer, buffer_size, 0, 0);
        break;
    case READS_TO_SEND:
        errand_step_open(chain, AT_FDCWD, path_of("held/f3"), O_RDONLY, 0);
        scene->step = errand_step_sendfile(chain, scene->sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, buffer, 1000, 0);
        break;
    default:
        errand_step_open(chain, AT_FDCWD, path_of("held/f3"), O_RDONLY, 0);
        scene->step = errand_step_close(chain, ERRAND_SLOT(0));
        break;
    }
    /* What must never come to be done. */
    errand_step_open(chain, AT_FDCWD, path_of("must not be made"), O_RDWR | O_CREAT, 0600);
    return chain;
}

/* The chain waits at its step: the filesystem holds it, or the peer has got what there was room for. */
static bool has_come_to_it(void *context)
{
    struct scene *scene = context;
    struct pollfd peer = {.fd = scene->sockets[1], .events = POLLIN};
    struct pollfd own = {.fd = scene->sockets[0], .events = POLLIN};
    if (scene->holdfs)
        return holdfs_held(scene->holdfs) > 0;
    if (scene->place == RECEIVES_REST)
        return poll(&own, 1, 0) == 0; /* it took the part */
    return scene->place == RECEIVES || poll(&peer, 1, 0) == 1;
}

/* Sets the scene, submits the chain and lets it come to where it waits. */
static void set_up(struct scene *scene, enum errand_backend backend, enum place place, enum end end)
{
    *scene = (struct scene){.place = place, .buffer = malloc(buffer_size)};
    scene->queue = open_queue(backend, &(struct errand_queue_options){.close_grace_ns = 50 * ERRAND_MILLISECOND});
    pattern_fill(scene->buffer, buffer_size, 77, 0);
    make_pair(place % 2 ? PAIR_TCP : PAIR_UNIX, scene->sockets);
    scene->root = add_root(scene->queue, harness_directory(), 0);
    if (on_files(place)) {
        scene->holdfs = holdfs_start(&(struct holdfs_options){.cold = place == LOOKS_UP});
        holdfs_hold(scene->holdfs, held_operation(place));
    } else {
        make_file("big", file_size, 5);
    }
    errand_chain *chain = describe(scene);
    struct errand_submit options = {.size = sizeof options};
    /* Long enough that the chain has come to its step by then, even here under a sanitizer. */
    if (end == DEADLINE)
        options.timeout_ns = 200 * ERRAND_MILLISECOND;
    else if (end == STALLED)
        options.stall_ns = 200 * ERRAND_MILLISECOND;
    REQUIRE_INT(errand_submit(chain, &options, &scene->id), 0);
    if (place == RECEIVES_REST)
        REQUIRE_INT(send(scene->sockets[1], "part", 4, 0), 4);
    run_until(scene->queue, has_come_to_it, scene);
}

/* The bytes that an event claims are those that the peer has got. */
static void check_bytes(struct scene *scene, const struct errand_event *event)
{
    struct peer peer = {.socket = dup(scene->sockets[1])};
    size_t head = scene->place == SENDS_FILE || scene->place == SENDS_PLAIN_FILE || scene->place == READS_TO_SEND
                      ? 1000
                      : buffer_size;
    peer_take(&peer);
    /* What a TCP socket accepted is on its way still: it comes as the peer makes room. */
    struct pollfd readable = {.fd = peer.socket, .events = POLLIN};
    while (peer.length < event->bytes && scene->place != RECEIVES_REST && poll(&readable, 1, 2000) == 1)
        peer_take(&peer);
    CHECK_INT(event->bytes, scene->place == RECEIVES_REST ? 4 : peer.length);
    size_t of_head = peer.length < head ? peer.length : head;
    if (peer.length) {
        CHECK_INT(pattern_check(peer.data, of_head, 77, 0), of_head);
        CHECK_INT(pattern_check(peer.data + of_head, peer.length - of_head, 5, 0), peer.length - of_head);
    }
    if (scene->place == SENDS || scene->place == SENDS_FILE || scene->place == SENDS_PLAIN_FILE)
        CHECK(peer.length > 0);
    peer_free(&peer);
}

static bool nothing_is_stuck(void *context)
{
    struct errand_stats stats = stats_of(context);
    return !stats.stuck && !stats.operations && !stats.descriptors && !stats.files_waiting && !stats.transfer_bytes;
}

static void end_once(enum errand_backend backend, enum place place, enum end end)
{
    struct scene scene;
    harness_at("%s, %s", place_names[place], end_names[end]);
    set_up(&scene, backend, place, end);
    if (end == CANCELLED) {
        CHECK_INT(errand_cancel(scene.queue, scene.id), 0);
        errand_cancel(scene.queue, scene.id); /* a second time makes no difference */
    }
    if (end == QUEUE_CLOSED) {
        int left = errand_queue_close(scene.queue);
        /* Only what is stuck in the kernel may be left; there is one such operation. */
        CHECK(left == 0 || (left == 1 && on_files(place)));
        scene.queue = NULL;
    } else {
        struct errand_event event = next_event(scene.queue);
        CHECK_INT(event.kind, ERRAND_EVENT_CHAIN);
        CHECK_INT(event.error, end == CANCELLED ? -ECANCELED : -ETIMEDOUT);
        CHECK_INT(event.step, scene.step);
        CHECK_INT(event.fd, -1);
        check_bytes(&scene, &event);
        CHECK_INT(errand_cancel(scene.queue, scene.id), -ENOENT);
    }
    pattern_fill(scene.buffer, buffer_size, refill, 0);
    memset(&scene.stat, 0x55, sizeof scene.stat);

    /* Now peer and filesystem go on after all. */
    if (scene.holdfs)
        holdfs_pass(scene.holdfs);
    char piece[60000];
    memset(piece, 'x', sizeof piece);
    send(scene.sockets[1], piece, sizeof piece, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (recv(scene.sockets[1], piece, sizeof piece, MSG_DONTWAIT) > 0)
        ;
    if (scene.queue) {
        run_until(scene.queue, nothing_is_stuck, scene.queue);
        while (recv(scene.sockets[1], piece, sizeof piece, MSG_DONTWAIT) > 0)
            FAIL("bytes came after the event");
        errand_root_remove(scene.queue, scene.root);
        close_queue(scene.queue);
    }
    CHECK_INT(pattern_check(scene.buffer, buffer_size, refill, 0), buffer_size);
    for (size_t i = 0; i < sizeof scene.stat; i++)
        REQUIRE(((unsigned char *)&scene.stat)[i] == 0x55);
    CHECK(access(path_of("must not be made"), F_OK) != 0);
    if (scene.holdfs)
        holdfs_stop(scene.holdfs);
    close(scene.sockets[0]);
    close(scene.sockets[1]);
    free(scene.buffer);
}

static void end_everywhere(enum errand_backend backend, enum end end)
{
    for (enum place place = 0; place < PLACES; place++)
        end_once(backend, place, end);
}

TEST_EACH_BACKEND(cancel)
{
    end_everywhere(backend, CANCELLED);
}

TEST_EACH_BACKEND(deadline)
{
    end_everywhere(backend, DEADLINE);
}

TEST_EACH_BACKEND(no_progress)
{
    end_everywhere(backend, STALLED);
}

TEST_EACH_BACKEND(queue_closed)
{
    end_everywhere(backend, QUEUE_CLOSED);
}

/* A chain that makes progress outlives its limit without progress many times over. */
TEST_EACH_BACKEND(progress_keeps_a_chain_alive)
{
    errand_queue *queue = open_queue(backend, NULL);
    int sockets[2];
    char buffer[20];
    make_pair(PAIR_TCP, sockets);
    errand_chain *chain = new_chain(queue);
    errand_step_receive(chain, sockets[0], buffer, sizeof buffer, 0);
    struct errand_submit options = {.size = sizeof options, .stall_ns = 300 * ERRAND_MILLISECOND};
    REQUIRE_INT(errand_submit(chain, &options, NULL), 0);
    struct errand_event event;
    for (unsigned i = 0; i < sizeof buffer; i++) {
        CHECK_INT(errand_queue_wait(queue, &event, 1, 30 * ERRAND_MILLISECOND), 0);
        CHECK_INT(send(sockets[1], "x", 1, 0), 1);
    }
    event = next_event(queue);
    CHECK_EVENT(event, 0, -1, sizeof buffer);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

/* The deadline is for the chain, not for each step. */
TEST_EACH_BACKEND(progress_does_not_move_the_deadline)
{
    errand_queue *queue = open_queue(backend, NULL);
    int sockets[2];
    char buffer[64];
    struct errand_event event = {0};
    make_pair(PAIR_TCP, sockets);
    errand_chain *chain = new_chain(queue);
    for (unsigned i = 0; i < 8; i++)
        errand_step_receive(chain, sockets[0], buffer, 8, 0);
    submit(chain, NULL, 100 * ERRAND_MILLISECOND);
    unsigned sent = 0;
    while (errand_queue_wait(queue, &event, 1, 20 * ERRAND_MILLISECOND) == 0 && sent < 63) {
        CHECK_INT(send(sockets[1], "x", 1, 0), 1);
        sent++;
    }
    CHECK_INT(event.error, -ETIMEDOUT);
    CHECK_INT(event.step, event.bytes / 8);
    CHECK(sent < 63);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

/* Cancelled before it has begun: it does nothing at all, or all, never half of it unsaid. */
TEST_EACH_BACKEND(cancel_at_once)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.chains = 300});
    static unsigned char buffers[300][5000];
    errand_id ids[300];
    make_file("file", 5000, 1);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned turn = 0; turn < 20; turn++) {
        struct errand_event event;
        for (unsigned i = 0; i < 300; i++) {
            struct errand_read_file job = {.size = sizeof job,
                                           .dir_fd = i % 3 ? root : AT_FDCWD,
                                           .path = i % 3 ? "file" : path_of("file"),
                                           .buffer = buffers[i],
                                           .length = 5000,
                                           .user_data = (void *)(uintptr_t)i};
            REQUIRE_INT(errand_read_file(queue, &job, &ids[i]), 0);
        }
        /* From none to several turns of the queue before they are cancelled. */
        unsigned got = 0;
        for (unsigned i = 0; i < turn; i++) {
            if (errand_queue_dispatch(queue, &event, 1) == 1) {
                got++;
                memset(buffers[(uintptr_t)event.user_data], 0x77, 5000);
            }
        }
        for (unsigned i = 0; i < 300; i++) {
            int result = errand_cancel(queue, ids[i]);
            CHECK(result == 0 || result == -ENOENT);
        }
        for (; got < 300; got++) {
            event = next_event(queue);
            uintptr_t i = (uintptr_t)event.user_data;
            CHECK(event.error == 0 || event.error == -ECANCELED);
            CHECK(event.error || event.bytes == 5000);
            memset(buffers[i], 0x77, 5000);
        }
        no_event(queue);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
    for (unsigned i = 0; i < 300; i++)
        for (unsigned j = 0; j < 5000; j++)
            REQUIRE(buffers[i][j] == 0x77);
}

TEST_EACH_BACKEND(cancel_of_nothing)
{
    errand_queue *queue = open_queue(backend, NULL);
    CHECK_INT(errand_cancel(queue, 0), -ENOENT);
    CHECK_INT(errand_cancel(queue, UINT64_MAX), -ENOENT);
    CHECK_INT(errand_cancel(queue, 12345), -ENOENT);
    /* An id stays dead when its record is used again. */
    errand_id old = 0;
    for (unsigned i = 0; i < 10; i++) {
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, "/", O_RDONLY, 0);
        errand_id id = submit(chain, NULL, 0);
        CHECK(id != old);
        if (old)
            CHECK_INT(errand_cancel(queue, old), -ENOENT);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        old = id;
    }
    close_queue(queue);
}
