/* SPDX-License-Identifier: MIT */
/*
 * The calls on names. Only openat2(2) can confine a path, so the directory of the last name is opened first, beneath
 * the root; the call itself then gets a single name, which leads nowhere else.
 */
#include "worker/run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct parent {
    int fd;
    bool opened;
    const char *name;
};

/* Whether the kernel would go where the last name leads, if it were asked to look at it: "d/", "..". */
static bool leads_on(const char *path, size_t length)
{
    const char *name = path + length;
    while (name > path && name[-1] != '/')
        name--;
    return name == path + length || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* `looks`: the call looks at what has the name, and does not only make or remove it. Returns 0, a negative errno,
 * RUN_CROSSES. */
static int find_parent(struct file_run *run, unsigned place, const char *path, bool looks, struct parent *parent)
{
    size_t length = strlen(path), whole = length;
    if (*path == '/' && run->places[place].root && run->places[place].root->resolve)
        return -EXDEV;
    while (length > 0 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    *parent = (struct parent){.fd = run_directory(&run->places[place]), .name = path + length};
    if (looks && whole > 0 && leads_on(path, whole)) { /* so it has to be a directory, and is opened like one */
        length = whole;
        parent->name = ".";
    }
    if (length == 0)
        return run_place_error(&run->places[place]);
    char directory[PATH_MAX];
    memcpy(directory, path, length); /* a path is shorter than PATH_MAX: the builder checks */
    directory[length] = 0;
    int fd = run_open(run, place, directory, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd == RUN_CROSSES)
        run->crossing.path = path; /* as long as the run; its directory's text is part of it */
    if (fd < 0)
        return fd;
    parent->fd = fd;
    parent->opened = true;
    return 0;
}

static void leave_parent(const struct parent *parent)
{
    if (parent->opened)
        close(parent->fd);
}

static int64_t of_two_names(const struct run_call *call, const struct parent *from, const struct parent *to)
{
    if (call->kind == ERRAND_STEP_RENAME)
        return renameat2(from->fd, from->name, to->fd, to->name, call->flags);
    return linkat(from->fd, from->name, to->fd, to->name, 0);
}

static int64_t link_file(struct file_run *run, const struct run_call *call, int directory, const char *name)
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", run->files[call->file].fd);
    return linkat(AT_FDCWD, link, directory, name, AT_SYMLINK_FOLLOW);
}

/* Where something has the name already, a temporary one comes first, and a rename puts it in its place. */
static int64_t replace_with(struct file_run *run, const struct run_call *call, const struct parent *at)
{
    char temporary[40];
    int64_t result = link_file(run, call, at->fd, at->name);
    if (result == 0 || errno != EEXIST)
        return result;
    do {
        uint64_t number;
        if (getrandom(&number, sizeof number, GRND_INSECURE) != sizeof number)
            number = (uint64_t)(uintptr_t)run;
        snprintf(temporary, sizeof temporary, ERRAND_TEMPORARY "%016llx", (unsigned long long)number);
        result = link_file(run, call, at->fd, temporary);
    } while (result < 0 && errno == EEXIST);
    if (result < 0)
        return result;
    result = renameat(at->fd, temporary, at->fd, at->name);
    int error = errno;
    unlinkat(at->fd, temporary, 0); /* also when it went well: rename(2) does nothing if both name the same file */
    errno = error;
    return result;
}

/* To a socket in the directory that was opened, by its magic link. */
static int64_t connect_to(struct file_run *run, const struct run_call *call, const struct parent *at)
{
    struct run_file *file = &run->files[call->file];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = at->opened ? snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", at->fd, at->name)
                       : (int)sizeof address.sun_path;
    if (n >= (int)sizeof address.sun_path) /* there is no directory, or no room for the link's text */
        memcpy(address.sun_path, call->path, strnlen(call->path, sizeof address.sun_path));
    if (!file->borrowed && (file->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
        return -1;
    int result = connect(file->fd, (struct sockaddr *)&address, sizeof address);
    if (result < 0 && !file->borrowed) {
        int error = errno;
        close(file->fd);
        file->fd = -1;
        errno = error;
    }
    return result;
}

static int64_t of_one_name(struct file_run *run, const struct run_call *call, const struct parent *at)
{
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_CONNECT: return connect_to(run, call, at);
    case ERRAND_STEP_UNLINK: return unlinkat(at->fd, at->name, 0);
    case ERRAND_STEP_RMDIR: return unlinkat(at->fd, at->name, AT_REMOVEDIR);
    case ERRAND_STEP_MKDIR: return mkdirat(at->fd, at->name, call->mode);
    case ERRAND_STEP_MKNOD: return mknodat(at->fd, at->name, call->mode, (dev_t)call->offset);
    case ERRAND_STEP_READ_LINK: return readlinkat(at->fd, at->name, call->value, (size_t)call->length);
    case ERRAND_STEP_SYMLINK: return symlinkat(call->path, at->fd, at->name);
    case ERRAND_STEP_LINK_FILE: return link_file(run, call, at->fd, at->name);
    case ERRAND_STEP_REPLACE: return replace_with(run, call, at);
    default: errno = EINVAL; return -1;
    }
}

int64_t run_name_call(struct file_run *run, struct run_call *call)
{
    bool two = call->kind == ERRAND_STEP_RENAME || call->kind == ERRAND_STEP_LINK;
    bool only_to =
        call->kind == ERRAND_STEP_SYMLINK || call->kind == ERRAND_STEP_LINK_FILE || call->kind == ERRAND_STEP_REPLACE;
    bool looks =
        call->kind == ERRAND_STEP_LINK || call->kind == ERRAND_STEP_READ_LINK || call->kind == ERRAND_STEP_CONNECT;
    struct parent from = {.fd = -1}, to = {.fd = -1};
    int64_t result = only_to ? 0 : find_parent(run, call->place, call->path, looks, &from);
    if (result == 0 && (two || only_to))
        result = find_parent(run, call->to_place, call->to_path, false, &to);
    if (result == 0) {
        result = two ? of_two_names(call, &from, &to) : of_one_name(run, call, only_to ? &to : &from);
        if (result < 0)
            result = -errno;
    }
    leave_parent(&from);
    leave_parent(&to);
    return result;
}
