/* SPDX-License-Identifier: MIT */
/*
 * An operation: what a chain or a source asks of a backend, one at a time. The record lives in its owner, and the
 * owner lives until the operation is back. Nothing here touches the kernel.
 */
#ifndef CHAIN_OP_H
#define CHAIN_OP_H

#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "errand.h"

enum op_kind {
    OP_NONE,
    /* Immediate: shown not to wait, done before the next sleep; -EAGAIN: it would have waited, so take a worker. */
    OP_OPEN,      /* path beneath directory, cached names only; result: descriptor */
    OP_STAT,      /* fd into *stat */
    OP_READ,      /* fd, length at offset into buffer, resident pages only; result: bytes, perhaps short */
    OP_CLOSE,     /* fd */
    OP_READ_FILE, /* OP_OPEN, OP_READ, close as one (uring: linked, through a direct descriptor); result: bytes */
    OP_SENDFILE,  /* fd to socket, resident pages only; -EAGAIN: the socket is full; -ENODATA: pages are not resident */
    OP_SPLICE, /* fd, a pipe, to socket; flags: 1: more will follow; offset: of its bytes in the file; as OP_SENDFILE */
    OP_SHUTDOWN, /* socket, flags: how */
    /* Of peers: wait as long as the peer lets them; cancelled at once. */
    OP_SEND,        /* data, length to socket; result: bytes, perhaps short. close_first as below */
    OP_RECEIVE,     /* socket to buffer */
    OP_POLL,        /* socket for the poll(2) events in flags */
    OP_ACCEPT,      /* socket, flags: enum accept_flags; result: a descriptor */
    OP_CONNECT,     /* socket, or -1: a new one; data, length: the address; result: its descriptor */
    OP_RECEIVE_ANY, /* socket to a buffer of the backend's, chosen when data is there: buffer, result */
    /* Of files that may wait: on a worker, see file_run.h. */
    OP_FILES,
};

/*
 * The kernel tells one waiter alone of a connection. If that is a wait that is being cancelled, those who wait for the
 * same socket elsewhere hear nothing of it until the next connection comes. So a wait that others share takes with it
 * who has come, even if it is cancelled.
 */
enum accept_flags { ACCEPT_LEAVES_NOBODY = 1 };

enum op_owner { OWNER_CHAIN, OWNER_SOURCE };

struct op {
    uint8_t kind;
    uint8_t owner;   /* enum op_owner */
    bool in_flight;  /* with the backend */
    uint8_t waits;   /* the ring's: enum waits */
    uint16_t direct; /* OP_READ_FILE: its direct descriptor */
    uint32_t flags;  /* of the operation: MSG_, poll events, how */
    int32_t fd;      /* file, or directory */
    int32_t socket;
    int32_t close_first; /* OP_SEND: a descriptor to close (OP_CLOSE's conditions) before; -1: none */
    int32_t open_result;
    int32_t held;     /* the backend's, OP_POLL: another loop's epoll descriptor holds it; -1: none does */
    uint32_t serial;  /* the backend's: when it was prepared */
    int32_t fault;    /* tests only: how it is to fail when it is done; see base/fault.h */
    struct list node; /* the backend's */
    union {
        void *buffer;
        const void *data;
    };
    size_t length;
    int64_t offset;
    int64_t result;
    union {
        const char *path;
        struct errand_stat *stat;
        struct file_run *run;
    };
    struct open_how how; /* OP_OPEN, OP_READ_FILE */
};

#endif
