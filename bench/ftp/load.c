/* SPDX-License-Identifier: MIT */
/*
 * The load generator of bench-ftp: many FTP sessions at once, each as a client without pipelining would have it:
 * connect, USER, PASS, TYPE I, EPSV, RETR, the data, QUIT, the connection's end. Every reply's code and every file's
 * length is checked, with --check also every byte. Plain epoll on one thread; what is only counted is not copied.
 *
 *     ftp-load ADDRESS:PORT --paths FILE [--sessions N] [what to do] [...]
 *
 *     --paths FILE     lines "PATH BYTES"
 *     --sessions N     so many at once (default 64)
 *     --seconds S      one session after the other for so long (default 1); each with one random path, or
 *     --each N         N of them, each with a path of its own, at most for --seconds
 *     --keep           sessions stay: not sessions follow each other, but transfers in them, and these are what --each
 *                      and all times are about
 *     --rate R         with --wait: R transfers a second in all are due, at equal distances, in one session after the
 *                      other; a time is counted from when its transfer was due
 *     --list           LIST of the file's directory before each RETR
 *     --store          STOR in place of RETR, each in a file of its own: incoming/SESSION-NUMBER, of the path's length
 *     --check DIR      compares what is fetched with the file DIR/PATH
 *     --trace FILE     with --rate: a line "due took" (s of CLOCK_MONOTONIC, ms) for each transfer
 *     --spin           never sleeps, so that a server on this machine is not charged for waking its client
 *     --wait           with --keep: logs in all, prints "ready", begins when standard input has a line, and lets
 *                      all stay, after its report, until standard input ends
 *     --warm           with --wait: each has fetched a file by then, which does not count
 *     --patience S     when the time is over, what is under way may take so long (default 60): all that was begun is
 *                      counted, so that what the server spent and what was done belong together
 *
 * With --wait, sessions that are closed before they were greeted come again, "turned_away" counts them.
 *
 * SIGTERM ends it at once, with a report. The report is one line of JSON on standard output; what is not complete then
 * counts as "unanswered" and, with --rate, among the times as long as it has waited. "refused": the server knows no
 * such command.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LOGIN_MOST = 32, /* so many log in at the same time: more than that some servers' backlogs do not hold */
    EVENTS = 256
};

struct load load;
static volatile sig_atomic_t stopped;

_Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "ftp-load: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
    exit(1);
}

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

int64_t period_ns(void)
{
    return (int64_t)(options.sessions / options.rate * 1e9);
}

int connect_to(unsigned port)
{
    struct sockaddr_in address = options.address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sin_port = htons((uint16_t)port);
    if (fd < 0) {
        die("socket", errno);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
        die("connect", errno);
    }
    return fd;
}

void poll_for(int fd, unsigned events, void *tagged)
{
    struct epoll_event event = {.events = events, .data.ptr = tagged};
    if (epoll_ctl(load.poll, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl", errno);
    }
}

bool may_begin(const struct session *session)
{
    return !load.warming && !load.ending && (options.each == 0 || session->asked < options.each);
}

/* --------------------------------------------------------------------------------------------- the loop */

static void open_more(int64_t now)
{
    while (!load.ending && load.begun < options.sessions && load.begun < load.entered + LOGIN_MOST) {
        open_session(&load.sessions[load.begun++], now);
    }
}

/* With a rate: begins what is due by now, and returns when the next is. */
static int64_t begin_due(int64_t now)
{
    static uint64_t asked;
    for (;; asked++) {
        uint64_t turn = asked / options.sessions, number = asked % options.sessions;
        int64_t due = load.started_ns + (int64_t)turn * period_ns() + (int64_t)((double)number / options.rate * 1e9);
        struct session *session = &load.sessions[number];
        if (due > now) {
            return due;
        }
        if (session->state == IDLE) {
            begin_transfer(session, due);
        } else if (session->state != GONE) {
            session->waiting++;
        }
    }
}

static void take_events(int64_t timeout)
{
    struct epoll_event events[EVENTS];
    struct timespec wait = {.tv_sec = timeout / SECOND, .tv_nsec = timeout % SECOND};
    int count = epoll_pwait2(load.poll, events, EVENTS, &wait, NULL);
    if (count < 0 && errno != EINTR) {
        die("epoll_pwait2", errno);
    }
    for (int i = 0; i < count; i++) {
        uintptr_t tagged = (uintptr_t)events[i].data.ptr;
        struct session *session = (struct session *)(tagged & ~(uintptr_t)1);
        if (tagged & 1) {
            take_data_event(session);
        } else {
            take_control_event(session);
        }
    }
}

/* Until the time is over, or nothing is left to be done; and then until all that was begun is complete. */
static void run(int64_t end)
{
    bool paced = options.rate > 0 && !load.warming;
    while (!stopped && !load.refused) {
        int64_t now = now_ns(), next = load.ending ? end + options.patience_ns : end;
        load.ending |= now >= end;
        open_more(now);
        if (now >= end + options.patience_ns || (load.busy == 0 && (load.ending || !paced))) {
            return;
        }
        if (paced && !load.ending) {
            int64_t due = begin_due(now);
            next = due < end ? due : end;
        }
        take_events(options.spin || next < now ? 0 : next - now);
    }
}

static void log_in_all(void)
{
    char line[16];
    load.warming = true;
    run(now_ns() + 600 * SECOND);
    if (load.entered < options.sessions) {
        die("not all sessions could log in", 0);
    }
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) {
        exit(1);
    }
    for (uint32_t i = 0; i < options.sessions; i++) {
        load.sessions[i].asked = load.sessions[i].finished = 0;
    }
    load.times = (struct histogram){0};
    load.transfers = load.bytes = 0;
    load.warming = load.ending = false;
}

/* --------------------------------------------------------------------------------------------- report */

static uint32_t count_unanswered(struct session *session, int64_t now)
{
    bool begun = session->state != GONE && session->state != IDLE;
    uint32_t count = session->waiting + begun;
    if (options.rate > 0) {
        session->due_ns += begun ? 0 : period_ns();
        for (uint32_t i = 0; i < count; i++, session->due_ns += period_ns()) {
            take_time(session, now);
        }
    }
    return count;
}

static void report(void)
{
    struct rusage usage;
    uint32_t unanswered = 0, done = 0, finished = 0;
    int64_t now = now_ns();
    for (uint32_t i = 0; i < options.sessions; i++) {
        struct session *session = &load.sessions[i];
        finished += session->finished;
        done += options.each && session->finished == options.each;
        unanswered += count_unanswered(session, now);
    }
    getrusage(RUSAGE_SELF, &usage);
    double seconds = (double)((load.last_ns ? load.last_ns : now) - load.started_ns) / 1e9;
    const struct histogram *times = &load.times;
    printf("{\"finished\": %u, \"unanswered\": %u, \"sessions\": %u, \"sessions_done\": %u, \"transfers\": %llu, "
           "\"seconds\": %.4f, \"per_s\": %.1f, \"body_bytes\": %llu, \"wrong_code\": %llu, \"wrong_length\": %llu, "
           "\"wrong_body\": %llu, \"closed\": %llu, \"turned_away\": %llu, \"refused\": %d, "
           "\"us_p50\": %.1f, \"us_p90\": %.1f, \"us_p99\": %.1f, \"us_max\": %.1f, \"own_cpu_s\": %.3f}\n",
           finished, unanswered, options.sessions, done, (unsigned long long)load.transfers, seconds,
           finished / seconds, (unsigned long long)load.bytes, (unsigned long long)load.wrong_code,
           (unsigned long long)load.wrong_length, (unsigned long long)load.wrong_body, (unsigned long long)load.closed,
           (unsigned long long)load.turned_away, load.refused, histogram_us(times, 0.5), histogram_us(times, 0.9),
           histogram_us(times, 0.99), (double)times->max_ns / 1000,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    fflush(stdout);
}

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    read_options(argc, argv);
    make_pattern();
    load.poll = epoll_create1(EPOLL_CLOEXEC);
    load.sessions = calloc(options.sessions, sizeof *load.sessions);
    if (load.poll < 0 || !load.sessions) {
        die("could not begin", errno);
    }
    for (uint32_t i = 0; i < options.sessions; i++) {
        load.sessions[i] = (struct session){.number = i, .fd = -1, .data = -1, .file = -1};
    }
    load.random = 0x9e3779b97f4a7c15 ^ (uint64_t)now_ns();
    if (options.wait) {
        log_in_all();
    }
    load.started_ns = now_ns();
    for (uint32_t i = 0; options.wait && options.rate == 0 && i < options.sessions; i++) {
        begin_transfer(&load.sessions[i], load.started_ns);
    }
    run(load.started_ns + options.duration_ns);
    report();
    for (char byte; options.wait && read(STDIN_FILENO, &byte, 1) > 0;) {
    }
    return load.wrong_code || load.wrong_length || load.wrong_body || load.closed ? 1 : 0;
}
