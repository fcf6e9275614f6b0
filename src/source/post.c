/* SPDX-License-Identifier: MIT */
/* Messages from other threads: a bounded ring under a lock, and an eventfd that wakes the queue when it was empty. */
#include "source/source.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock;
    uint32_t limit, first, count;
    bool told; /* the eventfd was written to since the queue last found the ring empty */
    const void *messages[];
};

static bool take(errand_source *source, const void **message)
{
    struct mailbox *box = source->extra;
    pthread_mutex_lock(&box->lock);
    bool found = box->count > 0;
    if (found) {
        *message = box->messages[box->first];
        box->first = (box->first + 1) % box->limit;
        box->count--;
    } else if (box->told) {
        uint64_t ignored;
        box->told = read(source->fd, &ignored, sizeof ignored) < 0 && errno != EAGAIN;
    }
    pthread_mutex_unlock(&box->lock);
    return found;
}

static bool post_event(errand_source *source, struct errand_event *event)
{
    event->kind = ERRAND_EVENT_MESSAGE;
    if (source_poll_failed(source, event))
        return true;
    if (!take(source, &event->data)) {
        source_arm_poll(source);
        return false;
    }
    queue_source_is_ready(source); /* perhaps there is another; if not, it is armed again */
    return true;
}

static void post_dispose(errand_source *source)
{
    struct mailbox *box = source->extra;
    close(source->fd);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

static const struct source_type post_type = {source_poll_took, post_event, source_does_nothing, source_poll_resume,
                                             post_dispose};

int errand_source_post(errand_queue *queue, void *user_data, errand_source **out)
{
    int result = source_new(queue, &post_type, user_data, out);
    if (result < 0)
        return result;
    struct mailbox *box = calloc(1, sizeof *box + queue->messages * sizeof box->messages[0]);
    int fd = box ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (fd < 0) {
        result = box ? -errno : -ENOMEM;
        free(box);
        slab_free(&queue->sources, *out);
        return result;
    }
    pthread_mutex_init(&box->lock, NULL);
    box->limit = queue->messages;
    (*out)->extra = box;
    (*out)->fd = fd;
    source_arm_poll(*out);
    return 0;
}

int errand_post(errand_source *source, const void *message)
{
    if (!source || source->type != &post_type)
        return -EINVAL;
    struct mailbox *box = source->extra;
    int result = 0;
    pthread_mutex_lock(&box->lock);
    if (box->count == box->limit) {
        result = -EAGAIN;
    } else {
        box->messages[(box->first + box->count++) % box->limit] = message;
        uint64_t one = 1;
        if (!box->told)
            box->told = write(source->fd, &one, sizeof one) == sizeof one;
    }
    pthread_mutex_unlock(&box->lock);
    return result;
}
