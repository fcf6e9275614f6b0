/* SPDX-License-Identifier: MIT */
/*
 * What has no name yet that a client may see: a file of O_TMPFILE; where the filesystem has none, one with a name of
 * ours (".errand-" and 16 hexadecimal digits); and directories in which a tree is put together.
 *
 * What has a name of ours and is in use is locked, flock(2), for as long as its descriptor lives. So whoever finds
 * such a name can tell, in whatever process, container or boot, whether it was left behind: see sweep.h.
 */
#ifndef SERVER_FILES_TEMPORARY_H
#define SERVER_FILES_TEMPORARY_H

#include "remover.h"

#include <stdbool.h>

enum { TEMPORARY_DIGITS = 16 };

struct temporary {
    char *path; /* NULL: it has no name */
    int root;   /* where its path begins */
    int fd;     /* -1: not handed over yet */
    int step;   /* which opens it, in the chain under way */
    int locked; /* the descriptor by which it is; 0: it is not */
};

/* A name of ours beside the path's, allocated; NULL: no memory. */
char *temporary_path(const char *path);

/* Opens a file in the directory of the path. Returns 0 or a negative errno; then, in a call step that follows: */
int temporary_open(errand_chain *chain, struct temporary *temporary, int root, const char *path);

/* Is it open? Appends its open under a name of ours if there is no other way. Returns 0 or a negative errno. */
int temporary_opened(errand_chain *chain, struct temporary *temporary, const char *path);

/* Has what is open, handed over or not, still to be locked? Then appends that. */
bool temporary_wants_lock(const struct temporary *temporary);
void temporary_lock(errand_chain *chain, struct temporary *temporary);

/* Gives the file its name, in the place of what has it, or only if nothing has (else -EEXIST). Returns the step. */
int temporary_name(errand_chain *chain, const struct temporary *temporary, const char *path, bool only_new);

/* It has its name: nothing is to be removed. */
void temporary_named(struct temporary *temporary);

/* Closes it, and removes what has a name of ours. */
void temporary_drop(struct temporary *temporary, struct remover *remover);

#endif
