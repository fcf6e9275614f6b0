/* SPDX-License-Identifier: MIT */
/*
 * bench-steps: each kind of step in chains of 4 times the same, 16 chains in flight, and the bare system calls that do
 * the same, one after the other on one thread. Prints for each the nanoseconds of CPU of the whole process:
 *     steps --dir DIR [--seconds S]
 *     {"backend": "uring", "steps": {"stat": {"bare": 270, "ours": 420, "calls": 1}, ...}}
 * What can only be done in pairs (a link can be made once) is measured in pairs. ERRAND_BACKEND chooses the backend.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "errand.h"
#include "steps.h"

#define FLIGHT 16
#define REPEAT 4

_Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "bench-steps: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

static int64_t cpu_ns(void)
{
    struct timespec time; /* all threads, the kernel's io_uring workers among them */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void make_place(struct place *place, int directory, int root, unsigned number)
{
    *place = (struct place){.directory = directory, .root = root};
    snprintf(place->name, sizeof place->name, "file%u", number);
    snprintf(place->other, sizeof place->other, "other%u", number);
    snprintf(place->link, sizeof place->link, "link%u", number);
    place->file = openat(directory, place->name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (place->file < 0 || pwrite(place->file, place->buffer, sizeof place->buffer, 0) < 0)
        die(place->name, errno);
    if (fsync(place->file) < 0 || fsetxattr(place->file, "user.a", "0123456789", 10, 0) < 0)
        die("fsetxattr", errno);
    place->to = openat(directory, "copies", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (place->to < 0 || (symlinkat("somewhere", directory, place->link) < 0 && errno != EEXIST))
        die(place->link, errno);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, place->sockets) < 0)
        die("socketpair", errno);
    place->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    place->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof place->address;
    if (bind(place->listener, (struct sockaddr *)&place->address, length) < 0 || listen(place->listener, 8) < 0 ||
        getsockname(place->listener, (struct sockaddr *)&place->address, &length) < 0)
        die("a listener", errno);
}

/* Runs the bare calls until the time is over. Returns the CPU time of one. */
static double run_bare(const struct kind *kind, struct place *places, double seconds)
{
    int64_t before = cpu_ns(), end = before + (int64_t)(seconds * 1e9);
    uint64_t done = 0;
    while (cpu_ns() < end)
        for (unsigned i = 0; i < FLIGHT; i++)
            for (unsigned n = 0; n < REPEAT; n++, done++)
                if (kind->bare(&places[i]) < 0)
                    die(kind->name, errno);
    return (double)(cpu_ns() - before) / (double)done;
}

static void submit(errand_queue *queue, const struct kind *kind, struct place *place)
{
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        die("errand_chain_new", result);
    for (unsigned n = 0; n < REPEAT; n++)
        kind->append(chain, place);
    struct errand_submit how = {.size = sizeof how, .user_data = place};
    if ((result = errand_submit(chain, &how, NULL)) < 0)
        die(kind->name, result);
}

static double run_ours(errand_queue *queue, const struct kind *kind, struct place *places, double seconds)
{
    struct errand_event events[FLIGHT];
    int64_t before = cpu_ns(), end = before + (int64_t)(seconds * 1e9);
    uint64_t done = 0;
    unsigned running = 0;
    for (; running < FLIGHT; running++)
        submit(queue, kind, &places[running]);
    while (running > 0) {
        int count = errand_queue_wait(queue, events, FLIGHT, ERRAND_FOREVER);
        bool more = cpu_ns() < end;
        for (int i = 0; i < count; i++, done += REPEAT) {
            if (events[i].error)
                die(errand_step_name(events[i].step_kind), events[i].error);
            if (more)
                submit(queue, kind, events[i].user_data);
            else
                running--;
        }
    }
    return (double)(cpu_ns() - before) / (double)done;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'}, {"seconds", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    static struct place places[FLIGHT];
    const char *path = ".";
    double seconds = 0.05;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'd': path = optarg; break;
        case 's': seconds = atof(optarg); break;
        default: return 2;
        }
    }
    errand_queue *queue;
    struct errand_queue_options how = {.size = sizeof how, .chain_steps = 4 * REPEAT};
    int root, directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = errand_queue_open(&queue, &how);
    if (result < 0)
        die("errand_queue_open", result);
    if (directory < 0)
        die(path, errno);
    if ((result = errand_root_add(queue, directory, ERRAND_UNCONFINED, &root)) < 0)
        die("errand_root_add", result);
    for (unsigned i = 0; i < FLIGHT; i++)
        make_place(&places[i], directory, root, i);
    printf("{\"backend\": \"%s\", \"steps\": {", errand_queue_backend(queue));
    for (const struct kind *kind = kinds; kind->name; kind++) {
        run_ours(queue, kind, places, seconds / 10); /* warm */
        double bare = run_bare(kind, places, seconds), ours = run_ours(queue, kind, places, seconds);
        printf("%s\"%s\": {\"bare\": %.1f, \"ours\": %.1f, \"calls\": %u}", kind == kinds ? "" : ", ", kind->name, bare,
               ours, kind->steps);
    }
    printf("}}\n");
    errand_queue_close(queue);
}
