/* SPDX-License-Identifier: MIT */
/* Standard error, a line a message, and not a flood of them: a failing disk makes thousands a second. */
#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { LINES_A_SECOND = 10 };

/* The process has one standard error, so its threads share one account of it. */
static struct {
    pthread_mutex_t lock;
    time_t second;
    unsigned written, left_out;
} account = {.lock = PTHREAD_MUTEX_INITIALIZER};

void log_error(const char *format, ...)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&account.lock);
    if (now.tv_sec != account.second) {
        if (account.left_out > 0)
            fprintf(stderr, "errand: %u more messages left out\n", account.left_out);
        account.second = now.tv_sec;
        account.written = account.left_out = 0;
    }
    if (account.written < LINES_A_SECOND) {
        va_list arguments;
        va_start(arguments, format);
        fputs("errand: ", stderr);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
        account.written++;
    } else {
        account.left_out++;
    }
    pthread_mutex_unlock(&account.lock);
}
