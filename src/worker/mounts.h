/* SPDX-License-Identifier: MIT */
/*
 * Which device a path leads to, by its text and the table of mounts: for paths that cross mounts, whose device can be
 * asked for only by going there, where one might hang. A symlink on the way can mislead it; then the run waits in a
 * lane that is not its device's.
 */
#ifndef WORKER_MOUNTS_H
#define WORKER_MOUNTS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct mounts {
    pthread_mutex_t lock;
    int watch_fd; /* /proc/self/mountinfo: says when the table has changed */
    struct mount *table;
    size_t count;
};

/* The lane of a device: what lanes are named by. */
static inline uint32_t lane_of_device(uint32_t major_number, uint32_t minor_number)
{
    return major_number << 20 ^ minor_number;
}

void mounts_open(struct mounts *mounts);
void mounts_close(struct mounts *mounts);

/* The lane of the mount on which dir_fd's path lies; `otherwise` if that cannot be told. On any thread. */
uint32_t mounts_lane(struct mounts *mounts, int dir_fd, const char *path, uint32_t otherwise);

#endif
