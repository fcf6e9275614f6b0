/* SPDX-License-Identifier: MIT */
/* errand serve: options. Most of them are keys of the configuration file by another name, and go before it. */
#include "cli.h"
#include "server/server.h"
#include "server/operation/supervisor.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: errand serve [OPTION]... [DIR]\n"
    "Serves the files of DIR (by default: of the current directory) by HTTP and FTP.\n"
    "\n"
    "  --http ADDR:PORT|[IPV6]:PORT|unix:PATH|off\n"
    "                             where to listen (default 127.0.0.1:8080; port 0 takes a free one); may be repeated\n"
    "  --ftp ADDR:PORT|[IPV6]:PORT|off\n"
    "                             the same for FTP (default 127.0.0.1:2121)\n"
    "  -b ADDR, --bind ADDR       only the address, of HTTP\n"
    "  -p PORT, --port PORT       only the port\n"
    "  -d DIR, --directory DIR    the directory\n"
    "  -c FILE, --config FILE     read the configuration from FILE: errand.conf(5); options go before it\n"
    "  -t, --test                 only look whether FILE and the options are right\n"
    "  --show-config              only write what FILE and the options come to, as such a file\n"
    "\n"
    "  --listing, --no-listing    list directories that have no index.html, or not (default)\n"
    "  --hidden                   serve names that begin with a dot, too\n"
    "  --writable                 let clients change files: PUT, DELETE, MKCOL, MOVE, COPY\n"
    "  --precompressed            serve FILE.zst, FILE.br, FILE.gz for FILE to who takes them\n"
    "  --spa FILE                 a path that does not exist gets FILE: single-page applications\n"
    "  --cors ORIGIN              scripts of this origin may read replies; * for all; may be repeated\n"
    "  --cache SIZE|off           memory for small files (default 64M)\n"
    "  --rate SIZE                bytes a second to one connection\n"
    "\n"
    "  --access-log FILE|-        a line for each request\n"
    "  --log-format combined|json of these lines (default combined; json has FTP's commands, too)\n"
    "  --transfer-log FILE|-      a line for each transfer of FTP, as xferlog(5) has it\n"
    "  --status ADDR:PORT         metrics and health there\n"
    "  --user NAME                who to become after the start as root\n"
    "  --landlock yes|no|auto     give up the right to files that are not served (default auto: where the kernel can)\n"
    "  --seccomp yes|no           give up system calls that serving does not take (default no)\n"
    "  --stop-within TIME         at most so long for what is under way when it ends (default 10s)\n"
    "  --backend auto|uring|threads\n"
    "                             how input and output are done (default auto: the best that works)\n"
    "  --threads N                queues, with a thread each (default: one for each core)\n"
    "  -V, --version              print the version\n"
    "  -h, --help                 print this\n"
    "\n"
    "SIGINT or SIGTERM ends it: what is under way is finished, within that time or until the second signal.\n"
    "SIGUSR1: the logs were renamed; what is written from now on goes to new ones.\n";

enum { OPTION_SPA = 256, OPTION_SHOW, OPTION_KEYS };

/* Options that are a key's. Their codes in long_options count from OPTION_KEYS on. */
static const struct key_option {
    const char *name, *section, *key;
    const char *value; /* of one without an argument */
} key_options[] = {
    {"http", "Server", "Listen", NULL},       {"ftp", "Ftp", "Listen", NULL},
    {"backend", "Server", "Backend", NULL},   {"threads", "Server", "Threads", NULL},
    {"cache", "Server", "Cache", NULL},       {"user", "Server", "User", NULL},
    {"landlock", "Server", "Landlock", NULL}, {"seccomp", "Server", "Seccomp", NULL},
    {"status", "Status", "Listen", NULL},     {"access-log", "Log", "Access", NULL},
    {"log-format", "Log", "Format", NULL},    {"transfer-log", "Log", "Transfers", NULL},
    {"rate", "Limits", "Rate", NULL},         {"stop-within", "Limits", "StopTimeout", NULL},
    {"cors", "Path", "AllowOrigin", NULL},    {"listing", "Host", "Listing", "yes"},
    {"no-listing", "Host", "Listing", "no"},  {"hidden", "Host", "Hidden", "yes"},
    {"writable", "Host", "Writable", "yes"},  {"precompressed", "Host", "Precompressed", "yes"},
};

enum { KEY_OPTIONS = sizeof key_options / sizeof key_options[0], OWN_OPTIONS = 9 };

static const struct option own_options[OWN_OPTIONS] = {
    {"spa", required_argument, NULL, OPTION_SPA},
    {"bind", required_argument, NULL, 'b'},
    {"port", required_argument, NULL, 'p'},
    {"directory", required_argument, NULL, 'd'},
    {"config", required_argument, NULL, 'c'},
    {"test", no_argument, NULL, 't'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {"show-config", no_argument, NULL, OPTION_SHOW},
};

/* What the command line says, before it is applied: the file comes first, wherever it is named. */
struct command_line {
    struct config *config; /* that the options are applied to */
    char **arguments;      /* of the program, as they were given */
    const char *file, *bind, *port, *directory;
    bool test, show;
    unsigned count;
    struct {
        int option;
        const char *value;
    } given[]; /* in order */
};

static int bad(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "errand serve: %s '%s': %s\n", option, value, wanted);
    return EXIT_USAGE;
}

static int set(struct command_line *line, const char *option, const char *section, const char *key, const char *value)
{
    char why[512];
    return config_set(line->config, section, key, value, why, sizeof why) ? 0 : bad(option, value, why);
}

/* The path of a file in the directory, with or without its slash. */
static int set_spa(struct command_line *line, const char *value)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s%s", value[0] == '/' ? "" : "/", value);
    if (length >= (int)sizeof path || length < 2)
        return bad("--spa", value, "want the name of a file in the directory, as in index.html");
    return set(line, "--spa", "Host", "Fallback", path);
}

static int set_key(struct command_line *line, const struct key_option *option, const char *value)
{
    char name[32];
    snprintf(name, sizeof name, "--%s", option->name);
    return set(line, name, option->section, option->key, option->value ? option->value : value);
}

static int apply_option(struct command_line *line, int option, const char *value)
{
    switch (option) {
    case OPTION_SPA: return set_spa(line, value);
    default: return set_key(line, &key_options[option - OPTION_KEYS], value);
    }
}

/* The last address that has a port: one of --http, or else of the file. NULL: there is none, and no memory for one. */
static struct listen_address *address_to_change(struct command_line *line)
{
    struct config_addresses *http = &line->config->http;
    for (unsigned i = http->count; i > 0; i--)
        if (!listen_is_local(&http->list[i - 1]))
            return &http->list[i - 1];
    return set(line, "-p", "Server", "Listen", "127.0.0.1:8080") == 0 ? &http->list[http->count - 1] : NULL;
}

static int apply_address(struct command_line *line)
{
    if (line->bind == NULL && line->port == NULL)
        return 0;
    struct listen_address *address = address_to_change(line);
    if (address == NULL)
        return EXIT_BAD;
    if (line->bind != NULL && !listen_address_set_host(address, line->bind, strlen(line->bind)))
        return bad("-b", line->bind, "want an address in digits, as 127.0.0.1 or ::1 (0.0.0.0: all of this machine)");
    if (line->port != NULL && !listen_address_set_port(address, line->port))
        return bad("-p", line->port, "want a port from 1 to 65535, or 0 for a free one");
    return 0;
}

/* Everything that was given, on top of what the file says. */
static int apply(struct command_line *line)
{
    for (unsigned i = 0; i < line->count; i++) {
        int error = apply_option(line, line->given[i].option, line->given[i].value);
        if (error)
            return error;
    }
    int error = apply_address(line);
    if (error == 0 && line->directory != NULL)
        error = set(line, "directory", "Host", "Directory", line->directory);
    return error;
}

/* What the file and the options come to, or NULL; *code: why. */
static struct config *load(struct command_line *line, int *code)
{
    char why[1024];
    struct config *config = line->config = config_new();
    *code = EXIT_USAGE;
    if (config == NULL) {
        fprintf(stderr, "errand serve: out of memory\n");
        *code = EXIT_BAD;
        return NULL;
    }
    bool good = line->file == NULL || config_read(config, line->file, why, sizeof why);
    if (good && (*code = apply(line)) != 0) {
        config_free(config);
        return NULL;
    }
    if (good && config_finish(config, why, sizeof why) && (!line->test || config_check_files(config, why, sizeof why)))
        return config;
    fprintf(stderr, "errand serve: %s\n", why);
    *code = EXIT_USAGE;
    config_free(config);
    return NULL;
}

static struct config *load_line(void *line, int *code)
{
    return load(line, code);
}

/* A file is what a service has, and what can be read again: it gets a supervisor. */
static int supervise(struct command_line *line)
{
    struct supervisor_options options = {.load = load_line, .context = line, .arguments = line->arguments};
    return supervisor_run(&options);
}

static int run(struct command_line *line)
{
    int code;
    if (line->test && line->file == NULL) {
        fprintf(stderr, "errand serve: -t tests a file; name it with -c FILE\n");
        return EXIT_USAGE;
    }
    if (line->file != NULL && !line->test && !line->show)
        return supervise(line);
    struct config *config = load(line, &code);
    if (config == NULL)
        return code;
    if (line->show)
        config_dump(config, stdout);
    else if (line->test)
        printf("%s: ok\n", line->file);
    code = line->test || line->show ? cli_finish_output() : server_run(config);
    config_free(config);
    return code;
}

/* Notes one option. Returns 0, or -1 for one that is wrong. */
static int note(struct command_line *line, int option, const char *value)
{
    switch (option) {
    case '?': fprintf(stderr, "errand serve --help shows the options\n"); return -1;
    case 'b': line->bind = value; break;
    case 'p': line->port = value; break;
    case 'd': line->directory = value; break;
    case 't': line->test = true; break;
    case OPTION_SHOW: line->show = true; break;
    case 'c':
        if (line->file != NULL) {
            fprintf(stderr, "errand serve: one configuration, please: '%s' and '%s' were given\n", line->file, value);
            return -1;
        }
        line->file = value;
        break;
    default: line->given[line->count].option = option; line->given[line->count++].value = value;
    }
    return 0;
}

static int read_options(struct command_line *line, int argc, char **argv)
{
    struct option options[OWN_OPTIONS + KEY_OPTIONS + 1] = {0};
    memcpy(options, own_options, sizeof own_options);
    for (int i = 0; i < KEY_OPTIONS; i++)
        options[OWN_OPTIONS + i] = (struct option){
            key_options[i].name, key_options[i].value ? no_argument : required_argument, NULL, OPTION_KEYS + i};
    int option;
    while ((option = getopt_long(argc, argv, "hVp:b:d:c:t", options, NULL)) != -1) {
        switch (option) {
        case 'h': fputs(usage, stdout); return cli_finish_output();
        case 'V': printf("errand %s\n", errand_version()); return cli_finish_output();
        default:
            if (note(line, option, optarg) != 0)
                return EXIT_USAGE;
        }
    }
    if (argc - optind > 1) {
        fprintf(stderr, "errand serve: one directory, please: '%s' and '%s' were given\n", argv[optind],
                argv[optind + 1]);
        return EXIT_USAGE;
    }
    if (optind < argc)
        line->directory = argv[optind];
    return run(line);
}

/* The whole command, before getopt moves its words. */
static bool keep_arguments(struct command_line *line, int argc, char **argv)
{
    static char program[] = "errand";
    line->arguments = calloc((size_t)argc + 2, sizeof *line->arguments);
    if (line->arguments == NULL)
        return false;
    line->arguments[0] = program;
    memcpy(line->arguments + 1, argv, (size_t)argc * sizeof *argv);
    return true;
}

static int serve_as_asked(int argc, char **argv)
{
    static char name[] = "errand serve"; /* for getopt's messages */
    struct command_line *line = calloc(1, sizeof *line + (size_t)argc * sizeof line->given[0]);
    int code = EXIT_BAD;
    if (line == NULL || !keep_arguments(line, argc, argv)) {
        fprintf(stderr, "errand serve: out of memory\n");
    } else {
        argv[0] = name;
        code = read_options(line, argc, argv);
        free(line->arguments);
    }
    free(line);
    return code;
}

int cli_serve(int argc, char **argv)
{
    int code;
    return server_run_supervised(&code) ? code : serve_as_asked(argc, argv);
}
