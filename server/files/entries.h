/* SPDX-License-Identifier: MIT */
/*
 * The entries of a directory, for a connection that tells its client of them: what is held does not grow with the
 * directory. Three kinds of chains work on it:
 *
 *     the list chain      reads names, and pauses when a batch of them waits           } of the reader's own: they
 *     looks, some at once each opens a few of the batch's names and looks at them      } give the connection no event
 *     the connection's    awaits that the batch is known, then sends of it; when all of it is sent the next is read
 *
 * So the connection has a chain under way as long as it lasts, with the time limits of any reply. The record lives
 * until the reader's own chains have ended, which may be after the connection.
 */
#ifndef SERVER_FILES_ENTRIES_H
#define SERVER_FILES_ENTRIES_H

#include "errand.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

struct entry {
    uint32_t name;   /* where its name begins among the names, which end with NUL */
    uint32_t target; /* likewise what a symlink says; 0: not known */
    uint16_t length;
    uint8_t type;     /* DT_... of readdir(3) */
    bool known, gone; /* what follows is; it was removed meanwhile */
    uint32_t mode, links, user, group;
    uint64_t size, device, inode;
    int64_t modified; /* seconds since 1970 */
};

/* What is known of it by a look. */
void entry_take(struct entry *entry, const struct errand_stat *stat);

struct entries_options {
    struct connection *connection;
    int root; /* as the path, of a directory, for errand_step_open() */
    const char *path;
    bool looks;                                                 /* more than names and types is wanted; */
    bool targets;                                               /* what symlinks say, too */
    bool (*shows)(void *user, const struct errand_entry *what); /* asked for each name, on the queue's thread */
    void *user;
};

struct entries {
    struct entry *list; /* the batch, while it is ready */
    char *names;
    size_t count;
    int error;   /* of the directory; then it is ready, and nothing more comes */
    bool listed; /* nothing follows this batch */

    /* The reader's own. */
    struct entries_options options; /* without a connection: nobody wants them any more */
    errand_queue *queue;
    errand_id chain; /* the list chain; 0: it has ended */
    int dir;         /* open while that lasts */
    unsigned looking;
    bool paused, released, awaited;
    size_t room, names_length, names_room;
    size_t looked; /* how far looks have begun */
    struct look *looks;
    unsigned *all_looks; /* of the worker */
};

/* Begins to read. Returns 0 or the error. */
int entries_open(struct entries **entries, const struct entries_options *options);

/* Is there something to be sent, or to be told? */
bool entries_are_ready(const struct entries *entries);

/* Has the connection's chain wait until they are. What completed a batch may have brought more names than were looked
 * at: then they are not ready after all, and it waits again. Returns 0 or the error. */
int entries_await(struct entries *entries, errand_chain *chain);

/* All of the batch was used: the next is read. */
void entries_next(struct entries *entries);

/* Nobody wants them any more; at any time. NULL: nothing. */
void entries_release(struct entries *entries);

#endif
