/* SPDX-License-Identifier: MIT */
/* The FTP load generator's command line, which load.c's head describes, and its list of paths. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"

struct options options = {.sessions = 64, .duration_ns = SECOND, .patience_ns = 60 * SECOND};

static void read_paths(void)
{
    FILE *file = fopen(options.paths_file, "r");
    char path[4000];
    unsigned long long bytes;
    uint32_t room = 0;
    if (!file) {
        die(options.paths_file, errno);
    }
    for (int found; (found = fscanf(file, "%3999s %llu\n", path, &bytes)) != EOF;) {
        if (options.path_count == room) {
            room = room ? 2 * room : 1024;
            options.paths = realloc(options.paths, room * sizeof *options.paths);
        }
        if (found != 2 || !options.paths) {
            die("a line of --paths is not \"PATH BYTES\", or there are too many", 0);
        }
        options.paths[options.path_count++] = (struct path){.name = strdup(path), .bytes = bytes};
    }
    fclose(file);
    if (options.path_count == 0) {
        die("no paths", 0);
    }
}

static void read_address(char *text)
{
    char *colon = strrchr(text, ':');
    if (!colon) {
        die("not ADDRESS:PORT", 0);
    }
    *colon = 0;
    options.address.sin_family = AF_INET;
    options.address.sin_port = htons((uint16_t)option_number(colon + 1, UINT16_MAX));
    if (inet_pton(AF_INET, text, &options.address.sin_addr) != 1) {
        die("not an IPv4 address", 0);
    }
}

static int64_t nanoseconds(const char *text)
{
    return (int64_t)(strtod(text, NULL) * 1e9);
}

void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"paths", required_argument, NULL, 'p'},
        {"sessions", required_argument, NULL, 'n'},
        {"each", required_argument, NULL, 'e'},
        {"seconds", required_argument, NULL, 's'},
        {"check", required_argument, NULL, 'c'},
        {"rate", required_argument, NULL, 'r'},
        {"trace", required_argument, NULL, 't'},
        {"patience", required_argument, NULL, 'P'},
        {"keep", no_argument, NULL, 'k'},
        {"list", no_argument, NULL, 'l'},
        {"store", no_argument, NULL, 'S'},
        {"spin", no_argument, NULL, 'b'},
        {"wait", no_argument, NULL, 'w'},
        {"warm", no_argument, NULL, 'W'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'p': options.paths_file = optarg; break;
        case 'n': options.sessions = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 'e': options.each = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 's': options.duration_ns = nanoseconds(optarg); break;
        case 'c': options.check = optarg; break;
        case 'r': options.rate = strtod(optarg, NULL); break;
        case 't': options.trace = fopen(optarg, "w"); break;
        case 'P': options.patience_ns = nanoseconds(optarg); break;
        case 'k': options.keep = true; break;
        case 'l': options.list = true; break;
        case 'S': options.store = true; break;
        case 'b': options.spin = true; break;
        case 'w': options.wait = true; break;
        case 'W': options.warm = true; break;
        default: exit(2);
        }
    }
    if (optind + 1 != argc || !options.paths_file || options.sessions == 0 || (options.wait && !options.keep) ||
        (options.rate > 0 && !options.wait)) {
        die("usage: ftp-load ADDRESS:PORT --paths FILE [...]; see bench/ftp/load.c", 0);
    }
    read_address(argv[optind]);
    read_paths();
}
