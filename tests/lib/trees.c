/* SPDX-License-Identifier: MIT */
/* What jobs on trees stand on: looks that expect, metadata, chains that wait, ends that are told. */
#include "support.h"

#include <sys/xattr.h>

static void check_copy(const char *name, size_t size, uint64_t seed)
{
    static unsigned char buffer[MIB];
    int fd = REQUIRE_CALL(open(path_of(name), O_RDONLY));
    size_t at = 0;
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0; at += (size_t)n)
        if (!CHECK_INT(pattern_check(buffer, (size_t)n, seed, at), n))
            break;
    CHECK_INT(at, size);
    close(fd);
}

/* The whole of a file by one run; and what is expected of it. */
TEST_EACH_BACKEND(copy_of_a_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("from", 5000, 7);
    struct timespec times[2] = {{.tv_sec = 1000000007, .tv_nsec = 123456789}, {.tv_sec = -5, .tv_nsec = 987654321}};
    CHECK_INT(utimensat(AT_FDCWD, path_of("from"), times, 0), 0);
    CHECK_INT(chmod(path_of("from"), 04751), 0);
    setxattr(path_of("from"), "user.one", "1", 1, 0);
    for (unsigned i = 0; i < 3; i++) {
        harness_at("case %u", i);
        struct errand_stat found = {0};
        if (i == 1)
            CHECK_INT(link(path_of("from"), path_of("other")), 0);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, i < 2 ? path_of("from") : harness_directory(), O_RDONLY | O_NOFOLLOW, 0);
        errand_step_expect(chain, ERRAND_SLOT(0), ERRAND_REGULAR | ERRAND_ONE_LINK, &found);
        errand_step_open_like(chain, AT_FDCWD, path_of("to"), O_WRONLY | O_CREAT | O_EXCL, ERRAND_SLOT(0));
        errand_step_copy(chain, ERRAND_SLOT(2), 0, ERRAND_SLOT(0), 0, ERRAND_TO_END, ERRAND_HOLES);
        errand_step_copy_metadata(chain, ERRAND_SLOT(2), ERRAND_SLOT(0),
                                  ERRAND_OWNER | ERRAND_MODE | ERRAND_TIMES | ERRAND_ATTRIBUTES);
        errand_step_close(chain, ERRAND_SLOT(2));
        errand_step_close(chain, ERRAND_SLOT(0));
        uint64_t runs = stats_of(queue).worker_runs;
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        if (i > 0) {
            CHECK_EVENT(event, i == 1 ? -EMLINK : -EISDIR, 1, 0);
            CHECK_INT(access(path_of("to"), F_OK), -1);
            continue;
        }
        CHECK_EVENT(event, 0, -1, 5000);
        CHECK_INT(stats_of(queue).worker_runs - runs, 1);
        struct stat st;
        char byte = 0;
        CHECK_INT(stat(path_of("to"), &st), 0);
        CHECK_INT(st.st_mode & 07777, 04751);
        CHECK_INT(st.st_mtim.tv_sec, -5);
        CHECK_INT(st.st_mtim.tv_nsec, 987654321);
        CHECK_INT(st.st_atim.tv_nsec, 123456789);
        CHECK_INT(found.bytes, 5000);
        check_copy("to", 5000, 7);
        CHECK_INT(getxattr(path_of("to"), "user.one", &byte, 1), getxattr(path_of("from"), "user.one", &byte, 1));
        CHECK_INT(unlink(path_of("to")), 0);
    }
    close_queue(queue);
}

static int told;
static void *told_data;

static void note_end(const struct errand_event *event)
{
    told++;
    told_data = event->user_data;
}

static int note_stop(errand_chain *chain, void *context)
{
    (void)chain;
    ++*(int *)context;
    return 0;
}

/* A chain waits for another that tells its end to a function, which resumes it, early or late. */
TEST_EACH_BACKEND(awaits)
{
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned early = 0; early < 2; early++) {
        errand_chain *chain = new_chain(queue);
        errand_step_sleep(chain, early ? 20 * ERRAND_MILLISECOND : 0);
        int step = errand_step_await(chain, NULL, NULL);
        CHECK_INT(step, 1);
        errand_id id = submit(chain, &chain, 0);
        if (!early)
            for (int i = 0; i < 5; i++)
                no_event(queue);
        CHECK_INT(errand_resume(queue, id, 0, 77), 0);
        if (early)
            CHECK_INT(errand_resume(queue, id, 0, 77), -EALREADY);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 77);
        CHECK_INT(errand_resume(queue, id, 0, 0), -ENOENT);
    }
    errand_chain *chain = new_chain(queue);
    errand_step_await(chain, NULL, NULL);
    errand_id id = submit(chain, NULL, 0);
    CHECK_INT(errand_resume(queue, id, -EIO, 0), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -EIO, 0, 0);
    close_queue(queue);
}

/* Cancelled, out of time, closed: with a function to tell it goes on to wait; without one it ends. */
TEST_EACH_BACKEND(awaits_stopped)
{
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned late = 0; late < 2; late++) {
        int stops = 0;
        errand_chain *chain = new_chain(queue);
        errand_step_await(chain, note_stop, &stops);
        errand_id id = submit(chain, NULL, late ? 10 * ERRAND_MILLISECOND : 0);
        if (!late)
            CHECK_INT(errand_cancel(queue, id), 0);
        struct errand_event none;
        for (int i = 0; i < 1000 && !stops; i++)
            CHECK_INT(errand_queue_wait(queue, &none, 1, 10 * ERRAND_MILLISECOND), 0);
        no_event(queue);
        CHECK_INT(stops, 1);
        CHECK_INT(errand_resume(queue, id, 0, 0), 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, late ? -ETIMEDOUT : -ECANCELED, 0, 0);
    }
    errand_chain *chain = new_chain(queue);
    errand_step_await(chain, NULL, NULL);
    CHECK_INT(errand_cancel(queue, submit(chain, NULL, 0)), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, -ECANCELED, 0, 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(ends_told)
{
    errand_queue *queue = open_queue(backend, NULL);
    int mark;
    struct errand_submit options = {.size = sizeof options, .user_data = &mark, .ended = note_end};
    told = 0;
    for (int i = 0; i < 200; i++) {
        errand_chain *chain = new_chain(queue);
        errand_step_sleep(chain, 0);
        CHECK_INT(errand_submit(chain, &options, NULL), 0);
    }
    struct errand_event none;
    for (int i = 0; i < 1000 && told < 200; i++)
        CHECK_INT(errand_queue_wait(queue, &none, 1, ERRAND_MILLISECOND), 0);
    CHECK_INT(told, 200);
    CHECK(told_data == &mark);
    errand_chain *chain = new_chain(queue);
    errand_step_sleep(chain, 1000 * ERRAND_SECOND);
    CHECK_INT(errand_submit(chain, &options, NULL), 0);
    CHECK_INT(errand_queue_close(queue), 0);
    CHECK_INT(told, 201); /* by the queue's end, too */
}

static int pause_entries(errand_chain *chain, const struct errand_entry *what, void *context)
{
    (void)chain, (void)what;
    ++*(unsigned *)context;
    return ERRAND_PAUSE;
}

/* A listing pauses after what was read, and goes on when it is told to. */
TEST_EACH_BACKEND(listing_pauses)
{
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned i = 0; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof name, "a longer name %u", i);
        make_file(name, 0, 0);
    }
    unsigned entries = 0, pauses = 0;
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, harness_directory(), O_RDONLY | O_DIRECTORY, 0);
    errand_step_list(chain, ERRAND_SLOT(0), pause_entries, &entries);
    errand_id id = submit(chain, NULL, 0);
    struct errand_event event;
    unsigned before = 0;
    while (errand_queue_wait(queue, &event, 1, 20 * ERRAND_MILLISECOND) == 0 && pauses < 1000) {
        CHECK(entries - before < 800);
        pauses += entries > before;
        if (entries > before)
            CHECK_INT(errand_resume(queue, id, 0, 0), 0);
        before = entries;
    }
    CHECK_EVENT(event, 0, -1, 0);
    CHECK_INT(entries, 2000);
    CHECK(pauses >= 3);
    close_queue(queue);
}

/* A job gives one event, whatever becomes of its chains; the queue may be closed in its middle. */
TEST_EACH_BACKEND(tree_jobs)
{
    errand_queue *queue = open_queue(backend, NULL);
    CHECK_INT(mkdir(path_of("tree"), 0700), 0);
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "tree/%u", i);
        make_file(name, 100, i);
    }
    struct errand_tree_progress progress = {.size = sizeof progress};
    static char from[512], to[512];
    snprintf(from, sizeof from, "%s", path_of("tree"));
    snprintf(to, sizeof to, "%s", path_of("copy"));
    struct errand_copy_tree copy = {.size = sizeof copy,
                                    .from_dir_fd = AT_FDCWD,
                                    .to_dir_fd = AT_FDCWD,
                                    .from = from,
                                    .to = to,
                                    .progress = &progress,
                                    .parallel = 8,
                                    .user_data = &progress};
    struct errand_remove_tree removal = {
        .size = sizeof removal, .dir_fd = AT_FDCWD, .path = to, .progress = &progress, .parallel = 3};
    errand_id id = 0;
    CHECK_INT(errand_copy_tree(queue, &copy, &id), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 30000);
    CHECK(event.id == id && event.user_data == &progress);
    CHECK_INT(progress.files, 300);
    CHECK_INT(progress.directories, 1);
    CHECK_INT(errand_copy_tree(queue, &copy, &id), 0); /* there is one */
    event = next_event(queue);
    CHECK_INT(event.error, -EEXIST);
    CHECK_INT(progress.errors, 1);
    CHECK_INT(errand_remove_tree(queue, &removal, &id), 0);
    event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    CHECK_INT(progress.files, 300);
    CHECK_INT(access(to, F_OK), -1);
    CHECK_INT(errand_copy_tree(queue, &copy, &id), 0);
    CHECK_INT(errand_cancel(queue, id), 0);
    event = next_event(queue);
    CHECK_INT(event.error, -ECANCELED);
    errand_remove_tree(queue, &removal, &id);
    event = next_event(queue);
    CHECK_INT(errand_copy_tree(queue, &copy, &id), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(errand_queue_wait(queue, &event, 1, ERRAND_MILLISECOND), 0);
    CHECK_INT(errand_queue_close(queue), 0);
}

/* Beneath a root, which confines the path given; kept by the disk; the end told to a function. */
TEST_EACH_BACKEND(tree_jobs_of_a_root)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root, fd = REQUIRE_CALL(open(harness_directory(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    CHECK_INT(errand_root_add(queue, fd, 0, &root), 0);
    CHECK_INT(mkdir(path_of("a"), 0700), 0);
    CHECK_INT(mkdir(path_of("a/tree"), 0700), 0);
    CHECK_INT(mkdir(path_of("a/tree/sub"), 0700), 0);
    make_file("a/tree/sub/one", 5000, 3);
    CHECK_INT(link(path_of("a/tree/sub/one"), path_of("a/tree/two")), 0);
    CHECK_INT(symlink("sub", path_of("a/tree/link")), 0);
    CHECK_INT(symlink("/", path_of("out")), 0);
    struct errand_copy_tree copy = {.size = sizeof copy,
                                    .from_dir_fd = root,
                                    .to_dir_fd = root,
                                    .from = "a/tree/.",
                                    .to = "a/copy",
                                    .flags = ERRAND_SYNC};
    struct errand_remove_tree removal = {
        .size = sizeof removal, .dir_fd = root, .path = "a/copy", .user_data = &copy, .ended = note_end};
    CHECK_INT(errand_copy_tree(queue, &copy, NULL), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 5000);
    check_copy("a/copy/sub/one", 5000, 3);
    check_copy("a/copy/two", 5000, 3);
    check_copy("a/copy/link/one", 5000, 3);
    told = 0;
    CHECK_INT(errand_remove_tree(queue, &removal, NULL), 0);
    for (int i = 0; i < 1000 && told == 0; i++)
        CHECK_INT(errand_queue_wait(queue, &event, 1, 10 * ERRAND_MILLISECOND), 0);
    CHECK_INT(told, 1);
    CHECK(told_data == &copy);
    CHECK_INT(access(path_of("a/copy"), F_OK), -1);
    copy.to = "out/tmp/errand-copy";
    CHECK_INT(errand_copy_tree(queue, &copy, NULL), 0);
    CHECK_INT(next_event(queue).error, -EXDEV);
    copy.flags = 1u << 31;
    CHECK_INT(errand_copy_tree(queue, &copy, NULL), -EINVAL);
    CHECK_INT(errand_root_remove(queue, root), 0);
    close(fd);
    close_queue(queue);
}
