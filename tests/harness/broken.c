/* SPDX-License-Identifier: MIT */
/*
 * Tests that fail on purpose, one in each way that the harness claims to notice, for harness/selftest.py. A name that
 * begins with good_ or skip_ is meant to come out so.
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(good_plain)
{
    CHECK(true);
    CHECK_INT(-2, -2);
    CHECK_STR("a", "a");
    CHECK_BYTES("abc", "abc", 3);
    REQUIRE(harness_count_threads() >= 1);
}

TEST_EACH_BACKEND(good_each)
{
    CHECK(backend == ERRAND_BACKEND_URING || backend == ERRAND_BACKEND_THREADS);
    CHECK(access(harness_directory(), W_OK) == 0);
}

TEST(skip_it)
{
    SKIP("a reason");
}

TEST(bad_check)
{
    CHECK(1 > 2);
}

TEST(bad_int)
{
    CHECK_INT(-2, 0);
}

TEST(bad_string)
{
    CHECK_STR("a", NULL);
}

TEST(bad_bytes)
{
    CHECK_BYTES("abc", "abd", 3);
}

TEST(bad_require)
{
    REQUIRE(false);
}

TEST(bad_call)
{
    REQUIRE_CALL(open("/does/not/exist", O_RDONLY));
}

TEST(bad_failure_before_skip)
{
    CHECK(false);
    SKIP("hides nothing");
}

TEST(bad_descriptor)
{
    CHECK(open("/dev/null", O_RDONLY) > 0);
}

TEST(bad_crash)
{
    raise(SIGSEGV);
}

TEST(bad_abort)
{
    abort();
}

/* What a test's code ends early has not been tested. */
TEST(bad_exit_zero)
{
    exit(0);
}

TEST(bad_hang)
{
    harness_limit(0);
    for (;;)
        pause();
}

TEST(bad_child)
{
    if (fork() == 0)
        for (;;)
            pause();
}

/* It left the test's process group, its session and its parent. */
TEST(bad_daemon)
{
    pid_t child = fork();
    if (child == 0) {
        setsid();
        if (fork() == 0)
            for (;;)
                pause();
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void *for_ever(void *context)
{
    for (;;)
        pause();
    return context;
}

TEST(bad_thread)
{
    pthread_t thread;
    pthread_create(&thread, NULL, for_ever, NULL);
}

TEST(bad_mount)
{
    char path[300];
    snprintf(path, sizeof path, "%s/mount", harness_directory());
    REQUIRE_CALL(mkdir(path, 0700));
    REQUIRE_CALL(mount("none", path, "tmpfs", 0, NULL));
}

#if HARNESS_ASAN
/* Behind a pointer that the compiler cannot follow, or it would refuse to compile this. */
static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile release)(void *) = free;

TEST(bad_heap)
{
    volatile char *byte = allocate(1);
    release((void *)byte);
    *byte = 1;
}

static __attribute__((noinline)) void lose(void)
{
    void *volatile lost = allocate(1000);
    CHECK(lost != NULL);
    lost = NULL;
}

TEST(bad_leak)
{
    lose();
}
#endif
