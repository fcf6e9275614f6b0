/* SPDX-License-Identifier: MIT */
/* The watch source: what inotify tells, in order, bounded, and only of filesystems that cannot make anybody wait. */
#include "support.h"

#include <sys/inotify.h>

static int open_path(const char *path, int flags)
{
    return (int)REQUIRE_CALL(open(path, flags | O_CLOEXEC));
}

static void touch(const char *name)
{
    close((int)REQUIRE_CALL(open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
}

static int watch_path(errand_source *source, const char *path, uint32_t mask)
{
    int fd = open_path(path, O_RDONLY), watch = errand_source_watch_add(source, fd, mask);
    CHECK(watch > 0);
    close(fd);
    return watch;
}

/* The next change must be this. Returns its cookie. */
static uint32_t expect(errand_queue *queue, void *user_data, int watch, uint32_t mask, const char *name)
{
    struct errand_event event = next_event(queue);
    check_source_event(&event, ERRAND_EVENT_WATCH, user_data);
    const struct inotify_event *change = event.data;
    REQUIRE(change != NULL);
    CHECK_INT(change->wd, watch);
    CHECK_INT(change->mask, mask);
    CHECK_STR(change->len ? change->name : "", name);
    return change->cookie;
}

TEST_EACH_BACKEND(directories_and_files)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    int mark;
    REQUIRE_CALL(mkdir(path_of("a"), 0755));
    REQUIRE_CALL(mkdir(path_of("b"), 0755));
    make_file("file", 10, 1);
    CHECK_INT(errand_source_watch(queue, &mark, &source), 0);
    int a = watch_path(source, path_of("a"), IN_CREATE | IN_MOVE | IN_DELETE);
    int b = watch_path(source, path_of("b"), IN_CREATE | IN_MOVE);
    int file = watch_path(source, path_of("file"), IN_ATTRIB | IN_MODIFY);
    CHECK(a != b && b != file);
    CHECK_INT(watch_path(source, path_of("b"), IN_CREATE | IN_MOVE), b); /* the same */
    no_event(queue);
    touch("a/new");
    expect(queue, &mark, a, IN_CREATE, "new");
    REQUIRE_CALL(rename(path_of("a/new"), path_of("b/renamed")));
    uint32_t from = expect(queue, &mark, a, IN_MOVED_FROM, "new");
    uint32_t to = expect(queue, &mark, b, IN_MOVED_TO, "renamed");
    CHECK(from != 0 && from == to);
    REQUIRE_CALL(chmod(path_of("file"), 0600));
    expect(queue, &mark, file, IN_ATTRIB, "");
    REQUIRE_CALL(mkdir(path_of("b/deep"), 0755));
    expect(queue, &mark, b, IN_CREATE | IN_ISDIR, "deep");
    /* Removed: what was told comes, then the watch's end; and no more. */
    touch("a/last");
    CHECK_INT(errand_source_watch_remove(source, a), 0);
    touch("a/unseen");
    expect(queue, &mark, a, IN_CREATE, "last");
    expect(queue, &mark, a, IN_IGNORED, "");
    no_event(queue);
    CHECK_INT(errand_source_watch_remove(source, a), -EINVAL);
    /* What is deleted ends its watch by itself. */
    REQUIRE_CALL(unlink(path_of("file")));
    expect(queue, &mark, file, IN_ATTRIB, "");
    expect(queue, &mark, file, IN_IGNORED, "");
    CHECK_INT(errand_source_stop(source), 0);
    touch("b/unseen");
    close_queue(queue);
}

/* More than one batch, taken many at a time and one at a time: all, in order, each piece of data valid until the next
 * wait. */
TEST_EACH_BACKEND(changes_in_order)
{
    enum { files = 500, most = 300 };
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    char name[32];
    CHECK_INT(errand_source_watch(queue, NULL, &source), 0);
    int watch = watch_path(source, harness_directory(), IN_CREATE);
    for (unsigned most_now = 1; most_now <= most; most_now += most - 1) {
        for (unsigned i = 0; i < files; i++) {
            snprintf(name, sizeof name, "%u-%u", most_now, i);
            touch(name);
        }
        for (unsigned seen = 0; seen < files;) {
            struct errand_event events[most];
            int n = errand_queue_wait(queue, events, most_now, ERRAND_SECOND);
            REQUIRE(n > 0);
            CHECK(n * sizeof(struct inotify_event) <= 4096); /* one batch */
            for (int i = 0; i < n; i++) {
                const struct inotify_event *change = events[i].data;
                snprintf(name, sizeof name, "%u-%u", most_now, seen++);
                CHECK_INT(change->wd, watch);
                REQUIRE_STR(change->name, name);
            }
        }
        no_event(queue);
    }
    CHECK_INT(errand_source_stop(source), 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(paused_watches)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    CHECK_INT(errand_source_watch(queue, NULL, &source), 0);
    int watch = watch_path(source, harness_directory(), IN_CREATE);
    CHECK_INT(errand_source_pause(source), 0);
    touch("one");
    touch("two");
    touch("three");
    no_event(queue);
    CHECK_INT(errand_source_resume(source), 0);
    expect(queue, NULL, watch, IN_CREATE, "one");
    CHECK_INT(errand_source_pause(source), 0); /* in the middle of a batch */
    no_event(queue);
    CHECK_INT(errand_source_resume(source), 0);
    expect(queue, NULL, watch, IN_CREATE, "two");
    expect(queue, NULL, watch, IN_CREATE, "three");
    no_event(queue);
    touch("four");
    touch("five");
    expect(queue, NULL, watch, IN_CREATE, "four");
    CHECK_INT(errand_source_stop(source), 0); /* the rest is gone */
    close_queue(queue);
}

/* More changes than the kernel keeps: it says so, and goes on. */
TEST_EACH_BACKEND(overflow)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    unsigned limit = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    if (!file || fscanf(file, "%u", &limit) != 1 || limit > 100000)
        limit = 0;
    if (file)
        fclose(file);
    if (!limit)
        SKIP("the kernel keeps an unknown number of changes, or too many");
    CHECK_INT(errand_source_watch(queue, NULL, &source), 0);
    int one = open_path(make_file("1", 0, 0), O_RDONLY), two = open_path(make_file("2", 0, 0), O_RDONLY);
    CHECK(errand_source_watch_add(source, one, IN_ATTRIB) > 0);
    CHECK(errand_source_watch_add(source, two, IN_ATTRIB) > 0);
    for (unsigned i = 0; i <= limit; i++) /* by turns: two equal ones become one */
        REQUIRE_CALL(fchmod(i % 2 ? two : one, 0600));
    unsigned changes = 0;
    for (;; changes++) {
        struct errand_event event = next_event(queue);
        const struct inotify_event *change = event.data;
        if (change->mask & IN_Q_OVERFLOW) {
            CHECK_INT(change->wd, -1);
            break;
        }
        REQUIRE(changes < limit);
    }
    CHECK_INT(changes, limit);
    no_event(queue);
    REQUIRE_CALL(fchmod(one, 0640));
    CHECK_INT(((const struct inotify_event *)next_event(queue).data)->mask, IN_ATTRIB);
    CHECK_INT(errand_source_stop(source), 0);
    close(one);
    close(two);
    close_queue(queue);
}

TEST_EACH_BACKEND(bad_watches)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source, *timer;
    CHECK_INT(errand_source_watch(NULL, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_watch(queue, NULL, NULL), -EINVAL);
    CHECK_INT(errand_source_watch(queue, NULL, &source), 0);
    CHECK_INT(errand_source_timer(queue, ERRAND_SECOND * 3600, 0, NULL, &timer), 0);
    int directory = open_directory();
    CHECK_INT(errand_source_watch_add(NULL, directory, IN_CREATE), -EINVAL);
    CHECK_INT(errand_source_watch_add(timer, directory, IN_CREATE), -EINVAL);
    CHECK_INT(errand_source_watch_remove(timer, 1), -EINVAL);
    CHECK_INT(errand_source_watch_remove(NULL, 1), -EINVAL);
    CHECK_INT(errand_source_watch_remove(source, 1), -EINVAL);
    CHECK_INT(errand_source_watch_add(source, directory, 0), -EINVAL);
    CHECK_INT(errand_source_watch_add(source, directory, IN_CREATE | IN_DONT_FOLLOW), -EINVAL);
    CHECK_INT(errand_source_watch_add(source, -1, IN_CREATE), -EBADF);
    CHECK_INT(errand_source_watch_add(source, 9999, IN_CREATE), -EBADF);
    int path_only = open_path(harness_directory(), O_PATH);
    CHECK_INT(errand_source_watch_add(source, path_only, IN_CREATE), -EBADF);
    int file = open_path(make_file("file", 1, 1), O_WRONLY);
    CHECK_INT(errand_source_watch_add(source, file, IN_MODIFY), -EBADF);
    close(file);
    file = open_path(path_of("file"), O_RDONLY);
    CHECK_INT(errand_source_watch_add(source, file, IN_CREATE | IN_ONLYDIR), -ENOTDIR);
    int foreign = open_path("/proc/self", O_RDONLY); /* no filesystem that is known not to ask anybody */
    CHECK_INT(errand_source_watch_add(source, foreign, IN_CREATE), -EOPNOTSUPP);
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    CHECK_INT(errand_source_watch_add(source, sockets[0], IN_CREATE), -EOPNOTSUPP);
    CHECK(errand_source_watch_add(source, directory, IN_CREATE) > 0); /* it is none the worse */
    int others[] = {directory, path_only, file, foreign, sockets[0], sockets[1]};
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        close(others[i]);
    CHECK_INT(errand_source_stop(source), 0);
    CHECK_INT(errand_source_stop(timer), 0);
    close_queue(queue);
}
