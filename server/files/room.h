/* SPDX-License-Identifier: MIT */
/*
 * Is there room for what is to come, and for what is to stay free beside it? It is allocated and given back: that asks
 * the filesystem itself, in the lane of its device, where statvfs(3) could only be called in the lane that all share.
 * Who asks at the same instant as others sees theirs. What cannot allocate is asked by the writes.
 */
#ifndef SERVER_FILES_ROOM_H
#define SERVER_FILES_ROOM_H

#include "errand.h"

#include <stdbool.h>

/* Asks by an open file, which is empty, and stays so. Returns the step, for room_lacks(), or an error. */
int room_ask(errand_chain *chain, int file, uint64_t bytes, uint64_t spare);

/* Asks by a file of O_TMPFILE in the directory of the path; where there are none nobody can tell. */
int room_ask_beside(errand_chain *chain, int root, const char *path, uint64_t bytes, uint64_t spare);

/* The answer, in a call step that follows: it is known that there is not enough. step: -1: nothing was asked. */
bool room_lacks(const errand_chain *chain, int step);

/* And that there is. */
bool room_is_there(const errand_chain *chain, int step);

#endif
