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
    if (queue->roots.used == queue->roots.limit)
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
    struct root **entry = slab_take(&queue->roots);
    *entry = root;
    *out = root_handle(&queue->roots, entry);
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
    struct root **entry = root_find(&queue->roots, handle);
    if (!entry)
        return -EINVAL;
    unregister(queue, *entry);
    slab_free(&queue->roots, entry);
    queue_close_roots(queue);
    return 0;
}

void queue_remove_roots(errand_queue *queue)
{
    for (uint32_t i = 0; i < queue->roots.touched; i++)
        if (slab_is_taken(&queue->roots, i))
            unregister(queue, *(struct root **)slab_at(&queue->roots, i));
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
