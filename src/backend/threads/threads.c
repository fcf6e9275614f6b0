/* SPDX-License-Identifier: MIT */
/* The threads backend: system calls that do not wait, epoll(7) for what peers make us wait for, workers for files. */
#include "backend/threads/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void threads_recycle(struct backend *backend, void *buffer)
{
    struct threads *threads = container_of(backend, struct threads, backend);
    threads->receive_free[threads->receive_count++] = buffer;
}

static void threads_free(struct threads *threads)
{
    if (threads->receive_memory && threads->receive_memory != MAP_FAILED)
        munmap(threads->receive_memory, (size_t)threads->receive_buffers * threads->receive_size);
    if (threads->epoll_fd >= 0)
        close(threads->epoll_fd);
    free(threads->receive_free);
    free(threads->watches);
    free(threads);
}

static int set_up(struct threads *threads, const struct backend_options *options)
{
    threads->receive_buffers = options->receive_buffers;
    threads->receive_size = options->receive_size;
    threads->receive_memory = mmap(NULL, (size_t)options->receive_buffers * options->receive_size,
                                   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    threads->receive_free = calloc(options->receive_buffers, sizeof *threads->receive_free);
    if (threads->receive_memory == MAP_FAILED || !threads->receive_free)
        return -ENOMEM;
    for (uint32_t i = options->receive_buffers; i-- > 0;) /* the first is taken first: few pages are touched */
        threads_recycle(&threads->backend, threads->receive_memory + (size_t)i * options->receive_size);
    threads->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wake = {.events = EPOLLIN, .data.fd = pool_event_fd(options->pool)};
    if (threads->epoll_fd < 0 || epoll_ctl(threads->epoll_fd, EPOLL_CTL_ADD, wake.data.fd, &wake) < 0)
        return -errno;
    return 0;
}

static int threads_open(struct backend **backend, const struct backend_options *options, const char **why)
{
    struct threads *threads = calloc(1, sizeof *threads);
    *why = "memory";
    if (!threads)
        return -ENOMEM;
    threads->backend = (struct backend){.ops = &threads_backend, .pool = options->pool, .read_files = true};
    threads->epoll_fd = -1;
    list_init(&threads->done);
    *why = "epoll_create1(2)";
    int result = set_up(threads, options);
    if (result < 0) {
        threads_free(threads);
        return result;
    }
    *backend = &threads->backend;
    return 0;
}

static uint32_t threads_close(struct backend *backend, int64_t grace_ns)
{
    uint32_t left = pool_close(backend->pool, grace_ns);
    threads_free(container_of(backend, struct threads, backend));
    return left;
}

/* Called when the socket is writable. Returns whether it is decided. */
static bool connect_now(struct op *op)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(op->socket, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    connect_end(op, -error);
    return true;
}

/* Tries what may have to wait for a peer. Returns whether it is done. */
static bool try_now(struct threads *threads, struct op *op)
{
    ssize_t n = -1;
    switch ((enum op_kind)op->kind) {
    case OP_SEND: n = send(op->socket, op->data, op->length, (int)op->flags | MSG_DONTWAIT | MSG_NOSIGNAL); break;
    case OP_RECEIVE: n = recv(op->socket, op->buffer, op->length, MSG_DONTWAIT); break;
    case OP_ACCEPT: n = accept4(op->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); break;
    case OP_RECEIVE_ANY:
        op->buffer = threads->receive_free[threads->receive_count - 1];
        n = recv(op->socket, op->buffer, threads->receive_size, MSG_DONTWAIT);
        if (n > 0)
            threads->receive_count--;
        else
            op->buffer = NULL;
        break;
    case OP_POLL: {
        struct pollfd which = {.fd = op->socket, .events = (short)op->flags};
        n = poll(&which, 1, 0);
        if (n == 0)
            return false;
        n = n > 0 ? which.revents : n;
        break;
    }
    case OP_CONNECT: return connect_now(op);
    default: errno = EINVAL; break;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    op->result = n < 0 ? -errno : n;
    return true;
}

static bool wait_for_peer(struct threads *threads, struct op *op)
{
    int result = watch_add(threads, op);
    op->result = result;
    return result < 0;
}

/* epoll(7) refuses what is always ready, as regular files: poll(2) does not. */
static bool submit_poll(struct threads *threads, struct op *op)
{
    if (!wait_for_peer(threads, op))
        return false;
    if (op->result == -EPERM && !try_now(threads, op))
        op->result = -EINVAL; /* as from the ring: that will never be there */
    return true;
}

static bool submit_connect(struct threads *threads, struct op *op)
{
    if (!connect_begin(op))
        return true;
    int result;
    while ((result = connect(op->socket, op->data, (socklen_t)op->length)) < 0 && errno == EINTR)
        ;
    if (result < 0 && errno == EINPROGRESS) {
        if (!wait_for_peer(threads, op))
            return false;
        connect_end(op, op->result);
    } else {
        connect_end(op, result < 0 ? -errno : 0);
    }
    return true;
}

static bool threads_submit(struct backend *backend, struct op *op)
{
    struct threads *threads = container_of(backend, struct threads, backend);
    switch ((enum op_kind)op->kind) {
    case OP_FILES: pool_submit(backend->pool, op->run); return false;
    case OP_SEND:
        if (op->close_first >= 0)
            close(op->close_first);
        return try_now(threads, op) || wait_for_peer(threads, op);
    case OP_RECEIVE: return try_now(threads, op) || wait_for_peer(threads, op);
    case OP_ACCEPT: /* what is no listener says so only when asked; a source has more to come, and asks later */
        return (op->owner == OWNER_CHAIN && try_now(threads, op)) || wait_for_peer(threads, op);
    case OP_CONNECT: return submit_connect(threads, op);
    case OP_POLL: return submit_poll(threads, op);
    case OP_RECEIVE_ANY: return wait_for_peer(threads, op);
    default: call_now(op); return true;
    }
}

static void threads_cancel(struct backend *backend, struct op *op)
{
    struct threads *threads = container_of(backend, struct threads, backend);
    if (list_is_linked(&op->node))
        return; /* cancelled before */
    watch_remove(threads, op, false);
    op->result = -ECANCELED;
    if (op->kind == OP_CONNECT)
        connect_end(op, -ECANCELED);
    list_append(&threads->done, &op->node);
}

static void threads_forget(struct backend *backend, int fd)
{
    struct threads *threads = container_of(backend, struct threads, backend);
    struct watch *watch = watch_of(threads, fd);
    if (watch && watch->registered)
        watch_trim(threads, fd);
}

/* What nobody waits for any more epoll would say for ever. */
static bool says_in_vain(const struct watch *watch, uint32_t events)
{
    uint32_t always = EPOLLERR | EPOLLHUP, asked = watch_events(watch->in) | watch_events(watch->out);
    return (events & ~(asked | always)) || ((events & always) && !asked);
}

/* The operation that one direction of an event lets go on and that is then done; or NULL. */
static struct op *take_event(struct threads *threads, struct epoll_event *event, bool output)
{
    struct watch *watch = watch_of(threads, event->data.fd);
    struct op *op = output ? watch->out : watch->in;
    uint32_t asked = watch_events(op);
    if (op && (event->events & (asked | EPOLLERR | EPOLLHUP)) && try_now(threads, op)) {
        watch_remove(threads, op, op->owner == OWNER_SOURCE);
        event->events &= ~asked; /* it was not in vain, and a source asks for the same again: two calls saved */
        return op;
    }
    if (output && says_in_vain(watch, event->events))
        watch_trim(threads, event->data.fd);
    return NULL;
}

static void drain_wake(int event_fd)
{
    uint64_t ignored;
    ssize_t n = read(event_fd, &ignored, sizeof ignored);
    (void)n;
}

static struct op *threads_next(struct backend *backend)
{
    struct threads *threads = container_of(backend, struct threads, backend);
    struct file_run *run = pool_take_done(backend->pool);
    if (run)
        return run->op;
    struct list *node = list_take(&threads->done);
    if (node)
        return container_of(node, struct op, node);
    while (threads->at < 2 * threads->count && threads->receive_count > 0) {
        struct epoll_event *event = &threads->events[threads->at / 2];
        bool output = threads->at++ % 2;
        if (event->data.fd != pool_event_fd(backend->pool)) {
            struct op *op = take_event(threads, event, output);
            if (op)
                return op;
        } else if (!output) {
            drain_wake(event->data.fd);
        }
    }
    return NULL;
}

static bool threads_has_next(struct backend *backend)
{
    struct threads *threads = container_of(backend, struct threads, backend);
    return !list_is_empty(&threads->done) || pool_has_done(backend->pool) ||
           (threads->at < 2 * threads->count && threads->receive_count > 0);
}

static void threads_wait(struct backend *backend, int64_t timeout_ns)
{
    struct threads *threads = container_of(backend, struct threads, backend);
    if (threads->at < 2 * threads->count)
        return;
    struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    if (timeout_ns != 0 && !pool_sleep(backend->pool))
        time = (struct timespec){0};
    struct timespec *limit = timeout_ns < 0 && (time.tv_sec || time.tv_nsec) ? NULL : &time;
    threads->at = 0;
    threads->count = epoll_pwait2(threads->epoll_fd, threads->events, EVENTS, limit, NULL);
    if (threads->count < 0 && errno == ENOSYS) { /* before Linux 5.11: whole milliseconds, rounded up */
        int64_t ms = time.tv_sec > 1000000 ? 1000000000 : time.tv_sec * 1000 + (time.tv_nsec + 999999) / 1000000;
        threads->count = epoll_wait(threads->epoll_fd, threads->events, EVENTS, limit ? (int)ms : -1);
    }
    pool_awake(backend->pool);
    if (threads->count < 0)
        threads->count = 0;
}

static int threads_announce(struct backend *backend, int epoll_fd, int bell)
{
    (void)bell; /* ours is readable by itself */
    struct threads *threads = container_of(backend, struct threads, backend);
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, threads->epoll_fd, &event) < 0 ? -errno : 0;
}

static bool threads_leave(struct backend *backend)
{
    return pool_sleep(backend->pool);
}

const struct backend_ops threads_backend = {
    .name = "threads",
    .open = threads_open,
    .close = threads_close,
    .submit = threads_submit,
    .cancel = threads_cancel,
    .forget = threads_forget,
    .next = threads_next,
    .has_next = threads_has_next,
    .wait = threads_wait,
    .announce = threads_announce,
    .leave = threads_leave,
    .recycle = threads_recycle,
    SYSTEM_OPS,
};
