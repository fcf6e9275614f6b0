/* SPDX-License-Identifier: MIT */
/* Roots: directories under which paths are opened. */
#include "queue/queue.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>

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
    struct root *root = calloc(1, sizeof *root);
    if (!root)
        return -ENOMEM;
    *root = (struct root){.references = 1,
                          .one_mount = flags & ERRAND_ONE_MOUNT,
                          .resolve = flags & ERRAND_UNCONFINED ? 0 : RESOLVE_BENEATH};
    int result = queue->backend->ops->root(queue->backend, dir_fd, root);
    if (result < 0) {
        free(root);
        return result;
    }
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
