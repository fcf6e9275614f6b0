/* SPDX-License-Identifier: MIT */
/*
 * The fault matrix of the steps that change files and names, list, and make connections: a failure at the first,
 * second, third ... operation, once and from there on for ever, whole and in pieces. One event, that tells the truth.
 */
#include "support.h"

#include "base/fault.h"
#include "chain/file_run.h"
#include "chain/op.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>

static struct {
    atomic_bool armed;
    unsigned nth, last; /* operations from nth to last fail; 0: none */
    int error;
    uint64_t most; /* bytes that one operation moves; 0: no limit */
    atomic_uint count, hits, place, shortened;
} plan;

static bool moves_bytes(unsigned place)
{
    return place == FAULT_OP + OP_SEND || place == FAULT_OP + OP_RECEIVE || place == FAULT_CALL + ERRAND_STEP_READ ||
           place == FAULT_CALL + ERRAND_STEP_WRITE;
}

static int64_t hook(void *context, unsigned place, uint64_t *length)
{
    (void)context;
    if (!plan.armed)
        return 0;
    unsigned n = atomic_fetch_add(&plan.count, 1) + 1;
    if (plan.most && moves_bytes(place) && *length > plan.most) {
        *length = plan.most;
        plan.shortened++;
    }
    if (!plan.nth || n < plan.nth || n > plan.last)
        return 0;
    if (atomic_fetch_add(&plan.hits, 1) == 0)
        plan.place = place;
    return plan.error;
}

enum { seed = 2, size = 600000, entries = 30, word = 8 };

struct scene {
    errand_queue *queue;
    int root, listener, sockets[2], client;
    uint16_t port;
    unsigned char *data;
    char buffer[64];
    unsigned listed;
    struct errand_event event;
    bool optional; /* every step is */
};

struct scenario {
    const char *name;
    void (*describe)(struct scene *scene, errand_chain *chain);
    void (*check)(struct scene *scene); /* what the event says of the bytes */
    uint64_t bytes;                     /* of a run without fault */
};

static uint64_t size_of(const char *name)
{
    struct stat stat;
    return lstat(path_of(name), &stat) == 0 ? (uint64_t)stat.st_size : 0;
}

static void replace(struct scene *s, errand_chain *chain)
{
    errand_step_open(chain, s->root, "d/tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
    errand_step_write(chain, ERRAND_SLOT(0), s->data, size, 0);
    errand_step_chmod(chain, ERRAND_SLOT(0), 0644);
    errand_step_sync(chain, ERRAND_SLOT(0), 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_rename(chain, s->root, "d/tmp", s->root, "d/new", 0);
    errand_step_open(chain, s->root, "d", O_RDONLY | O_DIRECTORY, 0);
    errand_step_sync(chain, ERRAND_SLOT(6), 0);
}

static void check_replaced(struct scene *s)
{
    CHECK_INT(size_of("d/tmp") + size_of("d/new"), s->event.bytes);
}

static void copy(struct scene *s, errand_chain *chain)
{
    (void)s;
    errand_step_open(chain, AT_FDCWD, path_of("from"), O_RDONLY, 0);
    errand_step_open(chain, AT_FDCWD, path_of("d/new"), O_WRONLY | O_CREAT | O_EXCL, 0600);
    errand_step_copy(chain, ERRAND_SLOT(1), 0, ERRAND_SLOT(0), 0, ERRAND_TO_END, ERRAND_HOLES);
    errand_step_utimes(chain, ERRAND_SLOT(1), 0, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_close(chain, ERRAND_SLOT(1));
}

static int count_entry(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    struct scene *s = context;
    (void)chain;
    (void)entry;
    s->listed++;
    return 0;
}

static void list(struct scene *s, errand_chain *chain)
{
    errand_step_open(chain, s->root, "many", O_RDONLY | O_DIRECTORY, 0);
    errand_step_list(chain, ERRAND_SLOT(0), count_entry, s);
    errand_step_close(chain, ERRAND_SLOT(0));
}

static void check_listed(struct scene *s)
{
    CHECK(s->listed <= entries);
    if (!s->event.error && !s->optional)
        CHECK_INT(s->listed, entries);
}

static void names(struct scene *s, errand_chain *chain)
{
    errand_step_mkdir(chain, s->root, "d/e", 0700);
    errand_step_symlink(chain, "x", s->root, "d/s");
    errand_step_read_link(chain, s->root, "d/s", s->buffer, sizeof s->buffer);
    errand_step_mknod(chain, s->root, "d/p", S_IFIFO | 0600, 0);
    errand_step_link(chain, s->root, "d/p", s->root, "d/q");
    errand_step_rename(chain, s->root, "d/q", s->root, "d/e/q", 0);
    errand_step_unlink(chain, s->root, "d/e/q");
    errand_step_rmdir(chain, s->root, "d/e");
    errand_step_open(chain, s->root, "d", O_RDWR | O_TMPFILE, 0600);
    errand_step_truncate(chain, ERRAND_SLOT(8), 100);
    errand_step_link_file(chain, ERRAND_SLOT(8), s->root, "d/t");
}

static void receive(struct scene *s, errand_chain *chain)
{
    for (size_t sent = 0; sent < 100000;) {
        ssize_t n = send(s->sockets[1], s->data + sent, 100000 - sent, MSG_DONTWAIT);
        REQUIRE(n > 0);
        sent += (size_t)n;
    }
    shutdown(s->sockets[1], SHUT_WR);
    errand_step_open(chain, s->root, "d/new", O_RDWR | O_CREAT | O_EXCL, 0600);
    errand_step_receive_file(chain, s->sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, 0);
    errand_step_sync(chain, ERRAND_SLOT(0), ERRAND_DATA_ONLY);
    errand_step_close(chain, ERRAND_SLOT(0));
}

static void serve(struct scene *s, errand_chain *chain)
{
    s->client = connect_to(s->port);
    REQUIRE(send(s->client, "question", word, 0) == word);
    errand_step_accept(chain, s->listener);
    errand_step_receive(chain, ERRAND_SLOT(0), s->buffer, word, ERRAND_EXACT);
    errand_step_send(chain, ERRAND_SLOT(0), "answered", word, 0);
    errand_step_shutdown(chain, ERRAND_SLOT(0), SHUT_WR);
}

static void check_served(struct scene *s)
{
    CHECK(s->event.bytes <= 2 * word);
    char got[2 * word];
    if (!s->event.error && !s->optional)
        CHECK_INT(recv(s->client, got, sizeof got, 0), word);
}

static void ask(struct scene *s, errand_chain *chain)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    errand_step_connect(chain, -1, &address, sizeof address);
    errand_step_send(chain, ERRAND_SLOT(0), "question", word, 0);
    errand_step_poll(chain, s->sockets[0], POLLOUT);
    errand_step_close(chain, ERRAND_SLOT(0));
}

static const struct scenario scenarios[] = {
    {"replace", replace, check_replaced, size},
    {"copy", copy, check_replaced, size},
    {"list", list, check_listed, 0},
    {"names", names, NULL, 0},
    {"receive", receive, check_replaced, 100000},
    {"accept, receive, send", serve, check_served, 2 * word},
    {"connect, send", ask, NULL, word},
};
enum { scenario_count = sizeof scenarios / sizeof *scenarios };

/* Whether a fault at this place may make a step of this kind fail. */
static bool fits(unsigned place, unsigned kind)
{
    if (place >= FAULT_CALL && place < FAULT_SETUP)
        return place - FAULT_CALL == kind ||
               (place == FAULT_CALL + ERRAND_STEP_WRITE && kind == ERRAND_STEP_RECEIVE_FILE);
    switch (place) {
    case FAULT_OP + OP_OPEN: return kind == ERRAND_STEP_OPEN;
    case FAULT_OP + OP_CLOSE: return kind == ERRAND_STEP_CLOSE;
    case FAULT_OP + OP_SEND: return kind == ERRAND_STEP_SEND;
    case FAULT_OP + OP_RECEIVE: return kind == ERRAND_STEP_RECEIVE || kind == ERRAND_STEP_RECEIVE_FILE;
    case FAULT_OP + OP_SHUTDOWN: return kind == ERRAND_STEP_SHUTDOWN;
    case FAULT_OP + OP_ACCEPT: return kind == ERRAND_STEP_ACCEPT;
    case FAULT_OP + OP_CONNECT: return kind == ERRAND_STEP_CONNECT;
    case FAULT_OP + OP_POLL: return kind == ERRAND_STEP_POLL;
    default: return false;
    }
}

/* What the library does for its own sake: a close after the end, a look at what a worker opened. */
static bool may_pass(unsigned place)
{
    return place == FAULT_OP + OP_CLOSE || place == FAULT_CALL + ERRAND_STEP_CLOSE || place == FAULT_OP + OP_STAT ||
           place == FAULT_CALL + ERRAND_STEP_STAT;
}

static void clear_up(void)
{
    static const char *const made[] = {"d/tmp", "d/new", "d/s", "d/p", "d/q", "d/e/q", "d/t"};
    for (unsigned i = 0; i < sizeof made / sizeof *made; i++)
        unlink(path_of(made[i]));
    rmdir(path_of("d/e"));
}

static void run_once(struct scene *s, const struct scenario *scenario)
{
    clear_up();
    make_pair(PAIR_UNIX, s->sockets);
    s->client = -1;
    s->listed = 0;
    errand_chain *chain = new_chain(s->queue);
    scenario->describe(s, chain);
    for (int i = 0; s->optional && errand_step_optional(chain, i) == 0; i++)
        ;
    submit(chain, NULL, 0);
    s->event = next_event(s->queue);
    plan.armed = false;
    CHECK_INT(s->event.kind, ERRAND_EVENT_CHAIN);
    CHECK_INT(s->event.fd, -1);
    no_event(s->queue);
    CHECK(s->event.bytes <= scenario->bytes);
    if (!s->event.error) {
        CHECK_INT(s->event.step, -1);
        if (!s->optional)
            CHECK_INT(s->event.bytes, scenario->bytes);
    }
    if (scenario->check)
        scenario->check(s);
    struct errand_stats stats = stats_of(s->queue);
    CHECK_INT(stats.chains, 0);
    CHECK_INT(stats.stuck, 0);
    CHECK_INT(stats.descriptors, 0);
    CHECK_INT(stats.transfer_bytes, 0);
    close(s->sockets[0]);
    close(s->sockets[1]);
    if (s->client >= 0)
        close(s->client);
    for (int left; (left = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(left);
}

static void arm(unsigned nth, unsigned last, int error, uint64_t most)
{
    plan.nth = nth;
    plan.last = last;
    plan.error = error;
    plan.most = most;
    plan.count = plan.hits = plan.place = plan.shortened = 0;
    plan.armed = true;
}

static void fail_each(struct scene *s, const struct scenario *scenario, int error, bool for_ever, uint64_t most)
{
    for (unsigned nth = 1; nth < 2000 && !harness_failures(); nth++) {
        harness_at("%s: %s at operation %u%s, pieces of %llu%s", scenario->name, errand_error_name(error), nth,
                   for_ever ? " and after" : "", (unsigned long long)most, s->optional ? ", optional" : "");
        arm(nth, for_ever ? UINT32_MAX : nth, error, most);
        run_once(s, scenario);
        if (!plan.hits) {
            CHECK_INT(s->event.error, 0);
            CHECK(nth > 1);
            return;
        }
        if (s->optional) {
            CHECK_INT(s->event.error, 0);
        } else if (s->event.error) {
            CHECK_INT(s->event.error, error);
            if (!fits(plan.place, s->event.step_kind))
                FAIL("a fault at place %u made step %d fail, a %s", plan.place, s->event.step,
                     errand_step_name(s->event.step_kind));
        } else if (!may_pass(plan.place)) {
            FAIL("a fault at place %u, and the chain succeeds", plan.place);
        }
    }
}

static void everywhere(enum errand_backend backend, bool for_ever, bool optional, bool in_pieces)
{
    errand_fault = (struct fault){.hook = hook};
    plan.armed = false;
    struct scene s = {.queue = open_queue(backend, &(struct errand_queue_options){.chain_steps = 20}),
                      .optional = optional};
    s.root = add_root(s.queue, harness_directory(), 0);
    s.listener = make_listener(&s.port);
    s.data = malloc(size);
    pattern_fill(s.data, size, seed, 0);
    make_file("from", size, seed);
    REQUIRE_CALL(mkdir(path_of("d"), 0700));
    REQUIRE_CALL(mkdir(path_of("many"), 0700));
    for (unsigned i = 0; i < entries; i++) {
        char name[16];
        snprintf(name, sizeof name, "many/%u", i);
        make_file(name, 0, 0);
    }
    for (unsigned i = 0; i < scenario_count && !harness_failures(); i++) {
        uint64_t piece = in_pieces ? scenarios[i].bytes / 5 + 1 : 0;
        harness_at("%s: clean", scenarios[i].name);
        s.optional = false;
        arm(0, 0, 0, piece);
        run_once(&s, &scenarios[i]);
        CHECK_INT(s.event.error, 0);
        s.optional = optional;
        fail_each(&s, &scenarios[i], -EIO, for_ever, piece);
        if (!for_ever && !in_pieces)
            fail_each(&s, &scenarios[i], -ENOMEM, false, 0);
    }
    clear_up();
    free(s.data);
    close(s.listener);
    errand_root_remove(s.queue, s.root);
    close_queue(s.queue);
    errand_fault = (struct fault){0};
}

TEST_EACH_BACKEND(errors_once)
{
    everywhere(backend, false, false, false);
}

TEST_EACH_BACKEND(errors_for_ever)
{
    everywhere(backend, true, false, false);
}

/* The bytes before it are counted, none after it. */
TEST_EACH_BACKEND(errors_amid_short_counts)
{
    everywhere(backend, false, false, true);
}

/* Whatever fails, the chain goes on to its end. */
TEST_EACH_BACKEND(errors_of_optional_steps)
{
    everywhere(backend, false, true, false);
}
