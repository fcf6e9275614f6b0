/* SPDX-License-Identifier: MIT */
/*
 * What belongs to a file besides its bytes, from one file to another: owner, extended attributes, mode, times; in
 * this order, because a change of the owner takes setuid bits and capabilities away, an access control list changes
 * the mode, and every change of the rest changes a time. What is right already costs no call.
 */
#include "worker/run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "worker/stat.h"

#define LIST_ROOM  1024
#define VALUE_ROOM 4096

struct end {
    int fd;
    bool by_path; /* opened with O_PATH: most calls refuse it, but not the path of its magic link */
    char link[40];
};

static void go_by_path(struct end *end)
{
    end->by_path = true;
    snprintf(end->link, sizeof end->link, "/proc/self/fd/%d", end->fd);
}

static void end_of(struct end *end, int fd, const struct errand_stat *stat)
{
    *end = (struct end){.fd = fd};
    if (!S_ISREG(stat->mode) && !S_ISDIR(stat->mode)) /* others are not opened otherwise, as a rule */
        go_by_path(end);
}

/* The call failed; whether it is to be tried again by path. */
static bool try_by_path(struct end *end)
{
    if (errno != EBADF || end->by_path)
        return false;
    go_by_path(end);
    return true;
}

static ssize_t list_names(struct end *end, char *names, size_t size)
{
    ssize_t n = end->by_path ? listxattr(end->link, names, size) : flistxattr(end->fd, names, size);
    return n < 0 && try_by_path(end) ? list_names(end, names, size) : n;
}

static ssize_t get_value(const struct end *end, const char *name, void *value, size_t size)
{
    return end->by_path ? getxattr(end->link, name, value, size) : fgetxattr(end->fd, name, value, size);
}

static int set_value(struct end *end, const char *name, const void *value, size_t size)
{
    int n = end->by_path ? setxattr(end->link, name, value, size, 0) : fsetxattr(end->fd, name, value, size, 0);
    return n < 0 && try_by_path(end) ? set_value(end, name, value, size) : n;
}

static int set_mode(struct end *end, mode_t mode)
{
    int n = end->by_path ? chmod(end->link, mode) : fchmod(end->fd, mode);
    return n < 0 && try_by_path(end) ? set_mode(end, mode) : n < 0 ? -errno : 0;
}

/* Those that only the privileged may set, or that the system sets by itself. */
static bool may_fail(const char *name, int error)
{
    bool theirs = strncmp(name, "security.", 9) == 0 || strncmp(name, "trusted.", 8) == 0;
    return theirs && (error == EPERM || error == EACCES || error == ENOTSUP);
}

static int copy_value(struct end *to, const struct end *from, const char *name)
{
    char small[VALUE_ROOM], *value = small;
    ssize_t size = get_value(from, name, small, sizeof small);
    if (size < 0 && errno == ERANGE) {
        if (!(value = malloc(XATTR_SIZE_MAX)))
            return -ENOMEM;
        size = get_value(from, name, value, XATTR_SIZE_MAX);
    }
    int result = 0;
    if (size < 0)
        result = errno == ENODATA || may_fail(name, errno) ? 0 : -errno; /* it is gone meanwhile */
    else if (set_value(to, name, value, (size_t)size) < 0)
        result = may_fail(name, errno) ? 0 : -errno;
    if (value != small)
        free(value);
    return result;
}

/* Returns how many there are, or a negative errno. */
static int copy_attributes(struct end *to, struct end *from)
{
    char small[LIST_ROOM], *names = small;
    ssize_t size = list_names(from, small, sizeof small);
    if (size < 0 && errno == ERANGE) {
        if (!(names = malloc(XATTR_LIST_MAX)))
            return -ENOMEM;
        size = list_names(from, names, XATTR_LIST_MAX);
    }
    int result = size < 0 && errno != ENOTSUP ? -errno : 0;
    int count = 0;
    for (const char *name = names; result == 0 && name < names + size; name += strlen(name) + 1, count++)
        result = copy_value(to, from, name);
    if (names != small)
        free(names);
    return result < 0 ? result : count;
}

static int set_times(int fd, const struct errand_stat *like)
{
    const int64_t ns[2] = {like->accessed_ns, like->modified_ns};
    struct timespec times[2];
    for (int i = 0; i < 2; i++) {
        times[i] = (struct timespec){.tv_sec = ns[i] / ERRAND_SECOND, .tv_nsec = ns[i] % ERRAND_SECOND};
        if (times[i].tv_nsec < 0) {
            times[i].tv_nsec += ERRAND_SECOND;
            times[i].tv_sec--;
        }
    }
    if (utimensat(fd, "", times, AT_EMPTY_PATH) == 0)
        return 0;
    return errno == EINVAL && futimens(fd, times) == 0 ? 0 : -errno; /* before Linux 5.8 */
}

/* Returns 0, 1 if the owner could not be had, or a negative errno. */
static int set_owner(int fd, const struct errand_stat *like, const struct errand_stat *is)
{
    if (is->user == like->user && is->group == like->group)
        return 0;
    if (fchownat(fd, "", like->user, like->group, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != EPERM && errno != EINVAL) /* EINVAL: no such user in this user namespace */
        return -errno;
    int ignored = fchownat(fd, "", UINT32_MAX, like->group, AT_EMPTY_PATH); /* perhaps the group can be had */
    (void)ignored;
    return 1;
}

static int apply(struct end *to, struct end *from, const struct errand_stat *like, const struct errand_stat *is,
                 unsigned which)
{
    int others = which & ERRAND_OWNER ? set_owner(to->fd, like, is) : 0;
    if (others < 0)
        return others;
    int attributes = which & ERRAND_ATTRIBUTES ? copy_attributes(to, from) : 0;
    if (attributes < 0)
        return attributes;
    mode_t mode = like->mode & 07777 & ~(others ? (mode_t)(S_ISUID | S_ISGID) : 0);
    bool changed = is->user != like->user || is->group != like->group; /* which takes setuid bits away */
    bool differs = mode != (is->mode & 07777) || attributes > 0 || (changed && (mode & (S_ISUID | S_ISGID)));
    int result = (which & ERRAND_MODE) && differs && !S_ISLNK(like->mode) ? set_mode(to, mode) : 0;
    return result == 0 && (which & ERRAND_TIMES) ? set_times(to->fd, like) : result;
}

static bool is_look(const struct run_call *call, unsigned file)
{
    return call->kind == ERRAND_STEP_STAT && call->file == file && call->result >= 0;
}

const struct errand_stat *run_found(const struct file_run *run, unsigned file)
{
    for (unsigned i = run->done; i-- > 0;)
        if (is_look(&run->calls[i], file))
            return run->calls[i].value;
    return NULL;
}

/* The last look of this run's that the caller knows of. */
static const struct errand_stat *found_for_caller(const struct file_run *run, unsigned file)
{
    for (unsigned i = run->done; i-- > 0;)
        if (is_look(&run->calls[i], file) && run->calls[i].told)
            return run->calls[i].value;
    return NULL;
}

/* What the run found since it may have changed permissions itself. */
static const struct errand_stat *found_since(const struct file_run *run, unsigned file)
{
    for (unsigned i = run->done; i-- > 0;) {
        const struct run_call *call = &run->calls[i];
        if (is_look(call, file))
            return call->value;
        if (call->kind == ERRAND_STEP_CHMOD || call->kind == ERRAND_STEP_CHOWN ||
            call->kind == ERRAND_STEP_COPY_METADATA)
            break;
    }
    return NULL;
}

int64_t run_metadata(struct file_run *run, struct run_call *call)
{
    struct errand_stat like = {0}, is = {0};
    int to_fd = run->files[call->to].fd;
    const struct errand_stat *found = found_for_caller(run, call->file);
    int result = 0;
    if (!found)
        found = call->value;
    if (found)
        like = *found;
    else
        result = stat_of(run->files[call->file].fd, &like);
    if (result == 0)
        result = stat_of(to_fd, &is);
    if (result < 0)
        return result;
    struct end from, to;
    end_of(&from, run->files[call->file].fd, &like);
    end_of(&to, to_fd, &is);
    return apply(&to, &from, &like, &is, call->flags);
}

int run_mode_like(const struct file_run *run, unsigned file)
{
    struct errand_stat like = {0};
    const struct errand_stat *found = found_since(run, file);
    int result = found ? 0 : stat_of(run->files[file].fd, &like);
    if (result < 0)
        return result;
    if (found)
        like = *found;
    bool same_owner = like.user == geteuid() && like.group == getegid();
    return (int)(like.mode & (same_owner ? 0777u : 0700u));
}
