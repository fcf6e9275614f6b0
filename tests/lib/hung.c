/* SPDX-License-Identifier: MIT */
/*
 * Filesystems that do not answer. Without a clock: a FUSE filesystem holds every operation of 64 clients until it is
 * told to go on, and everything else goes on meanwhile. And one that hangs for good: deadlines hold, what is stuck is
 * counted, bounded and cleaned up, the queue closes.
 */
#include "holdfs.h"
#include "support.h"

#include <netinet/in.h>
#include <sys/un.h>

enum { clients = 64, file_size = 20000, lane_workers = 16 };

/* How a path leads to the held filesystem. */
enum way { BY_PATH, BY_ROOT, BY_OUTER_ROOT, BY_DESCRIPTOR, WAYS };
static const char *const way_names[WAYS] = {"plain path", "root", "root of the mount around it", "descriptor"};

struct stage {
    errand_queue *queue;
    struct holdfs *holdfs;
    enum way way;
    int directory; /* or root */
    int healthy_root;
    char path[64][320];
};

static void set_stage(struct stage *stage, enum errand_backend backend, enum way way, bool cache,
                      const struct errand_queue_options *options)
{
    *stage = (struct stage){.way = way, .directory = AT_FDCWD};
    stage->queue = open_queue(backend, options);
    stage->holdfs = holdfs_start(&(struct holdfs_options){.files = clients, .size = file_size, .cache = cache});
    stage->healthy_root = add_root(stage->queue, harness_directory(), 0);
    make_file("healthy", 12345, 9);
    if (way == BY_ROOT)
        stage->directory = add_root(stage->queue, holdfs_path(stage->holdfs), 0);
    else if (way == BY_OUTER_ROOT)
        stage->directory = stage->healthy_root;
    else if (way == BY_DESCRIPTOR)
        stage->directory = (int)REQUIRE_CALL(open(holdfs_path(stage->holdfs), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (unsigned i = 0; i < clients; i++) {
        if (way == BY_PATH)
            snprintf(stage->path[i], sizeof stage->path[i], "%s/f%u", holdfs_path(stage->holdfs), i);
        else
            snprintf(stage->path[i], sizeof stage->path[i], "%sf%u", way == BY_OUTER_ROOT ? "held/" : "", i);
    }
}

static void forget_roots(struct stage *stage)
{
    if (stage->way == BY_ROOT)
        CHECK_INT(errand_root_remove(stage->queue, stage->directory), 0);
    else if (stage->way == BY_DESCRIPTOR)
        close(stage->directory);
    CHECK_INT(errand_root_remove(stage->queue, stage->healthy_root), 0);
}

/* Chains on a healthy filesystem, on the network and on the clock are done while others wait. */
static void others_go_on(struct stage *stage)
{
    static unsigned char buffer[20000];
    int sockets[2];
    struct errand_event event;
    for (unsigned i = 0; i < 4; i++) {
        struct errand_read_file job = {
            .size = sizeof job,
            .dir_fd = i % 2 ? stage->healthy_root : AT_FDCWD,
            .path = i % 2 ? "healthy" : path_of("healthy"),
            .buffer = buffer,
            .length = sizeof buffer,
            .user_data = stage,
        };
        REQUIRE_INT(errand_read_file(stage->queue, &job, NULL), 0);
        event = next_event(stage->queue);
        CHECK(event.user_data == stage);
        CHECK_EVENT(event, 0, -1, 12345);
        CHECK_INT(pattern_check(buffer, 12345, 9, 0), 12345);
    }
    make_pair(PAIR_TCP, sockets);
    struct peer peer = {.socket = sockets[1]};
    struct errand_send_file job = {.size = sizeof job,
                                   .dir_fd = stage->healthy_root,
                                   .path = "healthy",
                                   .socket = sockets[0],
                                   .length = ERRAND_TO_END,
                                   .user_data = stage};
    REQUIRE_INT(errand_send_file(stage->queue, &job, NULL), 0);
    event = next_event_with(stage->queue, &peer);
    CHECK(event.user_data == stage);
    CHECK_EVENT(event, 0, -1, 12345);
    peer_free(&peer);
    close(sockets[0]);

    errand_source *source;
    REQUIRE_INT(errand_source_timer(stage->queue, ERRAND_MILLISECOND, 0, stage, &source), 0);
    event = next_event(stage->queue);
    CHECK_INT(event.kind, ERRAND_EVENT_TIMER);
    CHECK_INT(errand_source_stop(source), 0);
    make_pair(PAIR_TCP, sockets);
    REQUIRE_INT(errand_source_receive(stage->queue, sockets[0], stage, &source), 0);
    CHECK_INT(send(sockets[1], "hello", 5, 0), 5);
    event = next_event(stage->queue);
    CHECK_INT(event.kind, ERRAND_EVENT_DATA);
    CHECK_INT(event.bytes, 5);
    CHECK_INT(errand_source_stop(source), 0);
    close(sockets[0]);
    close(sockets[1]);
}

static bool lane_is_full(void *context)
{
    struct stage *stage = context;
    return holdfs_held(stage->holdfs) >= lane_workers;
}

/* All that do not fit into the lane have come to it: a path that crosses mounts goes through another first. */
static bool rest_waits(void *context)
{
    struct stage *stage = context;
    return lane_is_full(context) && stats_of(stage->queue).files_waiting == clients - lane_workers;
}

static void hold_then_release(enum errand_backend backend, enum way way, bool cache, const char *operations)
{
    struct stage stage;
    int pairs[clients][2];
    bool answered[clients] = {false};
    harness_at("%s, %s%s", way_names[way], operations, cache ? ", names cached" : "");
    set_stage(&stage, backend, way, cache, NULL);
    holdfs_hold(stage.holdfs, operations);
    for (uintptr_t i = 0; i < clients; i++) {
        make_pair(PAIR_TCP, pairs[i]);
        struct errand_send_file job = {.size = sizeof job,
                                       .dir_fd = stage.directory,
                                       .path = stage.path[i],
                                       .socket = pairs[i][0],
                                       .length = ERRAND_TO_END,
                                       .head = "head",
                                       .head_length = 4,
                                       .user_data = (void *)i};
        REQUIRE_INT(errand_send_file(stage.queue, &job, NULL), 0);
    }
    run_until(stage.queue, rest_waits, &stage);
    others_go_on(&stage);
    CHECK(holdfs_held(stage.holdfs) >= lane_workers);
    struct errand_stats stats = stats_of(stage.queue);
    CHECK_INT(stats.chains, clients);
    CHECK_INT(stats.stuck, 0);
    CHECK_INT(stats.files_waiting, clients - lane_workers);

    holdfs_pass(stage.holdfs);
    for (unsigned i = 0; i < clients; i++) {
        struct errand_event event = next_event(stage.queue);
        uintptr_t which = (uintptr_t)event.user_data;
        CHECK_EVENT(event, 0, -1, 4 + file_size);
        REQUIRE(which < clients && !answered[which]);
        answered[which] = true;
    }
    for (unsigned i = 0; i < clients; i++) {
        struct peer peer = {.socket = pairs[i][1]};
        close(pairs[i][0]);
        peer_take_all(&peer);
        if (CHECK_INT(peer.length, 4 + file_size))
            CHECK_INT(pattern_check(peer.data + 4, file_size, i, 0), file_size);
        peer_free(&peer);
    }
    forget_roots(&stage);
    close_queue(stage.queue);
    holdfs_stop(stage.holdfs);
}

TEST_EACH_BACKEND(held_and_released)
{
    for (enum way way = 0; way < WAYS; way++)
        hold_then_release(backend, way, false, "all");
}

/* With names and attributes in the cache the open is the first to reach the filesystem: an open that trusts the cached
 * name and runs at once would hold up everything. */
TEST_EACH_BACKEND(held_with_cached_names)
{
    for (enum way way = 0; way < WAYS; way++) {
        hold_then_release(backend, way, true, "all");
        hold_then_release(backend, way, true, "open");
    }
}

TEST_EACH_BACKEND(held_at_each_operation)
{
    static const char *const operations[] = {"open", "read", "flush", "lookup"};
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++)
        hold_then_release(backend, BY_ROOT, false, operations[i]);
}

/* ---- hangs for good */

struct baseline {
    unsigned threads, descriptors;
};

static bool is_back(void *context)
{
    struct baseline *baseline = context;
    return harness_count_threads() <= baseline->threads && harness_count_descriptors() <= baseline->descriptors;
}

static bool nothing_stuck(void *context)
{
    struct errand_stats stats = stats_of(context);
    return !stats.stuck && !stats.descriptors && !stats.files_waiting && !stats.transfer_bytes && !stats.operations;
}

enum { many = 300 };

static void submit_doomed(struct stage *stage, unsigned char *buffer)
{
    for (uintptr_t i = 0; i < many; i++) {
        struct errand_read_file job = {.size = sizeof job,
                                       .dir_fd = stage->directory,
                                       .path = stage->path[i % clients],
                                       .buffer = buffer + i * file_size,
                                       .length = file_size,
                                       .user_data = (void *)i,
                                       .timeout_ns = (int64_t)(50 + i) * ERRAND_MILLISECOND};
        REQUIRE_INT(errand_read_file(stage->queue, &job, NULL), 0);
    }
}

static void check_doomed(struct stage *stage, unsigned char *buffer)
{
    bool ended[many] = {false};
    for (unsigned i = 0; i < many; i++) {
        struct errand_event event = next_event(stage->queue);
        uintptr_t which = (uintptr_t)event.user_data;
        CHECK_INT(event.error, -ETIMEDOUT);
        CHECK_INT(event.bytes, 0);
        REQUIRE(which < many && !ended[which]);
        ended[which] = true;
        memset(buffer + which * file_size, 0x33, file_size);
    }
}

static void hang(enum errand_backend backend, enum way way, const char *operations, bool close_first)
{
    struct stage stage;
    unsigned char *buffer = calloc(many, file_size);
    harness_at("%s, %s, %s", way_names[way], operations, close_first ? "queue closed" : "queue open");
    struct baseline baseline = {.threads = harness_count_threads() + HARNESS_TSAN}; /* its own */
    set_stage(&stage, backend, way, false, &(struct errand_queue_options){.close_grace_ns = 20 * ERRAND_MILLISECOND});
    holdfs_hold(stage.holdfs, operations);
    submit_doomed(&stage, buffer);
    check_doomed(&stage, buffer);
    struct errand_stats stats = stats_of(stage.queue);
    CHECK_INT(stats.chains, 0);
    CHECK_INT(stats.stuck, lane_workers);
    CHECK_INT(stats.files_waiting, 0);
    CHECK(stats.threads <= 64 + 4);
    CHECK(stats.transfer_bytes <= lane_workers * 256 * KIB);
    others_go_on(&stage);
    /* Again: the lane is full of what is stuck, and so the new ones wait in it, and end in time all the same. */
    submit_doomed(&stage, buffer);
    check_doomed(&stage, buffer);
    CHECK_INT(stats_of(stage.queue).stuck, lane_workers);
    forget_roots(&stage);
    if (close_first) {
        CHECK_INT(errand_queue_close(stage.queue), lane_workers);
        holdfs_abort(stage.holdfs);
    } else {
        holdfs_abort(stage.holdfs);
        run_until(stage.queue, nothing_stuck, stage.queue);
        close_queue(stage.queue);
    }
    holdfs_stop(stage.holdfs);
    baseline.descriptors = harness_count_descriptors();
    if (!harness_eventually(is_back, &baseline, 5000))
        FAIL("%u threads, %u at the start", harness_count_threads(), baseline.threads);
    for (size_t i = 0; i < (size_t)many * file_size; i++)
        REQUIRE(buffer[i] == 0x33);
    free(buffer);
}

TEST_EACH_BACKEND(hangs_for_good)
{
    hang(backend, BY_ROOT, "all", false);
    hang(backend, BY_OUTER_ROOT, "all", false);
    hang(backend, BY_PATH, "open", false);
    hang(backend, BY_ROOT, "read", false);
}

TEST_EACH_BACKEND(hangs_beyond_its_queue)
{
    hang(backend, BY_ROOT, "all", true);
    hang(backend, BY_OUTER_ROOT, "open", true);
    hang(backend, BY_PATH, "read", true);
    hang(backend, BY_DESCRIPTOR, "flush", true);
}

/* It hangs, and comes back: what was stuck is done and cleaned up, and the filesystem serves again. */
TEST_EACH_BACKEND(comes_back)
{
    struct stage stage;
    unsigned char *buffer = calloc(many, file_size);
    set_stage(&stage, backend, BY_ROOT, false, NULL);
    holdfs_hold(stage.holdfs, "all");
    submit_doomed(&stage, buffer);
    check_doomed(&stage, buffer);
    CHECK_INT(stats_of(stage.queue).stuck, lane_workers);
    holdfs_pass(stage.holdfs);
    run_until(stage.queue, nothing_stuck, stage.queue);
    struct errand_read_file job = {
        .size = sizeof job, .dir_fd = stage.directory, .path = "f7", .buffer = buffer, .length = file_size};
    REQUIRE_INT(errand_read_file(stage.queue, &job, NULL), 0);
    struct errand_event event = next_event(stage.queue);
    CHECK_EVENT(event, 0, -1, file_size);
    CHECK_INT(pattern_check(buffer, file_size, 7, 0), file_size);
    forget_roots(&stage);
    close_queue(stage.queue);
    holdfs_stop(stage.holdfs);
    free(buffer);
}

/* Several mounts hang, with few workers in all: each device not yet served still gets one. */
static void several_hang(enum errand_backend backend, bool beneath_root)
{
    enum { mounts = 4, each = 20 };
    struct holdfs *mount[mounts];
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.workers = 2, .lane_workers = 2});
    static const char *const names[mounts] = {"m0", "m1", "m2", "m3"};
    char path[512], buffer[100];
    int root = beneath_root ? add_root(queue, harness_directory(), 0) : AT_FDCWD;
    const char *before = beneath_root ? "" : path_of("");
    make_file("healthy", 100, 9);
    for (unsigned i = 0; i < mounts; i++)
        mount[i] = holdfs_start(&(struct holdfs_options){.name = names[i], .size = 100});
    for (unsigned i = 0; i + 1 < mounts; i++) {
        holdfs_hold(mount[i], "all");
        for (unsigned j = 0; j < each; j++) {
            snprintf(path, sizeof path, "%sm%u/f%u", before, i, j);
            errand_chain *chain = new_chain(queue);
            errand_step_open(chain, root, path, O_RDONLY, 0);
            submit(chain, mount[i], 0);
        }
    }
    for (unsigned i = 0; i < 6; i++) {
        /* The last mount answers, and so does the disk. */
        if (i % 2)
            snprintf(path, sizeof path, "%shealthy", before);
        else
            snprintf(path, sizeof path, "%sm%u/f%u", before, mounts - 1, i);
        harness_at("%s", path);
        struct errand_read_file job = {
            .size = sizeof job, .dir_fd = root, .path = path, .buffer = buffer, .length = 100};
        REQUIRE_INT(errand_read_file(queue, &job, NULL), 0);
        struct errand_event event = next_event(queue);
        CHECK(event.user_data == NULL);
        CHECK_EVENT(event, 0, -1, 100);
    }
    struct errand_stats stats = stats_of(queue);
    harness_at("%u threads", stats.threads);
    CHECK(stats.threads <= 2 + mounts + 1);
    for (unsigned i = 0; i + 1 < mounts; i++)
        holdfs_pass(mount[i]);
    for (unsigned i = 0; i < each * (mounts - 1); i++)
        CHECK_INT(next_event(queue).error, 0);
    if (beneath_root)
        errand_root_remove(queue, root);
    close_queue(queue);
    for (unsigned i = 0; i < mounts; i++)
        holdfs_stop(mount[i]);
}

TEST_EACH_BACKEND(several_hang_beneath_a_root)
{
    several_hang(backend, true);
}

TEST_EACH_BACKEND(several_hang_by_plain_path)
{
    several_hang(backend, false);
}

/* Neither the registration of a root nor a submission asks the filesystem anything. */
TEST_EACH_BACKEND(root_on_a_mount_that_hangs)
{
    struct stage stage;
    set_stage(&stage, backend, BY_DESCRIPTOR, false, NULL);
    holdfs_hold(stage.holdfs, "all");
    int root = 0;
    CHECK_INT(errand_root_add(stage.queue, stage.directory, 0, &root), 0);
    CHECK_INT(holdfs_held(stage.holdfs), 0);
    CHECK_INT(errand_root_remove(stage.queue, root), 0);
    forget_roots(&stage);
    close_queue(stage.queue);
    holdfs_pass(stage.holdfs);
    holdfs_stop(stage.holdfs);
}

/* What a filesystem says is what the event says. */
TEST_EACH_BACKEND(its_errors)
{
    struct stage stage;
    char buffer[100];
    set_stage(&stage, backend, BY_ROOT, false, NULL);
    static const struct {
        const char *operation;
        int error, step;
    } cases[] = {{"lookup", EACCES, 0}, {"open", EMFILE, 0}, {"read", EIO, 1}, {"flush", ENOSPC, 2}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        harness_at("%s", cases[i].operation);
        holdfs_fail(stage.holdfs, cases[i].error, cases[i].operation);
        errand_chain *chain = new_chain(stage.queue);
        errand_step_open(chain, stage.directory, stage.path[20 + i], O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(0), buffer, sizeof buffer, 0, 0);
        errand_step_close(chain, ERRAND_SLOT(0));
        submit(chain, NULL, 0);
        struct errand_event event = next_event(stage.queue);
        CHECK_EVENT(event, -cases[i].error, cases[i].step, cases[i].step == 2 ? 100 : 0);
        holdfs_fail(stage.holdfs, 0, cases[i].operation);
    }
    forget_roots(&stage);
    close_queue(stage.queue);
    holdfs_stop(stage.holdfs);
}

static bool one_is_held(void *context)
{
    return holdfs_held(((struct stage *)context)->holdfs) > 0;
}

/* A socket in the filesystem is found by its path, which may hang like any other. */
TEST_EACH_BACKEND(connects_wait_apart)
{
    struct stage stage;
    set_stage(&stage, backend, BY_PATH, false, NULL);
    holdfs_hold(stage.holdfs, "lookup");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    REQUIRE(strlen(stage.path[0]) < sizeof address.sun_path);
    memcpy(address.sun_path, stage.path[0], strlen(stage.path[0]));
    for (unsigned turn = 0; turn < 3; turn++) {
        int own = turn == 2 ? (int)REQUIRE_CALL(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) : -1;
        harness_at("turn %u", turn);
        errand_chain *chain = new_chain(stage.queue);
        errand_step_connect(chain, own, &address, sizeof address);
        submit(chain, &stage, turn > 0 ? 50 * ERRAND_MILLISECOND : 0);
        if (turn == 0) {
            CHECK(run_until(stage.queue, one_is_held, &stage));
            others_go_on(&stage);
            holdfs_pass(stage.holdfs);
        }
        struct errand_event event = next_event(stage.queue);
        holdfs_hold(stage.holdfs, "lookup");
        CHECK_EVENT(event, turn == 0 ? -ECONNREFUSED : -ETIMEDOUT, 0, 0); /* it is a file */
        if (own >= 0)
            close(own);
    }
    holdfs_pass(stage.holdfs);
    forget_roots(&stage);
    CHECK_INT(errand_queue_close(stage.queue), 0);
    holdfs_stop(stage.holdfs);
}
