/* SPDX-License-Identifier: MIT */
/*
 * Runs random chains in simulated worlds and checks every promise of the library after every event.
 *
 *   campaign [--chains N] [--seed S] [--world W] [--closes 1]
 *
 * --closes 1: small worlds with paths across mounts that hang, closed in the middle of it. What went wrong is printed
 * with the command that shows it again: each world follows from the seed and its number.
 */
#include "campaign.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHAINS_OF_A_WORLD 20000
#define CHAINS_TO_A_CLOSE 300
#define CLOSE_GRACE       ERRAND_MILLISECOND

static uint64_t seed = 1, the_world, wanted = 40000, closes;
static struct memory memory;

void wrong(struct world *world, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("not ok sim/campaign\n# %s\n", text);
    printf("# at %lld ns of world %llu, after %llu chains: campaign --seed %llu --world %llu%s\n",
           (long long)sim_now(world->sim), (unsigned long long)the_world, (unsigned long long)world->totals->chains,
           (unsigned long long)seed, (unsigned long long)the_world, closes ? " --closes 1" : "");
    const struct job *job = world->looked_at;
    for (unsigned i = 0; job && i < job->steps; i++)
        printf("%s%s%s", i ? ", " : "# its steps: ", errand_step_name(job->kinds[i]),
               job->maybe[i] ? " (perhaps)" : "");
    if (job)
        printf(job->cancelled ? "; cancelled\n" : "\n");
    fflush(stdout);
    if (getenv("CAMPAIGN_ABORT"))
        abort();
    _exit(1);
}

static void complaint(void *context, const char *text)
{
    wrong(context, "%s", text);
}

/* ---- chains */

static void begin_job(struct world *world, struct job *job)
{
    check_idle(job);
    memset(job, 0, offsetof(struct job, memory));
    job->world = world;
    job->own_socket = job->own_file = job->own_directory = job->big = -1;
    job->own_sends = job->own_receives = true;
    job->like.step = -1;
    job->begun = sim_now(world->sim);
}

static void draw_times(struct world *world, struct job *job, struct errand_submit *options)
{
    if (one_in(world, 6))
        options->timeout_ns = 1 + upto(world, one_in(world, 4) ? 100000 : 20000000);
    if (one_in(world, 8))
        options->stall_ns = 1 + upto(world, one_in(world, 4) ? 300000 : 5000000);
    if (one_in(world, 16))
        options->bytes_per_second = 10000 + upto(world, one_in(world, 2) ? 10000000 : 1000000000);
    world->totals->extras[RATES] += options->bytes_per_second > 0;
    job->waits |= options->bytes_per_second > 0;
    job->rate = options->bytes_per_second;
    job->due = options->timeout_ns ? job->begun + options->timeout_ns : 0;
    job->stall = options->stall_ns;
}

static bool submit_one(struct world *world, struct job *job)
{
    errand_chain *chain;
    if (one_in(world, 12)) {
        begin_job(world, job);
        return draw_job(job);
    }
    int result = errand_chain_new(world->queue, &chain);
    if (result == -EAGAIN) {
        world->totals->refused++;
        return false;
    }
    begin_job(world, job);
    draw_chain(job, chain);
    if (one_in(world, 50)) { /* it was not meant so */
        errand_chain_drop(chain);
        job->live = true;
        world->live++;
        forget_job(job);
        return true;
    }
    struct errand_submit options = {.size = sizeof options, .user_data = job};
    job->begun = sim_now(world->sim);
    draw_times(world, job, &options);
    job->live = true;
    world->live++;
    result = errand_submit(chain, &options, &job->id);
    if (result < 0 && (result != -ENOSPC || !job->sticky_error))
        wrong(world, "a chain is refused: %s", errand_error_name(result));
    if (result < 0)
        forget_job(job);
    return true;
}

static void cancel_one(struct world *world, struct job *job)
{
    if (!job->live || job->cancelled)
        return;
    job->cancelled = true;
    job->cancelled_at = sim_now(world->sim);
    int result = errand_cancel(world->queue, job->id);
    if (result < 0)
        wrong(world, "a cancel is refused: %s", errand_error_name(result));
}

static void take_events(struct world *world, const struct errand_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        world->totals->events[events[i].kind % 10]++;
        if (events[i].kind == ERRAND_EVENT_CHAIN)
            check_event(world, &events[i]);
        else
            source_event(world, &events[i]);
    }
}

static void wait_a_little(struct world *world, int64_t timeout_ns)
{
    struct errand_event events[32];
    world->waits++;
    int count = errand_queue_wait(world->queue, events, 1 + upto(world, one_in(world, 2) ? 2 : 32), timeout_ns);
    if (count < 0)
        wrong(world, "waiting fails: %s", errand_error_name(count));
    take_events(world, events, count);
}

static void add_root(struct world *world, unsigned i)
{
    unsigned flags = i < SIM_DIRECTORIES ? 0 : i == SIM_DIRECTORIES ? ERRAND_ONE_MOUNT : ERRAND_UNCONFINED;
    int directory = world->directories[i < SIM_DIRECTORIES ? i : 0], result;
    while ((result = errand_root_add(world->queue, directory, flags, &world->roots[i])) == -EMFILE) {
        for (unsigned n = 0; n < JOBS; n++)
            cancel_one(world, &memory.jobs[n]);
        wait_a_little(world, 1000000);
        sim_release(world->sim);
    }
    if (result < 0)
        wrong(world, "no root: %s", errand_error_name(result));
}

/* Also of chains that had none, or whose event waits. */
static void change_rate(struct world *world, struct job *job)
{
    uint64_t rate = one_in(world, 4) ? 0 : 10000 + upto(world, one_in(world, 2) ? 10000000 : 1000000000);
    if (errand_set_rate(world->queue, job->id, rate) < 0)
        wrong(world, "the rate of a chain under way cannot be changed");
    bool limited = job->rate > 0 && rate > 0;
    job->rate = !limited ? 0 : rate > job->rate ? rate : job->rate;
    job->rate_changes++;
    job->waits = true;
    world->totals->extras[RATE_CHANGES]++;
}

/* A root is removed, perhaps while chains use it, and another takes its place. */
static void change_root(struct world *world)
{
    unsigned i = upto(world, SIM_DIRECTORIES + 2);
    int result = errand_root_remove(world->queue, world->roots[i]);
    if (result < 0)
        wrong(world, "a root cannot be removed: %s", errand_error_name(result));
    add_root(world, i);
}

/* What others do meanwhile: cancels, time that has been too long, sources, devices that come back. */
static void stir(struct world *world, uint32_t turn)
{
    struct job *job = &memory.jobs[upto(world, JOBS)];
    int64_t now = sim_now(world->sim);
    if (job->live && one_in(world, world->calm ? 64 : 6))
        cancel_one(world, job);
    if (turn % 128 == 0 && !world->calm)
        for (unsigned i = 0; i < JOBS; i += 1 + upto(world, 16)) /* also of such whose events wait */
            cancel_one(world, &memory.jobs[i]);
    struct job *other = &memory.jobs[upto(world, JOBS)];
    struct errand_progress progress = {.size = sizeof progress};
    if (other->live && one_in(world, 4))
        change_rate(world, other);
    if (other->live && errand_chain_progress(world->queue, other->id, &progress) < 0)
        wrong(world, "a chain under way is not known");
    if (world->ended && errand_cancel(world->queue, world->ended) != -ENOENT)
        wrong(world, "a chain that has had its event can be cancelled");
    for (unsigned i = 0; i < 8; i++) {
        struct job *waiting = &memory.jobs[upto(world, JOBS)];
        if (waiting->live && (waiting->stopping || !waiting->never_resumed))
            resume_job(waiting);
        if (waiting->live && now - waiting->begun > 50 * ERRAND_MILLISECOND)
            cancel_one(world, waiting);
    }
    if (turn % 4 == 0)
        stir_sources(world);
    if (turn % 32 == 0)
        check_times(world);
    if (turn % 16 == 5)
        change_root(world);
    if (one_in(world, 2000))
        sim_release(world->sim);
}

static void run_chains(struct world *world, uint64_t count)
{
    uint64_t end = world->totals->chains + count;
    uint32_t most = 4 + upto(world, JOBS - 4);
    for (uint32_t turn = 0; world->totals->chains < end; turn++) {
        unsigned at = upto(world, JOBS);
        for (unsigned i = 0; i < JOBS && world->live < most; i++) {
            struct job *job = &memory.jobs[(at + i) % JOBS];
            if (!job->live && !submit_one(world, job))
                break;
        }
        wait_a_little(world, upto(world, 8) ? upto(world, 50000) : 0);
        stir(world, turn);
    }
}

/* ---- worlds */

static void open_world(struct world *world)
{
    struct errand_queue_options options = {.size = sizeof options,
                                           .chains = 8 + upto(world, 250),
                                           .chain_steps = STEPS - upto(world, 6),
                                           .sources = SOURCES + 2,
                                           .workers = 4 + upto(world, 12),
                                           .lane_workers = 1 + upto(world, 4),
                                           .messages = MESSAGES,
                                           .receive_buffers = 4,
                                           .receive_size = 1024,
                                           .transfer_memory = 1 << 20,
                                           .close_grace_ns = CLOSE_GRACE};
    sim_install(world->sim);
    int result = errand_queue_open(&world->queue, &options);
    if (result < 0)
        wrong(world, "no queue: %s", errand_error_name(result));
    for (unsigned i = 0; i < SIM_DIRECTORIES; i++)
        world->directories[i] = sim_directory(world->sim, i);
    for (unsigned i = 0; i < SIM_DIRECTORIES + 2; i++)
        add_root(world, i);
    for (unsigned i = 0; i < OWN_FILES; i++)
        world->files[i] = sim_file(world->sim, i % SIM_DIRECTORIES, i);
    for (unsigned i = 0; i < OWN_FILES; i++)
        if (world->files[i] < 0)
            world->files[i] = sim_file(world->sim, 1, 0);
    world->listener = sim_listener(world->sim);
}

/* Nothing more is begun, and everything has an end. */
static void drain(struct world *world)
{
    int64_t begun = sim_now(world->sim);
    while (!sources_have_told(world)) {
        wait_a_little(world, 100000);
        if (sim_now(world->sim) > begun + 20 * ERRAND_MILLISECOND)
            tell_missing(world);
    }
    for (unsigned i = 0; i < SOURCES; i++)
        stop_source(world, &world->sources[i]);
    if (one_in(world, 2))
        sim_release(world->sim);
    for (uint32_t turn = 0; world->live > 0; turn++) {
        wait_a_little(world, 100000);
        for (unsigned i = 0; turn >= 20 && i < JOBS; i++) {
            cancel_one(world, &memory.jobs[i]);
            if (memory.jobs[i].stopping)
                resume_job(&memory.jobs[i]);
        }
        if (turn > 5000)
            wrong(world, "%u chains do not end", world->live);
    }
    struct errand_stats stats = {.size = sizeof stats};
    for (int i = 0; i < 1000; i++) {
        sim_release(world->sim);
        wait_a_little(world, ERRAND_MILLISECOND);
        errand_queue_stats(world->queue, &stats);
        if (stats.stuck == 0 && stats.sources == 0)
            break;
    }
    check_quiet(world);
}

static void close_world(struct world *world)
{
    if (world->crossing ? one_in(world, 4) : !one_in(world, 3))
        drain(world);
    int64_t begun = sim_now(world->sim);
    world->closing = true;
    int left = errand_queue_close(world->queue);
    if (sim_now(world->sim) > begun + CLOSE_GRACE + ERRAND_MILLISECOND)
        wrong(world, "closing took %lld ns", (long long)(sim_now(world->sim) - begun));
    if (left < 0)
        wrong(world, "closing fails: %s", errand_error_name(left));
    for (unsigned i = 0; i < SOURCES; i++)
        forget_source(world, &world->sources[i]);
    for (unsigned i = 0; i < JOBS; i++) {
        if (memory.jobs[i].live && memory.jobs[i].account.in_flight != 0)
            wrong(world, "the queue is closed, and an operation is under way");
        if (memory.jobs[i].live)
            forget_job(&memory.jobs[i]);
    }
    sim_settle(world->sim);
    if (sim_library_descriptors(world->sim) != 0)
        wrong(world, "the queue is closed, and %u descriptors are open", sim_library_descriptors(world->sim));
    for (unsigned i = 0; i < JOBS; i++)
        if (memory.jobs[i].world)
            check_idle(&memory.jobs[i]);
    for (unsigned i = 0; i < JOBS; i++)
        memory.jobs[i].world = NULL;
}

static void run_world(struct totals *totals, uint64_t number)
{
    the_world = number;
    struct world world = {.seed = seed * 1000003 + number, .totals = totals, .memory = &memory};
    world.random = (world.seed + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1;
    for (int i = 0; i < 8; i++)
        dice(&world);
    world.calm = !one_in(&world, 3);
    world.crossing = closes > 0 || one_in(&world, 16);
    struct sim_options options = {
        .seed = world.seed,
        .fault_chance = world.calm            ? upto(&world, 100)
                        : upto(&world, 8) < 5 ? upto(&world, 600)
                                              : upto(&world, one_in(&world, 2) ? 3000 : 12000),
        .hang_chance = world.crossing                                           ? upto(&world, 400)
                       : one_in(&world, 2) || (world.calm && one_in(&world, 2)) ? 0
                                                                                : upto(&world, 40),
        .never_chance = upto(&world, 600),
        .descriptors = one_in(&world, 6) ? 150 : 1500,
        .defers = one_in(&world, 2),
        .caller = &memory,
        .caller_size = sizeof memory,
        .complain = complaint,
        .context = &world};
    world.sim = sim_new(&options);
    if (!world.sim)
        exit(2);
    for (unsigned i = 0; i < JOBS; i++) {
        memory.jobs[i].world = &world;
        memory.jobs[i].parts_count = 0;
        memory.jobs[i].own_socket = memory.jobs[i].own_file = memory.jobs[i].own_directory = memory.jobs[i].big = -1;
    }
    open_world(&world);
    run_chains(&world, world.crossing ? CHAINS_TO_A_CLOSE : CHAINS_OF_A_WORLD);
    close_world(&world);
    totals->faults += sim_faults(world.sim);
    totals->worlds++;
    sim_install(NULL);
    sim_free(world.sim);
}

/* As the tests' runner asks: the names of its tests, of which parts of a name select. */
static bool is_selected(char **parts)
{
    bool selected = !*parts;
    for (; *parts; parts++)
        selected = selected || strstr("sim/campaign", *parts);
    return selected;
}

int main(int argc, char **argv)
{
    struct totals totals = {0};
    int64_t only = -1;
    int at = 1;
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        if (is_selected(argv + 2))
            puts("sim/campaign");
        return 0;
    }
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        uint64_t value = strtoull(argv[at + 1], NULL, 10);
        if (strcmp(argv[at], "--chains") == 0)
            wanted = value;
        else if (strcmp(argv[at], "--seed") == 0)
            seed = value;
        else if (strcmp(argv[at], "--world") == 0)
            only = (int64_t)value;
        else if (strcmp(argv[at], "--closes") == 0)
            closes = value;
    }
    if (!is_selected(argv + at))
        return 0;
    block_signals();
    memset(&memory.big, UNTOUCHED, sizeof memory.big);
    for (unsigned i = 0; i < JOBS; i++)
        memset(memory.jobs[i].memory, UNTOUCHED, MEMORY);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (only >= 0)
        run_world(&totals, (uint64_t)only);
    for (uint64_t number = 0; only < 0 && totals.chains < wanted; number++)
        run_world(&totals, number);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("ok sim/campaign\n");
    print_report(&totals, seed, (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return 0;
}
