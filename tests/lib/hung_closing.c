/* SPDX-License-Identifier: MIT */
/*
 * A queue that is closed while its paths lead onto a mount that does not answer: whatever was on its way there, in one
 * lane or from one lane to the other, is recalled or left. What was neither would keep the close for ever.
 */
#include "holdfs.h"
#include "support.h"

enum { chains = 48, lane_workers = 2 };

static bool is_back(void *context)
{
    return harness_count_threads() <= *(unsigned *)context;
}

/* Names of two mounts, read, renamed and linked: all of these cross. */
static void submit_crossing(errand_queue *queue, int root, unsigned i, char *target)
{
    char held[40], own[40];
    snprintf(held, sizeof held, "held/f%u", i);
    snprintf(own, sizeof own, "own%u", i);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, root, "file", O_RDONLY, 0);
    if (i % 3 == 0)
        errand_step_optional(chain, errand_step_read_link(chain, root, held, target, 8));
    else if (i % 3 == 1)
        errand_step_optional(chain, errand_step_rename(chain, root, own, root, held, 0));
    else
        errand_step_optional(chain, errand_step_link(chain, root, held, root, own));
    errand_step_read_link(chain, root, held, target, 8);
    submit(chain, NULL, i % 4 == 3 ? ERRAND_MILLISECOND : 0);
}

/* `turns`: how often the queue is run before it is closed; held: and until so many hang. */
static void close_in_the_middle(enum errand_backend backend, unsigned turns, unsigned held)
{
    harness_at("after %u turns, %u held", turns, held);
    char target[8];
    unsigned threads = harness_count_threads() + HARNESS_TSAN; /* its own */
    errand_queue *queue = open_queue(
        backend, &(struct errand_queue_options){.lane_workers = lane_workers, .close_grace_ns = ERRAND_MILLISECOND});
    struct holdfs *holdfs = holdfs_start(&(struct holdfs_options){.files = chains});
    make_file("file", 100, 1);
    int root = add_root(queue, harness_directory(), 0);
    holdfs_hold(holdfs, "lookup getattr");
    for (unsigned i = 0; i < chains; i++)
        submit_crossing(queue, root, i, target);
    struct errand_event event;
    for (unsigned i = 0; i < turns; i++)
        errand_queue_dispatch(queue, &event, 1);
    if (held)
        holdfs_wait_held(holdfs, held);
    int left = errand_queue_close(queue);
    CHECK(left >= 0 && left <= chains);
    holdfs_abort(holdfs);
    holdfs_stop(holdfs);
    if (!harness_eventually(is_back, &threads, 5000))
        FAIL("%u threads, %u at the start", harness_count_threads(), threads);
}

TEST_EACH_BACKEND(across_mounts_that_hang)
{
    for (unsigned turns = 0; turns < 24; turns += 1 + turns / 4)
        close_in_the_middle(backend, turns, 0);
    close_in_the_middle(backend, 4, 1);
    close_in_the_middle(backend, 4, lane_workers);
}
