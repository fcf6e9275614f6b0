/* SPDX-License-Identifier: MIT */
/*
 * What a scene stands on: a queue, and the little of a system that a chain can meet. There are two of them. One is real
 * (world_real.c: the uring and threads backends on the test's own directory, socket pairs, a FUSE filesystem that
 * hangs), one simulated (world_sim.c). A scene is a function that does not know in which it is, and must see the same
 * events in both.
 *
 * The worlds agree on this:
 *   - Names are "n0" to "n63", in the world's directory and in "d1" beneath it, which is another device. What is at
 *     world_hung() is on a third.
 *   - Byte n of every file and stream is world_pattern(n)[0]: who writes or sends must take the bytes that fit.
 *   - The one attribute is "user.a", whose value begins as the pattern does.
 * What a scene leaves alone, because the simulation leaves it out: names beneath a directory that was made there, what
 * holes read as, permissions (the user may do everything), the order in which a directory is listed, sizes and links of
 * directories, other attributes, what only some filesystems say (EOPNOTSUPP, ENOSPC), POLLHUP and POLLERR.
 */
#ifndef CONFORMANCE_WORLD_H
#define CONFORMANCE_WORLD_H

#include "support.h"

#include "backend/sim/sim.h"

#include <netinet/in.h>

#define WORLD_TAGS 64 /* chains that can be told apart in a scene */
#define WORLD_ROOM ((size_t)640 << 10)

/* What the peer of a socket does when it has sent what it is to send; a deaf one stays, and takes nothing. */
enum peer_kind { PEER_STAYS, PEER_ENDS, PEER_DEAF };

/* How a scene's names begin: beneath a root (where what is in memory is opened on the queue's thread), a descriptor, or
 * at the working directory (by a worker). */
enum way { BY_ROOT, BY_DESCRIPTOR, BY_WORKING_DIRECTORY, WAYS };

/* A chain's user_data tells it from others. */
struct tag {
    struct sim_account account; /* the simulation's, which wants it first */
    unsigned number;
};

struct world {
    errand_queue *queue;
    int at;              /* the directory in which names begin: a dir_fd for steps */
    int directory;       /* a descriptor of it */
    unsigned char *room; /* WORLD_ROOM bytes to read into */
    struct errand_stat stat;
    int64_t results[64]; /* of the steps before the last that note_results() appended */
    bool closed;         /* the scene has closed the queue itself */
    struct tag tags[WORLD_TAGS];
    int own[WORLD_TAGS]; /* descriptors of the scene's, closed at its end if it has not closed them */
    unsigned own_count;

    const struct world_ops *ops;
    enum errand_backend backend; /* or HARNESS_SIM */
    uint64_t seed;               /* of a simulation */
    struct sim *sim;
    struct real *real;
    char *log; /* what the scene has seen */
    size_t log_length;
};

struct world_ops {
    void (*open)(struct world *w, const struct errand_queue_options *options);
    void (*close)(struct world *w);
    void (*make)(struct world *w, const char *path, unsigned mode, int64_t size, const char *target);
    int (*file)(struct world *w, const char *path);
    bool (*look)(struct world *w, const char *path, struct errand_stat *out);
    void (*contents)(struct world *w, const char *path);
    int (*socket)(struct world *w, size_t to_receive, enum peer_kind peer);
    uint64_t (*got)(struct world *w, int socket);
    int (*listener)(struct world *w);
    void (*connect)(struct world *w, int listener, size_t to_receive, enum peer_kind peer);
    void (*address)(struct world *w, bool accepts, struct sockaddr_in *address);
    const char *(*hung)(struct world *w);
    bool (*is_hung)(struct world *w);
    void (*release)(struct world *w);
    void (*close_fd)(struct world *w, int fd);
    void (*take)(struct world *w, int fd);
    int (*wait)(struct world *w, struct errand_event *events, unsigned max);
};
extern const struct world_ops real_world, simulated_world;

/* The contents of files and streams from there on, some 700 KiB of them. */
const unsigned char *world_pattern(uint64_t offset);

/* One of the scene's own: open until its end, or world_close(). */
int world_own(struct world *w, int fd);

/* ---- what there is: made by the scene before it submits */

static inline void world_file(struct world *w, const char *path, int64_t size)
{
    w->ops->make(w, path, S_IFREG | 0644, size, NULL);
}

static inline void world_fifo(struct world *w, const char *path)
{
    w->ops->make(w, path, S_IFIFO | 0644, 0, NULL);
}

static inline void world_symlink(struct world *w, const char *path, const char *target)
{
    w->ops->make(w, path, S_IFLNK | 0777, 0, target);
}

/* A descriptor of the scene's own, for reading and writing: of a file that is there. */
static inline int world_open(struct world *w, const char *path)
{
    return world_own(w, w->ops->file(w, path));
}

/* A connection, at whose other end a peer sends so much. */
static inline int world_socket(struct world *w, size_t to_receive, enum peer_kind peer)
{
    return world_own(w, w->ops->socket(w, to_receive, peer));
}

static inline int world_listener(struct world *w)
{
    return world_own(w, w->ops->listener(w));
}

/* A peer connects to a listener. All peers of one listener must be told the same. */
static inline void world_connect(struct world *w, int listener, size_t to_receive, enum peer_kind peer)
{
    w->ops->connect(w, listener, to_receive, peer);
}

/* An address that accepts connections (whose peers stay, and send nothing), or one that refuses them. */
static inline void world_address(struct world *w, bool accepts, struct sockaddr_in *address)
{
    w->ops->address(w, accepts, address);
}

/* The path of a file whose look-up hangs, until world_release(). */
static inline const char *world_hung(struct world *w)
{
    return w->ops->hung(w);
}

static inline void world_release(struct world *w)
{
    w->ops->release(w);
}

/* Takes what was handed over: it is the scene's own now. */
static inline int world_take(struct world *w, int fd)
{
    w->ops->take(w, fd);
    return world_own(w, fd);
}

void world_close(struct world *w, int fd);

/* ---- what has become of it */

/* The size of a file, -1: there is nothing; its mode, its names. */
int64_t world_size(struct world *w, const char *path);
unsigned world_mode(struct world *w, const char *path);
unsigned world_links(struct world *w, const char *path);

/* Every byte of a file is where it belongs. (The simulation sees to that when bytes are written.) */
static inline void world_contents(struct world *w, const char *path)
{
    w->ops->contents(w, path);
}

/* How much the peer has got, of which every byte was in its place. */
static inline uint64_t world_got(struct world *w, int socket)
{
    return w->ops->got(w, socket);
}

#endif
