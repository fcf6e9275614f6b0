/* SPDX-License-Identifier: MIT */
/* The threads backend's state: epoll(7) for peers, the worker pool for files. */
#ifndef BACKEND_THREADS_WATCH_H
#define BACKEND_THREADS_WATCH_H

#include <sys/epoll.h>

#include "backend/backend.h"
#include "base/list.h"

#define EVENTS 128

/* What waits on a descriptor: one operation for each direction, or one that polls for both. */
struct watch {
    struct op *in, *out;
    uint32_t registered; /* events that epoll has it for; 0: not at all */
};

struct threads {
    struct backend backend;
    int epoll_fd;
    struct watch *watches; /* by descriptor */
    uint32_t watches_room;
    struct list done; /* operations that were cancelled */
    struct epoll_event events[EVENTS];
    int count; /* of events from the last wait */
    int at;    /* the next to look at: twice its index, and 1 for output */
    char *receive_memory;
    void **receive_free;
    uint32_t receive_count, receive_buffers, receive_size;
};

/* The events that an operation (or none, NULL) waits for. */
uint32_t watch_events(const struct op *op);

/* Has the operation wait for its descriptor. Returns 0 or a negative errno. */
int watch_add(struct threads *threads, struct op *op);

/* Takes the operation off; `keep`: the same wait is likely to be asked for again. */
void watch_remove(struct threads *threads, struct op *op, bool keep);

/* Leaves epoll registered for just what is waited for. */
void watch_trim(struct threads *threads, int fd);

/* The watch of a descriptor that has one. */
struct watch *watch_of(struct threads *threads, int fd);

#endif
