/* SPDX-License-Identifier: MIT */
#include "tree.h"
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OPTION_JSON = 256, OPTION_BACKEND, OPTION_WORKERS, OPTION_PARALLEL, OPTION_STOP };

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"parallel", required_argument, NULL, OPTION_PARALLEL},
    {"stop", no_argument, NULL, OPTION_STOP},
    {"quiet", no_argument, NULL, 'q'},
    {"no-target-directory", no_argument, NULL, 'T'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool read_number(const char *text, unsigned most, unsigned *out)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *out = (unsigned)number;
    return *text >= '0' && *text <= '9' && *end == 0 && errno == 0 && number >= 1 && number <= most;
}

static bool read_backend(const char *text, enum errand_backend *out)
{
    static const char *const names[] = {"auto", "uring", "threads"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum errand_backend)i;
            return true;
        }
    }
    return false;
}

static int bad(const struct cli_tree *tree, const char *option, const char *wanted)
{
    fprintf(stderr, "%s: --%s '%s': want %s\n", tree->name, option, optarg, wanted);
    return -EXIT_USAGE - 1;
}

static int set_option(struct cli_tree *tree, int option)
{
    switch (option) {
    case OPTION_JSON: tree->json = true; return 0;
    case OPTION_STOP: tree->stop = true; return 0;
    case 'q': tree->quiet = true; return 0;
    case 'T': tree->no_directory = true; return 0;
    case OPTION_BACKEND:
        return read_backend(optarg, &tree->backend) ? 0 : bad(tree, "backend", "auto, uring or threads");
    case OPTION_WORKERS:
        return read_number(optarg, 256, &tree->workers) ? 0 : bad(tree, "workers", "a number from 1 to 256");
    case OPTION_PARALLEL:
        return read_number(optarg, 2048, &tree->parallel) ? 0 : bad(tree, "parallel", "a number from 1 to 2048");
    case 'h': fputs(tree->usage, stdout); return -cli_finish_output() - 1;
    case 'V': printf("errand %s\n", errand_version()); return -cli_finish_output() - 1;
    default: fprintf(stderr, "%s --help shows the options\n", tree->name); return -EXIT_USAGE - 1;
    }
}

int cli_tree_options(struct cli_tree *tree, int argc, char **argv, const char *letters)
{
    static char name[32]; /* for getopt's messages */
    snprintf(name, sizeof name, "%s", tree->name);
    argv[0] = name;
    int option;
    while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        int result = set_option(tree, option);
        if (result < 0)
            return result;
    }
    return optind;
}

int cli_tree_open(struct cli_tree *tree)
{
    /* Each directory that is open takes two: deep trees need more than the 1024 that are usual. */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    char why[200] = "";
    struct errand_queue_options options = {.size = sizeof options,
                                           .backend = tree->backend,
                                           .lane_workers = tree->workers,
                                           .workers = tree->workers,
                                           .chains = 65536,
                                           .why = why,
                                           .why_size = sizeof why};
    int result = errand_queue_open(&tree->queue, &options);
    if (result == 0)
        return 0;
    fprintf(stderr, "%s: cannot open a queue: %s (%s)\n", tree->name, strerror(-result), why);
    return EXIT_BAD;
}

/* A JSON string. Bytes that are no UTF-8 would be no JSON: all that are not ASCII are written as \udcXX, as Python's
 * surrogateescape has them, unless they are UTF-8. */
static size_t utf8_length(const unsigned char *at)
{
    size_t length = 0;
    if (*at < 0x80)
        length = 1;
    else if (*at >= 0xc2 && *at < 0xf5)
        length = *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool odd = length == 3 && ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f));
    odd = odd || (length == 4 && ((*at == 0xf0 && at[1] < 0x90) || (*at == 0xf4 && at[1] > 0x8f)));
    return odd ? 0 : length;
}

static void put_json_string(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    putchar('"');
    while (*at) {
        size_t length = utf8_length(at);
        if (length == 0)
            printf("\\udc%02x", *at);
        else if (*at == '"' || *at == '\\' || *at < 0x20 || *at == 0x7f)
            printf("\\u%04x", *at);
        else
            fwrite(at, 1, length, stdout);
        at += length ? length : 1;
    }
    putchar('"');
}

static void put_figures(struct cli_tree *tree, const char *state)
{
    errand_tree_update(tree->queue, &tree->progress);
    const struct errand_tree_progress *p = &tree->progress;
    printf("{\"state\": \"%s\", \"seconds\": %.3f, \"files\": %" PRIu64 ", \"directories\": %" PRIu64
           ", \"bytes\": %" PRIu64 ", \"errors\": %" PRIu64 "}\n",
           state, (double)(errand_queue_now(tree->queue) - tree->began) / 1e9, p->files, p->directories,
           p->bytes + p->moving, p->errors);
    fflush(stdout);
}

static void amount(char *out, size_t size, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    unsigned unit = 0;
    for (; bytes >= 1024 && unit < 5; unit++)
        bytes /= 1024;
    snprintf(out, size, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

/* How much there will be is not known: that would take another walk. So the bar says what moves, not what is left. */
static void draw(struct cli_tree *tree)
{
    static const char *const bar[] = {"[=>        ]", "[  =>      ]", "[    =>    ]", "[      =>  ]", "[        =>]"};
    errand_tree_update(tree->queue, &tree->progress);
    const struct errand_tree_progress *p = &tree->progress;
    double seconds = (double)(errand_queue_now(tree->queue) - tree->began) / 1e9;
    char bytes[32] = "", rate[32] = "";
    amount(bytes, sizeof bytes, (double)(p->bytes + p->moving));
    amount(rate, sizeof rate, seconds > 0 ? (double)(p->bytes + p->moving) / seconds : 0);
    fprintf(stderr, "\r%s %" PRIu64 " files, %" PRIu64 " directories", bar[(unsigned)(seconds * 5) % 5], p->files,
            p->directories);
    if (p->bytes + p->moving)
        fprintf(stderr, ", %s, %s/s", bytes, rate);
    fprintf(stderr, "%s\033[K", p->errors ? ", with errors" : "");
    tree->drawn = true;
}

static void wipe(struct cli_tree *tree)
{
    if (tree->drawn)
        fputs("\r\033[K", stderr);
    tree->drawn = false;
}

static const char *remedy(int error)
{
    switch (-error) {
    case EACCES: return "run it as the owner, or as root";
    case EPERM: return "this is for the owner or root, or the filesystem cannot do it";
    case ENOSPC: return "make room, or choose another filesystem";
    case EDQUOT: return "make room within the quota";
    case EEXIST: return "nothing is replaced: remove it, or choose another name";
    case EMFILE: return "the tree is too deep for the limit of open files: raise it (ulimit -n)";
    case EROFS: return "mount it read-write";
    case EIO: return "the device fails: dmesg may say more";
    case ELOOP: return "it leads into itself, or was exchanged for a symlink meanwhile";
    case ENOTSUP: return "the filesystem does not have this: choose another";
    case ENOTEMPTY: return "somebody adds files meanwhile: try again";
    case EBUSY: return "it is mounted, or in use: unmount it first";
    case ENAMETOOLONG: return "choose a shorter path";
    case EMLINK: return "the filesystem takes no more links to one file";
    default: return NULL;
    }
}

int cli_tree_failed(const struct errand_tree_failure *failure, void *context)
{
    struct cli_tree *tree = context;
    const char *step = failure->step_kind ? errand_step_name(failure->step_kind) : "begin";
    if (tree->json) {
        printf("{\"state\": \"error\", \"error\": \"%s\", \"step\": \"%s\", \"path\": ",
               errand_error_name(failure->error), step);
        put_json_string(failure->path);
        puts("}");
    } else {
        const char *help = remedy(failure->error);
        wipe(tree);
        fprintf(stderr, "%s: cannot %s '%s': %s: %s%s%s\n", tree->name, tree->verb, failure->path, step,
                strerror(-failure->error), help ? "; " : "", help ? help : "");
    }
    return tree->stop ? failure->error : 0;
}

static void show(struct cli_tree *tree)
{
    int64_t now = errand_queue_now(tree->queue);
    if (tree->json && now - tree->drew >= ERRAND_SECOND) {
        tree->drew = now;
        put_figures(tree, "running");
    } else if (!tree->json && !tree->quiet && isatty(STDERR_FILENO) && now - tree->drew >= ERRAND_SECOND / 5) {
        tree->drew = now;
        draw(tree);
    }
}

static int finish(struct cli_tree *tree, const struct errand_event *event, bool told, const char *path)
{
    wipe(tree);
    if (tree->json)
        put_figures(tree, event->error == -ECANCELED ? "cancelled" : event->error ? "failed" : "done");
    else if (event->error == -ECANCELED)
        fprintf(stderr, "%s: '%s': stopped; what was done stays\n", tree->name, path);
    else if (event->error && !told)
        fprintf(stderr, "%s: cannot %s '%s': %s\n", tree->name, tree->verb, path, strerror(-event->error));
    errand_queue_close(tree->queue);
    int code = cli_finish_output();
    return event->error ? EXIT_BAD : code;
}

int cli_tree_run(struct cli_tree *tree, int result, errand_id id, const char *path)
{
    errand_source *sources[3];
    if (result == 0)
        result = errand_source_signal(tree->queue, SIGINT, NULL, &sources[0]);
    if (result == 0)
        result = errand_source_signal(tree->queue, SIGTERM, NULL, &sources[1]);
    if (result == 0) /* the first tick soon, so that a terminal shows something; the clock begins */
        result = errand_source_timer(tree->queue, ERRAND_SECOND / 5, ERRAND_SECOND / 5, NULL, &sources[2]);
    if (result < 0) {
        fprintf(stderr, "%s: cannot %s '%s': %s\n", tree->name, tree->verb, path, strerror(-result));
        errand_queue_close(tree->queue);
        return EXIT_BAD;
    }
    tree->began = tree->drew = errand_queue_now(tree->queue);
    for (;;) {
        struct errand_event event;
        int n = errand_queue_wait(tree->queue, &event, 1, ERRAND_FOREVER);
        if (n < 0)
            return EXIT_BAD;
        if (n > 0 && event.kind == ERRAND_EVENT_CHAIN)
            return finish(tree, &event, tree->progress.errors > 0, path);
        if (n > 0 && event.kind == ERRAND_EVENT_SIGNAL)
            errand_cancel(tree->queue, id);
        show(tree);
    }
}
