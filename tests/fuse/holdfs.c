/* SPDX-License-Identifier: MIT */
/*
 * holdfs: a filesystem for tests that holds every operation until it is told to release it.
 *
 *     holdfs [--files N] [--size BYTES] [--cache] MOUNTPOINT
 *
 * Its root and its directory `d` hold the files f0 ... f(N-1), of BYTES bytes each, with the contents of
 * support/pattern.h (seed: the number, plus 1000000 in `d`). With --cache the kernel may keep names and attributes.
 * The kernel looks names up in one directory one after the other until it has seen them (libfuse 3.14 cannot tell it
 * otherwise): who wants many lookups held at once looks at every name first.
 *
 * What is written is thrown away, and what would change its tree says that it succeeded, and changes nothing.
 *
 * It says `ready` once it is mounted, then answers commands on standard input, a line each:
 *
 *     hold all | hold OPERATION...  from now on such operations are held; what is held already stays so
 *     wait N          answers when N operations or more are held
 *     status          answers `held N lookup A getattr B open C read D flush E release F opendir G readdir H ...`
 *     release [N]     performs what is held now (the first N), further ones are held as before
 *     pass            performs what is held and holds no more
 *     fail ERRNO OPERATION...       from now on such operations fail so (0: no more)
 *
 * Each is answered by one line: `ok`, or what is said above. It ends, and unmounts, when its standard input does or
 * when it was unmounted; what is held then fails with ECONNABORTED. To hang for good is to be held and never released.
 */
#define FUSE_USE_VERSION 34

#include "../support/pattern.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum operation {
    LOOKUP,
    GETATTR,
    OPEN,
    READ,
    FLUSH,
    RELEASE,
    OPENDIR,
    READDIR,
    WRITE,
    FSYNC,
    SETATTR,
    RENAME,
    UNLINK,
    OPERATIONS
};

static const char *const names[OPERATIONS] = {"lookup",  "getattr", "open",  "read",    "flush",  "release", "opendir",
                                              "readdir", "write",   "fsync", "setattr", "rename", "unlink"};

/* Inodes: 1 the root, 2 its directory, from 16 on the root's files, from 16 + file_count on the directory's. */
enum { root_inode = 1, directory_inode = 2, first_file = 16, seed_step = 1000000 };

/* A request that was not answered yet. */
struct request {
    struct request *next;
    fuse_req_t handle;
    enum operation operation;
    fuse_ino_t inode;
    struct fuse_file_info file;
    size_t size;
    off_t offset;
    char name[];
};

static uint64_t file_count = 64, file_size = 8192;
static double cache_seconds;
static unsigned held_kinds; /* bits: 1 << operation */
static int failures[OPERATIONS];
static unsigned held, held_of[OPERATIONS];
static struct request *first, **last = &first;
static unsigned awaited; /* `wait` is to be answered when so many are held; 0: no wait */

static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void answer(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* ---- the tree */

static bool is_directory(fuse_ino_t inode)
{
    return inode == root_inode || inode == directory_inode;
}

static bool is_file(fuse_ino_t inode)
{
    return inode >= first_file && inode < first_file + 2 * file_count;
}

static uint64_t seed_of(fuse_ino_t inode)
{
    uint64_t number = inode - first_file;
    return number < file_count ? number : number - file_count + seed_step;
}

static bool attributes(fuse_ino_t inode, struct stat *status)
{
    *status = (struct stat){.st_ino = inode, .st_nlink = 1, .st_mtime = 1500000000, .st_blksize = 4096};
    if (is_directory(inode))
        status->st_mode = S_IFDIR | 0755;
    else if (is_file(inode))
        status->st_mode = S_IFREG | 0644;
    else
        return false;
    status->st_size = is_file(inode) ? (off_t)file_size : 4096;
    status->st_blocks = (status->st_size + 511) / 512;
    return true;
}

/* The inode of a name, or 0. */
static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
    char *end;
    if (parent == root_inode && !strcmp(name, "d"))
        return directory_inode;
    if (!is_directory(parent) || name[0] != 'f' || !name[1])
        return 0;
    uint64_t number = strtoull(name + 1, &end, 10);
    if (*end || number >= file_count)
        return 0;
    return first_file + number + (parent == directory_inode ? file_count : 0);
}

static void list(const struct request *request)
{
    char *buffer = calloc(1, request->size);
    size_t used = 0;
    for (uint64_t at = (uint64_t)request->offset; buffer; at++) {
        char name[32];
        struct stat status = {0};
        if (request->inode == root_inode && at == file_count)
            snprintf(name, sizeof name, "d");
        else if (at < file_count)
            snprintf(name, sizeof name, "f%llu", (unsigned long long)at);
        else
            break;
        attributes(find(request->inode, name), &status);
        size_t more =
            fuse_add_direntry(request->handle, buffer + used, request->size - used, name, &status, (off_t)at + 1);
        if (used + more > request->size)
            break;
        used += more;
    }
    fuse_reply_buf(request->handle, buffer, used);
    free(buffer);
}

static void send_contents(const struct request *request)
{
    uint64_t offset = (uint64_t)request->offset, left = offset < file_size ? file_size - offset : 0;
    size_t length = request->size < left ? request->size : left;
    char *buffer = malloc(length + 1);
    if (!buffer) {
        fuse_reply_err(request->handle, ENOMEM);
        return;
    }
    pattern_fill(buffer, length, seed_of(request->inode), offset);
    fuse_reply_buf(request->handle, buffer, length);
    free(buffer);
}

static void perform(struct request *request)
{
    struct fuse_entry_param entry = {.attr_timeout = cache_seconds, .entry_timeout = cache_seconds};
    if (failures[request->operation]) {
        fuse_reply_err(request->handle, failures[request->operation]);
        return;
    }
    switch (request->operation) {
    case LOOKUP:
        entry.ino = find(request->inode, request->name);
        if (entry.ino && attributes(entry.ino, &entry.attr))
            fuse_reply_entry(request->handle, &entry);
        else
            fuse_reply_err(request->handle, ENOENT);
        break;
    case GETATTR:
    case SETATTR:
        if (attributes(request->inode, &entry.attr))
            fuse_reply_attr(request->handle, &entry.attr, cache_seconds);
        else
            fuse_reply_err(request->handle, ENOENT);
        break;
    case OPEN:
    case OPENDIR: fuse_reply_open(request->handle, &request->file); break;
    case READ: send_contents(request); break;
    case READDIR: list(request); break;
    case WRITE: fuse_reply_write(request->handle, request->size); break;
    default: fuse_reply_err(request->handle, 0);
    }
}

/* ---- holding */

static void take(fuse_req_t handle, enum operation operation, fuse_ino_t inode, const struct fuse_file_info *file,
                 size_t size, off_t offset, const char *name)
{
    size_t length = name ? strlen(name) + 1 : 0;
    struct request *request = calloc(1, sizeof *request + length);
    if (!request) {
        fuse_reply_err(handle, ENOMEM);
        return;
    }
    request->handle = handle;
    request->operation = operation;
    request->inode = inode;
    request->size = size;
    request->offset = offset;
    if (file)
        request->file = *file;
    if (name)
        memcpy(request->name, name, length);
    if (!(held_kinds & 1u << operation)) {
        perform(request);
        free(request);
        return;
    }
    *last = request;
    last = &request->next;
    held++;
    held_of[operation]++;
    if (awaited && held >= awaited) {
        awaited = 0;
        answer("ok");
    }
}

static void release_held(unsigned most)
{
    while (first && most--) {
        struct request *request = first;
        first = request->next;
        if (!first)
            last = &first;
        held--;
        held_of[request->operation]--;
        perform(request);
        free(request);
    }
}

static void on_lookup(fuse_req_t handle, fuse_ino_t parent, const char *name)
{
    take(handle, LOOKUP, parent, NULL, 0, 0, name);
}

static void on_getattr(fuse_req_t handle, fuse_ino_t inode, struct fuse_file_info *file)
{
    take(handle, GETATTR, inode, file, 0, 0, NULL);
}

static void on_open(fuse_req_t handle, fuse_ino_t inode, struct fuse_file_info *file)
{
    take(handle, OPEN, inode, file, 0, 0, NULL);
}

static void on_read(fuse_req_t handle, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *file)
{
    take(handle, READ, inode, file, size, offset, NULL);
}

static void on_flush(fuse_req_t handle, fuse_ino_t inode, struct fuse_file_info *file)
{
    take(handle, FLUSH, inode, file, 0, 0, NULL);
}

static void on_release(fuse_req_t handle, fuse_ino_t inode, struct fuse_file_info *file)
{
    take(handle, RELEASE, inode, file, 0, 0, NULL);
}

static void on_opendir(fuse_req_t handle, fuse_ino_t inode, struct fuse_file_info *file)
{
    take(handle, OPENDIR, inode, file, 0, 0, NULL);
}

static void on_readdir(fuse_req_t handle, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *file)
{
    take(handle, READDIR, inode, file, size, offset, NULL);
}

static void on_write(fuse_req_t handle, fuse_ino_t inode, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *file)
{
    (void)data;
    take(handle, WRITE, inode, file, size, offset, NULL);
}

static void on_fsync(fuse_req_t handle, fuse_ino_t inode, int data_only, struct fuse_file_info *file)
{
    (void)data_only;
    take(handle, FSYNC, inode, file, 0, 0, NULL);
}

static void on_setattr(fuse_req_t handle, fuse_ino_t inode, struct stat *status, int which, struct fuse_file_info *file)
{
    (void)status;
    (void)which;
    take(handle, SETATTR, inode, file, 0, 0, NULL);
}

static void on_rename(fuse_req_t handle, fuse_ino_t parent, const char *name, fuse_ino_t to, const char *to_name,
                      unsigned flags)
{
    (void)to;
    (void)to_name;
    (void)flags;
    take(handle, RENAME, parent, NULL, 0, 0, name);
}

static void on_unlink(fuse_req_t handle, fuse_ino_t parent, const char *name)
{
    take(handle, UNLINK, parent, NULL, 0, 0, name);
}

static void on_init(void *context, struct fuse_conn_info *connection)
{
    (void)context;
    connection->max_background = 4096; /* or the kernel itself would hold the reads beyond the twelfth */
    connection->congestion_threshold = 4096;
}

/* ---- commands */

static unsigned kinds_in(char *words)
{
    unsigned kinds = 0;
    for (char *save = NULL, *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (!strcmp(word, "all"))
            kinds |= (1u << OPERATIONS) - 1;
        for (unsigned i = 0; i < OPERATIONS; i++)
            if (!strcmp(word, names[i]))
                kinds |= 1u << i;
    }
    return kinds;
}

static void command(char *line)
{
    char *rest = strchr(line, ' ');
    if (rest)
        *rest++ = 0;
    else
        rest = line + strlen(line);
    if (!strcmp(line, "hold")) {
        held_kinds = kinds_in(rest);
    } else if (!strcmp(line, "wait")) {
        awaited = (unsigned)strtoul(rest, NULL, 10);
        if (held < awaited)
            return;
        awaited = 0;
    } else if (!strcmp(line, "status")) {
        printf("held %u", held);
        for (unsigned i = 0; i < OPERATIONS; i++)
            printf(" %s %u", names[i], held_of[i]);
        answer("%s", "");
        return;
    } else if (!strcmp(line, "release")) {
        release_held(*rest ? (unsigned)strtoul(rest, NULL, 10) : held);
    } else if (!strcmp(line, "pass")) {
        held_kinds = 0;
        release_held(held);
    } else if (!strcmp(line, "fail")) {
        int error = (int)strtol(rest, &rest, 10);
        unsigned kinds = kinds_in(rest);
        for (unsigned i = 0; i < OPERATIONS; i++)
            if (kinds & 1u << i)
                failures[i] = error;
    } else {
        answer("unknown command: %s", line);
        return;
    }
    answer("ok");
}

/* Takes in what came on standard input. Returns false at its end. */
static bool read_commands(void)
{
    static char text[4096];
    static size_t used;
    ssize_t length = read(0, text + used, sizeof text - 1 - used);
    if (length <= 0)
        return false;
    used += (size_t)length;
    text[used] = 0;
    for (char *end; (end = strchr(text, '\n'));) {
        *end++ = 0;
        command(text);
        used -= (size_t)(end - text);
        memmove(text, end, used + 1);
    }
    return used < sizeof text - 1;
}

static void serve(struct fuse_session *session)
{
    struct fuse_buf buffer = {0};
    struct pollfd ready[2] = {{.fd = 0, .events = POLLIN}, {.fd = fuse_session_fd(session), .events = POLLIN}};
    while (!fuse_session_exited(session)) {
        if (poll(ready, 2, -1) < 0)
            continue;
        if (ready[0].revents && !read_commands())
            break;
        if (!ready[1].revents)
            continue;
        int length = fuse_session_receive_buf(session, &buffer);
        if (length == -EINTR || length == -EAGAIN)
            continue;
        if (length <= 0)
            break;
        fuse_session_process_buf(session, &buffer);
    }
    free(buffer.mem);
}

int main(int count, char **arguments)
{
    const struct fuse_lowlevel_ops operations = {
        .init = on_init,
        .lookup = on_lookup,
        .getattr = on_getattr,
        .open = on_open,
        .read = on_read,
        .flush = on_flush,
        .release = on_release,
        .opendir = on_opendir,
        .readdir = on_readdir,
        .write = on_write,
        .fsync = on_fsync,
        .setattr = on_setattr,
        .rename = on_rename,
        .unlink = on_unlink,
    };
    const char *mountpoint = NULL;
    for (int i = 1; i < count; i++) {
        if (!strcmp(arguments[i], "--cache"))
            cache_seconds = 1e6;
        else if (!strcmp(arguments[i], "--files") && i + 1 < count)
            file_count = strtoull(arguments[++i], NULL, 10);
        else if (!strcmp(arguments[i], "--size") && i + 1 < count)
            file_size = strtoull(arguments[++i], NULL, 10);
        else
            mountpoint = arguments[i];
    }
    if (!mountpoint) {
        fprintf(stderr, "usage: holdfs [--files N] [--size BYTES] [--cache] MOUNTPOINT\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    struct fuse_args options = FUSE_ARGS_INIT(0, NULL);
    fuse_opt_add_arg(&options, "holdfs");
    fuse_opt_add_arg(&options, "-ofsname=holdfs,subtype=holdfs");
    struct fuse_session *session = fuse_session_new(&options, &operations, sizeof operations, NULL);
    fuse_opt_free_args(&options);
    if (!session || fuse_session_mount(session, mountpoint)) {
        fprintf(stderr, "holdfs: could not mount on %s\n", mountpoint);
        return 1;
    }
    answer("ready");
    serve(session);
    for (struct request *request; (request = first);) {
        first = request->next;
        fuse_reply_err(request->handle, ECONNABORTED);
        free(request);
    }
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return 0;
}
