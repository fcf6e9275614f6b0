/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include "chain/chain.h"

#include <stdarg.h>
#include <time.h>

enum { patience_seconds = 30, log_room = 32768, seeds = 24 };

const enum errand_backend columns[COLUMNS] = {ERRAND_BACKEND_URING, ERRAND_BACKEND_THREADS, HARNESS_SIM};

static const char *const way_names[WAYS] = {"root", "descriptor", "working directory"};

static int64_t real_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

const unsigned char *world_pattern(uint64_t offset)
{
    static unsigned char pattern[WORLD_ROOM + 65536 + SIM_PERIOD];
    if (pattern[1] == 0)
        for (size_t i = 0; i < sizeof pattern; i++)
            pattern[i] = (unsigned char)(i % SIM_PERIOD);
    return pattern + offset % SIM_PERIOD;
}

/* ---- what was seen */

void world_log(struct world *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(w->log + w->log_length, log_room - w->log_length, format, arguments);
    va_end(arguments);
    REQUIRE(n >= 0 && w->log_length + (size_t)n + 2 < log_room);
    w->log_length += (size_t)n;
    w->log[w->log_length++] = '\n';
    w->log[w->log_length] = 0;
}

static void compare(const char *seen, const char *reference)
{
    unsigned line = 1;
    while (*seen || *reference) {
        size_t n = strcspn(seen, "\n"), m = strcspn(reference, "\n");
        if (n != m || memcmp(seen, reference, n) != 0) {
            FAIL("line %u of what it sees differs: \"%.*s\"; the simulation's first seed saw \"%.*s\"", line, (int)n,
                 seen, (int)m, reference);
            return;
        }
        seen += n + (seen[n] == '\n');
        reference += m + (reference[m] == '\n');
        line++;
    }
}

/* ---- playing */

char *scene_play(scene play, enum errand_backend backend, enum way way, uint64_t seed,
                 const struct errand_queue_options *options)
{
    struct world w = {.backend = backend, .seed = seed};
    harness_at("%s, by %s, seed %u", harness_backend_name(backend), way_names[way], (unsigned)seed);
    w.ops = backend == HARNESS_SIM ? &simulated_world : &real_world;
    w.log = calloc(1, log_room);
    w.room = malloc(WORLD_ROOM);
    REQUIRE(w.log && w.room);
    memset(w.room, 0xff, WORLD_ROOM);
    for (unsigned i = 0; i < WORLD_TAGS; i++)
        w.tags[i].number = i;
    w.ops->open(&w, options);
    int root = 0;
    REQUIRE_INT(errand_root_add(w.queue, w.directory, 0, &root), 0);
    w.at = way == BY_ROOT ? root : way == BY_DESCRIPTOR ? w.directory : AT_FDCWD;
    play(&w);
    if (!w.closed) {
        CHECK_INT(errand_root_remove(w.queue, root), 0);
        close_queue(w.queue);
    }
    while (w.own_count > 0)
        world_close(&w, w.own[w.own_count - 1]);
    w.ops->close(&w);
    free(w.room);
    return w.log;
}

void scene_test(scene play, enum errand_backend backend, const struct errand_queue_options *options)
{
    char *reference = scene_play(play, HARNESS_SIM, BY_ROOT, 1, options);
    for (uint64_t seed = 1; seed <= (backend == HARNESS_SIM ? seeds : 1) && !harness_failures(); seed++) {
        for (enum way way = 0; way < WAYS; way++) {
            char *seen = scene_play(play, backend, way, seed, options);
            compare(seen, reference);
            free(seen);
        }
    }
    free(reference);
}

bool scene_has_uring(void)
{
    errand_queue *queue;
    struct errand_queue_options options = {.size = sizeof options, .backend = ERRAND_BACKEND_URING};
    if (errand_queue_open(&queue, &options) != 0)
        return false;
    errand_queue_close(queue);
    return true;
}

/* ---- what scenes do */

errand_id world_submit_for(struct world *w, errand_chain *chain, unsigned tag, int64_t timeout_ns, int64_t stall_ns)
{
    errand_id id = 0;
    struct errand_submit options = {
        .size = sizeof options, .user_data = &w->tags[tag], .timeout_ns = timeout_ns, .stall_ns = stall_ns};
    w->tags[tag].account = (struct sim_account){0};
    REQUIRE_INT(errand_submit(chain, &options, &id), 0);
    return id;
}

errand_id world_submit(struct world *w, errand_chain *chain, unsigned tag)
{
    return world_submit_for(w, chain, tag, 0, 0);
}

static const char *result_text(int64_t result, char text[32])
{
    if (result < 0)
        return errand_error_name((int)result);
    snprintf(text, 32, "%lld", (long long)result);
    return text;
}

static int take_results(errand_chain *chain, void *context)
{
    struct world *w = context;
    char text[32];
    int64_t result;
    /* Its own result, and those behind it, are still to come. */
    for (int step = 0; step < 64 && (result = errand_chain_result(chain, step)) != -EINPROGRESS; step++) {
        const struct step *of = &chain->steps[step];
        bool makes = of->kind == ERRAND_STEP_OPEN || of->kind == ERRAND_STEP_ACCEPT ||
                     of->kind == ERRAND_STEP_CONNECT || of->kind == ERRAND_STEP_HAND_OVER;
        /* An open of what the kernel kept to itself has the result -1, which is EPERM's number, too. */
        bool opened = makes && (result >= 0 || (result == -1 && of->kind == ERRAND_STEP_OPEN));
        w->results[step] = opened ? 1 : result;
        world_log(w, "  %s: %s", errand_step_name(of->kind), opened ? "a descriptor" : result_text(result, text));
    }
    return 0;
}

void note_results(struct world *w, errand_chain *chain)
{
    CHECK(errand_step_call(chain, take_results, w) >= 0);
}

struct errand_event world_next(struct world *w)
{
    struct errand_event event = {0};
    int64_t end = real_now() + patience_seconds * harness_slowness() * ERRAND_SECOND;
    while (real_now() < end) {
        int count = w->ops->wait(w, &event, 1);
        if (count == 1)
            return event;
        REQUIRE_INT(count, 0);
    }
    FAIL("no event came");
    harness_give_up();
}

struct errand_event expect_event(struct world *w, const struct expected *expected, const char *file, int line)
{
    unsigned before = harness_failures();
    struct errand_event event = world_next(w);
    struct tag *tag = event.user_data;
    REQUIRE_INT(event.kind, ERRAND_EVENT_CHAIN);
    bool failed = expected->error != 0;
    CHECK_INT(event.error, expected->error);
    CHECK(tag == &w->tags[expected->tag]);
    CHECK_INT(event.step, failed ? expected->step : -1);
    CHECK_INT(event.step_kind, failed ? expected->of : 0);
    CHECK_INT(event.bytes, expected->bytes);
    CHECK_INT(event.fd >= 0, expected->fd);
    CHECK_INT(event.data != NULL, expected->data);
    if (event.data)
        CHECK_BYTES(event.data, world_pattern(0), event.bytes);
    if (tag) {
        CHECK_INT(tag->account.in_flight, 0);
        tag->account.ended = true;
    }
    world_log(w, "chain %u: %s at step %d, %s, %llu bytes%s%s", tag ? tag->number : 0, errand_error_name(event.error),
              event.step, event.step_kind ? errand_step_name(event.step_kind) : "none", (unsigned long long)event.bytes,
              event.fd >= 0 ? ", a descriptor" : "", event.data ? ", data" : "");
    if (harness_failures() != before)
        harness_note("the event was expected at %s:%d", file, line);
    return event;
}

struct errand_event expect_source(struct world *w, enum errand_event_kind kind, void *user_data, int error)
{
    struct errand_event event = world_next(w);
    REQUIRE_INT(event.kind, kind);
    CHECK_INT(event.error, error);
    CHECK(event.user_data == user_data);
    CHECK_INT(event.step, -1);
    CHECK_INT(event.fd >= 0, kind == ERRAND_EVENT_ACCEPT && error == 0);
    world_log(w, "source: kind %u, %s%s%s", event.kind, errand_error_name(event.error),
              event.fd >= 0 ? ", a descriptor" : "", event.data ? ", data" : "");
    return event;
}

void expect_nothing(struct world *w)
{
    struct errand_event event;
    for (unsigned turn = 0; turn < 5; turn++)
        if (errand_queue_wait(w->queue, &event, 1, ERRAND_MILLISECOND) != 0)
            FAIL("an event that should not come: kind %u, %s", event.kind, errand_error_name(event.error));
}

void world_wait_hung(struct world *w)
{
    int64_t end = real_now() + patience_seconds * ERRAND_SECOND;
    while (!w->ops->is_hung(w) && real_now() < end)
        expect_nothing(w);
    CHECK(w->ops->is_hung(w));
}

int world_own(struct world *w, int fd)
{
    REQUIRE(w->own_count < WORLD_TAGS);
    return w->own[w->own_count++] = fd;
}

void world_close(struct world *w, int fd)
{
    unsigned i = 0;
    while (i < w->own_count && w->own[i] != fd)
        i++;
    REQUIRE(i < w->own_count);
    w->own[i] = w->own[--w->own_count];
    w->ops->close_fd(w, fd);
}

int64_t world_size(struct world *w, const char *path)
{
    struct errand_stat stat;
    int64_t size = w->ops->look(w, path, &stat) ? (int64_t)stat.bytes : -1;
    world_log(w, "%s: %lld bytes", path, (long long)size);
    return size;
}

unsigned world_mode(struct world *w, const char *path)
{
    struct errand_stat stat = {0};
    w->ops->look(w, path, &stat);
    world_log(w, "%s: mode %o", path, stat.mode);
    return stat.mode;
}

unsigned world_links(struct world *w, const char *path)
{
    struct errand_stat stat = {0};
    w->ops->look(w, path, &stat);
    world_log(w, "%s: %u names", path, stat.links);
    return stat.links;
}
