/* SPDX-License-Identifier: MIT */
/* A run on a worker: run.c has its course, file_calls.c the calls on open files, name_calls.c those on names,
 * copy.c and metadata.c those on two files. */
#ifndef WORKER_RUN_H
#define WORKER_RUN_H

#include <fcntl.h>

#include "chain/file_run.h"
#include "worker/mounts.h"

/* First: makes the run independent of the caller's descriptors, which he may close as soon as he has his event. Does
 * not wait. One that cannot be duplicated is a negative errno from then on: the first call that needs it fails. */
void run_begin(struct file_run *run);

/* Both under the pool's lock. On the queue's thread: the workers are lent a spare buffer if the run will want one. When
 * its turn has come: it gets one, and ends early if that holds less than was asked for; buffers: NULL when the queue is
 * gone. */
void run_lend_buffer(struct file_run *run, struct buffer_pool *buffers);
void run_grant_buffer(struct file_run *run, struct buffer_pool *buffers);

/* Performs the calls that are left. Returns true: a path leads onto another mount, take the run to that lane. */
bool run_perform(struct file_run *run, struct mounts *mounts);

/* Drops where its paths begin: references to roots, which may have to be closed then, and directories. */
void run_drop_places(struct file_run *run);

/* Closes its duplicates of the caller's files, and its own files too. May wait. */
void run_drop_files(struct file_run *run, bool own);

/* ---- among these files */

/* The path of a call led onto another mount: see run->crossing. No errno. */
#define RUN_CROSSES (-5000)

static inline int run_directory(const struct run_place *place)
{
    return place->root ? place->root->fd : place->dir_fd;
}

/* 0, or why the directory is not to be had: see run_begin(). */
static inline int run_place_error(const struct run_place *place)
{
    return place->borrowed && place->dir_fd < 0 ? place->dir_fd : 0;
}

/* Opens a path of the run's. Returns the descriptor, a negative errno, RUN_CROSSES. */
int run_open(struct file_run *run, unsigned place, const char *path, int flags, unsigned mode);

/* Performs a call. Returns its result, a negative errno, RUN_CROSSES. */
int64_t run_call(struct file_run *run, struct run_call *call);
int64_t run_name_call(struct file_run *run, struct run_call *call);
int64_t run_copy(struct file_run *run, struct run_call *call);
int64_t run_metadata(struct file_run *run, struct run_call *call);

/* What the run found when it looked at this file of its; NULL: it has not. */
const struct errand_stat *run_found(const struct file_run *run, unsigned file);

/* The permissions with which to create a file that is to become like this one of the run's, or a negative errno. */
int run_mode_like(const struct file_run *run, unsigned file);

#endif
