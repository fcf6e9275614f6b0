/* SPDX-License-Identifier: MIT */
/*
 * The benchmarks' load generator: HTTP/1.1 GETs over keep-alive connections, on errand.h. Every answer's status and
 * length is checked against the list of paths, with --check also every byte against the file. One thread.
 *
 *     load ADDRESS:PORT --paths FILE [--connections N] [what to do] [...]
 *
 *     --paths FILE     lines "PATH BYTES"
 *     --seconds S      each connection asks for one random path after another for so long (default 1), or
 *     --each N         each asks for N paths of its own and is done, at most for --seconds, or
 *     --rate R         R requests a second in all are due, at equal distances, on one connection after the other. A
 *                      time is counted from when the request was due, not from when it could be sent, so a server that
 *                      stalls is charged for every request that it held up
 *     --connection-each  a new connection for each request, which says Connection: close
 *     --check DIR      compares each body with the file DIR/PATH
 *     --trace FILE     with --rate: a line "due took" (s of CLOCK_MONOTONIC, ms) for each request
 *     --spin           never sleeps, so a server on this machine is not charged for waking its client with each answer,
 *                      as it is not by clients elsewhere
 *     --wait           asks once on each connection that is kept, which does not count, prints "ready", and begins
 *                      when standard input has a line
 *     --hold           afterwards keeps the connections open until standard input ends
 *
 * After an answer that says Connection: close a new connection takes the place of that one ("renewed" counts them).
 * SIGTERM and SIGINT end it early, with a report. The report is one line of JSON on standard output; requests that are
 * unanswered at the end count in it as "unanswered" and, with --rate, among the times as long as they have waited.
 */
#include "load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define WARMING_MOST (60 * ERRAND_SECOND)

struct load load;

_Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "load: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
    exit(1);
}

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * ERRAND_SECOND + now.tv_nsec;
}

int64_t period_ns(void)
{
    return (int64_t)(options.connections / options.rate * 1e9);
}

/* --------------------------------------------------------------------------------------------- events */

static void handle(const struct errand_event *event)
{
    switch (event->kind) {
    case ERRAND_EVENT_CHAIN: take_chain_event(event->user_data, event->error); break;
    case ERRAND_EVENT_DATA: take_data_event(event->user_data, event); break;
    case ERRAND_EVENT_SIGNAL: load.ending = true; break;
    default: break;
    }
}

/* With a rate: asks for what is due by now, and returns when the next is. */
static int64_t ask_due(int64_t now)
{
    static uint64_t asked;
    for (;; asked++) {
        uint64_t turn = asked / options.connections, number = asked % options.connections;
        int64_t due = load.started_ns + (int64_t)turn * period_ns() + (int64_t)((double)number / options.rate * 1e9);
        if (due > now) {
            return due;
        }
        struct connection *connection = &load.connections[number];
        if (can_ask(connection)) {
            ask(connection, due);
        } else if (connection->source) {
            connection->waiting++;
        }
    }
}

static void run(int64_t end, bool spin)
{
    struct errand_event events[256];
    while (!load.ending && ((options.rate > 0 && !load.warming) || load.busy > 0)) {
        int64_t now = now_ns(), next = end;
        if (now >= end) {
            load.ending = true;
            return;
        }
        if (options.rate > 0 && !load.warming) {
            int64_t due = ask_due(now);
            next = due < end ? due : end;
        }
        int count = errand_queue_wait(load.queue, events, 256, spin ? 0 : next - now);
        if (count < 0) {
            die("errand_queue_wait", -count);
        }
        for (int i = 0; i < count; i++) {
            handle(&events[i]);
        }
    }
}

/* --------------------------------------------------------------------------------------------- set up */

static void open_queue(void)
{
    struct errand_queue_options queue = {.size = sizeof queue,
                                         .chains = options.connections + 64,
                                         .sources = options.connections + 8,
                                         .receive_buffers = 512,
                                         .receive_size = 16384};
    int r = errand_queue_open(&load.queue, &queue);
    errand_source *source;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (r < 0 || (r = errand_source_signal(load.queue, SIGTERM, NULL, &source)) < 0 ||
        (r = errand_source_signal(load.queue, SIGINT, NULL, &source)) < 0) {
        die("could not open the queue", -r);
    }
}

/* One request on each connection: now the server has accepted them all and made for each what it keeps. */
static void warm(void)
{
    load.warming = true;
    for (uint32_t i = 0; i < options.connections; i++) {
        ask(&load.connections[i], now_ns());
    }
    run(now_ns() + WARMING_MOST, false);
    if (load.ending || load.requests < options.connections) {
        die("not every connection was answered once", 0);
    }
    for (uint32_t i = 0; i < options.connections; i++) {
        load.connections[i].asked = 0;
    }
    load.times = (struct histogram){0};
    load.requests = load.bytes = 0;
    load.warming = false;
}

static void wait_for_line(void)
{
    char line[16];
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) {
        exit(1);
    }
}

static uint32_t count_unanswered(struct connection *connection, int64_t now)
{
    uint32_t count = connection->waiting + (connection->path != NULL);
    if (options.rate > 0) {
        connection->due_ns += connection->path ? 0 : period_ns();
        for (uint32_t i = 0; i < count; i++, connection->due_ns += period_ns()) {
            take_time(connection, now);
        }
    }
    return count;
}

static void report(void)
{
    struct rusage usage;
    uint32_t unanswered = 0, finished = 0;
    int64_t now = now_ns();
    for (uint32_t i = 0; i < options.connections; i++) {
        struct connection *connection = &load.connections[i];
        finished += options.each && !connection->path && connection->asked == options.each && connection->source;
        unanswered += count_unanswered(connection, now);
    }
    getrusage(RUSAGE_SELF, &usage);
    double seconds = (double)((options.each && load.last_ns ? load.last_ns : now) - load.started_ns) / 1e9;
    const struct histogram *times = &load.times;
    printf("{\"requests\": %llu, \"unanswered\": %u, \"connections\": %u, \"connections_done\": %u, "
           "\"seconds\": %.4f, \"requests_per_s\": %.0f, \"body_bytes\": %llu, \"wrong_status\": %llu, "
           "\"wrong_length\": %llu, \"wrong_body\": %llu, \"closed\": %llu, \"failed\": %llu, "
           "\"renewed\": %llu, \"us_mean\": %.1f, \"us_p50\": %.1f, \"us_p90\": %.1f, \"us_p99\": %.1f, "
           "\"us_p999\": %.1f, \"us_max\": %.1f, \"own_cpu_s\": %.3f}\n",
           (unsigned long long)load.requests, unanswered, options.connections, finished, seconds,
           (double)load.requests / seconds, (unsigned long long)load.bytes, (unsigned long long)load.wrong_status,
           (unsigned long long)load.wrong_length, (unsigned long long)load.wrong_body, (unsigned long long)load.closed,
           (unsigned long long)load.failed, (unsigned long long)load.renewed,
           times->count ? (double)times->sum_ns / (double)times->count / 1000 : 0, histogram_us(times, 0.5),
           histogram_us(times, 0.9), histogram_us(times, 0.99), histogram_us(times, 0.999),
           (double)times->max_ns / 1000,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    read_options(argc, argv);
    open_queue();
    load.random = 0x9e3779b97f4a7c15 ^ (uint64_t)now_ns();
    connect_all();
    if (options.wait && !options.connection_each) {
        warm();
    }
    if (options.wait) {
        wait_for_line();
    }
    load.started_ns = now_ns();
    for (uint32_t i = 0; options.rate == 0 && i < options.connections; i++) {
        ask(&load.connections[i], load.started_ns);
    }
    run(load.started_ns + options.duration_ns, options.spin);
    report();
    for (char byte; options.hold && read(STDIN_FILENO, &byte, 1) > 0;) {
    }
    errand_queue_close(load.queue);
    return load.wrong_status || load.wrong_length || load.wrong_body || load.failed ? 1 : 0;
}
