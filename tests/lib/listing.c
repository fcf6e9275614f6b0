/* SPDX-License-Identifier: MIT */
/* The list step: complete, each entry once, ended by its function or from outside, and what that may do. */
#include "support.h"

#include <dirent.h>

enum { many = 5000 };

struct listing {
    unsigned seen[many];
    unsigned count, stop_at;
    int result;
    int appends; /* how many steps it appends */
    errand_queue *queue;
    errand_id cancel;
};

static int see(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    struct listing *listing = context;
    char *end;
    unsigned long number = strtoul(entry->name + 1, &end, 10);
    REQUIRE(entry->name[0] == 'n' && *end == 0 && number < many);
    listing->seen[number]++;
    CHECK(entry->inode != 0);
    CHECK(entry->type == (number % 100 ? DT_REG : DT_DIR) || entry->type == DT_UNKNOWN);
    if (listing->appends > 0) {
        listing->appends--;
        errand_step_stat(chain, ERRAND_SLOT(0), NULL);
    }
    if (listing->cancel && listing->count == 3)
        CHECK_INT(errand_cancel(listing->queue, listing->cancel), 0);
    return ++listing->count == listing->stop_at ? listing->result : 0;
}

static void make_entries(unsigned count)
{
    REQUIRE_CALL(mkdir(path_of("dir"), 0700));
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "dir/n%u", i);
        if (i % 100)
            close((int)REQUIRE_CALL(open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
        else
            REQUIRE_CALL(mkdir(path_of(name), 0700));
    }
}

static int64_t told;

static int note_told(errand_chain *chain, void *context)
{
    told = errand_chain_result(chain, *(int *)context);
    return 0;
}

/* By a root, by a path, and of the caller's descriptor, also when that was read before; twice in one chain. */
TEST_EACH_BACKEND(complete)
{
    static const unsigned counts[] = {0, 1, 2, 500, many};
    unsigned made = 0;
    errand_queue *queue = open_queue(backend, NULL);
    static struct listing first, second;
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (made || i) {
            char command[600];
            snprintf(command, sizeof command, "rm -rf '%s'", path_of("dir"));
            REQUIRE_INT(system(command), 0);
        }
        make_entries(made = counts[i]);
        int root = add_root(queue, harness_directory(), 0);
        int directory = (int)REQUIRE_CALL(open(path_of("dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        for (unsigned turn = 0; turn < 4; turn++) {
            harness_at("%u entries, turn %u", made, turn);
            memset(&first, 0, sizeof first);
            memset(&second, 0, sizeof second);
            int step = 1, file = turn < 2 ? ERRAND_SLOT(0) : directory;
            errand_chain *chain = new_chain(queue);
            errand_step_open(chain, turn == 1 ? AT_FDCWD : root, turn == 1 ? path_of("dir") : "dir",
                             O_RDONLY | O_DIRECTORY, 0);
            errand_step_list(chain, file, see, &first);
            errand_step_list(chain, file, see, &second);
            errand_step_call(chain, note_told, &step);
            submit(chain, NULL, 0);
            struct errand_event event = next_event(queue);
            CHECK_EVENT(event, 0, -1, 0);
            CHECK_INT(told, made);
            for (unsigned n = 0; n < made && !harness_failures(); n++) {
                CHECK_INT(first.seen[n], 1);
                CHECK_INT(second.seen[n], 1);
            }
            CHECK_INT(first.count, made);
            CHECK_INT(second.count, made);
        }
        close(directory);
        errand_root_remove(queue, root);
    }
    close_queue(queue);
}

/* Stopped, failed, at its first, in the middle, at a late entry. */
TEST_EACH_BACKEND(ended_by_its_function)
{
    errand_queue *queue = open_queue(backend, NULL);
    static const unsigned places[] = {1, 2, 1000, 1999, 2000};
    static struct listing listing;
    make_entries(2000);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned turn = 0; turn < 3; turn++) {
            int result = turn == 0 ? 1 : -ENOTTY, step = 1;
            harness_at("at %u, %d", places[i], result);
            listing = (struct listing){.stop_at = places[i], .result = result};
            errand_chain *chain = new_chain(queue);
            errand_step_open(chain, AT_FDCWD, path_of("dir"), O_RDONLY | O_DIRECTORY, 0);
            errand_step_list(chain, ERRAND_SLOT(0), see, &listing);
            errand_step_call(chain, note_told, &step);
            if (turn == 2)
                errand_step_optional(chain, 1);
            submit(chain, NULL, 0);
            struct errand_event event = next_event(queue);
            CHECK_INT(listing.count, places[i]);
            CHECK_EVENT(event, turn == 1 ? -ENOTTY : 0, turn == 1 ? 1 : -1, 0);
            if (turn != 1)
                CHECK_INT(told, turn ? -ENOTTY : (int)places[i]);
        }
    }
    close_queue(queue);
}

/* The function appends steps: they come after those that are there, and the limit is told. */
TEST_EACH_BACKEND(appends_steps)
{
    errand_queue *queue = open_queue(backend, NULL);
    static struct listing listing;
    make_entries(50);
    for (int appends = 9; appends <= 11; appends++) {
        harness_at("%d steps", appends);
        listing = (struct listing){.appends = appends};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path_of("dir"), O_RDONLY | O_DIRECTORY, 0);
        errand_step_list(chain, ERRAND_SLOT(0), see, &listing);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, appends > 10 ? -ENOSPC : 0, appends > 10 ? 1 : -1, 0);
        CHECK_INT(listing.count, 50);
    }
    close_queue(queue);
}

/* Cancelled by its own function: no more than this piece is told. */
TEST_EACH_BACKEND(cancelled_within)
{
    errand_queue *queue = open_queue(backend, NULL);
    static struct listing listing;
    make_entries(many);
    listing = (struct listing){.queue = queue};
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path_of("dir"), O_RDONLY | O_DIRECTORY, 0);
    errand_step_list(chain, ERRAND_SLOT(0), see, &listing);
    listing.cancel = submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -ECANCELED, 1, 0);
    CHECK(listing.count >= 4 && listing.count < 1000);
    close_queue(queue);
}

TEST_EACH_BACKEND(fails)
{
    errand_queue *queue = open_queue(backend, NULL);
    static struct listing listing;
    make_file("file", 10, 1);
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    for (unsigned turn = 0; turn < 3; turn++) {
        harness_at("turn %u", turn);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, turn ? harness_directory() : path_of("file"), turn == 1 ? O_PATH : O_RDONLY,
                         0);
        errand_step_list(chain, turn == 2 ? sockets[0] : ERRAND_SLOT(0), see, &listing);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, turn == 1 ? -EBADF : -ENOTDIR, 1, 0);
    }
    errand_chain *chain = new_chain(queue);
    CHECK_INT(errand_step_list(chain, sockets[0], NULL, NULL), -EINVAL);
    errand_chain_drop(chain);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}
