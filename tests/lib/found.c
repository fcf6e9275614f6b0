/* SPDX-License-Identifier: MIT */
/* What the campaign of simulated chains (tests/sim) found, one test each. */
#include "support.h"

#include "base/fault.h"

#include <poll.h>

/* A read that must be whole and is not ends its chain: a worker that had more to do must not do it. */
TEST_EACH_BACKEND(nothing_follows_a_read_that_was_not_whole)
{
    errand_queue *queue = open_queue(backend, NULL);
    char buffer[200];
    const char *path = make_file("file", 100, 1);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(0), buffer, sizeof buffer, 0, ERRAND_EXACT);
    errand_step_unlink(chain, AT_FDCWD, path);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -ENODATA, 1, 100);
    CHECK_INT(access(path, F_OK), 0);
    close_queue(queue);
}

/* The close of what an optional open did not get, in the same run, fails and closes nothing. */
TEST_EACH_BACKEND(close_of_what_was_not_opened)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path_of("nothing"), O_RDONLY, 0);
    errand_step_optional(chain, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -EINVAL, 1, 0);
    check_idle(queue);
    close_queue(queue);
}

/* O_TMPFILE has O_DIRECTORY in it: opening a directory is neither making one of those, nor refused. */
TEST_EACH_BACKEND(directories_with_a_mode_or_as_alternatives)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *paths[] = {"nothing", "."};
    int root = add_root(queue, harness_directory(), 0);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, harness_directory(), O_DIRECTORY, 0644);
    CHECK_INT(errand_step_open_first(chain, root, paths, 2, O_DIRECTORY), 1);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* Open, read and close that go out as one know where to read from by an earlier result. */
TEST_EACH_BACKEND(a_whole_file_read_at_a_result)
{
    errand_queue *queue = open_queue(backend, NULL);
    unsigned char buffer[500];
    make_file("short", 100, 1);
    make_file("long", 300, 2);
    int root = add_root(queue, harness_directory(), 0);
    for (int turn = 0; turn < 4; turn++) { /* from the second on the path is known */
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, root, "short", O_RDONLY, 0);
        errand_step_stat(chain, ERRAND_SLOT(0), NULL);
        errand_step_open(chain, root, "long", O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(2), buffer, sizeof buffer, ERRAND_RESULT(1), 0);
        errand_step_close(chain, ERRAND_SLOT(2));
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 200);
        CHECK_INT(pattern_check(buffer, 200, 2, 100), 200);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

static int64_t second_write_fails(void *context, unsigned place, uint64_t *length)
{
    unsigned *writes = context;
    if (place != FAULT_CALL + ERRAND_STEP_WRITE)
        return 0;
    *length = 10;
    return ++*writes > 1 ? -EIO : 0;
}

/* What an optional write has written before it failed was written. */
TEST_EACH_BACKEND(bytes_of_an_optional_write)
{
    unsigned writes = 0;
    errand_fault = (struct fault){second_write_fails, &writes};
    errand_queue *queue = open_queue(backend, NULL);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path_of("new"), O_CREAT | O_WRONLY, 0600);
    errand_step_write(chain, ERRAND_SLOT(0), "more than ten bytes", 19, 0);
    errand_step_optional(chain, 1);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    errand_fault = (struct fault){0};
    CHECK_EVENT(event, 0, -1, 10);
    close_queue(queue);
}

/* A load that finds more than it may ends its chain, too. /proc's files do not say how big they are. */
TEST_EACH_BACKEND(nothing_follows_a_load_of_too_much)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("file", 100, 1);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, "/proc/self/status", O_RDONLY, 0);
    errand_step_load(chain, ERRAND_SLOT(0), 10);
    errand_step_unlink(chain, AT_FDCWD, path);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -EFBIG, 1, 11);
    CHECK(!event.data);
    CHECK_INT(access(path, F_OK), 0);
    close_queue(queue);
}

/* A chain may be resumed before it comes to its await step: what it waits for until then is not over by that. */
TEST_EACH_BACKEND(a_sleep_that_is_resumed)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_chain *chain = new_chain(queue);
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    errand_step_sleep(chain, 50 * ERRAND_MILLISECOND);
    errand_step_await(chain, NULL, NULL);
    errand_step_poll(chain, sockets[0], POLLIN);
    int64_t begun = errand_queue_now(queue);
    errand_id id = submit(chain, NULL, 0);
    no_event(queue);
    CHECK_INT(errand_resume(queue, id, 7, 0), 0);
    no_event(queue);
    CHECK_INT(errand_resume(queue, id, 7, 0), -EALREADY);
    CHECK_INT(send(sockets[1], "x", 1, 0), 1);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    CHECK(errand_queue_now(queue) - begun >= 50 * ERRAND_MILLISECOND);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

static int note_stop(errand_chain *chain, void *context)
{
    (void)chain;
    ++*(int *)context;
    return 0;
}

/* Who is told to stop, and has no time left to let the chain go on, loses nothing. */
TEST_EACH_BACKEND(closing_ends_what_awaits)
{
    errand_queue *queue = open_queue(backend, NULL);
    int stops = 0;
    make_file("file", 100, 1);
    for (int i = 0; i < 2; i++) {
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path_of("file"), O_RDONLY, 0);
        errand_step_await(chain, note_stop, &stops);
        errand_step_await(chain, note_stop, &stops);
        errand_id id = submit(chain, NULL, 0);
        while (stats_of(queue).descriptors <= (unsigned)i)
            no_event(queue);
        if (i == 0)
            CHECK_INT(errand_cancel(queue, id), 0);
        no_event(queue);
    }
    CHECK_INT(stops, 1);
    CHECK_INT(errand_queue_close(queue), 0);
    CHECK_INT(stops, 2);
}

/* Of several looks at a file the last one says what another is to be like, also when all were one worker's. */
TEST_EACH_BACKEND(like_the_last_look)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct errand_stat first, last;
    struct stat made;
    REQUIRE_CALL(chmod(make_file("from", 100, 1), 0640));
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path_of("from"), O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), &first);
    errand_step_chmod(chain, ERRAND_SLOT(0), 0604);
    errand_step_stat(chain, ERRAND_SLOT(0), &last);
    errand_step_open(chain, AT_FDCWD, path_of("to"), O_WRONLY | O_CREAT, 0600);
    errand_step_copy_metadata(chain, ERRAND_SLOT(4), ERRAND_SLOT(0), ERRAND_MODE);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    CHECK_INT(first.mode & 07777, 0640);
    CHECK_INT(last.mode & 07777, 0604);
    REQUIRE_CALL(stat(path_of("to"), &made));
    CHECK_INT(made.st_mode & 07777, 0604);
    close_queue(queue);
}

/* A file in its own place: rename(2) does nothing between two names of one file, not even remove the first. */
TEST_EACH_BACKEND(replaced_by_itself)
{
    errand_queue *queue = open_queue(backend, NULL);
    REQUIRE_CALL(mkdir(path_of("inner"), 0700));
    make_file("inner/file", 100, 1);
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path_of("inner/file"), O_RDONLY, 0);
    errand_step_replace(chain, ERRAND_SLOT(0), AT_FDCWD, path_of("inner/file"));
    errand_step_unlink(chain, AT_FDCWD, path_of("inner/file"));
    errand_step_rmdir(chain, AT_FDCWD, path_of("inner"));
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    close_queue(queue);
}

/* What a run looked at for itself, or before it changed the file, is not what others are to be like. */
TEST_EACH_BACKEND(like_what_it_is_now)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    struct errand_stat first;
    struct stat made;
    umask(0);
    for (int i = 0; i < 4; i++) {
        harness_at("%s, %s", i & 1 ? "root" : "path", i & 2 ? "a look that was told" : "none");
        unlink(path_of("like"));
        unlink(path_of("to"));
        REQUIRE_CALL(chmod(make_file("from", 100, 1), 0644));
        int at = i & 1 ? root : AT_FDCWD;
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, at, i & 1 ? "from" : path_of("from"), O_RDWR, 0);
        int look = errand_step_stat(chain, ERRAND_SLOT(0), i & 2 ? &first : NULL);
        errand_step_chmod(chain, ERRAND_SLOT(0), 0600);
        int like =
            errand_step_open_like(chain, at, i & 1 ? "like" : path_of("like"), O_WRONLY | O_CREAT, ERRAND_SLOT(0));
        int to = errand_step_open(chain, at, i & 1 ? "to" : path_of("to"), O_WRONLY | O_CREAT, 0666);
        errand_step_copy_metadata(chain, ERRAND_SLOT(to), ERRAND_SLOT(0), ERRAND_MODE);
        CHECK(look == 1 && like == 3);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 0);
        REQUIRE_CALL(stat(path_of("like"), &made));
        CHECK_INT(made.st_mode & 07777, 0600);
        REQUIRE_CALL(stat(path_of("to"), &made));
        CHECK_INT(made.st_mode & 07777, i & 2 ? 0644 : 0600);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}
