/* SPDX-License-Identifier: MIT */
/* What a test says: checks that hold or do not, notes, skipping. See harness.h. */
#include "harness.h"
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void harness_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void harness_at(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(harness_report->at, sizeof harness_report->at, format, arguments);
    va_end(arguments);
}

static void failed(const char *file, int line)
{
    __atomic_add_fetch(&harness_report->failures, 1, __ATOMIC_RELAXED);
    const char *name = strstr(file, "tests/");
    fprintf(stderr, "%s:%d: ", name ? name : file, line);
    if (harness_report->at[0])
        fprintf(stderr, "(%s) ", harness_report->at);
}

void harness_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    failed(file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

unsigned harness_failures(void)
{
    return __atomic_load_n(&harness_report->failures, __ATOMIC_RELAXED);
}

bool harness_check(bool held, const char *file, int line, const char *text)
{
    if (!held) {
        failed(file, line);
        fprintf(stderr, "does not hold: %s\n", text);
    }
    return held;
}

/* The name of an errno beside a number that may be one. */
static const char *errno_beside(long long number, char buffer[32])
{
    const char *name = number < 0 && number > -4096 ? strerrorname_np((int)-number) : NULL;
    snprintf(buffer, 32, name ? " (-%s)" : "%s", name ? name : "");
    return buffer;
}

bool harness_check_int(long long actual, long long expected, const char *file, int line, const char *text,
                       const char *expected_text)
{
    char one[32], other[32];
    if (actual == expected)
        return true;
    failed(file, line);
    fprintf(stderr, "%s is %lld%s, expected %s: %lld%s\n", text, actual, errno_beside(actual, one), expected_text,
            expected, errno_beside(expected, other));
    return false;
}

bool harness_check_str(const char *actual, const char *expected, const char *file, int line, const char *text)
{
    if (actual && expected ? !strcmp(actual, expected) : actual == expected)
        return true;
    failed(file, line);
    fprintf(stderr, "%s is \"%s\", expected \"%s\"\n", text, actual ? actual : "(null)",
            expected ? expected : "(null)");
    return false;
}

bool harness_check_bytes(const void *actual, const void *expected, size_t length, const char *file, int line,
                         const char *text)
{
    const unsigned char *one = actual, *other = expected;
    if (!length || !memcmp(one, other, length))
        return true;
    size_t at = 0;
    while (one[at] == other[at])
        at++;
    failed(file, line);
    fprintf(stderr, "%s differs at byte %zu of %zu: 0x%02x, expected 0x%02x\n", text, at, length, one[at], other[at]);
    return false;
}

long harness_call(long result, const char *file, int line, const char *text)
{
    if (result != -1)
        return result;
    int error = errno;
    failed(file, line);
    fprintf(stderr, "%s: %s\n", text, strerror(error));
    harness_give_up();
}

void harness_give_up(void)
{
    harness_report->body_ended = true;
    fflush(NULL);
    _exit(1);
}

void harness_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(harness_report->reason, sizeof harness_report->reason, format, arguments);
    va_end(arguments);
    harness_report->skipped = harness_report->body_ended = true;
    fflush(NULL);
    _exit(harness_report->failures ? 1 : 0);
}

bool harness_eventually(bool (*condition)(void *context), void *context, unsigned limit_ms)
{
    int64_t end = harness_now() + limit_ms * harness_slowness() * ERRAND_MILLISECOND;
    while (!condition(context)) {
        if (harness_now() >= end)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    return true;
}
