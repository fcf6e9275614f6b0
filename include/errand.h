/* SPDX-License-Identifier: MIT */
/* long file because: it is the whole public interface, and its specification. */
/*
 * errand: whole asynchronous I/O jobs for Linux.
 *
 * A job is a chain of steps (open this path, look at it, send that range of it to this socket, close it). A chain is
 * described once, submitted once, performed wholly asynchronously, and gives exactly one event on a queue. The same
 * queue delivers new connections, arriving data, timers, signals, changes to files, ends of child processes, readiness
 * of other descriptors, and messages from other threads.
 *
 *     errand_queue *queue;
 *     errand_queue_open(&queue, NULL);
 *     errand_send_file(queue, &(struct errand_send_file){ .size = sizeof(struct errand_send_file),
 *                      .dir_fd = AT_FDCWD, .path = "big.iso", .length = ERRAND_TO_END, .socket = client }, NULL);
 *     struct errand_event event;
 *     errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
 *     errand_queue_close(queue);
 *
 * CONVENTIONS
 *   Errors    Functions return 0 or a count, or a negative errno. A call that fails queued nothing: no event will come.
 *   Times     are in nanoseconds of CLOCK_MONOTONIC; 0 means "none".
 *   Structs   that begin with `size` are filled in with sizeof; a library that is older than the program refuses
 *             (-E2BIG) what it does not know, a newer one takes absent members as 0.
 *   Memory    Paths and option structs are copied at submission. Buffers and descriptors that you pass are borrowed
 *             until the chain's event; when it arrives, nothing in the kernel or on a thread touches them any more.
 *   Threads   A queue is opened, used and closed by one thread (-EPERM elsewhere, and in a child after fork);
 *             only errand_post() may be called from anywhere. The library has no globals, installs no signal handler,
 *             writes no messages, and never lets SIGPIPE through. Every descriptor that it makes is close-on-exec.
 *   Blocking  No file, however slow its device, holds up the thread in errand_queue_wait(): what was not shown to
 *             be immediate runs on worker threads, in a lane of its device's own.
 */
#ifndef ERRAND_H
#define ERRAND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ERRAND_API __attribute__((visibility("default")))

#define ERRAND_VERSION_MAJOR 0
#define ERRAND_VERSION_MINOR 1
#define ERRAND_VERSION_PATCH 0

#define ERRAND_MICROSECOND INT64_C(1000)
#define ERRAND_MILLISECOND INT64_C(1000000)
#define ERRAND_SECOND      INT64_C(1000000000)
#define ERRAND_FOREVER     INT64_C(-1) /* errand_queue_wait(): no time limit */
#define ERRAND_TO_END      INT64_C(-1) /* a length: up to the end of the file */

typedef struct errand_queue errand_queue;
typedef struct errand_chain errand_chain;
typedef struct errand_source errand_source;
typedef uint64_t errand_id; /* names a submitted chain; never 0, never reused within 2^31 chains */

/* The library's version as "MAJOR.MINOR.PATCH"; static storage. */
ERRAND_API const char *errand_version(void);

/* The name of an error as in errno(3), "ENOENT" for -ENOENT (or ENOENT); "none" for 0, "unknown error" for others.
 * Static storage. */
ERRAND_API const char *errand_error_name(int error);

/* ---------------------------------------------------------------------------------------------- queue */

enum errand_backend {
    ERRAND_BACKEND_AUTO = 0, /* what the environment variable ERRAND_BACKEND says, else the best that works */
    ERRAND_BACKEND_URING,    /* io_uring; Linux 6.1 or newer */
    ERRAND_BACKEND_THREADS,  /* epoll and system calls; any Linux with openat2 (5.6) */
};

/* Limits and choices of a queue. A member that is 0 takes its default. */
struct errand_queue_options {
    size_t size; /* sizeof(struct errand_queue_options) */
    enum errand_backend backend;
    uint32_t chains;          /* chains described or under way at once; default 4096, at most 1048576 */
    uint32_t chain_steps;     /* steps in one chain; default 12, at most 64 */
    uint32_t sources;         /* sources at once; default 65536 */
    uint32_t workers;         /* worker threads; default 64, at most 1024. A device whose lane has no worker yet gets
                                  its first one beyond this number, so that full lanes cannot shut out another */
    uint32_t lane_workers;    /* of these at most so many for one device; default 16 */
    uint32_t receive_buffers; /* buffers for arriving data; a power of two, default 128, at most 32768 */
    uint32_t receive_size;    /* bytes in each; default 4096, at most 1 MiB */
    uint32_t messages;        /* posted messages waiting, for each post source; default 1024 */
    uint64_t transfer_memory; /* bytes of the library's own transfer buffers beyond which a chain gets no more than
                                  16 KiB at a time; default 64 MiB, at least 1 MiB */
    int64_t close_grace_ns;   /* how long errand_queue_close() waits for file operations; default 1 s */
    char *why;                /* if not NULL: receives text on the choice of backend, also when the call fails */
    size_t why_size;          /* its size, the final NUL included */
    uint32_t roots;           /* registered directories at once; default 64, at most 65536 */
};

/*
 * Opens a queue for the calling thread. options may be NULL. The backend is chosen by creating it and performing a
 * real operation; a backend that was asked for (by option, or by environment) and is not available is an error.
 * Returns 0; -EINVAL (bad option, bad ERRAND_BACKEND), -E2BIG (options of a newer version), -ENOMEM, -EMFILE, or the
 * error with which the backend that was asked for refused (-ENOSYS, -EPERM, ...): options->why says it in words.
 */
ERRAND_API int errand_queue_open(errand_queue **queue, const struct errand_queue_options *options);

/*
 * Ends the queue. Chains under way are cancelled without an event, sources stop. When it returns, the caller's
 * buffers and descriptors are free and what chains had opened is closed. Only file operations that are stuck in the
 * kernel may outlive it (they hold nothing of the caller's): it waits close_grace_ns for them, then leaves them to
 * threads of their own, which clean up whenever the kernel returns.
 * Returns the number of operations left so (0 is the rule); -EPERM on a wrong thread or within a call step.
 */
ERRAND_API int errand_queue_close(errand_queue *queue);

/* "uring" or "threads", and the reason for that choice in words. Valid until the queue is closed. */
ERRAND_API const char *errand_queue_backend(const errand_queue *queue);
ERRAND_API const char *errand_queue_backend_reason(const errand_queue *queue);

/* The time of the queue's clock when errand_queue_wait() last returned from the kernel, in ns: cheap, for time
 * stamps. */
ERRAND_API int64_t errand_queue_now(const errand_queue *queue);

enum errand_event_kind {
    ERRAND_EVENT_CHAIN = 1, /* a chain ended */
    ERRAND_EVENT_ACCEPT,    /* fd: a new connection, yours; or error */
    ERRAND_EVENT_DATA,      /* data, bytes: what arrived, valid until the next wait; bytes 0: end of stream; or error */
    ERRAND_EVENT_TIMER,     /* bytes: expirations since the last event */
    ERRAND_EVENT_SIGNAL,    /* bytes: the signal's number */
    ERRAND_EVENT_MESSAGE,   /* data: the pointer that was posted */
    ERRAND_EVENT_WATCH,     /* data: a struct inotify_event, valid until the next wait; or error */
    ERRAND_EVENT_CHILD,     /* id: the process, bytes: how it ended, as waitpid(2)'s status; or error */
    ERRAND_EVENT_READY,     /* bytes: the poll(2) events that are so now; or error */
};

struct errand_event {
    uint32_t kind;      /* enum errand_event_kind */
    int32_t error;      /* 0 or a negative errno: -ECANCELED, -ETIMEDOUT (deadline, no progress), ... */
    void *user_data;    /* as submitted */
    errand_id id;       /* chain: as errand_submit() gave it; child: its process id */
    int16_t step;       /* chain: the step that failed (that was under way, for cancel and deadline), or -1 */
    uint16_t step_kind; /* its kind, for errand_step_name(); 0 without one */
    int32_t fd;         /* the descriptor that is now yours, or -1 */
    uint64_t bytes;     /* chain: moved by all its steps, for a socket those it accepted; valid with an error too */
    const void *data;   /* chain: what a load step read, valid until the next wait */
};

/*
 * Waits for events, at most timeout_ns (ERRAND_FOREVER: without limit; 0: looks only), and runs chains meanwhile.
 * call steps run inside it. Returns the number of events stored, 0 when the time is over or a signal interrupted the
 * wait; -EINVAL, -EPERM.
 */
ERRAND_API int errand_queue_wait(errand_queue *queue, struct errand_event *events, unsigned max, int64_t timeout_ns);

/* Does what can be done without waiting: errand_queue_wait() with 0. */
ERRAND_API int errand_queue_dispatch(errand_queue *queue, struct errand_event *events, unsigned max);

/*
 * A descriptor by which another event loop (poll, epoll, libuv, GLib, sd-event ...) can wait for the queue: it is
 * readable, level-triggered, while errand_queue_dispatch() has something to do. The protocol:
 *   - When it is readable, call errand_queue_dispatch(). What one call leaves over, because there were more events than
 *     max or because chains go on, keeps the descriptor readable; to take all in one go, call until it returns less
 *     than max.
 *   - That is all. What errand_submit(), errand_cancel(), errand_post() or a source's functions give the queue to do
 *     makes the descriptor readable by itself, deadlines and timers as well; nothing has to be flushed. (A loop that
 *     calls errand_queue_dispatch() after submitting saves itself one turn.)
 *   - It may be readable and errand_queue_dispatch() return 0: chains go on without giving an event.
 *   - errand_queue_wait() may be called in between.
 * All of it on the queue's thread: that is where the loop runs. The descriptor is the queue's and the same each time:
 * only wait for it; take it out of the loop before errand_queue_close() closes it. A queue that was never asked for it
 * pays nothing for it; one that was, a few system calls in each errand_queue_wait().
 * Returns the descriptor; -EMFILE, -ENFILE, -ENOMEM, -EINVAL, -EPERM.
 */
ERRAND_API int errand_queue_fd(errand_queue *queue);

/* What a queue holds now. Every figure returns to 0 when nothing is under way (threads: they end when idle). */
struct errand_stats {
    size_t size;
    uint32_t chains; /* described, under way, or ended with an event not yet fetched */
    uint32_t sources;
    uint32_t operations;     /* handed to the kernel or to a worker and not back */
    uint32_t files_waiting;  /* runs of file steps waiting for a worker */
    uint32_t stuck;          /* file operations whose chain has ended without them */
    uint32_t descriptors;    /* opened by chains (workers' and direct ones too), neither closed nor handed over */
    uint32_t threads;        /* worker threads now */
    uint64_t transfer_bytes; /* of transfer buffers in use */
    uint64_t inline_runs;    /* since opening: file runs done on the queue's thread, shown not to wait */
    uint64_t worker_runs;    /* since opening: file runs handed to workers */
};

/* Fills in *stats. Returns 0, -EINVAL, -E2BIG, -EPERM. */
ERRAND_API int errand_queue_stats(errand_queue *queue, struct errand_stats *stats);

/* ----------------------------------------------------------------------------------------------- roots */

/* errand_root_add(): */
#define ERRAND_ONE_MOUNT  1u /* a path that leads onto another mount fails with -EXDEV */
#define ERRAND_UNCONFINED 2u /* paths may lead out of it, as those of a plain descriptor: for paths that are your own */

/*
 * Registers a directory as a root, to be passed wherever a dir_fd is asked for. Paths under a root are confined to it
 * by the kernel (openat2, RESOLVE_BENEATH: what leads outside, by ".." or a symlink, fails with -EXDEV). A root is
 * also what makes opening fast: on a filesystem known not to wait (ext4, xfs, btrfs) cached names are opened at once
 * on the queue's thread, while paths of plain descriptors always go through a worker. The queue keeps a duplicate;
 * dir_fd stays yours. Never waits for the filesystem. Returns 0 and the handle (a negative number) in *root; -EBADF,
 * -ENOTDIR, -EINVAL, -EMFILE; -EAGAIN: as many roots are registered as the queue's limit allows.
 */
ERRAND_API int errand_root_add(errand_queue *queue, int dir_fd, unsigned flags, int *root);

/* Forgets a root. Chains that use it keep it until they end. Returns 0, -EINVAL. */
ERRAND_API int errand_root_remove(errand_queue *queue, int root);

/* ---------------------------------------------------------------------------------------------- chains */

enum errand_step_kind {
    ERRAND_STEP_OPEN = 1,
    ERRAND_STEP_STAT,
    ERRAND_STEP_READ,
    ERRAND_STEP_CLOSE,
    ERRAND_STEP_SEND,
    ERRAND_STEP_RECEIVE,
    ERRAND_STEP_SENDFILE,
    ERRAND_STEP_SHUTDOWN,
    ERRAND_STEP_CALL,
    ERRAND_STEP_HAND_OVER,
    ERRAND_STEP_WRITE,
    ERRAND_STEP_SYNC,
    ERRAND_STEP_TRUNCATE,
    ERRAND_STEP_ALLOCATE,
    ERRAND_STEP_COPY,
    ERRAND_STEP_CHMOD,
    ERRAND_STEP_CHOWN,
    ERRAND_STEP_UTIMES,
    ERRAND_STEP_GET_ATTRIBUTE,
    ERRAND_STEP_SET_ATTRIBUTE,
    ERRAND_STEP_LIST_ATTRIBUTES,
    ERRAND_STEP_REMOVE_ATTRIBUTE,
    ERRAND_STEP_LIST,
    ERRAND_STEP_RENAME,
    ERRAND_STEP_LINK,
    ERRAND_STEP_LINK_FILE,
    ERRAND_STEP_SYMLINK,
    ERRAND_STEP_READ_LINK,
    ERRAND_STEP_UNLINK,
    ERRAND_STEP_MKDIR,
    ERRAND_STEP_RMDIR,
    ERRAND_STEP_MKNOD,
    ERRAND_STEP_RECEIVE_FILE,
    ERRAND_STEP_ACCEPT,
    ERRAND_STEP_CONNECT,
    ERRAND_STEP_POLL,
    ERRAND_STEP_SLEEP,
    ERRAND_STEP_WORK,
    ERRAND_STEP_REPLACE,
    ERRAND_STEP_LOAD,
    ERRAND_STEP_COPY_METADATA,
    ERRAND_STEP_AWAIT,
};

/* The name of a step's kind, "open" for ERRAND_STEP_OPEN; "unknown step" for others. Static storage. */
ERRAND_API const char *errand_step_name(unsigned step_kind);

/*
 * Begins to describe a chain. It is yours until errand_submit() or errand_chain_drop(). Returns 0; -EAGAIN: as many
 * chains as the queue's limit allows exist; -EPERM.
 */
ERRAND_API int errand_chain_new(errand_queue *queue, errand_chain **chain);

/* Gives up a chain that was not submitted. */
ERRAND_API void errand_chain_drop(errand_chain *chain);

/*
 * The functions errand_step_...() append a step and return its number (0, 1, ...), by which later steps refer to it;
 * or a negative errno: -ENOSPC (the chain has as many steps as the queue's limit allows), -EINVAL, -ENAMETOOLONG,
 * -ENOMEM. The first such error sticks to the chain and errand_submit() returns it, so one check there suffices.
 * Steps run one after the other; the first that fails ends the chain.
 *
 * An argument `file` is a descriptor of yours, or ERRAND_SLOT(n): the file that step n, an open, will have opened. A
 * worker uses a duplicate of your descriptor, and closes it: as with any close of the file in your process, POSIX
 * record locks on it are lost (fcntl(2), F_SETLK); locks of the open file description (F_OFD_SETLK, flock(2)) are not.
 *
 * A `socket` is a descriptor of yours, or ERRAND_SLOT(n): the one that step n, an accept or connect, will have made. It
 * is used by one step at a time in each direction; a second one at the same time may fail with -EBUSY.
 *
 * A `dir_fd`, where the `path` beside it begins, is a root, a descriptor of yours, or AT_FDCWD.
 *
 * An offset or a length may be ERRAND_RESULT(n): the result that step n will have had, its size for a stat.
 */
#define ERRAND_SLOT(step)   (-1000 - (step))
#define ERRAND_RESULT(step) (INT64_MIN + (step))

/*
 * Opens path with the flags of open(2), relative to dir_fd: a root, a descriptor of yours, or AT_FDCWD. O_CLOEXEC
 * and O_NONBLOCK are always added (a FIFO does not wait for its other end). Result: the descriptor (-1 while the
 * kernel holds it as a direct one). With O_DIRECT, offsets and lengths of reads and writes must suit the device; the
 * memory is aligned by the library, through whose own buffers the data goes.
 */
ERRAND_API int errand_step_open(errand_chain *chain, int dir_fd, const char *path, int flags, unsigned mode);

struct errand_stat {
    uint64_t bytes;                  /* size of the file */
    uint64_t blocks;                 /* of 512 bytes */
    int64_t modified_ns, changed_ns; /* of the real-time clock */
    uint64_t device, inode;
    uint32_t mode, links, user, group;
    uint32_t block_size; /* the filesystem's unit of allocation, as st_blksize */
    int64_t accessed_ns;
    uint64_t special; /* which device a device node is, as st_rdev */
};

/* Looks at an open file. *out, unless NULL, is filled in before the next step. Result: the size in bytes. */
ERRAND_API int errand_step_stat(errand_chain *chain, int file, struct errand_stat *out);

#define ERRAND_REGULAR  1u /* expect: a regular file; others fail with -EISDIR or -ESPIPE */
#define ERRAND_ONE_LINK 2u /* expect: a file with more names than one fails with -EMLINK */

/* Looks at an open file, as errand_step_stat() does, and fails if it is not what is expected. */
ERRAND_API int errand_step_expect(errand_chain *chain, int file, unsigned expected, struct errand_stat *out);

#define ERRAND_EXACT 1u /* an end of file or stream before `length` bytes is an error: -ENODATA */
#define ERRAND_SOME  2u /* receive: done when anything has arrived */
#define ERRAND_MORE  4u /* send, sendfile: more follows at once (MSG_MORE) */

/*
 * Reads length bytes at offset into buffer, fewer only at the end of the file. Regular files and block devices;
 * -EISDIR for a directory, -ESPIPE for a FIFO. Result: the bytes read. flags: ERRAND_EXACT.
 */
ERRAND_API int errand_step_read(errand_chain *chain, int file, void *buffer, size_t length, int64_t offset,
                                unsigned flags);

/*
 * Reads a file whole, from its beginning, into memory of the library's: event.data, event.bytes, valid until the next
 * wait; NULL if the chain fails. -EFBIG: it has more than `most` bytes (at most 1 GiB). Result: the bytes. At most one
 * in a chain.
 */
ERRAND_API int errand_step_load(errand_chain *chain, int file, size_t most);

/* Closes a file that the chain opened (-EINVAL at run time: already closed). Files left open are closed anyway. */
ERRAND_API int errand_step_close(errand_chain *chain, int file);

/* Sends all of data to a stream socket of yours. Result: the bytes the socket accepted. flags: ERRAND_MORE. */
ERRAND_API int errand_step_send(errand_chain *chain, int socket, const void *data, size_t length, unsigned flags);

/*
 * Receives length bytes from a stream socket of yours, fewer only at the end of the stream. Result: the bytes
 * received. flags: ERRAND_EXACT, ERRAND_SOME.
 */
ERRAND_API int errand_step_receive(errand_chain *chain, int socket, void *buffer, size_t length, unsigned flags);

/*
 * Sends head (may be NULL), then length bytes of file at offset, or up to its end with ERRAND_TO_END, to a stream
 * socket of yours, head and small files in one piece. Result: the bytes the socket accepted, head included. Less
 * than length is sent only at the end of the file. flags: ERRAND_EXACT, ERRAND_MORE. -EISDIR, -ESPIPE as for read.
 */
ERRAND_API int errand_step_sendfile(errand_chain *chain, int socket, int file, int64_t offset, int64_t length,
                                    const void *head, size_t head_length, unsigned flags);

/* Shuts a connection of yours down; how as in shutdown(2). */
ERRAND_API int errand_step_shutdown(errand_chain *chain, int socket, int how);

/*
 * Calls function(chain, context) on the queue's thread when the steps before it have succeeded. There it may read
 * results, append steps, and drop those that would follow; it must not wait, submit this chain or close the queue.
 * Returning 0 goes on, a negative errno fails the chain at this step.
 */
typedef int (*errand_call)(errand_chain *chain, void *context);
ERRAND_API int errand_step_call(errand_chain *chain, errand_call function, void *context);

/* ---- more steps of files */

/*
 * Opens the first of `count` paths that can be opened (1 to 16), as errand_step_open() would with the flags; all that
 * the failure of one of them may mean is that the next is tried, but for -EMFILE, -ENFILE and -ENOMEM, which end it.
 * With none the error is the last one's. Result: the descriptor; errand_chain_choice() says which path it was.
 */
ERRAND_API int errand_step_open_first(errand_chain *chain, int dir_fd, const char *const *paths, unsigned count,
                                      int flags);

/*
 * Opens path, as errand_step_open() would with flags that create a file, which gets the permissions of the open file
 * `like`: all nine bits if it would have the same owner and group, else only the owner's, so that nobody sees more of
 * it than of the other before errand_step_copy_metadata().
 */
ERRAND_API int errand_step_open_like(errand_chain *chain, int dir_fd, const char *path, int flags, int like);

/*
 * Writes all of data to the file at offset, or at its end with ERRAND_TO_END. Result: the bytes written. A worker
 * writes from the library's own memory, to which the data is copied piece by piece.
 */
ERRAND_API int errand_step_write(errand_chain *chain, int file, const void *data, size_t length, int64_t offset);

#define ERRAND_DATA_ONLY 1u /* sync: not the metadata that is not needed to read the data again (fdatasync(2)) */

/* Has the disk keep what was written: fsync(2). Also of an open directory. flags: ERRAND_DATA_ONLY. */
ERRAND_API int errand_step_sync(errand_chain *chain, int file, unsigned flags);

/* Sets the file's length. */
ERRAND_API int errand_step_truncate(errand_chain *chain, int file, int64_t length);

/* Allocates blocks for a range; mode as in fallocate(2). */
ERRAND_API int errand_step_allocate(errand_chain *chain, int file, int mode, int64_t offset, int64_t length);

#define ERRAND_HOLES 2u /* copy: holes of `from` are skipped, not written: `to` must read as zeros there */

/*
 * Copies length bytes, or up to the end with ERRAND_TO_END, of `from` at from_offset to `to` at to_offset: shared
 * blocks (FICLONE) where a whole file is copied and the filesystem can, copy_file_range(2) where it works, by memory
 * elsewhere. Result: the bytes copied, holes included. flags: ERRAND_EXACT, ERRAND_HOLES.
 */
ERRAND_API int errand_step_copy(errand_chain *chain, int to, int64_t to_offset, int from, int64_t from_offset,
                                int64_t length, unsigned flags);

/* Sets the permission bits. */
ERRAND_API int errand_step_chmod(errand_chain *chain, int file, unsigned mode);

/* Sets owner and group; UINT32_MAX leaves it as it is. Also of what was opened with O_PATH | O_NOFOLLOW, a symlink. */
ERRAND_API int errand_step_chown(errand_chain *chain, int file, uint32_t user, uint32_t group);

#define ERRAND_TIME_NOW  INT64_MAX
#define ERRAND_TIME_KEEP (INT64_MAX - 1)

/* Sets the times of access and modification, in ns of the real-time clock, to now, or leaves them. Also of a symlink,
 * as above. */
ERRAND_API int errand_step_utimes(errand_chain *chain, int file, int64_t accessed_ns, int64_t modified_ns);

#define ERRAND_OWNER      1u
#define ERRAND_MODE       2u
#define ERRAND_TIMES      4u
#define ERRAND_ATTRIBUTES 8u

/*
 * Gives `to` what `from` has, as far as it differs: owner and group (left as they are where that is not permitted: then
 * it becomes neither setuid nor setgid), extended attributes and so access control lists (security.* and trusted.*
 * only where permitted), permission bits, and times, to the nanosecond. If the chain looked at `from` before, by a stat
 * or expect step with an `out`, then mode, owner and times are as they were found then. Also of symlinks and others
 * that were opened with O_PATH | O_NOFOLLOW. flags: which of the four.
 */
ERRAND_API int errand_step_copy_metadata(errand_chain *chain, int to, int from, unsigned flags);

/*
 * Reads an extended attribute, as fgetxattr(2) does: *value is filled in before the next step, with at most size bytes
 * (-ERANGE: there is more; size 0 asks how much there is), at most 64 KiB. Result: the bytes.
 */
ERRAND_API int errand_step_get_attribute(errand_chain *chain, int file, const char *name, void *value, size_t size);
/* Sets one, as fsetxattr(2); the value is copied at once. */
ERRAND_API int errand_step_set_attribute(errand_chain *chain, int file, const char *name, const void *value,
                                         size_t size, int flags);
/* Lists their names, each with its NUL, as flistxattr(2). Otherwise as errand_step_get_attribute(). */
ERRAND_API int errand_step_list_attributes(errand_chain *chain, int file, char *names, size_t size);
/* Removes one. */
ERRAND_API int errand_step_remove_attribute(errand_chain *chain, int file, const char *name);

struct errand_entry {
    const char *name; /* valid during the call */
    uint64_t inode;
    uint8_t type; /* DT_REG, DT_DIR, ... of readdir(3); DT_UNKNOWN: the filesystem does not say */
};

#define ERRAND_PAUSE 2 /* what an errand_list may return */

/*
 * Lists all of an open directory (O_DIRECTORY), but "." and "..", in the filesystem's order: entry(chain, what,
 * context) is called on the queue's thread for each, as a call step is; a worker reads piece by piece, and memory does
 * not grow with the directory. It uses, and moves, the file's position. Returning 0 goes on, 1 ends the step, a
 * negative errno fails it. ERRAND_PAUSE goes on with what was read already, at most some hundred entries, and then
 * waits for errand_resume(). Result: the entries.
 */
typedef int (*errand_list)(errand_chain *chain, const struct errand_entry *what, void *context);
ERRAND_API int errand_step_list(errand_chain *chain, int file, errand_list entry, void *context);

/* ---- steps of names. Beneath a root that confines they stay beneath it, as an open does. A last name that is a
 *      symlink is meant itself, not what it points to. */

/* Renames; flags as in renameat2(2). */
ERRAND_API int errand_step_rename(errand_chain *chain, int from_dir_fd, const char *from, int to_dir_fd, const char *to,
                                  unsigned flags);
/* Gives a file a second name. */
ERRAND_API int errand_step_link(errand_chain *chain, int from_dir_fd, const char *from, int to_dir_fd, const char *to);
/* Gives an open file, perhaps one of O_TMPFILE, a name. Needs /proc. */
ERRAND_API int errand_step_link_file(errand_chain *chain, int file, int dir_fd, const char *path);
#define ERRAND_TEMPORARY ".errand-" /* how the temporary names begin that a killed process may have left */

/*
 * Gives an open file, perhaps one of O_TMPFILE, the name path, at once in the place of what has it, if anything has:
 * whoever looks sees the old file or the new one. Needs /proc. Not undone half way: cancel and deadline end the chain,
 * the step is performed or not.
 */
ERRAND_API int errand_step_replace(errand_chain *chain, int file, int dir_fd, const char *path);

/* Makes a symlink that says target. */
ERRAND_API int errand_step_symlink(errand_chain *chain, const char *target, int dir_fd, const char *path);
/* What a symlink says, cut off at size, without a final NUL. Result: the bytes. */
ERRAND_API int errand_step_read_link(errand_chain *chain, int dir_fd, const char *path, char *target, size_t size);
/* Removes a name that is not a directory's. */
ERRAND_API int errand_step_unlink(errand_chain *chain, int dir_fd, const char *path);
/* Makes a directory; mode as for mkdir(2). */
ERRAND_API int errand_step_mkdir(errand_chain *chain, int dir_fd, const char *path, unsigned mode);
/* Removes an empty directory. */
ERRAND_API int errand_step_rmdir(errand_chain *chain, int dir_fd, const char *path);
/* Makes a FIFO, socket or device node; mode with its S_IFMT bits, as in mknod(2). */
ERRAND_API int errand_step_mknod(errand_chain *chain, int dir_fd, const char *path, unsigned mode, uint64_t device);

/* ---- more steps of sockets */

/*
 * Receives length bytes, or up to the end of the stream with ERRAND_TO_END, from socket and writes them to file at
 * offset. Result: the bytes written. flags: ERRAND_EXACT.
 */
ERRAND_API int errand_step_receive_file(errand_chain *chain, int socket, int file, int64_t offset, int64_t length,
                                        unsigned flags);

/* Accepts a connection of a listening socket. Result, and slot: its descriptor, close-on-exec and non-blocking. */
ERRAND_API int errand_step_accept(errand_chain *chain, int listener);

/* Connects a non-blocking socket of yours, or, for -1, a new stream socket of the address's family, which is then the
 * step's slot. The address (at most 128 bytes) is copied. Result: the descriptor. -EAGAIN: as many wait to be accepted
 * by a listener of the unix family as it allows. */
ERRAND_API int errand_step_connect(errand_chain *chain, int socket, const void *address, size_t address_length);

/* Waits until one of the poll(2) events is there, of any descriptor of yours that can be polled. Result: which. */
ERRAND_API int errand_step_poll(errand_chain *chain, int fd, unsigned events);

/* ---- steps of time and of your own */

/* Waits. */
ERRAND_API int errand_step_sleep(errand_chain *chain, int64_t ns);

/*
 * Calls function(context) on a worker thread. What it returns, if not negative, is the result; a negative errno fails
 * the step. Whatever it touches is yours, so cancel and deadline do not end the chain before it has returned, unless
 * it has not yet begun; nor does errand_queue_close() return before that. The thread has 1 MiB of stack.
 */
typedef int64_t (*errand_work)(void *context);
ERRAND_API int errand_step_work(errand_chain *chain, errand_work function, void *context);

/*
 * Waits until errand_resume() is called for the chain, perhaps before the step has begun, whose result is the step's.
 * When the chain is cancelled or its time is over, `stop`, unless it is NULL, is called on the queue's thread as a call
 * step is, once, and the step goes on to wait: what others do for the chain can end in order. errand_queue_close() ends
 * it when there are no others.
 */
ERRAND_API int errand_step_await(errand_chain *chain, errand_call stop, void *context);

/* ---- what holds for any step */

/* If the step fails, the chain goes on; the step's result is the error. Returns 0, -EINVAL. */
ERRAND_API int errand_step_optional(errand_chain *chain, int step);

struct errand_pieces {
    const char *in;  /* what is there to be filtered: move it on by what you took */
    size_t in_length;
    char *out;       /* where the outcome goes: move it on by what you put there */
    size_t out_room; /* at least 4096 at first */
    int end;         /* no more comes after this: put out what you have held back */
};

/*
 * Has the bytes of a sendfile or receive-file step pass through filter(context, pieces), for encryption, conversion,
 * hashing. It takes all or a part of the input, makes output, and returns 0, or a negative errno, which fails the step.
 * It is called again until it has taken all and left room in the output. The head of a sendfile step does not pass
 * through. flags: ERRAND_ON_WORKER. Returns 0; -EINVAL: not such a step.
 */
#define ERRAND_ON_WORKER 1u /* call it on a worker thread: see errand_step_work() for what that means for its end */
typedef int (*errand_filter)(void *context, struct errand_pieces *pieces);
ERRAND_API int errand_step_filter(errand_chain *chain, int step, errand_filter filter, void *context, unsigned flags);

/* If the chain succeeds, event.fd is the descriptor of file, an ERRAND_SLOT, and it is yours. At most one a chain. */
ERRAND_API int errand_step_hand_over(errand_chain *chain, int file);

/* Memory for a chain's own use, such as the context of a call step: zeroed, aligned for any type, freed when the
 * chain's event is fetched, or with the chain. NULL: no memory. */
ERRAND_API void *errand_chain_memory(errand_chain *chain, size_t size);

/* In a call step: drops the steps that would follow it. Returns 0; -EPERM outside a call step. */
ERRAND_API int errand_chain_drop_following(errand_chain *chain);

/* The result of a step that has run, as described at its function; a negative errno if it has not: -EINPROGRESS. */
ERRAND_API int64_t errand_chain_result(const errand_chain *chain, int step);

/* Which of its paths an errand_step_open_first() opened, from 0; -EINPROGRESS, -EINVAL. */
ERRAND_API int errand_chain_choice(const errand_chain *chain, int step);

#define ERRAND_UNHURRIED 1u /* submit: one of many: what workers do for it may be told together with others' */

struct errand_submit {
    size_t size;
    void *user_data;           /* comes back in the event */
    int64_t timeout_ns;        /* deadline for the whole chain, from now: -ETIMEDOUT on any filesystem and any peer */
    int64_t stall_ns;          /* ends it, -ETIMEDOUT, when for so long no step ended and no byte moved */
    uint64_t bytes_per_second; /* on sockets: it is slowed down to this; 0: no limit */
    /* Unless NULL, called on the queue's thread within errand_queue_wait() with what would have been the event, in its
     * place; within errand_queue_close() too. It may submit chains; it must not wait or close the queue. */
    void (*ended)(const struct errand_event *event);
    unsigned flags; /* ERRAND_UNHURRIED */
};

/*
 * Submits a chain: from now on it runs, and exactly one event will come for it. options may be NULL; *id, unless id
 * is NULL, is for errand_cancel(). On an error the chain is dropped: the error that stuck while describing it;
 * -EINVAL (no steps, negative times, unknown flags), -E2BIG, -EPERM.
 */
ERRAND_API int errand_submit(errand_chain *chain, const struct errand_submit *options, errand_id *id);

/*
 * Cancels a chain: it ends soon, with the event -ECANCELED unless it had already ended otherwise. Never waits.
 * Returns 0; -ENOENT: no such chain is under way (its event was fetched); -EPERM.
 */
ERRAND_API int errand_cancel(errand_queue *queue, errand_id id);

/*
 * Lets a chain go on that stands, or will stand, at an await step or a list step that paused; result, and for an await
 * step the bytes by which its event counts more, become its own. A negative result fails it. Returns 0; -ENOENT as
 * errand_cancel(); -EALREADY: it was resumed and has not come to use it yet; -EPERM.
 */
ERRAND_API int errand_resume(errand_queue *queue, errand_id id, int64_t result, uint64_t bytes);

/*
 * Changes the bytes_per_second of a chain under way, 0: no limit, from now on: what it has moved until now is not held
 * against it. Returns 0; -ENOENT as errand_cancel(); -EPERM.
 */
ERRAND_API int errand_set_rate(errand_queue *queue, errand_id id, uint64_t bytes_per_second);

struct errand_progress {
    size_t size;
    int32_t step; /* the one under way */
    uint32_t step_kind;
    uint64_t bytes; /* moved by the whole chain until now */
};

/* How far a chain is. Fills in *progress. Returns 0; -ENOENT as errand_cancel(); -EINVAL, -E2BIG, -EPERM. */
ERRAND_API int errand_chain_progress(errand_queue *queue, errand_id id, struct errand_progress *progress);

/* ------------------------------------------------------------------------------------------------ jobs */

enum errand_finish {
    ERRAND_CLOSE = 0, /* the file is closed */
    ERRAND_HAND_OVER, /* on success event.fd is its descriptor, yours */
};

/* Sends a range of a file, after a head, to a socket: open, sendfile, close. */
struct errand_send_file {
    size_t size;
    int dir_fd; /* a root, a descriptor, or AT_FDCWD */
    int socket;
    const char *path;
    int64_t offset;
    int64_t length;   /* or ERRAND_TO_END */
    const void *head; /* goes out before the range, in one piece with a small one; NULL: none */
    size_t head_length;
    unsigned flags; /* ERRAND_EXACT, ERRAND_MORE */
    enum errand_finish finish;
    int64_t timeout_ns, stall_ns;
    void *user_data;
};

/* Submits it. event.bytes: head and range as the socket accepted them. Errors as errand_submit(), -EAGAIN. */
ERRAND_API int errand_send_file(errand_queue *queue, const struct errand_send_file *job, errand_id *id);

/* Reads a range of a file into a buffer: open, read, close. */
struct errand_read_file {
    size_t size;
    int dir_fd;
    unsigned flags; /* ERRAND_EXACT */
    const char *path;
    void *buffer;
    size_t length; /* at most so many bytes; event.bytes says how many */
    int64_t offset;
    enum errand_finish finish;
    int64_t timeout_ns, stall_ns;
    void *user_data;
};

/* Submits it. Errors as errand_submit(), -EAGAIN. */
ERRAND_API int errand_read_file(errand_queue *queue, const struct errand_read_file *job, errand_id *id);

/* Reads a small file whole into memory of the library's: see errand_step_load(). */
struct errand_load_file {
    size_t size;
    int dir_fd;
    const char *path;
    size_t most;          /* -EFBIG beyond */
    int64_t timeout_ns, stall_ns;
    void *user_data;
};

/* Submits it. event.data, event.bytes: the file, until the next wait. Errors as errand_submit(), -EAGAIN. */
ERRAND_API int errand_load_file(errand_queue *queue, const struct errand_load_file *job, errand_id *id);

#define ERRAND_NEW 16u  /* write, copy, receive: -EEXIST if there is such a file; else it is emptied first */
#define ERRAND_SYNC 32u /* the event comes when the disk keeps the data (but see replace: the name may still be lost) */

/* Writes a file, which is made if there is none: open, write, sync if asked, close. */
struct errand_write_file {
    size_t size;
    int dir_fd;
    unsigned mode;        /* of a new file */
    const char *path;
    const void *data;
    size_t length;
    unsigned flags;       /* ERRAND_NEW, ERRAND_SYNC */
    int64_t timeout_ns, stall_ns;
    void *user_data;
};

/* Submits it. event.bytes: written. Errors as errand_submit(), -EAGAIN. */
ERRAND_API int errand_write_file(errand_queue *queue, const struct errand_write_file *job, errand_id *id);

/*
 * Replaces a file, or makes it, durably and at once: before the event the file is the old or the new one, always whole;
 * after it the new one survives a power cut. An unnamed temporary file (O_TMPFILE) in the same directory, write, sync,
 * a name, sync of the directory; where the filesystem has no O_TMPFILE a named one, removed if anything fails, but not
 * if the chain is cancelled or out of time. A kill may leave a name that begins with ERRAND_TEMPORARY.
 */
struct errand_replace_file {
    size_t size;
    int dir_fd;
    unsigned mode;
    const char *path;
    const void *data;
    size_t length;
    int64_t timeout_ns, stall_ns;
    void *user_data;
};

/* Submits it. event.bytes: written. Errors as errand_submit(), -EAGAIN. */
ERRAND_API int errand_replace_file(errand_queue *queue, const struct errand_replace_file *job, errand_id *id);

/* Copies a file's contents (holes stay holes) and permission bits. */
struct errand_copy_file {
    size_t size;
    int from_dir_fd, to_dir_fd;
    const char *from, *to;
    unsigned flags;       /* ERRAND_NEW, ERRAND_SYNC */
    int64_t timeout_ns, stall_ns;
    void *user_data;
};

/* Submits it. event.bytes: copied, holes included. Errors as errand_submit(), -EAGAIN. */
ERRAND_API int errand_copy_file(errand_queue *queue, const struct errand_copy_file *job, errand_id *id);

/* Receives a file from a socket: open, receive-file, sync if asked, close. */
struct errand_receive_file {
    size_t size;
    int dir_fd;
    int socket;
    unsigned mode;        /* of a new file */
    unsigned flags;       /* ERRAND_EXACT, ERRAND_NEW, ERRAND_SYNC */
    const char *path;
    int64_t offset;       /* not 0: what is before it stays */
    int64_t length;       /* or ERRAND_TO_END: of the stream */
    int64_t timeout_ns, stall_ns;
    void *user_data;
};

/* Submits it. event.bytes: written. Errors as errand_submit(), -EAGAIN. */
ERRAND_API int errand_receive_file(errand_queue *queue, const struct errand_receive_file *job, errand_id *id);

/*
 * Jobs on whole trees are many chains: one, that of the id, stays to give the job's one event, and one for each file or
 * directory under way. They take `parallel` of the queue's chains, and one more for each directory that is open: some
 * 8, and their ancestors, with two descriptors each (remove: one); memory does not grow with the tree. They need
 * chains of 12 steps. When the queue has no chain left they wait for one of their own to end.
 */
struct errand_tree_progress {
    size_t size;
    uint64_t files, directories; /* done; what is no directory is a file here */
    uint64_t bytes;              /* copied, in files that are done */
    uint64_t moving;             /* by errand_tree_update(): and in others */
    uint64_t errors;
    const void *job; /* the library's; NULL: it has ended */
};

/* A part of the job that failed. */
struct errand_tree_failure {
    const char *path; /* beginning with the one that the job was given; valid during the call */
    int32_t error;
    uint16_t step_kind; /* for errand_step_name(); 0 without one */
};

/*
 * Called on the queue's thread, within errand_queue_wait(), for each failure. Returning 0 goes on with the others, a
 * negative errno stops the job, which ends with the error of its first failure in any case.
 */
typedef int (*errand_tree_failed)(const struct errand_tree_failure *failure, void *context);

/*
 * Copies a file or a directory with all that is in it, as cp -a does: content and holes, modes, owners where permitted,
 * times, symlinks, FIFOs, sockets and devices, extended attributes, access control lists, and hard links among
 * what is copied. No symlink is followed, but in `from` and `to` before their last names. `to` must not exist:
 * nothing is replaced. What was begun when the job fails or is cancelled stays. flags: ERRAND_SYNC (the disk then keeps
 * all but the name `to` itself).
 */
struct errand_copy_tree {
    size_t size;
    int from_dir_fd, to_dir_fd; /* where these begin */
    const char *from, *to;
    errand_tree_failed failed;             /* NULL: the first failure stops the job */
    void *context;                         /* its */
    struct errand_tree_progress *progress; /* kept up to date until the event, on the queue's thread; or NULL */
    uint32_t parallel;                     /* files under way at once; default 64 */
    unsigned flags;                        /* ERRAND_SYNC */
    int64_t timeout_ns;
    void *user_data;
};

/* Submits it. event.bytes: of the content of files. Errors as errand_submit(), -EAGAIN, -ENOMEM. */
ERRAND_API int errand_copy_tree(errand_queue *queue, const struct errand_copy_tree *job, errand_id *id);

/*
 * Removes a file, or a directory with all that is in it, as rm -rf does. No symlink is followed, but in `path` before
 * its last name; what is exchanged for a symlink meanwhile is not followed either. What is gone already is no failure.
 */
struct errand_remove_tree {
    size_t size;
    int dir_fd; /* where the path begins */
    uint32_t parallel;
    const char *path;
    errand_tree_failed failed;
    void *context;
    struct errand_tree_progress *progress;
    int64_t timeout_ns;
    void *user_data;
    void (*ended)(const struct errand_event *event); /* as in struct errand_submit */
};

/* Submits it. Errors as errand_submit(), -EAGAIN, -ENOMEM. */
ERRAND_API int errand_remove_tree(errand_queue *queue, const struct errand_remove_tree *job, errand_id *id);

/* Brings progress->moving up to date. Returns 0, -EINVAL. */
ERRAND_API int errand_tree_update(errand_queue *queue, struct errand_tree_progress *progress);

/* --------------------------------------------------------------------------------------------- sources */

/*
 * Sources give events until they are stopped. Each function returns 0 and the source, or -EAGAIN (the queue's limit
 * of sources), -EBADF, -EINVAL, -ENOMEM, -EMFILE, -EPERM. Descriptors are borrowed until errand_source_stop().
 */

/* New connections of a listening socket; each comes close-on-exec and non-blocking. When descriptors or memory run
 * out, the event says so once (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM) and the source is paused: resume it when
 * something was closed. A socket that others accept from, too, has to be non-blocking. */
ERRAND_API int errand_source_accept(errand_queue *queue, int listener, void *user_data, errand_source **source);

/*
 * Accepts no more, and loses nobody: who has been accepted already comes, then one event with error -ECANCELED, after
 * which the source can be stopped. errand_source_stop() alone closes a connection that was accepted and not fetched.
 * For who shares a listening socket with another process or queue, or hands it on: they have the others, and none is
 * left of whom the kernel told this source alone. A paused source is resumed. Returns 0, -EINVAL (not a source of
 * connections), -EPERM.
 */
ERRAND_API int errand_source_accept_no_more(errand_source *source);

/* What arrives on a stream socket, in pieces of at most receive_size; a socket on which nothing arrives holds no
 * buffer. After the end of the stream or an error, one event says so and no more come. */
ERRAND_API int errand_source_receive(errand_queue *queue, int socket, void *user_data, errand_source **source);

/* A timer: after first_ns (at once for 0), then, unless period_ns is 0, every period_ns. */
ERRAND_API int errand_source_timer(errand_queue *queue, int64_t first_ns, int64_t period_ns, void *user_data,
                                   errand_source **source);

/* A signal, which the caller has blocked in all its threads (-EINVAL if not in this one). Should the kernel have no
 * memory to wait for it, one event says so (-ENOMEM, -ENOSPC) and the source is paused; likewise for messages. */
ERRAND_API int errand_source_signal(errand_queue *queue, int signal_number, void *user_data, errand_source **source);

/* Messages from any thread, see errand_post(). */
ERRAND_API int errand_source_post(errand_queue *queue, void *user_data, errand_source **source);

/* Posts a message (any pointer, which comes as event.data, in order) to a post source. From any thread; the caller
 * sees to it that the source is not stopped meanwhile. Returns 0; -EAGAIN: the source's limit of waiting messages;
 * -EINVAL. */
ERRAND_API int errand_post(errand_source *source, const void *message);

/*
 * Changes to directories and files, as inotify(7) tells them: one source, one inotify descriptor, for as many as
 * errand_source_watch_add() adds. Each event's data is a struct inotify_event of <sys/inotify.h>: wd is the watch's
 * number, mask says what happened (IN_Q_OVERFLOW, with wd -1: changes were lost, look at everything again; IN_IGNORED:
 * the watch is gone), cookie joins the two halves of a rename, name (if len is not 0) is the entry's, with its NUL. It
 * is valid until the caller waits again, or stops the source; at most 4 KiB of them come with each wait. -EMFILE also
 * for the limit fs.inotify.max_user_instances.
 */
ERRAND_API int errand_source_watch(errand_queue *queue, void *user_data, errand_source **source);

/*
 * Watches what is open as fd, a directory or file opened for reading (not with O_PATH), for the changes in mask,
 * IN_...; fd may be closed afterwards. To watch what is watched already changes its mask (IN_MASK_ADD: adds to it).
 * Local filesystems only (ext2 to ext4, xfs, btrfs, tmpfs, overlayfs; Linux 5.8): elsewhere adding might wait for a
 * server, and inotify would not tell what others change there, so it is refused: -EOPNOTSUPP. Needs /proc. Never waits.
 * Returns the watch's number, which is positive and not used again; -EBADF, -EINVAL (a bad mask, IN_DONT_FOLLOW),
 * -EACCES, -ENOENT (no /proc), -ENOSPC (fs.inotify.max_user_watches), -EEXIST (IN_MASK_CREATE), -ENOTDIR (IN_ONLYDIR),
 * -ENOMEM, -EPERM.
 */
ERRAND_API int errand_source_watch_add(errand_source *source, int fd, uint32_t mask);

/* Ends a watch: what it had told comes, then IN_IGNORED. Returns 0, -EINVAL (no such watch), -EPERM. */
ERRAND_API int errand_source_watch_remove(errand_source *source, int watch);

/*
 * The end of a child process of yours: one event, which also takes the child away (as waitpid(2): do not wait for it
 * elsewhere), then no more come. Paused or stopped before, the child stays to be waited for. event.error is -ECHILD if
 * somebody else took it away, or nobody may (SIGCHLD is ignored). -ESRCH: there is no such process; -ECHILD: it is not
 * a child of yours.
 */
ERRAND_API int errand_source_child(errand_queue *queue, int pid, void *user_data, errand_source **source);

/* The same by a pidfd, of pidfd_open(2) or clone3(2). The source keeps a duplicate; pidfd stays yours. */
ERRAND_API int errand_source_pidfd(errand_queue *queue, int pidfd, void *user_data, errand_source **source);

/*
 * Readiness of any descriptor that can make somebody wait: sockets, pipes, terminals, eventfd(2), another loop's epoll
 * descriptor. events are those of poll(2): POLLIN, POLLOUT, POLLPRI, POLLRDHUP ...; POLLERR and POLLHUP come unasked.
 * Level-triggered: each wait gives at most one event of the source, with what is so when it is fetched; so see to it,
 * or pause the source, before you wait again. Several sources may watch one descriptor; each takes a descriptor of its
 * own. -EPERM, as epoll_ctl(2) has it: regular files (of /proc and /sys too), directories and block devices; -ELOOP:
 * epoll descriptors in one another, more than four.
 */
ERRAND_API int errand_source_ready(errand_queue *queue, int fd, unsigned events, void *user_data,
                                   errand_source **source);

/* No events from the source until it is resumed; what happens meanwhile is kept by the kernel, or (data that was
 * under way, timer expirations, messages, a batch of changes) by the source. Return 0, -EPERM, -EINVAL. Both may be
 * repeated. */
ERRAND_API int errand_source_pause(errand_source *source);
ERRAND_API int errand_source_resume(errand_source *source);

/* Sets a one-shot or periodic timer anew, as errand_source_timer() does, also one that has run off. -EINVAL, -EPERM. */
ERRAND_API int errand_source_set_timer(errand_source *source, int64_t first_ns, int64_t period_ns);

/* Ends a source: after it returns no event of it is delivered and its descriptor may be closed. Returns 0, -EPERM. */
ERRAND_API int errand_source_stop(errand_source *source);

#ifdef __cplusplus
}
#endif
#endif
