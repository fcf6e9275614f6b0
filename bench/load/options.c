/* SPDX-License-Identifier: MIT */
/* The load generator's command line, which load.c's head describes, and its list of paths. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"

struct options options = {.connections = 64, .duration_ns = ERRAND_SECOND};

static void add_path(const char *path, uint64_t bytes)
{
    static uint32_t room;
    if (options.path_count == room) {
        room = room ? 2 * room : 1024;
        options.paths = realloc(options.paths, room * sizeof *options.paths);
    }
    struct path *new = options.paths ? &options.paths[options.path_count++] : NULL;
    char *text = NULL;
    if (!new || asprintf(&text, "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", path,
                         options.connection_each ? "Connection: close\r\n" : "") < 0) {
        die("memory", ENOMEM);
    }
    *new = (struct path){.request = text, .request_length = strlen(text), .path = strdup(path), .bytes = bytes};
}

static void read_paths(void)
{
    FILE *file = fopen(options.paths_file, "r");
    char line[4096], path[4000];
    unsigned long long bytes;
    if (!file) {
        die(options.paths_file, errno);
    }
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%3999s %llu", path, &bytes) != 2) {
            die("a line of --paths is not \"PATH BYTES\"", 0);
        }
        add_path(path, bytes);
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

void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"paths", required_argument, NULL, 'p'}, {"connections", required_argument, NULL, 'c'},
        {"each", required_argument, NULL, 'e'},  {"seconds", required_argument, NULL, 's'},
        {"check", required_argument, NULL, 'k'}, {"rate", required_argument, NULL, 'r'},
        {"trace", required_argument, NULL, 't'}, {"connection-each", no_argument, NULL, 'n'},
        {"wait", no_argument, NULL, 'w'},        {"hold", no_argument, NULL, 'h'},
        {"spin", no_argument, NULL, 'b'},        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'p': options.paths_file = optarg; break;
        case 'c': options.connections = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 'e': options.each = (uint32_t)option_number(optarg, UINT32_MAX); break;
        case 's': options.duration_ns = (int64_t)(strtod(optarg, NULL) * 1e9); break;
        case 'k': options.check = optarg; break;
        case 'r': options.rate = strtod(optarg, NULL); break;
        case 't': options.trace = fopen(optarg, "w"); break;
        case 'n': options.connection_each = true; break;
        case 'w': options.wait = true; break;
        case 'h': options.hold = true; break;
        case 'b': options.spin = true; break;
        default: exit(2);
        }
    }
    if (optind + 1 != argc || !options.paths_file || options.connections == 0 || options.duration_ns <= 0 ||
        !(options.rate >= 0) || (options.each && (options.rate > 0 || options.connection_each))) {
        die("load ADDRESS:PORT --paths FILE ...: see the head of load.c", 0);
    }
    read_address(argv[optind]);
    read_paths();
}
