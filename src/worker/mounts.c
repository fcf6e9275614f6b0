/* SPDX-License-Identifier: MIT */
#include "worker/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mount {
    char *point;
    size_t length;
    uint32_t lane;
};

void mounts_open(struct mounts *mounts)
{
    *mounts = (struct mounts){.watch_fd = -1};
    pthread_mutex_init(&mounts->lock, NULL);
}

static void forget(struct mounts *mounts)
{
    for (size_t i = 0; i < mounts->count; i++)
        free(mounts->table[i].point);
    free(mounts->table);
    mounts->table = NULL;
    mounts->count = 0;
}

void mounts_close(struct mounts *mounts)
{
    forget(mounts);
    if (mounts->watch_fd >= 0)
        close(mounts->watch_fd);
    pthread_mutex_destroy(&mounts->lock);
}

/* The kernel writes blanks and backslashes in paths as \ and three octal digits. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; out++) {
        if (in[0] == '\\' && in[1] && in[2] && in[3]) {
            *out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = 0;
}

static bool add(struct mounts *mounts, char *line)
{
    unsigned major_number, minor_number;
    char *point = NULL;
    if (sscanf(line, "%*u %*u %u:%u %*s %ms", &major_number, &minor_number, &point) != 3)
        return true;
    struct mount *table = realloc(mounts->table, (mounts->count + 1) * sizeof *table);
    if (!table) {
        free(point);
        return false;
    }
    unescape(point);
    size_t length = strcmp(point, "/") == 0 ? 0 : strlen(point);
    mounts->table = table;
    table[mounts->count++] = (struct mount){point, length, lane_of_device(major_number, minor_number)};
    return true;
}

/* Reads the table if it was not read yet, or has changed since. */
static void refresh(struct mounts *mounts)
{
    if (mounts->watch_fd < 0)
        mounts->watch_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    struct pollfd watch = {.fd = mounts->watch_fd, .events = POLLPRI};
    bool changed = mounts->watch_fd < 0 || (poll(&watch, 1, 0) > 0 && (watch.revents & (POLLPRI | POLLERR)));
    if (mounts->table && !changed)
        return;
    forget(mounts);
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    while (file && getline(&line, &room, file) > 0)
        if (!add(mounts, line))
            break;
    free(line);
    if (file)
        fclose(file);
}

/* Takes "//", "." and ".." out of an absolute path, in place, by its text alone. */
static void normalise(char *path)
{
    char *out = path;
    for (const char *in = path; *in;) {
        while (*in == '/')
            in++;
        size_t length = strcspn(in, "/");
        if (length == 2 && memcmp(in, "..", 2) == 0) {
            while (out > path && *--out != '/')
                ;
        } else if (length > 0 && !(length == 1 && *in == '.')) {
            *out++ = '/';
            memmove(out, in, length);
            out += length;
        }
        in += length;
    }
    *out = 0;
}

/* The whole path, as far as its text tells. False: it cannot be told. */
static bool whole_path(int dir_fd, const char *path, char *out, size_t size)
{
    char link[48];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir_fd);
    ssize_t base = 0;
    if (*path != '/')
        base = readlink(dir_fd == AT_FDCWD ? "/proc/self/cwd" : link, out, size - 1);
    if (base < 0 || (size_t)base + strlen(path) + 2 > size)
        return false;
    snprintf(out + base, size - (size_t)base, "/%s", path);
    normalise(out);
    return true;
}

static bool lies_on(const struct mount *mount, const char *path)
{
    return strncmp(path, mount->point, mount->length) == 0 && (path[mount->length] == '/' || !path[mount->length]);
}

uint32_t mounts_lane(struct mounts *mounts, int dir_fd, const char *path, uint32_t otherwise)
{
    char whole[2 * PATH_MAX];
    if (!whole_path(dir_fd, path, whole, sizeof whole))
        return otherwise;
    const struct mount *best = NULL;
    pthread_mutex_lock(&mounts->lock);
    refresh(mounts);
    /* Of those equally near the last hides the others. */
    for (size_t i = 0; i < mounts->count; i++)
        if (lies_on(&mounts->table[i], whole) && (!best || mounts->table[i].length >= best->length))
            best = &mounts->table[i];
    uint32_t lane = best ? best->lane : otherwise;
    pthread_mutex_unlock(&mounts->lock);
    return lane;
}
