/* SPDX-License-Identifier: MIT */
/*
 * A slow filesystem for bench-stall: every lookup, getattr, open and read on it takes a fixed time (50 ms), however
 * many are under way, and the kernel may remember nothing (attribute and entry timeouts are 0). It holds --files files
 * of --bytes bytes: d00/f0000, d01/f0001, ..., d15/f0015, d00/f0016, ...; in 16 directories, because with libfuse 3.14
 * the kernel looks up only one new name at a time in each. One thread takes requests off /dev/fuse, another answers
 * each when it is due, so the filesystem itself is never the bottleneck: it is slow, not busy.
 *
 *     slowfs MOUNTPOINT [--files N] [--bytes N] [--delay-ms N] [--hold]
 *
 * With --hold nothing is answered at all until SIGUSR1 comes; from then on everything is answered at once.
 * "ready" on standard output says that it is mounted; SIGTERM unmounts and ends it.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fuse_lowlevel.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "../options.h"

#define DIRECTORIES     16u
#define FIRST_DIRECTORY 2u /* inode number of d00; 1 is the root */
#define FIRST_FILE      (FIRST_DIRECTORY + DIRECTORIES)

enum operation { LOOKUP, GETATTR, OPEN, READ };

/* A request that waits for its time. All wait equally long, so a list in order of arrival is in order of time. */
struct waiting {
    struct waiting *next;
    fuse_req_t request;
    enum operation operation;
    fuse_ino_t inode; /* 0: no such file */
    size_t size;
    off_t offset;
    struct fuse_file_info info;
    int64_t due_ns;
};

static struct {
    unsigned files;
    size_t bytes;
    int64_t delay_ns;
    bool hold, ended;
    struct waiting *first, **end;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned char *zeros;
} fs = {.files = 1024, .bytes = 8192, .delay_ns = 50000000, .end = &fs.first, .lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void attributes(fuse_ino_t inode, struct stat *stat)
{
    *stat = (struct stat){.st_ino = inode, .st_mode = S_IFREG | 0444, .st_nlink = 1, .st_size = (off_t)fs.bytes};
    if (inode < FIRST_FILE) {
        stat->st_mode = S_IFDIR | 0755;
        stat->st_nlink = 2;
        stat->st_size = 0;
    }
}

static void answer(struct waiting *waiting)
{
    struct fuse_entry_param entry = {.ino = waiting->inode, .generation = 1};
    size_t left;
    if (waiting->inode == 0) {
        fuse_reply_err(waiting->request, ENOENT);
        return;
    }
    attributes(waiting->inode, &entry.attr);
    switch (waiting->operation) {
    case LOOKUP: fuse_reply_entry(waiting->request, &entry); break;
    case GETATTR: fuse_reply_attr(waiting->request, &entry.attr, 0); break;
    case OPEN: fuse_reply_open(waiting->request, &waiting->info); break;
    case READ:
        left = waiting->offset < (off_t)fs.bytes ? fs.bytes - (size_t)waiting->offset : 0;
        fuse_reply_buf(waiting->request, (const char *)fs.zeros, left < waiting->size ? left : waiting->size);
        break;
    }
}

/* The thread that answers what is due. */
static void *answers(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&fs.lock);
    while (!fs.ended) {
        struct waiting *first = fs.first;
        if (!first || fs.hold) {
            pthread_cond_wait(&fs.changed, &fs.lock);
        } else if (fs.delay_ns > 0 && now_ns() < first->due_ns) {
            struct timespec due = {first->due_ns / 1000000000, first->due_ns % 1000000000};
            pthread_cond_timedwait(&fs.changed, &fs.lock, &due);
        } else {
            fs.first = first->next;
            fs.end = fs.first ? fs.end : &fs.first;
            pthread_mutex_unlock(&fs.lock);
            answer(first);
            free(first);
            pthread_mutex_lock(&fs.lock);
        }
    }
    pthread_mutex_unlock(&fs.lock);
    return NULL;
}

static void enqueue(const struct waiting *waiting)
{
    struct waiting *copy = malloc(sizeof *copy);
    if (!copy) {
        fuse_reply_err(waiting->request, ENOMEM);
        return;
    }
    *copy = *waiting;
    copy->next = NULL;
    pthread_mutex_lock(&fs.lock);
    copy->due_ns = now_ns() + fs.delay_ns;
    *fs.end = copy;
    fs.end = &copy->next;
    pthread_cond_signal(&fs.changed);
    pthread_mutex_unlock(&fs.lock);
}

static void slow_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    unsigned number;
    char rest;
    fuse_ino_t inode = 0;
    if (parent == FUSE_ROOT_ID && sscanf(name, "d%2u%c", &number, &rest) == 1 && number < DIRECTORIES)
        inode = FIRST_DIRECTORY + number;
    else if (parent < FIRST_FILE && sscanf(name, "f%u%c", &number, &rest) == 1 && number < fs.files &&
             parent == FIRST_DIRECTORY + number % DIRECTORIES)
        inode = FIRST_FILE + number;
    enqueue(&(struct waiting){.request = request, .operation = LOOKUP, .inode = inode});
}

static void slow_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
    (void)info;
    enqueue(&(struct waiting){.request = request, .operation = GETATTR, .inode = inode});
}

static void slow_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
    enqueue(&(struct waiting){.request = request, .operation = OPEN, .inode = inode, .info = *info});
}

static void slow_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info)
{
    (void)info;
    enqueue(&(struct waiting){.request = request, .operation = READ, .inode = inode, .size = size, .offset = offset});
}

/* The thread that waits for SIGUSR1 (answer everything) and SIGTERM or SIGINT (end). */
static void *signals(void *session)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    for (int number; sigwait(&set, &number) == 0;) {
        pthread_mutex_lock(&fs.lock);
        fs.hold = false;
        fs.delay_ns = 0;
        pthread_cond_signal(&fs.changed);
        pthread_mutex_unlock(&fs.lock);
        if (number != SIGUSR1) {
            fuse_session_exit(session);
            fuse_session_unmount(session); /* wakes the thread that reads requests */
            return NULL;
        }
    }
    return NULL;
}

static const char *read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"files", required_argument, NULL, 'n'},
        {"bytes", required_argument, NULL, 'b'},
        {"delay-ms", required_argument, NULL, 'd'},
        {"hold", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n': fs.files = (unsigned)option_number(optarg, UINT32_MAX); break;
        case 'b': fs.bytes = (size_t)option_number(optarg, INT64_MAX); break;
        case 'd': fs.delay_ns = option_number(optarg, INT32_MAX) * INT64_C(1000000); break;
        case 'h': fs.hold = true; break;
        default: exit(2);
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "slowfs MOUNTPOINT [--files N] [--bytes N] [--delay-ms N] [--hold]\n");
        exit(2);
    }
    return argv[optind];
}

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops operations = {
        .lookup = slow_lookup, .getattr = slow_getattr, .open = slow_open, .read = slow_read};
    const char *mountpoint = read_options(argc, argv);
    char *arguments[] = {argv[0], (char[]){"-ofsname=slowfs,subtype=slowfs,allow_other,default_permissions,ro"}, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, arguments);
    sigset_t set;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&fs.changed, &monotonic);
    fs.zeros = calloc(1, fs.bytes);
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    if (!fs.zeros || !session || fuse_session_mount(session, mountpoint) != 0) {
        fprintf(stderr, "slowfs: could not mount on %s\n", mountpoint);
        return 1;
    }
    pthread_t answering, signalled;
    pthread_create(&answering, NULL, answers, NULL);
    pthread_create(&signalled, NULL, signals, session);
    puts("ready");
    fflush(stdout);
    fuse_session_loop(session);
    pthread_mutex_lock(&fs.lock);
    fs.ended = true;
    pthread_cond_signal(&fs.changed);
    pthread_mutex_unlock(&fs.lock);
    pthread_join(answering, NULL);
    pthread_kill(signalled, SIGTERM); /* it unmounts, if it has not yet */
    pthread_join(signalled, NULL);
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    free(fs.zeros);
    return 0;
}
