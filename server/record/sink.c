/* SPDX-License-Identifier: MIT */
/*
 * Lines of several threads, or processes, end up in one file. Each piece that is written ends with a line's end and is
 * no longer than what goes down in one system call: of a file that is a small transfer buffer, which the library always
 * has, of a pipe PIPE_BUF.
 */
#include "sink.h"
#include "format.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_PIECE   ((size_t)16 * 1024)
#define STREAM_PIECE ((size_t)PIPE_BUF)
_Static_assert(PIPE_BUF >= (int)ACCESS_LINE_MAX, "a line fits into a piece");

#define FILE_FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY)
#define FILE_MODE  0640

/* A pipe or terminal may be shared with others, whose writes would become non-blocking with ours: so it is opened anew.
 * Where that is not permitted ours may wait if another takes the room between poll and write. */
static void open_stream(struct sink *sink)
{
    int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return;
    sink->fd = fd;
    sink->own = true;
}

void sink_open(struct sink *sink, errand_queue *queue, const char *path,
               void (*ended)(const struct errand_event *event), void *user_data)
{
    *sink = (struct sink){.queue = queue, .path = path, .fd = STDOUT_FILENO, .ended = ended, .user_data = user_data};
    if (strcmp(path, "-") != 0)
        return;
    sink->path = NULL;
    struct stat status;
    if (fstat(STDOUT_FILENO, &status) != 0)
        return; /* then each write says so */
    sink->socket = S_ISSOCK(status.st_mode);
    sink->stream = sink->socket || S_ISFIFO(status.st_mode) || isatty(STDOUT_FILENO);
    if (sink->stream && !sink->socket)
        open_stream(sink);
}

void sink_close(struct sink *sink)
{
    if (sink->own)
        close(sink->fd);
    sink->own = false;
}

int sink_check(const char *path)
{
    if (strcmp(path, "-") == 0)
        return 0;
    int fd = open(path, FILE_FLAGS | O_NONBLOCK | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return -errno;
    struct stat status;
    int error = fstat(fd, &status) != 0 ? -errno : S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) ? -ESPIPE : 0;
    close(fd);
    return error;
}

/* How much of it, in whole lines, is one piece. */
static size_t piece_of(const char *data, size_t length, size_t most)
{
    if (length <= most)
        return length;
    const char *end = memrchr(data, '\n', most);
    return end != NULL ? (size_t)(end - data) + 1 : most;
}

/* The call step of a stream that has room. */
static int write_stream(errand_chain *chain, void *context)
{
    (void)chain;
    struct sink *sink = context;
    while (sink->done < sink->length) {
        const char *data = sink->data + sink->done;
        size_t length = piece_of(data, sink->length - sink->done, STREAM_PIECE);
        ssize_t n =
            sink->socket ? send(sink->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL) : write(sink->fd, data, length);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        sink->done += (size_t)n;
        if ((size_t)n < length || !sink->own)
            return 0; /* a descriptor that may wait is asked first each time */
    }
    return 0;
}

static int submit(struct sink *sink)
{
    errand_chain *chain;
    int error = errand_chain_new(sink->queue, &chain);
    if (error)
        return error;
    int file = sink->fd;
    if (sink->stream) {
        errand_step_poll(chain, sink->fd, POLLOUT);
        errand_step_call(chain, write_stream, sink);
    } else {
        if (sink->path != NULL)
            file = ERRAND_SLOT(errand_step_open(chain, AT_FDCWD, sink->path, FILE_FLAGS, FILE_MODE));
        for (size_t at = 0; at < sink->length;) {
            size_t piece = piece_of(sink->data + at, sink->length - at, FILE_PIECE);
            errand_step_write(chain, file, sink->data + at, piece, ERRAND_TO_END);
            at += piece;
        }
        if (sink->path != NULL)
            errand_step_close(chain, file);
    }
    struct errand_submit options = {.size = sizeof options, .user_data = sink->user_data, .ended = sink->ended};
    return errand_submit(chain, &options, &sink->chain);
}

int sink_write(struct sink *sink, const char *data, size_t length)
{
    sink->data = data;
    sink->length = length;
    sink->done = 0;
    return submit(sink);
}

bool sink_goes_on(struct sink *sink, const struct errand_event *event)
{
    sink->chain = 0;
    if (!sink->stream)
        sink->done = event->bytes < sink->length ? (size_t)event->bytes : sink->length;
    return sink->stream && event->error == 0 && sink->done < sink->length && submit(sink) == 0;
}

void sink_cancel(struct sink *sink)
{
    if (sink->chain != 0)
        errand_cancel(sink->queue, sink->chain);
}
