/* SPDX-License-Identifier: MIT */
/*
 * Steps that change files and names, and lists, on a filesystem that does not answer: ended from outside they give
 * their event at once, what they used is the caller's again (his memory is unmapped, his descriptors closed), the rest
 * goes on meanwhile, and what is stuck cleans up after itself when the filesystem answers after all.
 */
#include "holdfs.h"
#include "support.h"

#include <sys/mman.h>

enum place {
    WRITES,
    SYNCS,
    TRUNCATES,
    COPIES_FROM,
    COPIES_TO,
    LISTS,
    RENAMES,
    UNLINKS,
    RECEIVES,
    OPENS_SECOND,
    PLACES
};
static const struct {
    const char *name, *held;
} places[PLACES] = {
    {"write", "write"},        {"sync", "fsync"},
    {"truncate", "setattr"},   {"copy from", "read"},
    {"copy to", "write"},      {"list", "readdir"},
    {"rename", "rename"},      {"unlink", "unlink"},
    {"receive file", "write"}, {"second alternative", "open"},
};

enum end { CANCELLED, DEADLINE, STALLED, QUEUE_CLOSED, ENDS };
static const char *const end_names[ENDS] = {"cancelled", "deadline", "without progress", "queue closed"};

enum { size = 100000 };

struct scene {
    errand_queue *queue;
    struct holdfs *holdfs;
    unsigned char *data;
    int sockets[2], step, own, healthy;
    unsigned listed;
};

static int count_entry(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    struct scene *s = context;
    (void)chain;
    (void)entry;
    s->listed++;
    return 0;
}

static errand_chain *describe(struct scene *s, enum place place)
{
    errand_chain *chain = new_chain(s->queue);
    const char *alternatives[] = {"none", "f5"};
    switch (place) {
    case WRITES: s->step = errand_step_write(chain, s->own, s->data, size, 0); break;
    case SYNCS: s->step = errand_step_sync(chain, s->own, 0); break;
    case TRUNCATES: s->step = errand_step_truncate(chain, s->own, 5); break;
    case COPIES_FROM: s->step = errand_step_copy(chain, s->healthy, 0, s->own, 0, ERRAND_TO_END, 0); break;
    case COPIES_TO: s->step = errand_step_copy(chain, s->own, 0, s->healthy, 0, 50, 0); break;
    case LISTS:
        errand_step_open(chain, AT_FDCWD, path_of("held"), O_RDONLY | O_DIRECTORY, 0);
        s->step = errand_step_list(chain, ERRAND_SLOT(0), count_entry, s);
        break;
    case RENAMES:
        errand_step_mkdir(chain, AT_FDCWD, path_of("made"), 0700);
        s->step = errand_step_rename(chain, AT_FDCWD, path_of("held/f1"), AT_FDCWD, path_of("held/f2"), 0);
        break;
    case UNLINKS: s->step = errand_step_unlink(chain, AT_FDCWD, path_of("held/f1")); break;
    case RECEIVES: s->step = errand_step_receive_file(chain, s->sockets[0], s->own, 0, ERRAND_TO_END, 0); break;
    default: {
        int directory = (int)REQUIRE_CALL(open(path_of("held"), O_PATH | O_DIRECTORY | O_CLOEXEC));
        errand_step_sleep(chain, 0);
        s->step = errand_step_open_first(chain, directory, alternatives, 2, O_RDONLY);
        close(s->own);
        s->own = directory;
        break;
    }
    }
    errand_step_mkdir(chain, AT_FDCWD, path_of("must not be made"), 0700);
    return chain;
}

static bool is_held(void *context)
{
    return holdfs_held(context) > 0;
}

static bool nothing_is_stuck(void *context)
{
    struct errand_stats stats = stats_of(context);
    return !stats.stuck && !stats.operations && !stats.descriptors && !stats.files_waiting && !stats.transfer_bytes;
}

/* A chain of the same kinds of steps on a filesystem that answers. */
static void others_go_on(struct scene *s)
{
    errand_chain *chain = new_chain(s->queue);
    errand_step_open(chain, AT_FDCWD, path_of("other"), O_RDWR | O_CREAT, 0600);
    errand_step_write(chain, ERRAND_SLOT(0), "other", 5, 0);
    errand_step_sync(chain, ERRAND_SLOT(0), 0);
    errand_step_rename(chain, AT_FDCWD, path_of("other"), AT_FDCWD, path_of("renamed"), 0);
    errand_step_unlink(chain, AT_FDCWD, path_of("renamed"));
    submit(chain, s, 0);
    struct errand_event event = next_event(s->queue);
    CHECK(event.user_data == s);
    CHECK_EVENT(event, 0, -1, 5);
}

struct baseline {
    unsigned threads, descriptors;
};

/* What outlived its queue has cleaned up. */
static bool is_back(void *context)
{
    const struct baseline *baseline = context;
    return harness_count_threads() <= baseline->threads && harness_count_descriptors() <= baseline->descriptors;
}

static void end_once(enum errand_backend backend, enum place place, enum end end)
{
    struct baseline baseline = {harness_count_threads() + HARNESS_TSAN, harness_count_descriptors()};
    struct scene s = {.queue = open_queue(backend, &(struct errand_queue_options){.close_grace_ns = 20000000})};
    harness_at("%s, %s", places[place].name, end_names[end]);
    s.holdfs = holdfs_start(&(struct holdfs_options){.files = 8});
    s.own = (int)REQUIRE_CALL(open(path_of("held/f3"), O_RDWR | O_CLOEXEC));
    s.healthy = (int)REQUIRE_CALL(open(make_file("healthy", 100, 1), O_RDWR | O_CLOEXEC));
    s.data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(s.data != MAP_FAILED);
    make_pair(PAIR_UNIX, s.sockets);
    CHECK_INT(send(s.sockets[1], "text", 4, 0), 4);
    shutdown(s.sockets[1], SHUT_WR);
    holdfs_hold(s.holdfs, places[place].held);
    errand_chain *chain = describe(&s, place);
    struct errand_submit options = {.size = sizeof options};
    errand_id id;
    if (end == DEADLINE)
        options.timeout_ns = 150 * ERRAND_MILLISECOND;
    else if (end == STALLED)
        options.stall_ns = 150 * ERRAND_MILLISECOND;
    REQUIRE_INT(errand_submit(chain, &options, &id), 0);
    run_until(s.queue, is_held, s.holdfs);
    if (end == CANCELLED) {
        others_go_on(&s);
        CHECK_INT(errand_cancel(s.queue, id), 0);
    }
    if (end == QUEUE_CLOSED) {
        CHECK_INT(errand_queue_close(s.queue), 1);
    } else {
        struct errand_event event = next_event(s.queue);
        CHECK_EVENT(event, end == CANCELLED ? -ECANCELED : -ETIMEDOUT, s.step, 0);
        CHECK_INT(stats_of(s.queue).stuck, 1);
        others_go_on(&s);
    }
    munmap(s.data, size);
    close(s.own);
    close(s.healthy);
    holdfs_pass(s.holdfs);
    if (end != QUEUE_CLOSED) {
        run_until(s.queue, nothing_is_stuck, s.queue);
        close_queue(s.queue);
    }
    CHECK_INT(s.listed, 0);
    CHECK(access(path_of("must not be made"), F_OK) < 0);
    rmdir(path_of("made"));
    close(s.sockets[0]);
    close(s.sockets[1]);
    holdfs_stop(s.holdfs);
    CHECK(harness_eventually(is_back, &baseline, 10000));
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

/* As many as a lane has room for, and more: all are done in the end, each once. */
TEST_EACH_BACKEND(held_and_released)
{
    enum { many = 40 };
    for (enum place place = 0; place <= SYNCS; place++) {
        errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.lane_workers = 4});
        struct holdfs *holdfs = holdfs_start(&(struct holdfs_options){.files = many});
        struct scene s = {.queue = queue, .holdfs = holdfs};
        bool done[many] = {false};
        holdfs_hold(holdfs, places[place].held);
        for (uintptr_t i = 0; i < many; i++) {
            char name[32];
            snprintf(name, sizeof name, "held/f%u", (unsigned)i);
            errand_chain *chain = new_chain(queue);
            errand_step_open(chain, AT_FDCWD, path_of(name), O_RDWR, 0);
            errand_step_write(chain, ERRAND_SLOT(0), "data", 4, 0);
            errand_step_sync(chain, ERRAND_SLOT(0), 0);
            errand_step_close(chain, ERRAND_SLOT(0));
            submit(chain, (void *)i, 0);
        }
        run_until(queue, is_held, holdfs);
        others_go_on(&s);
        CHECK(holdfs_held(holdfs) <= 4);
        holdfs_pass(holdfs);
        for (unsigned i = 0; i < many; i++) {
            struct errand_event event = next_event(queue);
            uintptr_t which = (uintptr_t)event.user_data;
            CHECK_EVENT(event, 0, -1, 4);
            REQUIRE(which < many && !done[which]);
            done[which] = true;
        }
        close_queue(queue);
        holdfs_stop(holdfs);
    }
}
