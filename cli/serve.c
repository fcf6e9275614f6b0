/* SPDX-License-Identifier: MIT */
/* errand serve: options. */
#include "cli.h"
#include "server/server.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: errand serve [OPTION]... [DIR]\n"
    "Serves the files of DIR (by default: of the current directory) by HTTP.\n"
    "\n"
    "  --http ADDR:PORT|[IPV6]:PORT|off    where to listen (default 127.0.0.1:8080; port 0 takes a free one)\n"
    "  -b ADDR, --bind ADDR                only the address\n"
    "  -p PORT, --port PORT                only the port\n"
    "  -d DIR, --directory DIR             the directory\n"
    "  --access-log FILE|-                 write a line for each request to FILE (-: standard output)\n"
    "  --log-format combined|json          how such a line looks (default combined, as of Apache and nginx)\n"
    "  --status ADDR:PORT|[IPV6]:PORT      metrics, health and a live page about the server, by HTTP\n"
    "  --ftp off                           no FTP (there is none in this version)\n"
    "  --backend auto|uring|threads        how input and output are done (default auto: the best that works)\n"
    "  --threads N                         queues, with a thread each (default: one for each core)\n"
    "  -V, --version                       print the version\n"
    "  -h, --help                          print this\n"
    "\n"
    "SIGINT or SIGTERM ends it: what is under way is finished, within 10 seconds or until the second signal.\n"
    "SIGUSR1: the access log was renamed; what is written from now on goes to a new one.\n";

enum { OPTION_HTTP = 256, OPTION_FTP, OPTION_BACKEND, OPTION_THREADS, OPTION_LOG, OPTION_LOG_FORMAT, OPTION_STATUS };

static const struct option long_options[] = {
    {"http", required_argument, NULL, OPTION_HTTP},
    {"access-log", required_argument, NULL, OPTION_LOG},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"status", required_argument, NULL, OPTION_STATUS},
    {"ftp", required_argument, NULL, OPTION_FTP},
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"bind", required_argument, NULL, 'b'},
    {"port", required_argument, NULL, 'p'},
    {"directory", required_argument, NULL, 'd'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int bad(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "errand serve: %s '%s': %s\n", option, value, wanted);
    return EXIT_USAGE;
}

static int set_http(struct server_options *options, const char *value)
{
    if (strcmp(value, "off") == 0) {
        options->http.length = 0;
        return 0;
    }
    if (!listen_address_read(&options->http, value))
        return bad("--http", value, "want ADDR:PORT, [IPV6]:PORT or off, as in 127.0.0.1:8080 or [::1]:8080");
    return 0;
}

static int set_backend(struct server_options *options, const char *value)
{
    static const char *const names[] = {"auto", "uring", "threads"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            options->backend = (enum errand_backend)i;
            return 0;
        }
    }
    return bad("--backend", value, "want auto, uring or threads");
}

static int set_threads(struct server_options *options, const char *value)
{
    unsigned number = 0;
    for (const char *at = value; *at; at++) {
        if (*at < '0' || *at > '9' || number > SERVER_THREADS_MAX)
            number = SERVER_THREADS_MAX + 1;
        else
            number = number * 10 + (unsigned)(*at - '0');
    }
    if (number < 1 || number > SERVER_THREADS_MAX)
        return bad("--threads", value, "want a number from 1 to 256");
    options->threads = number;
    return 0;
}

/* One option. Returns 0, or EXIT_USAGE after having said why. */
static int set_option(struct server_options *options, int option, const char *value)
{
    switch (option) {
    case OPTION_HTTP: return set_http(options, value);
    case OPTION_FTP:
        return strcmp(value, "off") == 0 ? 0 : bad("--ftp", value, "FTP is not in this version; only 'off' is");
    case OPTION_BACKEND: return set_backend(options, value);
    case OPTION_THREADS: return set_threads(options, value);
    case OPTION_LOG: options->access_log = value; return 0;
    case OPTION_LOG_FORMAT:
        options->log_format = strcmp(value, "json") == 0 ? ACCESS_JSON : ACCESS_COMBINED;
        return options->log_format == ACCESS_JSON || strcmp(value, "combined") == 0
                   ? 0
                   : bad("--log-format", value, "want combined or json");
    case OPTION_STATUS:
        if (!listen_address_read(&options->status, value))
            return bad("--status", value, "want ADDR:PORT or [IPV6]:PORT, as in 127.0.0.1:9090");
        return 0;
    case 'b':
        if (!listen_address_set_host(&options->http, value, strlen(value)))
            return bad("-b", value, "want an address in digits, as 127.0.0.1 or ::1 (0.0.0.0: all of this machine)");
        return 0;
    case 'p':
        if (options->http.length == 0 || !listen_address_set_port(&options->http, value))
            return bad("-p", value, "want a port from 1 to 65535, or 0 for a free one");
        return 0;
    default: options->directory = value; return 0;
    }
}

static int check(const struct server_options *options)
{
    if (options->http.length == 0) {
        fprintf(stderr, "errand serve: --http off and no FTP: there is nothing to serve with\n");
        return EXIT_USAGE;
    }
    return 0;
}

int cli_serve(int argc, char **argv)
{
    struct server_options options = {.directory = "."};
    listen_address_read(&options.http, "127.0.0.1:8080");
    static char name[] = "errand serve"; /* for getopt's messages */
    argv[0] = name;
    int option;
    while ((option = getopt_long(argc, argv, "hVp:b:d:", long_options, NULL)) != -1) {
        switch (option) {
        case 'h': fputs(usage, stdout); return cli_finish_output();
        case 'V': printf("errand %s\n", errand_version()); return cli_finish_output();
        case '?': fprintf(stderr, "errand serve --help shows the options\n"); return EXIT_USAGE;
        default:
            if (set_option(&options, option, optarg) != 0)
                return EXIT_USAGE;
        }
    }
    if (argc - optind > 1) {
        fprintf(stderr, "errand serve: one directory, please: '%s' and '%s' were given\n", argv[optind],
                argv[optind + 1]);
        return EXIT_USAGE;
    }
    if (optind < argc)
        options.directory = argv[optind];
    int error = check(&options);
    return error ? error : server_run(&options);
}
