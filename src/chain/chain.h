/* SPDX-License-Identifier: MIT */
/*
 * A chain: steps as a table, and where its execution stands. This floor decides what is to be done next and takes in
 * what came of it; it makes no system call. The queue carries operations between it and a backend.
 *
 * A chain's life:
 *   DESCRIBED -> RUNNING -> ENDING -> ENDED
 * DESCRIBED: the caller appends steps. RUNNING: steps are performed in order, one operation at a time. ENDING: the
 * outcome is settled, files left open are being closed. ENDED: its event waits to be fetched; nothing is in flight.
 */
#ifndef CHAIN_CHAIN_H
#define CHAIN_CHAIN_H

#include "base/buffer.h"
#include "base/heap.h"
#include "base/list.h"
#include "chain/file_run.h"
#include "chain/op.h"
#include "chain/roots.h"
#include "chain/seen.h"

enum chain_state { CHAIN_DESCRIBED, CHAIN_RUNNING, CHAIN_ENDING, CHAIN_ENDED };

/* What is known of an open file. */
enum file_facts {
    FILE_OPEN = 1u << 0,        /* fd is valid */
    FILE_OWNED = 1u << 1,       /* and the chain's to close */
    FILE_LENT = 1u << 2,        /* its descriptor is with a run */
    FILE_INLINE = 1u << 3,      /* on a filesystem whose stat and close do not wait, opened for reading only */
    FILE_READABLE = 1u << 4,    /* ... and on which reads of compact files do not */
    FILE_KNOWN = 1u << 5,       /* bytes and the two below are from a stat */
    FILE_COMPACT = 1u << 6,     /* a regular file whose extents are all in its inode: reading needs no other metadata */
    FILE_UNLINKED = 1u << 7,    /* its last close may free blocks */
    FILE_NO_SENDFILE = 1u << 8, /* sendfile(2) cannot be used on it: read and send */
    FILE_CLOSED_EARLY = 1u << 9, /* by the last send of its bytes, ahead of its close step */
    FILE_SOCKET = 1u << 10,      /* of a peer: its close does not wait */
    FILE_NO_PIPE = 1u << 11,     /* its bytes do not go through a pipe, or none was to be had */
};

/* In step.flags, beyond the public ones. */
enum step_flags {
    STEP_TRIED = 1u << 3,      /* inline, in vain: take a worker */
    STEP_PAUSED = 1u << 3,     /* list: waits to be resumed. await: was told to stop */
    STEP_FILE_ENDED = 1u << 4, /* sendfile: the file had no more */
    STEP_LIKE = 1u << 4,       /* open: with the permissions of the file `to` */
    STEP_POLL = 1u << 5,       /* sendfile: the socket is full */
    STEP_OPTIONAL = 1u << 6,
    STEP_ALTERNATIVES = 1u << 7, /* open: of several paths */
    STEP_FILTERED = 1u << 7,     /* sendfile, receive-file: see chain->filters */
};

struct step {
    uint8_t kind;
    uint8_t flags;
    uint16_t facts; /* of the file that this step opened, or of the caller's file that it uses */
    int32_t fd;
    int32_t file; /* operand: a descriptor, or ERRAND_SLOT(n), or where a path begins */
    union {
        int32_t socket;
        int32_t to; /* the second operand: of copy, copy-metadata, open-like, rename, link, symlink, link-file */
    };
    union {
        void *buffer;
        const void *data; /* write, send; sendfile: the head; connect: the address */
        errand_call function;
        errand_list entry;
        errand_work work;
        const char *path; /* or an attribute's name, a symlink's target */
        struct errand_stat *stat;
    };
    union {
        size_t length; /* read, write, send, receive, connect; sendfile: of the head */
        void *context;
        const char *to_path;
        void *value; /* of an attribute, a symlink */
        int64_t open_flags;
        int64_t how; /* shutdown, poll, allocate */
    };
    union {
        int64_t offset;
        struct root *root; /* of path, in use by the chain; NULL: a plain directory */
    };
    union {
        int64_t range;        /* sendfile, receive-file, copy, allocate: bytes of the file, or ERRAND_TO_END */
        size_t size;          /* of value */
        uint64_t path_hash;   /* open, beneath a root */
        struct root *to_root; /* of to_path */
        struct {
            uint16_t left, choice; /* open of several paths: not yet tried behind this one, and its number */
        };
    };
    union {
        uint64_t bytes;     /* open: the file's size, once known */
        uint64_t file_sent; /* sendfile: bytes of the file, read into the buffer or sent; receive-file: received */
        int64_t to_offset;
        uint64_t device;
    };
    union {
        uint32_t mode;      /* open, mkdir, chmod ...; flags of rename and of attributes; chown: group */
        uint32_t head_sent; /* sendfile: bytes of the head, in the buffer or sent */
    };
    uint32_t lane; /* of the file's device; chown: user */
    int64_t result;
};

#define CHAIN_STEPS_LIMIT 64
#define CHAIN_PATH_ROOM   104
#define BYTES_UNTOLD      ((uint64_t)INT64_MAX) /* step.bytes: the file does not say its size */

/* In order of use: the first three cache lines are all that a chain of one segment needs besides its first step. */
struct errand_chain {
    struct op op; /* the one under way */
    struct chain_context *context;
    struct list node; /* among the runnable */
    uint8_t state;
    uint8_t steps_count, current;
    uint8_t in_call;
    bool unhurried;
    int16_t failed_step;
    int16_t hand_over; /* step that opened the file, or -1 */
    int32_t error;     /* the outcome */
    int32_t stopped;   /* cancelled or out of time: the error to end with */
    int32_t sticky;    /* the first error while describing */
    uint16_t failed_kind;
    uint16_t paths_used;
    uint64_t moved;
    void *user_data;
    void (*ended)(const struct errand_event *event); /* gets the event instead of the caller */
    int64_t progressed;                              /* when a step last ended or bytes moved */
    struct heap_node timer;
    uint64_t rooted, to_rooted; /* a bit for each step whose root, to_root is in use */
    uint32_t files;             /* open, and the chain's */
    struct long_path *long_paths;
    char *buffer; /* transfer buffer in use by the current step: data from `start` to `end` is unsent */
    size_t buffer_size, start, end;
    struct pipe *pipe; /* the same for a sendfile: what it holds is unsent */
    int64_t deadline, stall_ns;
    int64_t wake;  /* nothing is done before; 0: at once */
    uint64_t rate; /* bytes a second on sockets; 0: no limit */
    int64_t paid;  /* what was moved is within the rate from then on */
    struct filter *filters;
    void *loaded; /* what a load step reads to: the caller's with the event */
    bool resumed; /* and no step has used it yet: with what */
    int64_t resume_result;
    uint64_t resume_bytes;
    char paths[CHAIN_PATH_ROOM];
    struct step steps[];
};

/* What chains of one queue share. */
struct chain_context {
    struct buffer_pool *buffers;
    struct seen *seen; /* NULL: could not be had */
    const struct slab *roots;
    int64_t now;
    uint32_t steps_limit;
    uint32_t in_call;        /* depth of call steps being run */
    uint32_t descriptors;    /* open in chains */
    bool read_files;         /* the backend performs OP_READ_FILE */
    struct errand_stat stat; /* where OP_STAT, which is done when it is submitted, leaves what no caller asked for */
    uint64_t inline_runs, worker_runs;
    struct list unused_roots; /* for the queue to close, which may wait */
};

enum chain_next {
    CHAIN_DO,      /* perform chain->op */
    CHAIN_IS_OVER, /* state is ENDED */
    CHAIN_WAITS,   /* until chain->wake */
    CHAIN_GO_ON,   /* within this floor only: look at the chain again */
};

/* Makes a fresh record ready to be described. */
void chain_init(errand_chain *chain, struct chain_context *context);

/* Frees what a described or ended chain holds besides its record. */
void chain_release(errand_chain *chain);

/* Begins to run a described chain: chain->sticky must be 0. */
void chain_start(errand_chain *chain);

/* Decides what to do next; call steps are run within. */
enum chain_next chain_next(errand_chain *chain);

/* Takes in chain->op, which is back from the backend. */
void chain_took(errand_chain *chain);

/*
 * Makes the chain end with error: what it has in flight must be brought back first (see the queue), then chain_next()
 * goes on.
 */
void chain_stop(errand_chain *chain, int error);

/* The run under way, which was at that step, was taken from the chain for good: go on as if it had failed with the
 * error it was stopped with. */
void chain_abandoned(errand_chain *chain, unsigned step);

/* The earliest time at which the chain must be looked at, and whether it is out of time now. */
int64_t chain_due(const errand_chain *chain);

/* Fills in the event of an ended chain. */
void chain_event(errand_chain *chain, struct errand_event *event);

/* The step that opened the file, or the step itself for a caller's descriptor. */
struct step *chain_file(errand_chain *chain, struct step *step);

/* The descriptor that an operand means now, -1: none. */
int chain_descriptor(const errand_chain *chain, int operand);

/* Puts results in the place of ERRAND_RESULT() operands. Returns 0; -EINPROGRESS: not all are there yet; or the error
 * that such a result is. */
int chain_resolve(errand_chain *chain, struct step *step);

/* Whether no step from `from` on needs the file that step `opener` opened, but for closing it. */
bool chain_file_is_spent(const errand_chain *chain, unsigned opener, unsigned from);

/* A file has become the chain's to close; is so no longer. */
static inline void file_gained(errand_chain *chain, struct step *file, int fd, unsigned facts)
{
    file->fd = fd;
    file->facts = (uint16_t)(FILE_OPEN | FILE_OWNED | facts);
    chain->files++;
    chain->context->descriptors++;
}

static inline void file_gone(errand_chain *chain, struct step *file, unsigned facts)
{
    file->facts = (uint16_t)facts;
    chain->files--;
    chain->context->descriptors--;
}

/* Whether closing it does not wait. */
static inline bool file_closes_inline(const struct step *file)
{
    return (file->facts & FILE_SOCKET) || ((file->facts & FILE_INLINE) && !(file->facts & FILE_UNLINKED));
}

/* Whether the chain has to wait before it may move more: until chain->wake. */
static inline bool chain_is_ahead(errand_chain *chain)
{
    if (chain->paid <= chain->context->now)
        return false;
    chain->wake = chain->paid;
    return true;
}

/* The most that may be moved at once, so that a slow chain moves a little often. */
static inline size_t chain_ration(const errand_chain *chain, size_t length)
{
    size_t most = chain->rate ? chain->rate / 16 + 1024 : length;
    return length < most ? length : most;
}

/* Bytes were moved on a socket. */
void chain_pay(errand_chain *chain, uint64_t bytes);

/* From now on. Returns whether it stands waiting for its old rate. */
bool chain_set_rate(errand_chain *chain, uint64_t rate);

/* Of a step that moves bytes or entries: how many until now. */
static inline uint64_t so_far(const struct step *step)
{
    return step->result > 0 ? (uint64_t)step->result : 0;
}

/* plan.c: how the current step is to be done. They fill in chain->op. */
enum chain_next plan_open(errand_chain *chain, struct step *step);
void plan_stat(errand_chain *chain, struct step *file, struct errand_stat *out);
void plan_close(errand_chain *chain, struct step *file);
bool next_alternative(struct step *open, int error); /* false: there is none, or it would not help */
void note_seen(errand_chain *chain, const struct step *open);
void learn(struct step *file, const struct errand_stat *stat);
bool opens_quietly(const struct step *open);

/* gather.c: runs for a worker. */
enum chain_next plan_on_worker(errand_chain *chain);
enum chain_next plan_fill(errand_chain *chain, int64_t offset, size_t lead, size_t length);
enum chain_next plan_pipe(errand_chain *chain, int64_t offset, size_t length);
enum chain_next plan_look(errand_chain *chain);
enum chain_next plan_work(errand_chain *chain, errand_work work, void *context);
enum chain_next plan_flush(errand_chain *chain, int64_t offset);

/* took_run.c */
void took_run(errand_chain *chain);

/* transfer.c: the steps that move bytes. */
enum chain_next read_next(errand_chain *chain, struct step *step);
enum chain_next load_next(errand_chain *chain, struct step *step);
enum chain_next sendfile_next(errand_chain *chain, struct step *step);
enum chain_next receive_file_next(errand_chain *chain, struct step *step);
void took_received(errand_chain *chain, struct step *step);
void took_read(errand_chain *chain, struct step *step);
void took_sendfile(errand_chain *chain, struct step *step);
void took_flushed(errand_chain *chain, struct step *step, size_t moved);
void took_pipe(errand_chain *chain, struct step *step, const struct run_call *call);
void took_file_bytes(errand_chain *chain, struct step *step, size_t moved, size_t asked);
bool chain_buffer(errand_chain *chain, size_t wanted); /* false: out of memory */
void chain_buffer_free(errand_chain *chain);

/* peer.c: the steps of peers and of time. */
enum chain_next send_next(errand_chain *chain, struct step *step);
enum chain_next receive_next(errand_chain *chain, struct step *step);
enum chain_next shutdown_next(errand_chain *chain, struct step *step);
enum chain_next accept_next(errand_chain *chain, struct step *step);
enum chain_next connect_next(errand_chain *chain, struct step *step);
const char *connect_path(const struct step *step);
enum chain_next poll_next(errand_chain *chain, struct step *step);
enum chain_next sleep_next(errand_chain *chain, struct step *step);
enum chain_next await_next(errand_chain *chain, struct step *step);
enum chain_next list_next(errand_chain *chain, struct step *step);
void took_peer_bytes(errand_chain *chain, struct step *step);
void took_socket(errand_chain *chain, struct step *step);

/* run.c */
void step_done(errand_chain *chain, int64_t result);
void step_failed(errand_chain *chain, int error);

#endif
