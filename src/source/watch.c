/* SPDX-License-Identifier: MIT */
/* Changes to directories and files, through inotify(7): one descriptor for each source, however many it watches. */
#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/kernel.h"

struct watching {
    uint64_t local_mount; /* the last that was found to be local, by its unique number; 0: none */
    size_t at, end;       /* of the events that were read and not yet delivered */
    _Alignas(struct inotify_event) char batch[4096];
};

_Static_assert(sizeof((struct watching *)0)->batch >= sizeof(struct inotify_event) + NAME_MAX + 1,
               "an event of any name fits");

/* At most one batch each time the caller waits: its events are his until he does so again. */
static bool watch_event(errand_source *source, struct errand_event *event)
{
    struct watching *watching = source->extra;
    event->kind = ERRAND_EVENT_WATCH;
    if (source_poll_failed(source, event))
        return true;
    if (watching->at == watching->end) {
        ssize_t n = read(source->fd, watching->batch, sizeof watching->batch);
        if (n <= 0) {
            source_arm_poll(source);
            return false;
        }
        watching->at = 0;
        watching->end = (size_t)n;
    }
    const struct inotify_event *change = (const void *)(watching->batch + watching->at);
    watching->at += sizeof *change + change->len;
    event->data = change;
    if (watching->at < watching->end)
        queue_source_is_ready(source);
    else
        queue_source_again(source);
    return true;
}

static void watch_dispose(errand_source *source)
{
    /* The close of an inotify descriptor that watches something waits until no processor can be looking at its watches
     * any more: 16 to 24 ms were seen. */
    struct backend *backend = source->queue->backend;
    queue_close_later(source->queue, source->fd, backend->ops->lane(backend, source->fd, ""));
    free(source->extra);
}

static const struct source_type watch_type = {source_poll_took, watch_event, source_does_nothing, source_poll_resume,
                                              watch_dispose};

int errand_source_watch(errand_queue *queue, void *user_data, errand_source **out)
{
    int result = source_new(queue, &watch_type, user_data, out);
    if (result < 0)
        return result;
    (*out)->extra = calloc(1, sizeof(struct watching));
    if (!(*out)->extra)
        return source_own(out, -ENOMEM);
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return source_own(out, fd < 0 ? -errno : fd);
}

/*
 * Adding a watch looks its path up and asks for permission to read. Neither waits for a file that is open for reading,
 * named by its link in /proc, on these filesystems: the link leads to the open file itself, and opening it asked for
 * the same permission, which brought into memory what the answer depends on. NFS and FUSE would ask their servers;
 * besides, inotify does not tell what others change there.
 */
static bool is_local(const char *type)
{
    static const char *const local[] = {"ext4", "ext3", "ext2", "xfs", "btrfs", "tmpfs", "overlay"};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        if (strcmp(type, local[i]) == 0)
            return true;
    return false;
}

/* The table of mounts is read once for many directories of one mount, where the kernel can tell that it is the same. */
static int check_file(struct watching *watching, int fd)
{
    struct statx about, mount;
    char type[32];
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    uint64_t unique = 0;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE, &mount) == 0 &&
        (mount.stx_mask & STATX_MNT_ID_UNIQUE))
        unique = mount.stx_mnt_id;
    if (unique && unique == watching->local_mount)
        return 0;
    int result = system_look(fd, "", &about);
    if (result < 0)
        return result;
    if (!(about.stx_mask & STATX_MNT_ID) || !system_mount_type(about.stx_mnt_id, type, sizeof type) || !is_local(type))
        return -EOPNOTSUPP;
    watching->local_mount = unique;
    return 0;
}

static int check_source(const errand_source *source)
{
    if (!source || source->type != &watch_type)
        return -EINVAL;
    return queue_is_ours(source->queue) ? 0 : -EPERM;
}

int errand_source_watch_add(errand_source *source, int fd, uint32_t mask)
{
    int result = check_source(source);
    if (result == 0 && (mask & IN_DONT_FOLLOW)) /* it would watch the link */
        result = -EINVAL;
    if (result == 0)
        result = check_file(source->extra, fd);
    if (result < 0)
        return result;
    char link[48];
    snprintf(link, sizeof link, "/proc/thread-self/fd/%d", fd);
    int watch = inotify_add_watch(source->fd, link, mask);
    return watch < 0 ? -errno : watch;
}

int errand_source_watch_remove(errand_source *source, int watch)
{
    int result = check_source(source);
    if (result < 0)
        return result;
    return inotify_rm_watch(source->fd, watch) < 0 ? -errno : 0;
}
