/* SPDX-License-Identifier: MIT */
/*
 * The directories on the way to what is cached, each with an inotify watch, from the root of its host down.
 *
 * A directory is opened with O_NOFOLLOW after its parent is watched, and watched before anything in it is opened. So
 * whatever makes a path mean another file (the file written, replaced or removed, a directory above it renamed or
 * replaced, even while the watch was being set) is an event of one of the watches, and takes away what stands on that
 * directory. What is reached through a symlink has other ways to change, and is not watched.
 *
 * Adding a watch needs the directory open, which is a chain; whoever wants a directory (a watch_user) is told.
 */
#ifndef SERVER_CACHE_WATCH_H
#define SERVER_CACHE_WATCH_H

#include "links.h"
#include "store.h"

struct inotify_event;
struct watched;

enum { WATCH_DEPTH = 32 }; /* directories on the way; what is deeper is not cached */

enum directory_state {
    DIRECTORY_OPENING,
    DIRECTORY_WATCHED,
    DIRECTORY_OPAQUE, /* cannot be watched; looked at again later */
    DIRECTORY_GONE,   /* was OPENING when it changed: belongs to its chain alone */
};

struct directory {
    struct directory *next; /* in its bucket */
    struct watch *watch;
    struct directory *parent;
    uint64_t hash;
    uint32_t host, length;
    enum directory_state state;
    int64_t since_ns;     /* OPAQUE */
    uint32_t holds;       /* children, entries, users: while there are any it stays */
    struct link children; /* by `sibling` */
    struct link entries;  /* that lie in it */
    struct link users;    /* that stand on it, or wait for it */
    struct link sibling;  /* of its parent; a root: in nothing */
    struct link same;     /* of its watch: directories of several hosts may be one */
    struct link idle;     /* in watch.idle while holds is 0 */
    struct watched *watched;
    char path[]; /* without slashes at its ends; a NUL follows */
};

/* Somebody who wants a directory to be watched while he reads a file in it. */
struct watch_user {
    struct link link;
    struct directory *directory; /* where he stands or waits; NULL: nowhere */
    uint32_t host, length;       /* what he wants */
    const char *path;
    bool lost; /* it changed meanwhile: what he read may be old */
    /* Called when he had to wait: 0, and he stands on it, or a negative errno. */
    void (*ready)(struct watch_user *user, int result);
};

struct watch {
    errand_queue *queue;
    errand_source *source;
    struct store *store;
    const int *roots; /* by host */
    uint32_t hosts;
    uint32_t most; /* directories */
    uint32_t count;
    uint32_t opening; /* chains under way */
    bool stopped;
    uint64_t changes, overflows;
    struct directory **buckets;
    struct watched **numbers; /* by the watch's number */
    size_t mask;
    struct link idle; /* oldest last */
    void *context;
    /* A name in a watched directory means something else, or has other contents, from now on. */
    void (*changed)(void *context, uint32_t host, const char *path, size_t length);
};

/* Opens it with queue, store, roots, hosts, most, context and changed filled in. Events come with `user_data`. */
int watch_open(struct watch *watch, void *user_data);

/* Whoever waits is told -ECANCELED when the queue is closed; which comes next, then watch_close(). */
void watch_stop(struct watch *watch);
void watch_close(struct watch *watch);

/*
 * Has user->path, a directory of user->host, watched, and all above it. Returns 1: it is, he stands on it; 0: he will
 * be told; -EOPNOTSUPP: it cannot be (a symlink on the way, a filesystem without events, no more watches), -ENOENT,
 * -EAGAIN, -ENOMEM. user->path stays his until watch_leave().
 */
int watch_want(struct watch *watch, struct watch_user *user);
void watch_leave(struct watch_user *user);

/* An entry lies in this directory, until it leaves the store. */
void watch_entry(struct directory *directory, struct cache_entry *entry);
void watch_entry_gone(struct cache_entry *entry);

/* Takes in what inotify told. */
void watch_take(struct watch *watch, const struct inotify_event *change);

/* Everything may have changed. */
void watch_forget_all(struct watch *watch);

/* The directory itself is not trusted any more, nor what is below it. */
void watch_forget(struct directory *directory);

#endif
