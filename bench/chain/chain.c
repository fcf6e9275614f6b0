/* SPDX-License-Identifier: MIT */
/* What the programs of bench-chain share; see chain.h. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "chain.h"
#include "../options.h"

void chain_die(const char *what, int error)
{
    fprintf(stderr, "bench-chain: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void cpu_us(int64_t *user, int64_t *system)
{
    struct rusage usage; /* of the whole process, the kernel's io_uring workers and ended threads included */
    getrusage(RUSAGE_SELF, &usage);
    *user = usage.ru_utime.tv_sec * INT64_C(1000000) + usage.ru_utime.tv_usec;
    *system = usage.ru_stime.tv_sec * INT64_C(1000000) + usage.ru_stime.tv_usec;
}

static void read_options(struct chain_bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},
        {"files", required_argument, NULL, 'n'},
        {"flight", required_argument, NULL, 'f'},
        {"seconds", required_argument, NULL, 's'},
        {"variant", required_argument, NULL, 'v'},
        {"batch", required_argument, NULL, 'b'},
        {NULL, 0, NULL, 0},
    };
    *bench = (struct chain_bench){.files = 10000, .flight = 64, .seconds = 1, .variant = ""};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'd': bench->dir = optarg; break;
        case 'n': bench->files = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 'f': bench->flight = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 's': bench->seconds = atof(optarg); break;
        case 'v': bench->variant = optarg; break;
        case 'b': bench->batch = (uint32_t)option_number(optarg, UINT32_MAX); break;
        default: exit(2);
        }
    }
    if (!bench->dir || bench->files == 0 || bench->files > 100000 || bench->flight == 0 || bench->flight > 1024 ||
        bench->seconds <= 0 || bench->batch > bench->flight) {
        chain_die("needs --dir DIR, 1 to 100000 --files, 1 to 1024 in --flight, --seconds, --batch at most --flight",
                  0);
    }
}

void chain_setup(struct chain_bench *bench, int argc, char **argv)
{
    read_options(bench, argc, argv);
    bench->dir_fd = open(bench->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (bench->dir_fd < 0) {
        chain_die(bench->dir, errno);
    }
    bench->paths = calloc(bench->files, sizeof *bench->paths);
    bench->order = calloc(bench->files, sizeof *bench->order);
    if (!bench->paths || !bench->order) {
        chain_die("memory", ENOMEM);
    }
    char buffer[CHAIN_BYTES];
    uint64_t random = 0x9e3779b97f4a7c15 ^ (uint64_t)now_ns();
    for (uint32_t i = 0; i < bench->files; i++) {
        snprintf(bench->paths[i], sizeof bench->paths[i], "d%03u/f%02u", (i / 100) % 1000, i % 100);
        int fd = openat(bench->dir_fd, bench->paths[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            chain_die(bench->paths[i], errno);
        }
        chain_check(bench, i, buffer, read(fd, buffer, sizeof buffer));
        close(fd);
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint32_t other = (uint32_t)(random % (i + 1));
        bench->order[i] = bench->order[other];
        bench->order[other] = i;
    }
    bench->ended = 0;
}

void chain_start(struct chain_bench *bench)
{
    cpu_us(&bench->user_us, &bench->system_us);
    bench->started_ns = now_ns();
    bench->deadline_ns = bench->started_ns + (int64_t)(bench->seconds * 1e9);
}

uint32_t chain_next(struct chain_bench *bench)
{
    if ((bench->begun & 63) == 0 && bench->deadline_ns && now_ns() >= bench->deadline_ns) {
        bench->deadline_ns = 0;
    }
    if (bench->deadline_ns == 0) {
        return CHAIN_NONE;
    }
    bench->begun++;
    uint32_t file = bench->order[bench->position];
    bench->position = bench->position + 1 == bench->files ? 0 : bench->position + 1;
    return file;
}

void chain_check(struct chain_bench *bench, uint32_t file, const void *buffer, int64_t bytes)
{
    uint64_t tag; /* bench/run begins every file with its number */
    memcpy(&tag, buffer, sizeof tag);
    if (bytes != CHAIN_BYTES || tag != file) {
        fprintf(stderr, "bench-chain: %s: %lld bytes, of file %llu\n", bench->paths[file], (long long)bytes,
                (unsigned long long)tag);
        exit(1);
    }
    bench->ended++;
}

void chain_report(struct chain_bench *bench, const char *program)
{
    int64_t user, system, wall = now_ns() - bench->started_ns;
    cpu_us(&user, &system);
    user -= bench->user_us, system -= bench->system_us;
    if (bench->ended != bench->begun) {
        chain_die("not every chain that was begun has ended", 0);
    }
    printf(
        "{\"program\": \"%s\", \"variant\": \"%s\", \"batch\": %u, \"flight\": %u, \"chains\": %llu, \"wall_s\": %.6f, "
        "\"user_s\": %.6f, \"system_s\": %.6f, \"us_per_chain\": %.4f, \"chains_per_cpu_second\": %.0f}\n",
        program, bench->variant, bench->batch, bench->flight, (unsigned long long)bench->ended, (double)wall / 1e9,
        (double)user / 1e6, (double)system / 1e6, (double)(user + system) / (double)bench->ended,
        (double)bench->ended * 1e6 / (double)(user + system));
    close(bench->dir_fd);
    free(bench->paths);
    free(bench->order);
}
