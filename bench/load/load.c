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
 *     --pace-ms MS     each is to ask once every MS ms; a time is counted from when the request was due, not from when
 *                      it could be sent, so a server that stalls is charged for every request that it held up
 *     --check DIR      compares each body with the file DIR/PATH
 *     --trace FILE     with --pace-ms: a line "due took" (s of CLOCK_MONOTONIC, ms) for each request
 *     --spin           never sleeps, so a server on this machine is not charged for waking its client with each answer,
 *                      as it is not by clients elsewhere
 *     --hold           afterwards keeps the connections open until standard input ends
 *
 * SIGTERM and SIGINT end it early, with a report. The report is one line of JSON on standard output; requests that are
 * unanswered at the end count in it as "unanswered" and, with --pace-ms, among the times as long as they have waited.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "errand.h"
#include "histogram.h"
#include "../options.h"

#define HEAD_MAX 1024

struct path {
    char *request; /* "GET ..." whole, ready to send */
    char *path;
    size_t request_length;
    uint64_t bytes;
};

struct connection {
    int fd;
    errand_source *source;
    const struct path *path; /* asked for, NULL: none */
    int64_t due_ns;          /* when the request was sent, or should have been */
    uint32_t waiting;        /* paced: requests due behind this one */
    uint32_t asked, number;
    uint64_t body_left, body_got;
    unsigned head_length;
    bool in_body, checked;
    char *head; /* HEAD_MAX bytes */
};

static struct {
    struct sockaddr_in address;
    const char *check, *paths_file;
    FILE *trace;
    uint32_t connections, each, path_count;
    int64_t duration_ns, pace_ns;
    bool hold, spin;
    struct path *paths;
} options = {.connections = 64, .duration_ns = ERRAND_SECOND};

static struct {
    errand_queue *queue;
    struct connection *connections;
    struct histogram times;
    uint64_t requests, bytes, wrong_status, wrong_length, wrong_body, closed, failed;
    uint32_t busy; /* connections that wait for an answer */
    int64_t started_ns, last_ns;
    uint64_t random;
    bool ending;
} load;

static _Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "load: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * ERRAND_SECOND + now.tv_nsec;
}

static uint32_t random_below(uint32_t limit)
{
    load.random ^= load.random << 13, load.random ^= load.random >> 7, load.random ^= load.random << 17;
    return (uint32_t)((load.random >> 32) * limit >> 32);
}

/* ------------------------------------------------------------------------------------------ requests */

static void ask(struct connection *connection, int64_t due_ns)
{
    uint32_t index = options.each ? (connection->number * options.each + connection->asked) % options.path_count
                                  : random_below(options.path_count);
    connection->path = &options.paths[index];
    connection->asked++;
    connection->due_ns = due_ns;
    errand_chain *chain;
    int r = errand_chain_new(load.queue, &chain);
    if (r == 0) {
        errand_step_send(chain, connection->fd, connection->path->request, connection->path->request_length, 0);
        struct errand_submit submit = {.size = sizeof submit, .user_data = connection};
        r = errand_submit(chain, &submit, NULL);
    }
    if (r < 0) {
        die("could not submit a request", -r);
    }
    load.busy++;
}

static void take_time(const struct connection *connection, int64_t now)
{
    histogram_add(&load.times, now - connection->due_ns);
    if (options.trace) {
        fprintf(options.trace, "%.4f %.4f\n", (double)connection->due_ns / 1e9,
                (double)(now - connection->due_ns) / 1e6);
    }
}

/* The answer is complete: count it, and ask for the next. */
static void answered(struct connection *connection)
{
    int64_t now = now_ns();
    take_time(connection, now);
    load.requests++;
    load.busy--;
    load.last_ns = now;
    load.bytes += connection->path->bytes;
    if (options.check && !connection->checked) {
        load.wrong_body++;
    }
    connection->path = NULL;
    connection->in_body = false;
    connection->head_length = 0;
    if (load.ending || (options.each && connection->asked == options.each)) {
        return;
    }
    if (!options.pace_ns) {
        ask(connection, now);
    } else if (connection->waiting > 0) {
        connection->waiting--;
        ask(connection, connection->due_ns + options.pace_ns);
    }
}

/* Counts an answer that cannot be understood and gives its connection up. */
static void broken(struct connection *connection, uint64_t *counter)
{
    ++*counter;
    if (connection->path) {
        load.busy--;
    }
    connection->path = NULL;
    errand_source_stop(connection->source);
    connection->source = NULL;
    shutdown(connection->fd, SHUT_RDWR); /* closed at the end: a send may still be under way on it */
}

/* Reads the head of an answer. False when it is not what was asked for. */
static bool read_head(struct connection *connection, const char *head, size_t length)
{
    static const char name[] = "\r\ncontent-length:";
    if (length < 12 || memcmp(head, "HTTP/1.1 200", 12) != 0) {
        broken(connection, &load.wrong_status);
        return false;
    }
    for (const char *line = head; (line = memchr(line, '\r', length - (size_t)(line - head))) != NULL; line++) {
        if (length - (size_t)(line - head) > sizeof name && strncasecmp(line, name, sizeof name - 1) == 0) {
            if (strtoull(line + sizeof name - 1, NULL, 10) == connection->path->bytes) {
                connection->body_left = connection->path->bytes;
                connection->body_got = 0;
                connection->in_body = connection->checked = true;
                return true;
            }
        }
    }
    broken(connection, &load.wrong_length);
    return false;
}

static void check_body(struct connection *connection, const char *data, size_t length)
{
    static char expected[65536];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", options.check, connection->path->path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (size_t done = 0; done < length;) {
        size_t part = length - done < sizeof expected ? length - done : sizeof expected;
        if (pread(fd, expected, part, (off_t)(connection->body_got + done)) != (ssize_t)part ||
            memcmp(expected, data + done, part) != 0) {
            connection->checked = false;
            break;
        }
        done += part;
    }
    close(fd);
}

static void arrived(struct connection *connection, const char *data, size_t length)
{
    while (length > 0) {
        if (!connection->path) {
            broken(connection, &load.wrong_length); /* more than was promised */
            return;
        }
        if (!connection->in_body) {
            size_t room = HEAD_MAX - connection->head_length, part = length < room ? length : room;
            memcpy(connection->head + connection->head_length, data, part);
            size_t known = connection->head_length + part;
            const char *end = memmem(connection->head, known, "\r\n\r\n", 4);
            if (!end && known == HEAD_MAX) {
                broken(connection, &load.wrong_length);
                return;
            }
            if (!end) {
                connection->head_length = (unsigned)known;
                return;
            }
            size_t head = (size_t)(end - connection->head) + 4, used = head - connection->head_length;
            if (!read_head(connection, connection->head, head)) {
                return;
            }
            data += used, length -= used;
        }
        size_t part = length < connection->body_left ? length : connection->body_left;
        if (options.check && part > 0) {
            check_body(connection, data, part);
        }
        connection->body_left -= part, connection->body_got += part;
        data += part, length -= part;
        if (connection->body_left == 0) {
            answered(connection);
        }
    }
}

/* --------------------------------------------------------------------------------------------- events */

static void paced(uint64_t expirations)
{
    static int64_t due;
    due = due ? due : load.started_ns;
    for (uint64_t i = 0; i < expirations && !load.ending; i++, due += options.pace_ns) {
        for (uint32_t n = 0; n < options.connections; n++) {
            struct connection *connection = &load.connections[n];
            if (connection->path) {
                connection->waiting++;
            } else if (connection->source) {
                ask(connection, due + options.pace_ns);
            }
        }
    }
}

static void handle(const struct errand_event *event)
{
    struct connection *connection = event->user_data;
    switch (event->kind) {
    case ERRAND_EVENT_CHAIN:
        if (event->error && connection->source) {
            broken(connection, &load.failed);
        }
        break;
    case ERRAND_EVENT_DATA:
        if (!connection->source) {
            break;
        }
        if (event->error || event->bytes == 0) {
            broken(connection, event->error ? &load.failed : &load.closed);
        } else {
            arrived(connection, event->data, event->bytes);
        }
        break;
    case ERRAND_EVENT_TIMER: paced(event->bytes); break;
    case ERRAND_EVENT_SIGNAL: load.ending = true; break;
    default: break;
    }
}

static void run(void)
{
    struct errand_event events[256];
    int64_t end = load.started_ns + options.duration_ns;
    while (!load.ending && (options.pace_ns || load.busy > 0)) {
        int64_t left = end - now_ns();
        if (left <= 0) {
            load.ending = true;
            break;
        }
        int count = errand_queue_wait(load.queue, events, 256, options.spin ? 0 : left);
        if (count < 0) {
            die("errand_queue_wait", -count);
        }
        for (int i = 0; i < count; i++) {
            handle(&events[i]);
        }
    }
}

/* --------------------------------------------------------------------------------------------- set up */

static void read_paths(void)
{
    FILE *file = fopen(options.paths_file, "r");
    char line[4096], path[4000];
    unsigned long long bytes;
    uint32_t room = 0;
    if (!file) {
        die(options.paths_file, errno);
    }
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%3999s %llu", path, &bytes) != 2) {
            die("a line of --paths is not \"PATH BYTES\"", 0);
        }
        if (options.path_count == room) {
            room = room ? 2 * room : 1024;
            options.paths = realloc(options.paths, room * sizeof *options.paths);
        }
        struct path *new = options.paths ? &options.paths[options.path_count++] : NULL;
        char *text = NULL;
        if (!new || asprintf(&text, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path) < 0) {
            die("memory", ENOMEM);
        }
        *new = (struct path){.request = text, .request_length = strlen(text), .path = strdup(path), .bytes = bytes};
    }
    fclose(file);
    if (options.path_count == 0) {
        die("no paths", 0);
    }
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"paths", required_argument, NULL, 'p'}, {"connections", required_argument, NULL, 'c'},
        {"each", required_argument, NULL, 'e'},  {"seconds", required_argument, NULL, 's'},
        {"check", required_argument, NULL, 'k'}, {"pace-ms", required_argument, NULL, 'm'},
        {"hold", no_argument, NULL, 'h'},        {"spin", no_argument, NULL, 'b'},

        {"trace", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'p': options.paths_file = optarg; break;
        case 'c': options.connections = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 'e': options.each = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 's': options.duration_ns = (int64_t)(atof(optarg) * 1e9); break;
        case 'k': options.check = optarg; break;
        case 'm': options.pace_ns = (int64_t)(atof(optarg) * 1e6); break;
        case 't': options.trace = fopen(optarg, "w"); break;
        case 'h': options.hold = true; break;
        case 'b': options.spin = true; break;
        default: exit(2);
        }
    }
    char *colon = optind + 1 == argc ? strrchr(argv[optind], ':') : NULL;
    if (!colon || !options.paths_file || options.connections == 0 || options.duration_ns <= 0) {
        die("load ADDRESS:PORT --paths FILE ...: see the head of load.c", 0);
    }
    *colon = 0;
    options.address.sin_family = AF_INET;
    options.address.sin_port = htons((uint16_t)option_number(colon + 1, UINT16_MAX));
    if (inet_pton(AF_INET, argv[optind], &options.address.sin_addr) != 1) {
        die("not an IPv4 address", 0);
    }
}

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

static void connect_all(void)
{
    load.connections = calloc(options.connections, sizeof *load.connections);
    char *heads = malloc((size_t)options.connections * HEAD_MAX);
    if (!load.connections || !heads) {
        die("memory", ENOMEM);
    }
    for (uint32_t i = 0; i < options.connections; i++) {
        struct connection *connection = &load.connections[i];
        *connection = (struct connection){.number = i, .head = heads + (size_t)i * HEAD_MAX};
        connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connection->fd < 0 ||
            connect(connection->fd, (struct sockaddr *)&options.address, sizeof options.address) != 0) {
            die("connect", errno);
        }
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        fcntl(connection->fd, F_SETFL, O_NONBLOCK);
        int r = errand_source_receive(load.queue, connection->fd, connection, &connection->source);
        if (r < 0) {
            die("errand_source_receive", -r);
        }
    }
}

static void report(void)
{
    struct rusage usage;
    uint32_t unanswered = 0, finished = 0;
    int64_t now = now_ns();
    for (uint32_t i = 0; i < options.connections; i++) {
        struct connection *connection = &load.connections[i];
        finished += options.each && !connection->path && connection->asked == options.each && connection->source;
        for (; connection->path && unanswered < UINT32_MAX; connection->waiting--) {
            unanswered++;
            if (options.pace_ns) {
                take_time(connection, now);
            }
            connection->due_ns += options.pace_ns;
            if (connection->waiting == 0) {
                break;
            }
        }
    }
    getrusage(RUSAGE_SELF, &usage);
    double seconds = (double)((options.each && load.last_ns ? load.last_ns : now) - load.started_ns) / 1e9;
    const struct histogram *times = &load.times;
    printf("{\"requests\": %llu, \"unanswered\": %u, \"connections\": %u, \"connections_done\": %u, \"seconds\": %.4f, "
           "\"requests_per_s\": %.0f, \"body_bytes\": %llu, \"wrong_status\": %llu, \"wrong_length\": %llu, "
           "\"wrong_body\": %llu, \"closed\": %llu, \"failed\": %llu, \"us_mean\": %.1f, \"us_p50\": %.1f, "
           "\"us_p90\": %.1f, \"us_p99\": %.1f, \"us_p999\": %.1f, \"us_max\": %.1f, \"own_cpu_s\": %.3f}\n",
           (unsigned long long)load.requests, unanswered, options.connections, finished, seconds,
           (double)load.requests / seconds, (unsigned long long)load.bytes, (unsigned long long)load.wrong_status,
           (unsigned long long)load.wrong_length, (unsigned long long)load.wrong_body, (unsigned long long)load.closed,
           (unsigned long long)load.failed, times->count ? (double)times->sum_ns / (double)times->count / 1000 : 0,
           histogram_us(times, 0.5), histogram_us(times, 0.9), histogram_us(times, 0.99), histogram_us(times, 0.999),
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
    read_paths();
    open_queue();
    connect_all();
    load.started_ns = now_ns();
    load.random = 0x9e3779b97f4a7c15 ^ (uint64_t)load.started_ns;
    errand_source *timer;
    if (options.pace_ns) {
        int r = errand_source_timer(load.queue, options.pace_ns, options.pace_ns, NULL, &timer);
        if (r < 0) {
            die("errand_source_timer", -r);
        }
    } else {
        for (uint32_t i = 0; i < options.connections; i++) {
            ask(&load.connections[i], load.started_ns);
        }
    }
    run();
    report();
    for (char byte; options.hold && read(STDIN_FILENO, &byte, 1) > 0;) {
    }
    errand_queue_close(load.queue);
    return load.wrong_status || load.wrong_length || load.wrong_body || load.failed ? 1 : 0;
}
