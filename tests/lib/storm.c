/* SPDX-License-Identifier: MIT */
/* Many chains of many kinds of steps at once, cancelled at any time: one event each, and nothing is left. */
#include "support.h"

#include <netinet/in.h>

enum { chains = 60, size = 70000 };

struct storm {
    errand_queue *queue;
    int root, listener, directory;
    struct sockaddr_in address;
    unsigned char *data;
    uint64_t random;
    unsigned for_workers; /* they read it while `random` goes on */
};

/* The same numbers in every run. */
static unsigned next_random(struct storm *storm, unsigned below)
{
    storm->random = storm->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(storm->random >> 33) % below;
}

static int see(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    (void)chain;
    (void)entry;
    (void)context;
    return 0;
}

static int64_t some_work(void *context)
{
    return *(unsigned *)context;
}

static void of_files(struct storm *storm, errand_chain *chain, unsigned number)
{
    char names[3][16];
    for (unsigned i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "%c%u", 'a' + i, number);
    int place = number % 2 ? storm->root : storm->directory;
    errand_step_open(chain, place, names[0], O_RDWR | O_CREAT, 0600);
    errand_step_write(chain, ERRAND_SLOT(0), storm->data, size, 0);
    errand_step_open(chain, place, names[1], O_RDWR | O_CREAT, 0600);
    errand_step_copy(chain, ERRAND_SLOT(2), 0, ERRAND_SLOT(0), 0, ERRAND_TO_END, number % 3 ? ERRAND_HOLES : 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_rename(chain, place, names[1], place, names[2], 0);
    errand_step_truncate(chain, ERRAND_SLOT(2), 10);
    errand_step_link_file(chain, ERRAND_SLOT(2), place, names[1]);
    errand_step_unlink(chain, place, names[1]);
    errand_step_work(chain, some_work, &storm->for_workers);
    errand_step_optional(chain, 4);
    errand_step_optional(chain, 7);
}

static void of_both_ends(struct storm *storm, errand_chain *chain, unsigned number)
{
    static char buffers[chains][64];
    if (number % 2) {
        errand_step_connect(chain, -1, &storm->address, sizeof storm->address);
        errand_step_send(chain, ERRAND_SLOT(0), storm->data, 1000, 0);
        errand_step_sleep(chain, 1000);
        errand_step_close(chain, ERRAND_SLOT(0));
    } else {
        errand_step_accept(chain, storm->listener);
        errand_step_receive(chain, ERRAND_SLOT(0), buffers[number], 64, ERRAND_SOME);
        errand_step_open(chain, storm->root, ".", O_RDWR | O_TMPFILE, 0600);
        errand_step_receive_file(chain, ERRAND_SLOT(0), ERRAND_SLOT(2), 0, ERRAND_TO_END, 0);
        errand_step_open(chain, storm->root, ".", O_RDONLY | O_DIRECTORY, 0);
        errand_step_list(chain, ERRAND_SLOT(4), see, NULL);
    }
}

static void blow(struct storm *storm, bool cancels)
{
    errand_id ids[chains];
    bool ended[chains] = {false};
    struct errand_event event;
    unsigned left = chains;
    for (uintptr_t i = 0; i < chains; i++) {
        errand_chain *chain = new_chain(storm->queue);
        if (i % 3)
            of_files(storm, chain, (unsigned)i);
        else
            of_both_ends(storm, chain, (unsigned)i);
        ids[i] = submit(chain, (void *)i, cancels ? ERRAND_SECOND : 0);
    }
    while (left > 0) {
        unsigned which = next_random(storm, chains);
        if (cancels && next_random(storm, 3) == 0) {
            int result = errand_cancel(storm->queue, ids[which]);
            CHECK(ended[which] ? result == -ENOENT : result == 0);
        }
        int count = errand_queue_wait(storm->queue, &event, 1, cancels ? 100000 : ERRAND_SECOND);
        if (count != 1)
            continue;
        uintptr_t i = (uintptr_t)event.user_data;
        REQUIRE(i < chains && !ended[i]);
        ended[i] = true;
        left--;
        harness_at("chain %u", (unsigned)i);
        /* Many accept from one listener at a time, which may be refused. */
        bool busy = event.error == -EBUSY && event.step_kind == ERRAND_STEP_ACCEPT;
        bool cut = event.error == -ECANCELED || event.error == -ETIMEDOUT;
        /* Its peer may have been, too. */
        bool reset = event.error == -ECONNRESET || event.error == -EPIPE;
        if (event.error && !busy && !(cancels && (cut || reset)))
            FAIL("%s at step %d, a %s", errand_error_name(event.error), event.step, errand_step_name(event.step_kind));
        CHECK_INT(event.fd, -1);
    }
    for (int fd; (fd = accept4(storm->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(fd);
}

TEST_EACH_BACKEND(nothing_is_left)
{
    struct storm storm = {.queue = open_queue(backend, &(struct errand_queue_options){.workers = 8, .lane_workers = 4}),
                          .random = 1};
    uint16_t port;
    storm.root = add_root(storm.queue, harness_directory(), 0);
    storm.directory = open_directory();
    storm.listener = make_listener(&port);
    storm.address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    storm.data = malloc(size);
    pattern_fill(storm.data, size, 1, 0);
    for (unsigned turn = 0; turn < (long_runs() ? 200 : 12); turn++) {
        harness_at("turn %u", turn);
        blow(&storm, turn % 4 != 0);
    }
    errand_root_remove(storm.queue, storm.root);
    close(storm.directory);
    close(storm.listener);
    close_queue(storm.queue);
    free(storm.data);
}
