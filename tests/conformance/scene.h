/* SPDX-License-Identifier: MIT */
/*
 * A scene: what some chains or sources do, with every event that must come of it. It is played on each backend, in
 * every way (world.h), on the simulated one with many seeds; and all that it sees is logged, and must be the same each
 * time.
 *
 *     SCENE(reads_a_file)
 *     {
 *         world_file(w, "n1", 100);
 *         errand_chain *chain = new_chain(w->queue);
 *         errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
 *         errand_step_read(chain, ERRAND_SLOT(0), w->room, 100, 0, 0);
 *         world_submit(w, chain, 1);
 *         EXPECT(w, .tag = 1, .bytes = 100);
 *     }
 */
#ifndef CONFORMANCE_SCENE_H
#define CONFORMANCE_SCENE_H

#include "world.h"

typedef void (*scene)(struct world *w);

/* The three columns of every table, in this order. */
#define COLUMNS 3
extern const enum errand_backend columns[COLUMNS];

/* Plays a scene on one backend in every way, and compares with what the simulation's first seed saw. */
void scene_test(scene scene, enum errand_backend backend, const struct errand_queue_options *options);

/* Plays it once. Returns what it saw, to be freed. */
char *scene_play(scene scene, enum errand_backend backend, enum way way, uint64_t seed,
                 const struct errand_queue_options *options);

/* Whether the kernel has io_uring at all: where it has not, that column of a table cannot be. */
bool scene_has_uring(void);

#define SCENE_WITH(name_, ...)                                                                                         \
    static void scene_##name_(struct world *w);                                                                        \
    static void test_##name_(enum errand_backend backend)                                                              \
    {                                                                                                                  \
        scene_test(scene_##name_, backend, &(struct errand_queue_options){__VA_ARGS__});                               \
    }                                                                                                                  \
    __attribute__((constructor)) static void register_##name_(void)                                                    \
    {                                                                                                                  \
        static struct harness_test test = {.name = #name_, .each = test_##name_, .simulated = true};                   \
        harness_register(&test);                                                                                       \
    }                                                                                                                  \
    static void scene_##name_(struct world *w)
#define SCENE(name_) SCENE_WITH(name_, .chains = 128)

/* Adds a line to what the scene has seen. printf's format. */
void world_log(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Submits a chain, or ends the test. */
errand_id world_submit(struct world *w, errand_chain *chain, unsigned tag);
errand_id world_submit_for(struct world *w, errand_chain *chain, unsigned tag, int64_t timeout_ns, int64_t stall_ns);

/* Appends a call step, which logs the results of the steps before it, and keeps them in w->results; those that are
 * descriptors as 1. */
void note_results(struct world *w, errand_chain *chain);

/* What an event must say. Without an error no step. */
struct expected {
    unsigned tag;
    int error, step;
    enum errand_step_kind of; /* that step's kind */
    uint64_t bytes;
    bool fd, data; /* it has them */
};
#define EXPECT(w_, ...) expect_event((w_), &(struct expected){__VA_ARGS__}, __FILE__, __LINE__)
struct errand_event expect_event(struct world *w, const struct expected *expected, const char *file, int line);

/* The next event of a source, logged: kind, error, and bytes unless they are only known to be more than 0. */
struct errand_event expect_source(struct world *w, enum errand_event_kind kind, void *user_data, int error);

/* No event comes while the queue does what it can, and a little later. */
void expect_nothing(struct world *w);

/* The next one, whatever it is; ends the test if none comes in a good while. */
struct errand_event world_next(struct world *w);

/* Runs the queue until what was submitted hangs at world_hung(). */
void world_wait_hung(struct world *w);

#endif
