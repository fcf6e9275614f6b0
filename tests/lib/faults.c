/* SPDX-License-Identifier: MIT */
/*
 * The fault matrix. Every scenario runs again and again with a failure injected at its first, second, third ...
 * operation, once and from there on for ever, until a run meets no fault; and with every kind of short count. Each run
 * gives exactly one event, which tells the truth: the error, the step, the bytes that the peer has got or that are in
 * the buffer. Nothing is left behind.
 */
#include "support.h"

#include "base/fault.h"
#include "chain/op.h"
#include "chain/file_run.h"

#include <stdatomic.h>

static struct {
    atomic_bool armed;
    unsigned nth, last; /* operations from nth to last fail; 0: none */
    int error;
    unsigned short_nth; /* this one is shortened; 0: none; UINT32_MAX: all */
    uint64_t most;      /* to so many bytes */
    atomic_uint count;  /* operations so far */
    atomic_uint place;  /* of the first that failed */
    atomic_uint hits, shortened;
} plan;

enum { page = 4096 };

static bool moves_bytes(unsigned place)
{
    return place == FAULT_OP + OP_READ || place == FAULT_OP + OP_SEND || place == FAULT_OP + OP_RECEIVE ||
           place == FAULT_OP + OP_SENDFILE || place == FAULT_OP + OP_SPLICE || place == FAULT_CALL + ERRAND_STEP_READ ||
           place == FAULT_CALL + ERRAND_STEP_SENDFILE;
}

static int64_t hook(void *context, unsigned place, uint64_t *length)
{
    (void)context;
    if (!plan.armed)
        return 0;
    unsigned n = atomic_fetch_add(&plan.count, 1) + 1;
    uint64_t most = moves_bytes(place) ? plan.most : UINT64_MAX;
    /* A read that does not wait stops short at the end of the file, or where a page is missing: nowhere else, and the
     * library may tell the two apart by that. */
    if (place == FAULT_OP + OP_READ)
        most = most < page ? page : most & ~(uint64_t)(page - 1);
    if ((plan.short_nth == n || plan.short_nth == UINT32_MAX) && *length > most) {
        *length = most;
        atomic_fetch_add(&plan.shortened, 1);
    }
    if (!plan.nth || n < plan.nth || n > plan.last)
        return 0;
    if (atomic_fetch_add(&plan.hits, 1) == 0)
        plan.place = place;
    return plan.error;
}

static void arm(unsigned nth, unsigned last, int error, unsigned short_nth, uint64_t most)
{
    plan.nth = nth;
    plan.last = last;
    plan.error = error;
    plan.short_nth = short_nth;
    plan.most = most;
    plan.count = plan.hits = plan.shortened = plan.place = 0;
    plan.armed = true;
}

/* ---- scenarios */

enum { head_length = 100, seed = 4 };

struct scene {
    errand_queue *queue;
    int root, file;
    int sockets[2];
    size_t size; /* of the file */
    unsigned char *buffer;
    struct errand_stat stat;
    struct errand_event event;
};

struct scenario {
    const char *name;
    void (*begin)(struct scene *scene);
    size_t (*expected)(const struct scene *scene);
    bool reads; /* into the buffer; else the peer gets it */
    bool hands_over;
    size_t size;
};

static unsigned char head[head_length];

static void send_with(struct scene *scene, int directory, enum errand_finish finish)
{
    struct errand_send_file job = {
        .size = sizeof job,
        .dir_fd = directory,
        .socket = scene->sockets[0],
        .length = ERRAND_TO_END,
        .path = directory == AT_FDCWD ? path_of("file") : "file",
        .head = head,
        .head_length = head_length,
        .finish = finish,
    };
    REQUIRE_INT(errand_send_file(scene->queue, &job, NULL), 0);
}

static void send_root(struct scene *scene)
{
    send_with(scene, scene->root, ERRAND_CLOSE);
}

static void send_plain(struct scene *scene)
{
    send_with(scene, AT_FDCWD, ERRAND_CLOSE);
}

static void send_hand_over(struct scene *scene)
{
    send_with(scene, scene->root, ERRAND_HAND_OVER);
}

static void read_with(struct scene *scene, int directory, enum errand_finish finish)
{
    struct errand_read_file job = {
        .size = sizeof job,
        .dir_fd = directory,
        .path = directory == AT_FDCWD ? path_of("file") : "file",
        .buffer = scene->buffer,
        .length = scene->size + 100,
        .finish = finish,
    };
    REQUIRE_INT(errand_read_file(scene->queue, &job, NULL), 0);
}

static void read_root(struct scene *scene)
{
    read_with(scene, scene->root, ERRAND_CLOSE);
}

static void read_plain(struct scene *scene)
{
    read_with(scene, AT_FDCWD, ERRAND_CLOSE);
}

static void read_hand_over(struct scene *scene)
{
    read_with(scene, AT_FDCWD, ERRAND_HAND_OVER);
}

static int answer(errand_chain *chain, void *context)
{
    struct scene *scene = context;
    errand_step_sendfile(chain, scene->sockets[0], ERRAND_SLOT(0), 0, (int64_t)scene->stat.bytes, head, head_length, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_shutdown(chain, scene->sockets[0], SHUT_WR);
    return 0;
}

static void serve(struct scene *scene)
{
    errand_chain *chain = new_chain(scene->queue);
    errand_step_open(chain, scene->root, "file", O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), &scene->stat);
    errand_step_call(chain, answer, scene);
    submit(chain, NULL, 0);
}

static void serve_left_open(struct scene *scene)
{
    errand_chain *chain = new_chain(scene->queue);
    errand_step_send(chain, scene->sockets[0], head, head_length, ERRAND_MORE);
    errand_step_open(chain, AT_FDCWD, path_of("file"), O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(1), &scene->stat);
    errand_step_sendfile(chain, scene->sockets[0], ERRAND_SLOT(1), 0, ERRAND_TO_END, NULL, 0, 0);
    submit(chain, NULL, 0);
}

static void send_callers(struct scene *scene)
{
    errand_chain *chain = new_chain(scene->queue);
    errand_step_sendfile(chain, scene->sockets[0], scene->file, 0, ERRAND_TO_END, head, head_length, 0);
    submit(chain, NULL, 0);
}

static void read_two(struct scene *scene)
{
    errand_chain *chain = new_chain(scene->queue);
    errand_step_open(chain, scene->root, "file", O_RDONLY, 0);
    errand_step_open(chain, AT_FDCWD, path_of("file"), O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(1), scene->buffer, scene->size / 2, 0, ERRAND_EXACT);
    errand_step_read(chain, ERRAND_SLOT(0), scene->buffer + scene->size / 2, scene->size - scene->size / 2 + 100,
                     (int64_t)(scene->size / 2), 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    submit(chain, NULL, 0);
}

static void receive_from_peer(struct scene *scene)
{
    unsigned char *data = malloc(scene->size);
    pattern_fill(data, scene->size, seed, 0);
    REQUIRE(send(scene->sockets[1], data, scene->size, MSG_DONTWAIT) == (ssize_t)scene->size);
    free(data);
    errand_chain *chain = new_chain(scene->queue);
    errand_step_receive(chain, scene->sockets[0], scene->buffer, scene->size, ERRAND_EXACT);
    submit(chain, NULL, 0);
}

static size_t just_file(const struct scene *scene)
{
    return scene->size;
}

static size_t with_head(const struct scene *scene)
{
    return scene->size + head_length;
}

static const struct scenario scenarios[] = {
    {"send_file beneath a root", send_root, with_head, false, false, 3000},
    {"send_file beneath a root, by the kernel", send_root, with_head, false, false, 300000},
    {"send_file", send_plain, with_head, false, false, 3000},
    {"send_file, long", send_plain, with_head, false, false, 600000},
    {"send_file, hand over", send_hand_over, with_head, false, true, 3000},
    {"read_file beneath a root", read_root, just_file, true, false, 3000},
    {"read_file beneath a root, of some pages", read_root, just_file, true, false, 20000},
    {"read_file beneath a root, long", read_root, just_file, true, false, 600000},
    {"read_file", read_plain, just_file, true, false, 600000},
    {"read_file, hand over", read_hand_over, just_file, true, true, 3000},
    {"open, stat, call, sendfile, close, shutdown", serve, with_head, false, false, 5000},
    {"the same, long", serve, with_head, false, false, 400000},
    {"the same, through a pipe", serve, with_head, false, false, 1200000},
    {"send, open, stat, sendfile, left open", serve_left_open, with_head, false, false, 100000},
    {"sendfile of the caller's file", send_callers, with_head, false, false, 100000},
    {"two files", read_two, just_file, true, false, 10000},
    {"receive", receive_from_peer, just_file, true, false, 5000},
};
enum { scenario_count = sizeof scenarios / sizeof *scenarios };

/* ---- what must be true */

/* Whether a fault at this place may make a step of this kind fail. */
static bool fits(unsigned place, unsigned kind)
{
    switch (place) {
    case FAULT_OP + OP_OPEN:
    case FAULT_CALL + ERRAND_STEP_OPEN: return kind == ERRAND_STEP_OPEN;
    case FAULT_OP + OP_STAT:
    case FAULT_CALL + ERRAND_STEP_STAT:
        /* Also what the library looks at for its own sake, for the step that needs it. */
        return kind == ERRAND_STEP_STAT || kind == ERRAND_STEP_READ || kind == ERRAND_STEP_SENDFILE;
    case FAULT_OP + OP_READ:
    case FAULT_CALL + ERRAND_STEP_READ: return kind == ERRAND_STEP_READ || kind == ERRAND_STEP_SENDFILE;
    case FAULT_OP + OP_CLOSE:
    case FAULT_CALL + ERRAND_STEP_CLOSE: return kind == ERRAND_STEP_CLOSE;
    case FAULT_OP + OP_SEND: return kind == ERRAND_STEP_SEND || kind == ERRAND_STEP_SENDFILE;
    case FAULT_OP + OP_SENDFILE:
    case FAULT_OP + OP_SPLICE:
    case FAULT_CALL + ERRAND_STEP_SENDFILE:
    case FAULT_OP + OP_POLL: return kind == ERRAND_STEP_SENDFILE;
    case FAULT_OP + OP_RECEIVE: return kind == ERRAND_STEP_RECEIVE;
    case FAULT_OP + OP_SHUTDOWN: return kind == ERRAND_STEP_SHUTDOWN;
    default: return false;
    }
}

static bool is_close(unsigned place)
{
    return place == FAULT_OP + OP_CLOSE || place == FAULT_CALL + ERRAND_STEP_CLOSE;
}

static void run_once(struct scene *scene, const struct scenario *scenario)
{
    make_pair(PAIR_UNIX, scene->sockets);
    struct peer peer = {.socket = scene->sockets[1]};
    memset(scene->buffer, 0, scene->size + 100);
    scenario->begin(scene);
    if (scenario->begin == receive_from_peer)
        peer.ended = true; /* it only sends */
    scene->event = next_event_with(scene->queue, &peer);
    plan.armed = false;
    struct errand_event *event = &scene->event;
    CHECK_INT(event->kind, ERRAND_EVENT_CHAIN);
    no_event(scene->queue);
    CHECK_INT(event->fd >= 0, scenario->hands_over && !event->error);
    if (event->fd >= 0)
        close(event->fd);
    close(scene->sockets[0]);
    size_t got = event->bytes, whole = scenario->expected(scene);
    CHECK(got <= whole);
    if (scenario->reads) {
        CHECK_INT(pattern_check(scene->buffer, got, seed, 0), got);
    } else {
        peer_take_all(&peer);
        CHECK_INT(peer.length, got);
        size_t of_head = got < head_length ? got : head_length;
        if (peer.length == got) {
            CHECK_INT(pattern_check(peer.data, of_head, seed + 1, 0), of_head);
            CHECK_INT(pattern_check(peer.data + of_head, got - of_head, seed, 0), got - of_head);
        }
    }
    if (!event->error) {
        CHECK_INT(got, whole);
        CHECK_INT(event->step, -1);
    }
    peer_free(&peer);
}

static void open_scene(struct scene *scene, enum errand_backend backend, const struct scenario *scenario)
{
    errand_fault = (struct fault){.hook = hook};
    plan.armed = false;
    *scene = (struct scene){.size = scenario->size};
    pattern_fill(head, head_length, seed + 1, 0);
    make_file("file", scene->size, seed);
    scene->queue = open_queue(backend, NULL);
    scene->root = add_root(scene->queue, harness_directory(), 0);
    scene->file = (int)REQUIRE_CALL(open(path_of("file"), O_RDONLY | O_CLOEXEC));
    scene->buffer = malloc(scene->size + 100);
    /* The library learns what can be done at once: its quickest ways are the ones that faults must find. */
    harness_at("%s: clean", scenario->name);
    for (unsigned i = 0; i < 3; i++) {
        run_once(scene, scenario);
        CHECK_INT(scene->event.error, 0);
    }
}

static void close_scene(struct scene *scene)
{
    errand_root_remove(scene->queue, scene->root);
    close_queue(scene->queue);
    close(scene->file);
    free(scene->buffer);
    errand_fault = (struct fault){0};
}

/* Fails the first, second, third ... operation, until a run meets no fault. */
static void fail_each(struct scene *scene, const struct scenario *scenario, int error, bool for_ever, uint64_t most)
{
    for (unsigned nth = 1; nth < 2000 && !harness_failures(); nth++) {
        harness_at("%s: %s at operation %u%s, pieces of %llu", scenario->name, errand_error_name(error), nth,
                   for_ever ? " and after" : "", (unsigned long long)most);
        arm(nth, for_ever ? UINT32_MAX : nth, error, most ? UINT32_MAX : 0, most);
        run_once(scene, scenario);
        if (!plan.hits) {
            CHECK_INT(scene->event.error, 0);
            CHECK(nth > 1); /* or nothing was tried */
            return;
        }
        if (scene->event.error) {
            CHECK_INT(scene->event.error, error);
            if (!fits(plan.place, scene->event.step_kind))
                FAIL("a fault at place %u made step %d fail, a %s", plan.place, scene->event.step,
                     errand_step_name(scene->event.step_kind));
        } else if (!is_close(plan.place) &&
                   plan.place != FAULT_CALL + ERRAND_STEP_SENDFILE) { /* there are other ways */
            FAIL("a fault at place %u, and the chain succeeds", plan.place);
        }
        struct errand_stats stats = stats_of(scene->queue);
        CHECK_INT(stats.chains, 0);
        CHECK_INT(stats.stuck, 0);
    }
    CHECK(harness_failures());
}

TEST_EACH_BACKEND(errors_once)
{
    for (unsigned i = 0; i < scenario_count; i++) {
        struct scene scene;
        open_scene(&scene, backend, &scenarios[i]);
        fail_each(&scene, &scenarios[i], -EIO, false, 0);
        fail_each(&scene, &scenarios[i], -ENOMEM, false, 0);
        close_scene(&scene);
    }
}

TEST_EACH_BACKEND(errors_for_ever)
{
    for (unsigned i = 0; i < scenario_count; i++) {
        struct scene scene;
        open_scene(&scene, backend, &scenarios[i]);
        fail_each(&scene, &scenarios[i], -EIO, true, 0);
        close_scene(&scene);
    }
}

/* In the middle of what moves in pieces: the bytes before it are counted, none after it. */
TEST_EACH_BACKEND(errors_amid_short_counts)
{
    for (unsigned i = 0; i < scenario_count; i++) {
        struct scene scene;
        open_scene(&scene, backend, &scenarios[i]);
        fail_each(&scene, &scenarios[i], -EIO, false, scenarios[i].size / 7 + 1);
        close_scene(&scene);
    }
}

/* What would have waited goes to a worker instead, and the chain succeeds all the same. */
TEST_EACH_BACKEND(would_wait)
{
    for (unsigned i = 0; i < scenario_count; i++) {
        struct scene scene;
        open_scene(&scene, backend, &scenarios[i]);
        for (unsigned nth = 1; nth < 100 && !harness_failures(); nth++) {
            harness_at("%s: EAGAIN at operation %u", scenarios[i].name, nth);
            arm(nth, nth, -EAGAIN, 0, 0);
            run_once(&scene, &scenarios[i]);
            if (!plan.hits)
                break;
            if (plan.place == FAULT_OP + OP_OPEN || plan.place == FAULT_OP + OP_READ ||
                plan.place == FAULT_OP + OP_SENDFILE || plan.place == FAULT_OP + OP_SPLICE)
                CHECK_INT(scene.event.error, 0);
        }
        close_scene(&scene);
    }
}

/* Transfers are whole, whatever pieces the kernel moves. */
TEST_EACH_BACKEND(short_counts)
{
    static const uint64_t pieces[] = {1, 3, 99, 100, 101, 1000, 4095, 65536, 100000, 262143};
    for (unsigned i = 0; i < scenario_count; i++) {
        struct scene scene;
        open_scene(&scene, backend, &scenarios[i]);
        for (unsigned j = 0; j < sizeof pieces / sizeof *pieces; j++) {
            if (pieces[j] < 100 && scene.size > 10000)
                continue; /* takes long, and shows no more */
            harness_at("%s: pieces of %llu", scenarios[i].name, (unsigned long long)pieces[j]);
            arm(0, 0, 0, UINT32_MAX, pieces[j]);
            run_once(&scene, &scenarios[i]);
            CHECK_INT(scene.event.error, 0);
            CHECK(plan.count > 0);
            if (pieces[j] < scene.size && scenarios[i].begin != read_root)
                CHECK(plan.shortened > 0);
        }
        close_scene(&scene);
    }
}

TEST_EACH_BACKEND(one_short_count)
{
    for (unsigned i = 0; i < scenario_count; i++) {
        struct scene scene;
        open_scene(&scene, backend, &scenarios[i]);
        for (unsigned nth = 1;; nth++) {
            harness_at("%s: operation %u moves a byte", scenarios[i].name, nth);
            arm(0, 0, 0, nth, 1);
            run_once(&scene, &scenarios[i]);
            CHECK_INT(scene.event.error, 0);
            if (plan.count < nth || nth > 1000)
                break;
        }
        close_scene(&scene);
    }
}

static int64_t refuses_polls(void *context, unsigned place, uint64_t *length)
{
    (void)length;
    unsigned *left = context;
    if (place != FAULT_OP + OP_POLL || *left == 0)
        return 0;
    --*left;
    return -ENOMEM;
}

/* A source that cannot be armed says so, once, and can be resumed. */
TEST_EACH_BACKEND(sources_that_cannot_be_armed)
{
    unsigned left = 1;
    errand_fault = (struct fault){refuses_polls, &left};
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    CHECK_INT(errand_source_post(queue, NULL, &source), 0);
    struct errand_event event = next_event(queue);
    CHECK_INT(event.kind, ERRAND_EVENT_MESSAGE);
    CHECK_INT(event.error, -ENOMEM);
    no_event(queue);
    CHECK_INT(errand_post(source, "message"), 0);
    no_event(queue);
    CHECK_INT(errand_source_resume(source), 0);
    event = next_event(queue);
    CHECK_INT(event.error, 0);
    CHECK_STR((const char *)event.data, "message");
    CHECK_INT(errand_source_stop(source), 0);
    errand_fault = (struct fault){0};
    close_queue(queue);
}
