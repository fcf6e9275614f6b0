/* SPDX-License-Identifier: MIT */
/* The inside of a simulated world, shared by its files: files.c (names, descriptors), calls.c, names.c and metadata.c
 * (the calls of a run), runs.c (lanes and workers), now.c (immediate operations), peers.c (sockets), sim.c (the
 * backend, and time), world.c (what the test sees). */
#ifndef BACKEND_SIM_WORLD_H
#define BACKEND_SIM_WORLD_H

#include "backend/backend.h"
#include "backend/sim/sim.h"
#include "base/heap.h"
#include "chain/chain.h"

#define FIRST_FD    SIM_FIRST_FD
#define FDS         (FIRST_FD + 2048) /* numbers; each rests for as long as possible before it is used again */
#define INODES      1024
#define PENDING     2048
#define LANES       64
#define PATTERN     ((size_t)704 << 10)
#define LINK_LEVELS 5

enum object { OBJECT_NONE, OBJECT_INODE, OBJECT_SOCKET, OBJECT_LISTENER };

struct sim_fd {
    uint8_t object;
    bool tests;     /* the test's, not the library's */
    bool path_only; /* O_PATH */
    bool direct;    /* O_DIRECT */
    uint8_t access; /* O_ACCMODE */
    uint8_t listed;
    uint16_t inode;
    uint16_t next_free;
    /* of a stream */
    uint64_t sent, received, left; /* of a listener in a scene, left: connections that wait */
    bool reset, shut_write, shut_read, connected, stays, deaf;
};

struct inode {
    uint8_t device;
    uint8_t directory; /* of the eight: which, + 1 */
    uint8_t fragmented;
    uint16_t links, opens;
    uint16_t attribute; /* the size of its only one; UINT16_MAX: none */
    uint32_t mode, user, group;
    int64_t size, accessed, modified;
    int8_t target_directory; /* of a symlink; -1: leads nowhere */
    uint8_t target_name;
    char target[12]; /* what it says, in a scene */
};

/* Something that will come. */
struct pending {
    struct heap_node timer;
    struct op *op; /* of a peer */
    struct file_run *run;
    struct lane *lane;
    uint8_t cancelled; /* 1: it will say so; 2: it was done before */
    bool hung;
    uint32_t next_free;
};

struct lane {
    struct list waiting; /* runs */
    struct list ready;   /* in sim.ready while runs wait */
    uint32_t key, active, count;
};

struct sim {
    struct backend backend;
    struct sim_options options;
    struct pool *pool;
    uint64_t random;
    int64_t now;
    struct buffer_pool *buffers; /* NULL when the queue is gone */
    uint32_t workers, lane_workers, running, waiting, stuck;
    struct heap heap; /* of pending */
    struct list done, deferred;
    struct list ready; /* lanes */
    struct lane lanes[LANES];
    struct pending pending[PENDING];
    uint32_t first_free, pending_count;
    struct sim_fd fds[FDS];
    uint16_t fd_first, fd_last; /* free ones, in order of their release */
    uint32_t open_count, library_count;
    struct inode inodes[INODES];
    uint16_t free_inodes[INODES];
    uint32_t free_inodes_count;
    uint16_t names[SIM_DIRECTORIES][SIM_NAMES]; /* inode + 1 */
    int64_t hangs_until[SIM_DIRECTORIES];
    char *receive_memory, **receive_free;
    uint32_t receive_count, receive_buffers, receive_size;
    uint64_t faults;
    char pattern[PATTERN + SIM_PERIOD];
};

/* ---- chance */
static inline uint32_t draw(struct sim *sim)
{
    uint64_t x = sim->random; /* xorshift64* */
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    sim->random = x;
    return (uint32_t)((x * UINT64_C(2685821657736338717)) >> 32);
}

static inline uint64_t below(struct sim *sim, uint64_t limit)
{
    return limit <= UINT32_MAX ? ((uint64_t)draw(sim) * limit) >> 32 : draw(sim) % limit;
}

static inline bool chance(struct sim *sim, uint32_t in_65536)
{
    return (draw(sim) >> 16) < in_65536;
}

/* ---- sim.c */
__attribute__((format(printf, 2, 3))) void complain(struct sim *sim, const char *format, ...);
/* The account of an operation's chain; NULL: a source's. */
struct sim_account *account_of(const struct op *op);
void note_error(struct sim_account *account, int64_t result);
/* Perhaps an error, of those that the manual pages allow; 0: none. */
int fault_of_step(struct sim *sim, unsigned step_kind);
int fault_of_op(struct sim *sim, unsigned op_kind);
/* Something is to happen then. NULL: the table is full. */
struct pending *pend(struct sim *sim, int64_t due);
void unpend(struct sim *sim, struct pending *pending);
void give_back(struct sim *sim, struct op *op);
/* What is due now. */
void let_come(struct sim *sim);

/* ---- files.c */
void files_make(struct sim *sim);
/* A new descriptor, the library's; -EMFILE. */
int fd_new(struct sim *sim, enum object object, unsigned inode);
int fd_duplicate(struct sim *sim, int fd);
void fd_close(struct sim *sim, int fd);
/* An open one, or a complaint and NULL. */
struct sim_fd *fd_of(struct sim *sim, int fd, const char *what);
struct inode *inode_of(struct sim *sim, int fd, const char *what);
/* Whether it was opened for that, O_RDONLY or O_WRONLY. The campaign, which wants much to be written, need not care. */
bool fd_allows(const struct sim *sim, int fd, int access);
int inode_new(struct sim *sim, unsigned mode, unsigned device);
void inode_leave(struct sim *sim, unsigned inode);
uint32_t lane_of_inode(const struct inode *inode);

#define LEADS_ELSEWHERE (-5000) /* onto another mount, where it may not go */

struct found {
    unsigned directory;
    int name; /* -1: the directory itself */
};
/* Where a path leads, but for its last name. Returns 0, an error, LEADS_ELSEWHERE. */
int path_find(struct sim *sim, int dir_fd, const char *path, bool beneath, bool no_mounts, struct found *found);
struct sim_how {
    int flags;
    unsigned mode;
    bool beneath, no_mounts;
};
int path_open(struct sim *sim, int dir_fd, const char *path, const struct sim_how *how);
void stat_fill(const struct sim *sim, unsigned inode, struct errand_stat *out);
int64_t file_read(struct sim *sim, int fd, void *buffer, size_t length, int64_t offset);

/* ---- now.c: performs an immediate operation. */
void perform_now(struct sim *sim, struct op *op);

/* ---- calls.c: performs a call of a run. Returns its result, an error, LEADS_ELSEWHERE. */
int64_t call_perform(struct sim *sim, struct file_run *run, struct run_call *call);
int64_t path_crosses(struct file_run *run, unsigned place, const char *path, int64_t result);
/* What a run has to do with is its own: neither the caller's memory nor the chain's. */
void check_run_memory(struct sim *sim, const struct file_run *run, const void *memory, const char *what);

static inline int run_directory_of(const struct file_run *run, unsigned place)
{
    const struct run_place *where = &run->places[place];
    return where->root ? where->root->fd : where->dir_fd;
}

/* 0, or why the directory is not to be had: it could not be duplicated. */
static inline int place_error(const struct file_run *run, unsigned place)
{
    const struct run_place *where = &run->places[place];
    return where->borrowed && where->dir_fd < 0 ? where->dir_fd : 0;
}

static inline bool is_beneath(const struct file_run *run, unsigned place)
{
    return run->places[place].root && run->places[place].root->resolve;
}

/* ---- names.c, metadata.c */
int64_t call_of_names(struct sim *sim, struct file_run *run, struct run_call *call);
int64_t call_of_file(struct sim *sim, struct inode *inode, int fd, const struct run_call *call);
int64_t call_metadata(struct sim *sim, struct file_run *run, const struct run_call *call);
/* The permissions of a file that is to become like this one, or a negative errno. */
int call_mode_like(struct sim *sim, const struct file_run *run, unsigned file);

/* ---- runs.c */
void run_enqueue(struct sim *sim, struct file_run *run);
void run_goes_on(struct sim *sim, struct pending *pending);
enum pool_recall run_recall(struct sim *sim, struct file_run *run, unsigned *step);

/* ---- peers.c: tries what waits for a peer. Returns whether it is done. */
bool peer_try(struct sim *sim, struct op *op);
int64_t peer_sendfile(struct sim *sim, struct op *op);
void peer_connect_end(struct sim *sim, struct op *op, int64_t result);

#endif
