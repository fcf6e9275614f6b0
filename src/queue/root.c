/* SPDX-License-Identifier: MIT */
/* Roots: directories under which paths are opened, and what is known of their filesystems. */
#include "queue/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int look_at(int fd, const char *path, struct statx *out)
{
    int flags = AT_STATX_DONT_SYNC | (*path ? 0 : AT_EMPTY_PATH);
    return statx(fd, path, flags, STATX_TYPE | STATX_MNT_ID, out) < 0 ? -errno : 0;
}

uint32_t lane_of_file(int fd, const char *path)
{
    struct statx about;
    int result = *path == '/' ? look_at(AT_FDCWD, "/", &about) : look_at(fd, "", &about);
    return result < 0 ? 0 : lane_of_device(about.stx_dev_major, about.stx_dev_minor);
}

/* From /proc, because statfs(2) asks the filesystem. */
bool mount_type(uint64_t mount_id, char *type, size_t size)
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
    if (!(about->stx_mask & STATX_MNT_ID) || !mount_type(about->stx_mnt_id, type, sizeof type))
        return;
    for (size_t i = 0; i < sizeof proven / sizeof proven[0]; i++) {
        if (strcmp(type, proven[i].type) != 0)
            continue;
        root->open_inline = true;
        root->read_inline = proven[i].read;
    }
}

int errand_root_add(errand_queue *queue, int dir_fd, unsigned flags, int *out)
{
    if (!queue || !out || (flags & ~(ERRAND_ONE_MOUNT | ERRAND_UNCONFINED)))
        return -EINVAL;
    if (!queue_is_ours(queue))
        return -EPERM;
    unsigned index = 0;
    while (index < ROOTS_LIMIT && queue->roots.entries[index])
        index++;
    if (index == ROOTS_LIMIT)
        return -EAGAIN;
    struct statx about;
    int result = look_at(dir_fd, "", &about);
    if (result < 0)
        return result;
    if (!S_ISDIR(about.stx_mode))
        return -ENOTDIR;
    int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0 && dir_fd == AT_FDCWD)
        fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct root *root = calloc(1, sizeof *root);
    if (!root) {
        close(fd);
        return -ENOMEM;
    }
    *root = (struct root){.references = 1,
                          .fd = fd,
                          .one_mount = flags & ERRAND_ONE_MOUNT,
                          .resolve = flags & ERRAND_UNCONFINED ? 0 : RESOLVE_BENEATH,
                          .lane = lane_of_device(about.stx_dev_major, about.stx_dev_minor)};
    judge(root, &about);
    queue->roots.entries[index] = root;
    *out = ROOT_HANDLE(index, ++queue->roots.generations[index] & 0x3fff);
    queue->roots.generations[index] &= 0x3fff;
    return 0;
}

static void unregister(errand_queue *queue, struct root *root)
{
    root->removed = true;
    if (root->chains == 0 && root_unused(root))
        list_append(&queue->context.unused_roots, &root->node);
}

int errand_root_remove(errand_queue *queue, int handle)
{
    if (!queue || !is_root_handle(handle))
        return -EINVAL;
    if (!queue_is_ours(queue))
        return -EPERM;
    struct root *root = root_find(&queue->roots, handle);
    if (!root)
        return -EINVAL;
    for (unsigned i = 0; i < ROOTS_LIMIT; i++)
        if (queue->roots.entries[i] == root)
            queue->roots.entries[i] = NULL;
    unregister(queue, root);
    queue_close_roots(queue);
    return 0;
}

void queue_remove_roots(errand_queue *queue)
{
    for (unsigned i = 0; i < ROOTS_LIMIT; i++)
        if (queue->roots.entries[i])
            unregister(queue, queue->roots.entries[i]);
    queue_close_roots(queue);
}

void queue_close_roots(errand_queue *queue)
{
    struct list *node;
    while ((node = list_take(&queue->context.unused_roots))) {
        struct root *root = container_of(node, struct root, node);
        queue_close_later(queue, root->fd, root->lane);
        free(root);
    }
}
