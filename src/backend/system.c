/* SPDX-License-Identifier: MIT */
/* What the backends that work on the real system have in common: the clock, the pool, devices and roots. */
#include "backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "errand.h"

#ifdef ERRAND_FAULTS
const struct backend_ops *backend_installed;
#endif

int64_t system_now(struct backend *backend)
{
    struct timespec time;
    (void)backend;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

void system_adopt(struct backend *backend, struct file_run *run)
{
    pool_submit(backend->pool, run);
}

enum pool_recall system_recall(struct backend *backend, struct file_run *run, unsigned *step)
{
    return pool_recall(backend->pool, run, step);
}

void system_count(struct backend *backend, struct pool_counts *counts)
{
    pool_count(backend->pool, counts);
}

void system_drop(struct backend *backend, int fd)
{
    (void)backend;
    close(fd);
}

int system_check(struct backend *backend, int fd, bool listener)
{
    int value;
    socklen_t size = sizeof value;
    (void)backend;
    if (getsockopt(fd, SOL_SOCKET, listener ? SO_ACCEPTCONN : SO_TYPE, &value, &size) < 0)
        return errno == EBADF ? -EBADF : -EINVAL;
    return (listener ? value : value == SOCK_STREAM || value == SOCK_SEQPACKET) ? 0 : -EINVAL;
}

int system_look(int fd, const char *path, struct statx *out)
{
    int flags = AT_STATX_DONT_SYNC | (*path ? 0 : AT_EMPTY_PATH);
    return statx(fd, path, flags, STATX_TYPE | STATX_MNT_ID, out) < 0 ? -errno : 0;
}

uint32_t system_lane(struct backend *backend, int fd, const char *path)
{
    (void)backend;
    struct statx about;
    int result = *path == '/' ? system_look(AT_FDCWD, "/", &about) : system_look(fd, "", &about);
    return result < 0 ? 0 : lane_of_device(about.stx_dev_major, about.stx_dev_minor);
}

/* From /proc, because statfs(2) asks the filesystem. */
bool system_mount_type(uint64_t mount_id, char *type, size_t size)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (mounts && !found && getline(&line, &room, mounts) > 0) {
        char *separator = strstr(line, " - ");
        if (strtoull(line, NULL, 10) != mount_id || !separator)
            continue;
        separator += 3;
        size_t length = strcspn(separator, " ");
        found = length < size;
        if (found) {
            memcpy(type, separator, length);
            type[length] = 0;
        }
    }
    free(line);
    if (mounts)
        fclose(mounts);
    return found;
}

/* What was shown not to wait, by filesystem: ARCHITECTURE.md has the measurements. */
static void judge(struct root *root, const struct statx *about)
{
    static const struct {
        const char *type;
        bool read;
    } proven[] = {{"ext4", true}, {"ext3", true}, {"ext2", true}, {"xfs", true}, {"btrfs", false}};
    char type[32];
    if (!(about->stx_mask & STATX_MNT_ID) || !system_mount_type(about->stx_mnt_id, type, sizeof type))
        return;
    for (size_t i = 0; i < sizeof proven / sizeof proven[0]; i++) {
        if (strcmp(type, proven[i].type) != 0)
            continue;
        root->open_inline = true;
        root->read_inline = proven[i].read;
    }
}

int system_root(struct backend *backend, int dir_fd, struct root *root)
{
    (void)backend;
    struct statx about;
    int result = system_look(dir_fd, "", &about);
    if (result < 0)
        return result;
    if (!S_ISDIR(about.stx_mode))
        return -ENOTDIR;
    root->fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (root->fd < 0 && dir_fd == AT_FDCWD)
        root->fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0)
        return -errno;
    root->lane = lane_of_device(about.stx_dev_major, about.stx_dev_minor);
    judge(root, &about);
    return 0;
}
