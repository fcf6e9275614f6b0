/* SPDX-License-Identifier: MIT */
/*
 * bench-stall: what a deadline is worth on a mount that hangs for good. In each of --waves waves it begins --chains
 * chains that read files on the hung mount, each with a deadline, and measures how late their events come. Meanwhile a
 * timer runs every 5 ms, and at each of its ticks a file on a healthy device is read: both are measured as well.
 *
 *     deadline ROOT HUNG HEALTHY [--chains N] [--waves N] [--deadline-ms N]
 *
 * HUNG is a directory and HEALTHY a file, both beneath ROOT. It prints a line of JSON, waits for a line on standard
 * input (bench/run lets the mount go meanwhile) and then prints, in another, what is still stuck in the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "errand.h"
#include "../options.h"

#define TICK (5 * ERRAND_MILLISECOND)

struct hung {
    int64_t due_ns;
    char buffer[4096];
};

static struct {
    const char *directory, *healthy_path;
    uint32_t chains, waves;
    int64_t deadline_ns;
} options = {.chains = 64, .waves = 3, .deadline_ns = 200 * ERRAND_MILLISECOND};

static struct {
    errand_queue *queue;
    int root;
    struct hung *hung;
    uint32_t left, ended, timed_out, refused, early;
    int64_t latest_ns, tick_due_ns, tick_latest_ns, healthy_begun_ns, healthy_slowest_ns;
    uint32_t healthy, healthy_errors, ticks, threads_most, stuck_most;
    uint64_t memory_most;
    char healthy_buffer[4096];
} run;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * ERRAND_SECOND + now.tv_nsec;
}

static _Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "deadline: %s: %s\n", what, strerror(error));
    exit(1);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void begin_wave(void)
{
    for (uint32_t i = 0; i < options.chains; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/d%02u/f%04u", options.directory, i % 16, i); /* as slowfs names them */
        struct errand_read_file job = {
            .size = sizeof job,
            .dir_fd = run.root,
            .path = path,
            .buffer = run.hung[i].buffer,
            .length = sizeof run.hung[i].buffer,
            .timeout_ns = options.deadline_ns + i * ERRAND_MILLISECOND,
            .user_data = &run.hung[i],
        };
        run.hung[i].due_ns = now_ns() + job.timeout_ns;
        int r = errand_read_file(run.queue, &job, NULL);
        if (r < 0) {
            die("errand_read_file", -r);
        }
    }
    run.left = options.chains;
}

static void tick(void)
{
    int64_t now = now_ns();
    run.tick_latest_ns = later(run.tick_latest_ns, now - run.tick_due_ns);
    run.tick_due_ns += TICK;
    while (run.tick_due_ns <= now) {
        run.tick_due_ns += TICK;
    }
    run.ticks++;
    struct errand_stats stats = {.size = sizeof stats};
    errand_queue_stats(run.queue, &stats);
    run.threads_most = stats.threads > run.threads_most ? stats.threads : run.threads_most;
    run.stuck_most = stats.stuck > run.stuck_most ? stats.stuck : run.stuck_most;
    run.memory_most = stats.transfer_bytes > run.memory_most ? stats.transfer_bytes : run.memory_most;
    if (run.healthy_begun_ns == 0) {
        struct errand_read_file job = {
            .size = sizeof job,
            .dir_fd = run.root,
            .path = options.healthy_path,
            .buffer = run.healthy_buffer,
            .length = sizeof run.healthy_buffer,
        };
        run.healthy_begun_ns = now;
        int r = errand_read_file(run.queue, &job, NULL);
        if (r < 0) {
            die("errand_read_file", -r);
        }
    }
}

static void ended(const struct errand_event *event)
{
    int64_t now = now_ns();
    struct hung *hung = event->user_data;
    if (!hung) {
        run.healthy_slowest_ns = later(run.healthy_slowest_ns, now - run.healthy_begun_ns);
        run.healthy_begun_ns = 0;
        run.healthy++;
        run.healthy_errors += event->error != 0;
        return;
    }
    run.left--;
    run.ended++;
    run.timed_out += event->error == -ETIMEDOUT;
    run.refused += event->error != -ETIMEDOUT;
    run.early += now < hung->due_ns;
    run.latest_ns = later(run.latest_ns, now - hung->due_ns);
}

static void wait_events(int64_t timeout_ns)
{
    struct errand_event events[64];
    int count = errand_queue_wait(run.queue, events, 64, timeout_ns);
    if (count < 0) {
        die("errand_queue_wait", -count);
    }
    for (int i = 0; i < count; i++) {
        events[i].kind == ERRAND_EVENT_TIMER ? tick() : ended(&events[i]);
    }
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"chains", required_argument, NULL, 'c'},
        {"waves", required_argument, NULL, 'w'},
        {"deadline-ms", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'c': options.chains = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 'w': options.waves = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 'd': options.deadline_ns = option_number(optarg, INT32_MAX) * ERRAND_MILLISECOND; break;
        default: exit(2);
        }
    }
    if (optind + 3 != argc || options.chains == 0) {
        fprintf(stderr, "deadline ROOT HUNG HEALTHY [--chains N] [--waves N] [--deadline-ms N]\n");
        exit(2);
    }
    options.directory = argv[optind + 1];
    options.healthy_path = argv[optind + 2];
    int fd = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = errand_queue_open(&run.queue, NULL);
    if (fd < 0 || r < 0) {
        die("could not begin", fd < 0 ? errno : -r);
    }
    r = errand_root_add(run.queue, fd, 0, &run.root);
    if (r < 0) {
        die("errand_root_add", -r);
    }
    close(fd);
}

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    run.hung = calloc(options.chains, sizeof *run.hung);
    errand_source *timer;
    int r = run.hung ? errand_source_timer(run.queue, TICK, TICK, NULL, &timer) : -ENOMEM;
    if (r < 0) {
        die("errand_source_timer", -r);
    }
    run.tick_due_ns = now_ns() + TICK;
    for (uint32_t wave = 0; wave < options.waves; wave++) {
        for (begin_wave(); run.left > 0;) {
            wait_events(ERRAND_FOREVER);
        }
    }
    printf("{\"backend\": \"%s\", \"chains\": %u, \"timed_out\": %u, \"other_errors\": %u, \"early\": %u, "
           "\"latest_ms\": %.3f, \"timer_latest_ms\": %.3f, \"healthy_reads\": %u, \"healthy_errors\": %u, "
           "\"healthy_slowest_ms\": %.3f, \"threads_most\": %u, \"stuck_most\": %u, \"transfer_bytes_most\": %llu}\n",
           errand_queue_backend(run.queue), run.ended, run.timed_out, run.refused, run.early, ms(run.latest_ns),
           ms(run.tick_latest_ns), run.healthy, run.healthy_errors, ms(run.healthy_slowest_ns), run.threads_most,
           run.stuck_most, (unsigned long long)run.memory_most);
    fflush(stdout);
    errand_source_stop(timer);
    char line[16];
    if (!fgets(line, sizeof line, stdin)) {
        return 1;
    }
    struct errand_stats stats = {.size = sizeof stats};
    for (int64_t begun = now_ns(); now_ns() < begun + 5 * ERRAND_SECOND;) {
        wait_events(20 * ERRAND_MILLISECOND);
        errand_queue_stats(run.queue, &stats);
        if (stats.stuck == 0 && stats.descriptors == 0 && stats.operations == 0) {
            break;
        }
    }
    int left = errand_queue_close(run.queue);
    printf(
        "{\"stuck\": %u, \"descriptors\": %u, \"operations\": %u, \"transfer_bytes\": %llu, \"left_by_close\": %d}\n",
        stats.stuck, stats.descriptors, stats.operations, (unsigned long long)stats.transfer_bytes, left);
    free(run.hung);
    return stats.stuck || stats.descriptors || left;
}
