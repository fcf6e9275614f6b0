/* SPDX-License-Identifier: MIT */
/* The io_uring backend's state, shared by its files: ring.c (setting up, waiting), ops.c (operations), announce.c. */
#ifndef BACKEND_URING_RING_H
#define BACKEND_URING_RING_H

#include <liburing.h>

#include "backend/backend.h"
#include "base/list.h"

#define DIRECT_LIMIT  1024
#define RECEIVE_GROUP 0

/* What a completion belongs to: an operation's address, with the part of an OP_READ_FILE in its lowest bits; or: */
enum { USER_DATA_NOBODY = 0, USER_DATA_WAKE = 8 };
enum part { PART_WHOLE, PART_OPEN, PART_READ, PART_CLOSE, PART_MASK = 3 };

struct uring {
    struct backend backend;
    struct io_uring ring;
    uint64_t wake_count; /* where the pool's eventfd is read to */
    bool wake_armed;
    int outer_fd;       /* another event loop's epoll descriptor, see announce.c; or -1 */
    struct list polls;  /* OP_POLL operations in flight */
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

bool uring_submit(struct backend *backend, struct op *op);
void uring_cancel(struct backend *backend, struct op *op);
void uring_forget(struct backend *backend, int fd);
struct op *uring_next(struct backend *backend);
void uring_recycle(struct backend *backend, void *buffer);

/* An OP_POLL begins: returns 0, or why it cannot be announced. It is back. */
int uring_polls(struct uring *uring, struct op *op);
void uring_polled(struct uring *uring, struct op *op);
int uring_announce(struct backend *backend, int epoll_fd, int bell);
bool uring_leave(struct backend *backend);

#endif
