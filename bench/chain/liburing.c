/* SPDX-License-Identifier: MIT */
/*
 * bench-chain: io_uring by hand, as a careful user of liburing writes it for just this job. Variants:
 *
 *     linked       open into a slot of the registered file table, read into a registered buffer, close the slot: three
 *                  requests in one hard link, one submission; the open's completion is skipped, the others are seen
 *     linked-skip  the same, but only the close's completion is seen (a short or failed read is never skipped)
 *     linked-plain linked-skip, but without a registered buffer
 *     staged       no links: all opens in one submission, then all reads, then all closes
 *     ordered      no links, one submission: open, read and close of one slot beside each other. The kernel starts what
 *                  it can at once in this order; when an open had to wait, the read answers EBADF and is done again
 *     descriptors  as staged, with real descriptors in place of slots
 *
 * "-beneath" behind any of them opens with openat2 and RESOLVE_BENEATH. --batch: completions waited for in each wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "chain.h"

enum stage { OPEN, READ, CLOSE };

struct flight {
    uint32_t file;
    enum stage stage; /* staged: what to submit next */
    unsigned pending; /* completions still to come */
    int fd;           /* descriptors: the descriptor */
    int open, read;   /* ordered: results */
    char *buffer;
};

static struct chain_bench bench;
static struct io_uring ring;
static struct flight *flights;
static struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
static bool linked, skip, fixed = true, ordered, descriptors, beneath;

static void read_variant(void)
{
    static const char *const names[] = {"linked", "linked-skip", "linked-plain", "staged", "ordered", "descriptors"};
    static char name[32];
    if (*bench.variant == 0) {
        bench.variant = "linked-skip";
    }
    snprintf(name, sizeof name, "%s", bench.variant);
    char *suffix = strstr(name, "-beneath");
    if (suffix) {
        *suffix = 0;
        beneath = true;
        how.flags &= ~(uint64_t)O_CLOEXEC; /* not allowed with a slot, which has no need of it */
    }
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            linked = i <= 2, skip = i == 1 || i == 2, fixed = i != 2, ordered = i == 4, descriptors = i == 5;
            return;
        }
    }
    chain_die("no such --variant", 0);
}

static struct io_uring_sqe *entry(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        chain_die("submission queue full", 0);
    }
    return sqe;
}

static void mark(struct io_uring_sqe *sqe, uint32_t index, enum stage stage, unsigned flags)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)index << 2 | stage);
    sqe->flags |= (unsigned char)flags;
}

static void submit_open(uint32_t index, unsigned flags)
{
    struct flight *flight = &flights[index];
    const char *path = bench.paths[flight->file];
    struct io_uring_sqe *sqe = entry();
    if (descriptors && beneath) {
        io_uring_prep_openat2(sqe, bench.dir_fd, path, &how);
    } else if (descriptors) {
        io_uring_prep_openat(sqe, bench.dir_fd, path, O_RDONLY | O_CLOEXEC, 0);
    } else if (beneath) {
        io_uring_prep_openat2_direct(sqe, bench.dir_fd, path, &how, index);
    } else {
        io_uring_prep_openat_direct(sqe, bench.dir_fd, path, O_RDONLY, 0, index);
    }
    mark(sqe, index, OPEN, flags);
}

static void submit_read(uint32_t index, unsigned flags)
{
    struct flight *flight = &flights[index];
    struct io_uring_sqe *sqe = entry();
    int file = descriptors ? flight->fd : (int)index;
    if (fixed) {
        io_uring_prep_read_fixed(sqe, file, flight->buffer, CHAIN_BYTES, 0, 0);
    } else {
        io_uring_prep_read(sqe, file, flight->buffer, CHAIN_BYTES, 0);
    }
    mark(sqe, index, READ, flags | (descriptors ? 0 : IOSQE_FIXED_FILE));
}

static void submit_close(uint32_t index, unsigned flags)
{
    struct io_uring_sqe *sqe = entry();
    if (descriptors) {
        io_uring_prep_close(sqe, flights[index].fd);
    } else {
        io_uring_prep_close_direct(sqe, index);
    }
    mark(sqe, index, CLOSE, flags);
}

/* Submits what follows for a chain. Returns false when it has ended and there is no other file to read. */
static bool advance(uint32_t index)
{
    struct flight *flight = &flights[index];
    if (flight->stage == OPEN) {
        flight->file = chain_next(&bench);
        if (flight->file == CHAIN_NONE) {
            return false;
        }
        flight->read = 0;
    }
    if (linked) {
        submit_open(index, IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS);
        submit_read(index, IOSQE_IO_HARDLINK | (skip ? IOSQE_CQE_SKIP_SUCCESS : 0));
        submit_close(index, 0);
        flight->pending = skip ? 1 : 2;
    } else if (ordered && flight->stage == OPEN) {
        submit_open(index, 0);
        submit_read(index, 0);
        submit_close(index, 0);
        flight->pending = 3;
    } else if (ordered) {
        submit_read(index, 0);
        submit_close(index, 0);
        flight->pending = 2;
    } else {
        flight->pending = 1;
        switch (flight->stage) {
        case OPEN: submit_open(index, 0); break;
        case READ: submit_read(index, 0); break;
        case CLOSE: submit_close(index, 0); break;
        }
    }
    return true;
}

/* Takes one completion. Returns true when something is to be submitted for its chain. */
static bool complete(uint32_t index, enum stage stage, int result)
{
    struct flight *flight = &flights[index];
    flight->pending--;
    if (ordered && stage != OPEN && result == -EBADF) {
        flight->read = stage == READ ? -EBADF : flight->read;
        result = 0;
    } else if (result < 0) {
        chain_die(bench.paths[flight->file], -result);
    } else if (stage == READ && result != CHAIN_BYTES) {
        chain_die("short read", 0);
    } else if (stage == OPEN) {
        flight->fd = result;
    }
    if (flight->pending > 0) {
        return false;
    }
    if (ordered) {
        flight->stage = flight->read == -EBADF ? READ : OPEN;
        flight->read = 0;
    } else if (!linked) {
        flight->stage = stage == CLOSE ? OPEN : stage + 1;
    }
    if (flight->stage == OPEN) {
        chain_check(&bench, flight->file, flight->buffer, CHAIN_BYTES);
    }
    return true;
}

static void setup(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    int r = io_uring_queue_init_params(4 * bench.flight, &ring, &params);
    if (r < 0) {
        chain_die("io_uring_queue_init", -r);
    }
    io_uring_register_ring_fd(&ring);
    flights = calloc(bench.flight, sizeof *flights);
    char *memory = aligned_alloc(4096, (size_t)bench.flight * CHAIN_BYTES);
    if (!flights || !memory) {
        chain_die("memory", ENOMEM);
    }
    struct iovec all = {memory, (size_t)bench.flight * CHAIN_BYTES};
    memset(memory, 0, all.iov_len);
    if ((r = io_uring_register_buffers(&ring, &all, 1)) < 0 ||
        (!descriptors && (r = io_uring_register_files_sparse(&ring, bench.flight)) < 0)) {
        chain_die("io_uring_register", -r);
    }
    for (uint32_t i = 0; i < bench.flight; i++) {
        flights[i].buffer = memory + (size_t)i * CHAIN_BYTES;
    }
}

int main(int argc, char **argv)
{
    chain_setup(&bench, argc, argv);
    read_variant();
    setup();
    if (bench.batch == 0) {
        bench.batch = bench.flight;
    }
    chain_start(&bench);
    unsigned running = 0;
    for (uint32_t i = 0; i < bench.flight; i++) {
        running += advance(i);
    }
    while (running > 0) {
        int r = io_uring_submit_and_wait(&ring, bench.batch < running ? bench.batch : running);
        if (r < 0 && r != -EINTR) {
            chain_die("io_uring_submit_and_wait", -r);
        }
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            uint32_t index = (uint32_t)(cqe->user_data >> 2);
            count++;
            if (complete(index, cqe->user_data & 3, cqe->res)) {
                running -= !advance(index);
            }
        }
        io_uring_cq_advance(&ring, count);
    }
    chain_report(&bench, "liburing");
    io_uring_queue_exit(&ring);
    free(flights[0].buffer);
    free(flights);
}
