/* SPDX-License-Identifier: MIT */
/* The io_uring backend's state, shared by its files: ring.c (setting up, waiting), ops.c (operations),
 * watch.c, announce.c. */
#ifndef BACKEND_URING_RING_H
#define BACKEND_URING_RING_H

#include <liburing.h>

#include "backend/backend.h"
#include "base/list.h"

#define DIRECT_LIMIT  1024
#define RECEIVE_GROUP 0

/* What a completion belongs to: an operation's address, with its part in the lowest bits; or: */
enum { USER_DATA_NOBODY = 0, USER_DATA_WAKE = 8, USER_DATA_WATCH = 16 };
enum part {
    PART_WHOLE,
    PART_OPEN, /* of an OP_READ_FILE, as the next two */
    PART_READ,
    PART_CLOSE,
    PART_WRITABLE, /* of an OP_SEND that had to wait */
    PART_MASK = 7
};

/* What an operation that is with the ring waits for: op->waits. */
enum waits {
    WAITS_ITSELF,
    WAITS_POLLED,    /* OP_SEND: until the ring's poll says that it can go on */
    WAITS_WATCHED,   /* OP_SEND, OP_POLL: see watch.c */
    WAITS_CANCELLED, /* it must not begin to wait any more */
};

struct uring {
    struct backend backend;
    struct io_uring ring;
    uint64_t wake_count; /* where the pool's eventfd is read to */
    bool wake_armed;
    int outer_fd;      /* another event loop's epoll descriptor, see announce.c; or -1 */
    struct list polls; /* OP_POLL operations in flight */
    struct list done;  /* operations that ended without a completion of their own */
    int watch_fd;      /* see watch.c; -1: not needed yet */
    bool watch_armed;
    uint32_t watched;
    uint32_t immediate; /* completions to come of operations that complete while they are submitted */
    uint16_t direct_free[DIRECT_LIMIT];
    uint32_t direct_count;      /* free direct descriptors */
    struct list direct_waiting; /* OP_READ_FILE operations, for one */
    struct io_uring_buf_ring *receive_ring;
    char *receive_memory;
    uint32_t receive_buffers, receive_size;
};

/* Has the kernel take all entries. */
void uring_issue(struct uring *uring);

/* An entry to fill in; `together` entries will go to the kernel in one submission. */
struct io_uring_sqe *uring_entry(struct uring *uring, unsigned together);

void uring_arm_wake(struct uring *uring);

/* Puts it into the ring, perhaps once more. */
void uring_prepare(struct uring *uring, struct op *op);

bool uring_submit(struct backend *backend, struct op *op);
void uring_cancel(struct backend *backend, struct op *op);
void uring_forget(struct backend *backend, int fd);
struct op *uring_next(struct backend *backend);
void uring_recycle(struct backend *backend, void *buffer);

/* An OP_POLL begins: returns 0, or why it cannot be announced. It is back. */
int uring_polls(struct uring *uring, struct op *op);
void uring_polled(struct uring *uring, struct op *op);

/* An OP_SEND has to wait: until its socket can be written to, as the ring sees it. */
void uring_poll_to_send(struct uring *uring, struct op *op);
/* The ring's poll ended with nothing that an OP_SEND or OP_POLL waits for. Returns 0, or why it cannot wait. */
int uring_watch(struct uring *uring, struct op *op);
/* Ends that: the operation is among the done, -ECANCELED. */
void uring_unwatch(struct uring *uring, struct op *op);
/* Some of the watched are ready. */
void uring_watched(struct uring *uring);

int uring_announce(struct backend *backend, int epoll_fd, int bell);
bool uring_leave(struct backend *backend);

#endif
