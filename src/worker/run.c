/* SPDX-License-Identifier: MIT */
/* What a worker does with a run: makes it independent of the caller, performs its calls, lets go of what it used. */
#include "worker/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"

/* A rename under way makes openat2(2) answer EAGAIN; it has to be very unlucky for that to happen so often. */
#define LOOKUP_TRIES 1000

static int duplicate(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? -errno : copy;
}

void run_begin(struct file_run *run)
{
    if (run->begun)
        return;
    run->begun = true;
    for (unsigned i = 0; i < run->file_count; i++)
        if (run->files[i].borrowed)
            run->files[i].fd = duplicate(run->files[i].fd);
    for (unsigned i = 0; i < run->place_count; i++)
        if (run->places[i].borrowed)
            run->places[i].dir_fd = duplicate(run->places[i].dir_fd);
}

/* The call whose bytes go into a buffer that the run is to get; NULL: there is none, or it has it. */
static struct run_call *call_to_fill(struct file_run *run)
{
    if (run->wants_buffer && !run->buffer_size)
        for (struct run_call *call = run->calls; call < run->calls + run->count; call++)
            if (call->kind == ERRAND_STEP_READ || call->kind == ERRAND_STEP_LIST)
                return call;
    return NULL;
}

void run_lend_buffer(struct file_run *run, struct buffer_pool *buffers)
{
    const struct run_call *call = call_to_fill(run);
    if (call)
        buffer_lend(buffers, run->lead + (size_t)call->length);
}

void run_grant_buffer(struct file_run *run, struct buffer_pool *buffers)
{
    struct run_call *call = call_to_fill(run);
    if (!call)
        return;
    run->buffer_size = BUFFER_SMALL;
    if (buffers) {
        run->buffer_size = buffer_grant(buffers, run->lead + (size_t)call->length);
        run->buffer = buffer_lent(buffers, run->buffer_size);
    }
    if ((size_t)call->length <= run->buffer_size - run->lead)
        return;
    call->length = (int64_t)(run->buffer_size - run->lead);
    call->fits = false;
    run->count = (uint8_t)(call - run->calls + 1);
}

void run_drop_places(struct file_run *run)
{
    for (unsigned i = 0; i < run->place_count; i++) {
        struct run_place *place = &run->places[i];
        if (place->borrowed && run->begun && place->dir_fd >= 0)
            close(place->dir_fd); /* the close of a duplicate of a directory does not wait */
        place->borrowed = false;
        if (place->root && root_unused(place->root)) {
            close(place->root->fd);
            free(place->root);
        }
        place->root = NULL;
    }
}

void run_drop_files(struct file_run *run, bool own)
{
    for (unsigned i = 0; i < run->file_count; i++) {
        struct run_file *file = &run->files[i];
        if (file->fd >= 0 && (file->borrowed ? run->begun : own)) {
            close(file->fd);
            file->fd = -1;
        }
    }
}

int run_open(struct file_run *run, unsigned index, const char *path, int flags, unsigned mode)
{
    const struct run_place *place = &run->places[index];
    struct open_how how = {.flags = (uint64_t)(unsigned)flags};
    if (run_place_error(place))
        return run_place_error(place);
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) /* which has O_DIRECTORY in it */
        how.mode = mode;
    how.resolve = (place->root ? place->root->resolve : 0) | (run->crossed ? 0 : RESOLVE_NO_XDEV);
    for (int i = 0; i < LOOKUP_TRIES; i++) {
        long fd = syscall(SYS_openat2, run_directory(place), path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            break;
        sched_yield();
    }
    if (errno != EXDEV || run->crossed || (place->root && place->root->one_mount))
        return -errno;
    run->crossing = (struct run_crossing){(uint8_t)index, path};
    return RUN_CROSSES;
}

/* The path of the call under way leads onto another mount. Returns whether that has another lane. */
static bool crosses(struct file_run *run, struct mounts *mounts)
{
    const struct run_place *place = &run->places[run->crossing.place];
    uint32_t lane = mounts_lane(mounts, run_directory(place), run->crossing.path, run->lane);
    run->crossed = true;
    if (lane == run->lane)
        return false;
    run->lane = lane;
    return true;
}

/* A copy that was cut into pieces: what follows has to wait for the others. */
static bool is_piece(const struct run_call *call)
{
    return call->kind == ERRAND_STEP_COPY && call->result >= 0 && !call->ended &&
           (call->whole || call->result < call->length);
}

bool run_perform(struct file_run *run, struct mounts *mounts)
{
    while (run->done < run->count && !run->abandoned) {
        struct run_call *call = &run->calls[run->done];
        int64_t result = run_call(run, call);
        if (result == RUN_CROSSES) {
            if (crosses(run, mounts))
                return true;
            continue;
        }
        run->crossed = false;
        call->result = result;
        if (result < 0 && !call->optional) {
            run->error = (int)result;
            break;
        }
        run->done++;
        if (is_piece(call))
            break;
    }
    run_drop_files(run, false);
    run_drop_places(run);
    return false;
}
