/* SPDX-License-Identifier: MIT */
/*
 * The test harness. A test program is a file of TEST()s linked with harness_dep (which brings main()).
 *
 *     TEST(adds_up)                    { CHECK_INT(1 + 1, 2); }
 *     TEST_EACH_BACKEND(opens_a_queue) { errand_queue *queue = open_queue(backend, NULL); ... }
 *
 * Every test runs in a forked child in a process group of its own, within a time limit, with a temporary directory
 * of its own. It fails by a CHECK that does not hold, a crash, a sanitizer's report, the time limit, a descriptor
 * that it leaks, or a thread or a child process that it leaves behind. Whatever it mounted beneath its directory is
 * unmounted and the directory removed, also when it dies.
 *
 *     program [--list] [--verbose] [PART OF A NAME]...
 *
 * prints `ok NAME`, `not ok NAME` or `ok NAME # skipped: REASON`; what a failed test wrote follows it, after "# ".
 * A name is PROGRAM/TEST or PROGRAM/TEST@BACKEND. TEST_BACKENDS=threads in the environment leaves the others out;
 * TEST_TIMEOUT_SCALE=4 stretches every limit, TEST_LIMIT=10 sets the rule to so many seconds.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include "errand.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct harness_test {
    const char *name;
    void (*plain)(void);
    void (*each)(enum errand_backend backend);
    bool simulated; /* on HARNESS_SIM as well */
    struct harness_test *next;
};

void harness_register(struct harness_test *test);

#define TEST(name_)                                                                                                    \
    static void test_##name_(void);                                                                                    \
    __attribute__((constructor)) static void register_##name_(void)                                                    \
    {                                                                                                                  \
        static struct harness_test test = {.name = #name_, .plain = test_##name_};                                     \
        harness_register(&test);                                                                                       \
    }                                                                                                                  \
    static void test_##name_(void)

/* Runs once for each backend; the body finds it in `backend`. */
#define TEST_EACH_BACKEND(name_)                                                                                       \
    static void test_##name_(enum errand_backend backend);                                                             \
    __attribute__((constructor)) static void register_##name_(void)                                                    \
    {                                                                                                                  \
        static struct harness_test test = {.name = #name_, .each = test_##name_};                                      \
        harness_register(&test);                                                                                       \
    }                                                                                                                  \
    static void test_##name_(__attribute__((unused)) enum errand_backend backend)

/* No backend that a program could ask for: the simulated kernel, src/backend/sim/. A test that runs on it, too, is a
 * harness_test with `simulated`. */
#define HARNESS_SIM ((enum errand_backend)(ERRAND_BACKEND_THREADS + 1))

/* "uring" or "threads", as --backend and ERRAND_BACKEND want it; "sim". */
const char *harness_backend_name(enum errand_backend backend);

/* The test's own empty directory, absolute, removed after the test. */
const char *harness_directory(void);

/* Another time limit for this test, in seconds from now (the rule is 60 from its start). Only stretches or shrinks the
 * limit, so that a test that is known to be long need not weaken the rule for all. */
void harness_limit(unsigned seconds);

/* What the checker that this program was built with makes of time: 1, or more under a sanitizer. */
unsigned harness_slowness(void);

/* Built with these sanitizers? */
#if defined(__SANITIZE_THREAD__)
#define HARNESS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HARNESS_TSAN 1
#endif
#endif
#ifndef HARNESS_TSAN
#define HARNESS_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HARNESS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HARNESS_ASAN 1
#endif
#endif
#ifndef HARNESS_ASAN
#define HARNESS_ASAN 0
#endif

/*
 * CHECK...() note a failure and go on; they are expressions, true if the check held. REQUIRE...() end the test at once
 * (without its cleanup: the harness cleans up), for what the rest of the test stands on.
 */
#define CHECK(condition) harness_check((condition), __FILE__, __LINE__, #condition)
#define CHECK_INT(actual, expected)                                                                                    \
    harness_check_int((long long)(actual), (long long)(expected), __FILE__, __LINE__, #actual, #expected)
#define CHECK_STR(actual, expected) harness_check_str((actual), (expected), __FILE__, __LINE__, #actual)
/* Two pieces of memory; says where the first difference is. */
#define CHECK_BYTES(actual, expected, length)                                                                          \
    harness_check_bytes((actual), (expected), (length), __FILE__, __LINE__, #actual)

#define REQUIRE(condition)          ((void)(CHECK(condition) || (harness_give_up(), 0)))
#define REQUIRE_INT(actual, wanted) ((void)(CHECK_INT(actual, wanted) || (harness_give_up(), 0)))
#define REQUIRE_STR(actual, wanted) ((void)(CHECK_STR(actual, wanted) || (harness_give_up(), 0)))
/* A system call: ends the test with errno's text if it gave -1; its result otherwise. */
#define REQUIRE_CALL(call) harness_call((long)(call), __FILE__, __LINE__, #call)

/* Where the checks that follow stand (a loop's turn, for instance): printed with a failure. printf's format. */
void harness_at(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Adds a line to what is printed if the test fails. printf's format. */
void harness_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What the test has written so far, and writes from now on, is printed after its line, though it passes: a table. */
void harness_show(void);

/* Fails the test, with a text. printf's format. */
#define FAIL(...) harness_fail(__FILE__, __LINE__, __VA_ARGS__)
void harness_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Number of failures of this test so far (to leave a long loop). */
unsigned harness_failures(void);

/* Ends the test as skipped. For what a machine cannot do at all; never to get round a failure. */
#define SKIP(...) harness_skip(__VA_ARGS__)
void harness_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* How many descriptors / threads this process has; io_uring's own kernel threads are not counted. */
unsigned harness_count_descriptors(void);
unsigned harness_count_threads(void);

/*
 * Waits until condition(context) is true, looking again and again, and fails the test if that takes longer than
 * limit_ms (stretched under a sanitizer). For what nothing announces: a thread that ends, a counter of the kernel's.
 */
bool harness_eventually(bool (*condition)(void *context), void *context, unsigned limit_ms);

bool harness_check(bool held, const char *file, int line, const char *text);
bool harness_check_int(long long actual, long long expected, const char *file, int line, const char *text,
                       const char *expected_text);
bool harness_check_str(const char *actual, const char *expected, const char *file, int line, const char *text);
bool harness_check_bytes(const void *actual, const void *expected, size_t length, const char *file, int line,
                         const char *text);
long harness_call(long result, const char *file, int line, const char *text);
void harness_give_up(void) __attribute__((noreturn));

#endif
