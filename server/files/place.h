/* SPDX-License-Identifier: MIT */
/* Where a name lies: the directory of a path beneath a root. */
#ifndef SERVER_FILES_PLACE_H
#define SERVER_FILES_PLACE_H

#include "errand.h"

#define PLACE_SYNC_NS (600 * ERRAND_SECOND) /* that a disk may take to keep what was written: gigabytes, perhaps */

/* How much of a path is its directory, with the slash. */
size_t place_directory(const char *path);

/* The directory's path, "." for the root, in the chain's memory; NULL: there is none. */
const char *place_parent(errand_chain *chain, const char *path);

/* Has the disk keep the names in the directory of the path. Returns the step. */
int place_sync(errand_chain *chain, int root, const char *path);

#endif
