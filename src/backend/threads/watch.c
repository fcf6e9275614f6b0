/* SPDX-License-Identifier: MIT */
/* Which operations wait for which descriptors. */
#include "backend/threads/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t watch_events(const struct op *op)
{
    if (!op)
        return 0;
    if (op->kind == OP_POLL)
        return op->flags; /* the same numbers */
    return op->kind == OP_SEND || op->kind == OP_CONNECT ? EPOLLOUT : EPOLLIN;
}

static int make_room(struct threads *threads, uint32_t fd)
{
    if (fd < threads->watches_room)
        return 0;
    uint32_t room = threads->watches_room ? threads->watches_room : 64;
    while (room <= fd)
        room *= 2;
    struct watch *watches = realloc(threads->watches, room * sizeof *watches);
    if (!watches)
        return -ENOMEM;
    memset(watches + threads->watches_room, 0, (room - threads->watches_room) * sizeof *watches);
    threads->watches = watches;
    threads->watches_room = room;
    return 0;
}

static int set_registered(struct threads *threads, int fd, uint32_t events)
{
    struct watch *watch = &threads->watches[fd];
    struct epoll_event event = {.events = events, .data.fd = fd};
    int what = !events ? EPOLL_CTL_DEL : watch->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int result = epoll_ctl(threads->epoll_fd, what, fd, &event);
    if (result < 0 && errno == EEXIST)
        result = epoll_ctl(threads->epoll_fd, EPOLL_CTL_MOD, fd, &event);
    else if (result < 0 && errno == ENOENT && events) /* its number was closed and is another's now */
        result = epoll_ctl(threads->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    watch->registered = result == 0 || !events ? events : 0;
    return result < 0 ? -errno : 0;
}

struct watch *watch_of(struct threads *threads, int fd)
{
    return fd >= 0 && (uint32_t)fd < threads->watches_room ? &threads->watches[fd] : NULL;
}

int watch_add(struct threads *threads, struct op *op)
{
    if (op->socket < 0)
        return -EBADF;
    int result = make_room(threads, (uint32_t)op->socket);
    if (result < 0)
        return result;
    struct watch *watch = &threads->watches[op->socket];
    uint32_t events = watch_events(op);
    bool out = events & EPOLLOUT, in = !out || (events & ~(uint32_t)EPOLLOUT);
    if ((out && watch->out) || (in && watch->in))
        return -EBUSY;
    uint32_t needed = watch->registered | events;
    if (needed != watch->registered)
        result = set_registered(threads, op->socket, needed);
    if (result == 0 && out)
        watch->out = op;
    if (result == 0 && in)
        watch->in = op;
    return result;
}

void watch_trim(struct threads *threads, int fd)
{
    struct watch *watch = &threads->watches[fd];
    uint32_t needed = watch_events(watch->in) | watch_events(watch->out);
    if (needed != watch->registered)
        set_registered(threads, fd, needed);
}

void watch_remove(struct threads *threads, struct op *op, bool keep)
{
    struct watch *watch = watch_of(threads, op->socket);
    if (watch->in == op)
        watch->in = NULL;
    if (watch->out == op)
        watch->out = NULL;
    if (!keep)
        watch_trim(threads, op->socket);
}
