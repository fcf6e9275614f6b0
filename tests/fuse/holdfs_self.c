/* SPDX-License-Identifier: MIT */
/* The filesystem that holds operations does what it says: tests of what other tests stand on. */
#include "holdfs.h"
#include "support.h"

#include <dirent.h>
#include <pthread.h>

static void *read_whole(void *context)
{
    static _Thread_local char buffer[65536];
    int file = open(context, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return (void *)(intptr_t)-errno;
    intptr_t length = read(file, buffer, sizeof buffer);
    if (length < 0)
        length = -errno;
    else if (pattern_check(buffer, (size_t)length, 3, 0) != (size_t)length)
        length = -EILSEQ;
    close(file);
    return (void *)length;
}

static intptr_t result_of(pthread_t thread)
{
    void *result;
    pthread_join(thread, &result);
    return (intptr_t)result;
}

TEST(serves_its_tree)
{
    struct holdfs *holdfs = holdfs_start(&(struct holdfs_options){.files = 200, .size = 50000});
    unsigned count = 0;
    CHECK_INT((intptr_t)read_whole((void *)path_of("held/f3")), 50000);
    CHECK_INT((intptr_t)read_whole((void *)path_of("held/f200")), -ENOENT);
    CHECK_INT((intptr_t)read_whole((void *)path_of("held/d/f3")), -EILSEQ);
    DIR *directory = opendir(path_of("held/d"));
    REQUIRE(directory != NULL);
    while (readdir(directory))
        count++;
    closedir(directory);
    CHECK_INT(count, 200);
    holdfs_stop(holdfs);
}

TEST(holds_and_releases)
{
    struct holdfs *holdfs = holdfs_start(NULL);
    const char *path = path_of("held/f3");
    pthread_t thread;
    holdfs_hold(holdfs, "lookup open read");
    pthread_create(&thread, NULL, read_whole, (void *)path);
    holdfs_wait_held(holdfs, 1);
    CHECK_INT(holdfs_held_of(holdfs, "lookup"), 1);
    holdfs_release_all(holdfs);
    holdfs_wait_held(holdfs, 1);
    CHECK_INT(holdfs_held_of(holdfs, "open"), 1);
    holdfs_release(holdfs, 1);
    holdfs_wait_held(holdfs, 1);
    CHECK_INT(holdfs_held_of(holdfs, "read"), 1);
    CHECK_INT(holdfs_held_of(holdfs, "open"), 0);
    holdfs_pass(holdfs);
    CHECK_INT(result_of(thread), 8192);
    CHECK_INT(holdfs_held(holdfs), 0);
    holdfs_stop(holdfs);
}

TEST(aborts_what_hangs)
{
    struct holdfs *holdfs = holdfs_start(NULL);
    pthread_t threads[20];
    char paths[20][512];
    holdfs_hold(holdfs, "all");
    for (unsigned i = 0; i < 20; i++) {
        /* Each its own: the kernel asks but once for a name that several want. */
        snprintf(paths[i], sizeof paths[i], "%s/f%u", holdfs_path(holdfs), i);
        pthread_create(&threads[i], NULL, read_whole, paths[i]);
    }
    holdfs_wait_held(holdfs, 20);
    holdfs_abort(holdfs);
    for (unsigned i = 0; i < 20; i++) {
        intptr_t result = result_of(threads[i]);
        CHECK(result == -ECONNABORTED || result == -ENOTCONN);
    }
    holdfs_stop(holdfs);
}

TEST(fails_to_order)
{
    struct holdfs *holdfs = holdfs_start(NULL);
    holdfs_fail(holdfs, EIO, "read");
    CHECK_INT((intptr_t)read_whole((void *)path_of("held/f3")), -EIO);
    holdfs_fail(holdfs, 0, "read");
    CHECK_INT((intptr_t)read_whole((void *)path_of("held/f3")), 8192);
    holdfs_stop(holdfs);
}
