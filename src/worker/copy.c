/* SPDX-License-Identifier: MIT */
/*
 * Copying from file to file, a piece of at most call->length bytes: by shared blocks, by copy_file_range(2), by memory.
 * For the small files that trees are made of a read and a write are the cheapest (measured: copy_file_range on ext4
 * goes through a pipe's pages, at twice the CPU of the two calls for 4 KiB).
 */
#include "worker/run.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL  ((int64_t)64 << 10)
#define MEMORY ((size_t)256 << 10)

struct copy {
    int from, to;
    int64_t from_offset, to_offset;
    int64_t left; /* of this piece */
    char *memory; /* once it is needed */
};

/* Writes all. Returns 0 or a negative errno. */
static int put(struct copy *copy, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = pwrite(copy->to, data, length, copy->to_offset);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            length -= (size_t)n;
            copy->to_offset += n;
        }
    }
    return 0;
}

/* Returns the bytes moved, 0 at the end of the file, or a negative errno. */
static int64_t through(struct copy *copy, char *memory, size_t room, int64_t most)
{
    size_t wanted = most < (int64_t)room ? (size_t)most : room;
    ssize_t n;
    while ((n = pread(copy->from, memory, wanted, copy->from_offset)) < 0 && errno == EINTR)
        ;
    if (n < 0)
        return -errno;
    int error = put(copy, memory, (size_t)n);
    if (error < 0)
        return error;
    copy->from_offset += n;
    return n;
}

static int64_t by_memory(struct copy *copy, int64_t most)
{
    char small[16384];
    if (most <= (int64_t)sizeof small)
        return through(copy, small, sizeof small, most);
    if (!copy->memory && !(copy->memory = malloc(MEMORY)))
        return through(copy, small, sizeof small, most);
    return through(copy, copy->memory, MEMORY, most);
}

static bool cannot_do_it(int error)
{
    return error == EXDEV || error == EOPNOTSUPP || error == EINVAL || error == ENOSYS || error == EPERM ||
           error == EBADF || error == ETXTBSY;
}

static int64_t some(struct copy *copy, int64_t most)
{
    if (most <= SMALL || copy->memory)
        return by_memory(copy, most);
    loff_t from = copy->from_offset, to = copy->to_offset;
    ssize_t n = copy_file_range(copy->from, &from, copy->to, &to, (size_t)most, 0);
    /* 0 may also mean that this filesystem only says so (files of /proc, before Linux 5.19): reading tells. */
    if (n == 0 || (n < 0 && cannot_do_it(errno)))
        return by_memory(copy, most);
    if (n < 0)
        return errno == EINTR ? some(copy, most) : -errno;
    copy->from_offset = from;
    copy->to_offset = to;
    return n;
}

/* How much from here on is data; skips a hole. 0: nothing but a hole, to the end. */
static int64_t data_ahead(struct copy *copy)
{
    off_t data = lseek(copy->from, copy->from_offset, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? 0 : copy->left; /* a filesystem that knows no holes */
    int64_t hole = data - copy->from_offset;
    if (hole > copy->left)
        hole = copy->left;
    copy->from_offset += hole;
    copy->to_offset += hole;
    copy->left -= hole;
    off_t end = lseek(copy->from, data, SEEK_HOLE);
    int64_t length = end > data ? end - data : copy->left;
    return length < copy->left ? length : copy->left;
}

/* Not by lseek(2): the position may be the caller's, too. */
static int64_t size_of(int fd)
{
    struct stat stat;
    return fstat(fd, &stat) < 0 ? -errno : stat.st_size;
}

/* A hole was skipped, with nothing behind it: the new file must reach as far. */
static int64_t reach(struct copy *copy)
{
    int64_t size = size_of(copy->to);
    if (size < 0 || size >= copy->to_offset || ftruncate(copy->to, copy->to_offset) == 0)
        return 0;
    int64_t error = -errno;
    copy->from_offset -= copy->to_offset - size; /* so that it is tried, and fails, again */
    return error;
}

/* What lies behind the last data is a hole: the new file gets its length, and ends there, if this piece does. */
static int64_t end_in_a_hole(struct copy *copy, bool *ended)
{
    int64_t end = size_of(copy->from);
    int64_t hole = end > copy->from_offset ? end - copy->from_offset : 0;
    if (hole > copy->left)
        hole = copy->left;
    copy->to_offset += hole;
    copy->from_offset += hole;
    copy->left -= hole;
    *ended = copy->left > 0;
    return reach(copy);
}

static int64_t copy_piece(struct copy *copy, struct run_call *call)
{
    while (copy->left > 0) {
        int64_t ahead = call->flags & ERRAND_HOLES ? data_ahead(copy) : copy->left;
        if (copy->left == 0)
            return reach(copy);
        if (ahead == 0)
            return end_in_a_hole(copy, &call->ended);
        int64_t n = some(copy, ahead);
        if (n < 0)
            return n;
        if (n == 0) {
            call->ended = true;
            break;
        }
        copy->left -= n;
    }
    return 0;
}

/* A whole file that is known to be small and to have no holes: with luck one read and one write. Returns the bytes, or
 * a negative errno; -EAGAIN: it is none, or no longer. */
static int64_t copy_small(struct copy *copy, const struct errand_stat *found)
{
    char small[16384], *memory = small;
    size_t size = (size_t)found->bytes;
    if (!S_ISREG(found->mode) || found->bytes == 0 || found->bytes > SMALL || found->blocks * 512 < found->bytes)
        return -EAGAIN;
    if (size >= sizeof small && !(memory = malloc(size + 1)))
        return -EAGAIN;
    ssize_t n = pread(copy->from, memory, size + 1, 0); /* one more: it may have grown */
    int64_t result = n < 0 ? -errno : n != (ssize_t)size ? -EAGAIN : put(copy, memory, size);
    if (result == 0)
        result = n;
    if (memory != small)
        free(memory);
    return result == -EINTR ? -EAGAIN : result;
}

int64_t run_copy(struct file_run *run, struct run_call *call)
{
    struct copy copy = {.from = run->files[call->file].fd,
                        .to = run->files[call->to].fd,
                        .from_offset = call->offset,
                        .to_offset = call->to_offset,
                        .left = call->length};
    bool all = call->whole && call->offset == 0 && call->to_offset == 0;
    const struct errand_stat *found = all ? run_found(run, call->file) : NULL;
    int64_t small = found ? copy_small(&copy, found) : -EAGAIN;
    if (small != -EAGAIN) {
        call->ended = true;
        return small;
    }
    if (all && ioctl(copy.to, FICLONE, copy.from) == 0) {
        call->ended = true;
        return size_of(copy.from);
    }
    /* To ask for holes moves the position, which the caller's descriptor shares with our duplicate. */
    bool moves = (call->flags & ERRAND_HOLES) && run->files[call->file].borrowed;
    off_t position = moves ? lseek(copy.from, 0, SEEK_CUR) : -1;
    int64_t error = copy_piece(&copy, call);
    if (position >= 0)
        lseek(copy.from, position, SEEK_SET);
    free(copy.memory);
    if (error < 0)
        call->ended = false;
    int64_t moved = copy.from_offset - call->offset;
    return moved > 0 ? moved : error; /* an error after some bytes comes again with the next piece */
}
