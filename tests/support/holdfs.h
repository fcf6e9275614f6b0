/* SPDX-License-Identifier: MIT */
/* Drives fuse/holdfs.c, a filesystem that holds its operations until it is told to go on, from a test. */
#ifndef TESTS_HOLDFS_H
#define TESTS_HOLDFS_H

#include <stdbool.h>
#include <stddef.h>

struct holdfs;

struct holdfs_options {
    const char *name; /* of the directory beneath the test's own that it is mounted on; default "held" */
    unsigned files;   /* f0, f1, ...; default 64. The same again in the directory d */
    size_t size;      /* of each; default 8192. Contents: pattern_fill(), seed: the number (d/f7: 1000007) */
    bool cache;       /* the kernel may keep names and attributes (else each use asks) */
    bool cold;        /* the kernel has seen no name yet: it looks them up in a directory one after the other */
};

/* Mounts one, which holds nothing yet. Ends the test as skipped where FUSE cannot be used at all. */
struct holdfs *holdfs_start(const struct holdfs_options *options);

const char *holdfs_path(const struct holdfs *holdfs);

/* Operations to hold from now on: "all", or some of "lookup getattr open read flush release opendir readdir
 * write fsync setattr rename unlink". */
void holdfs_hold(struct holdfs *holdfs, const char *operations);

/* How many are held; how many of one kind. */
unsigned holdfs_held(struct holdfs *holdfs);
unsigned holdfs_held_of(struct holdfs *holdfs, const char *operation);

/* Waits until so many or more are held. The queue does not run meanwhile: for what workers have begun. */
void holdfs_wait_held(struct holdfs *holdfs, unsigned count);

/* Performs what is held now; what comes afterwards is held again. */
void holdfs_release(struct holdfs *holdfs, unsigned count);
void holdfs_release_all(struct holdfs *holdfs);

/* Performs what is held and holds no more. */
void holdfs_pass(struct holdfs *holdfs);

/* Such operations fail with error (a positive errno) from now on; 0: no more. */
void holdfs_fail(struct holdfs *holdfs, int error, const char *operations);

/* Ends the connection by force, as an administrator does with a mount that hangs: what is held fails. */
void holdfs_abort(struct holdfs *holdfs);

/* Unmounts and frees it. */
void holdfs_stop(struct holdfs *holdfs);

#endif
