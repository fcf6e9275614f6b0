/* SPDX-License-Identifier: MIT */
/* fstat(2) into the public struct. */
#ifndef WORKER_STAT_H
#define WORKER_STAT_H

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "errand.h"

/* A time that 64 bits of nanoseconds cannot hold (before 1677, after 2262) becomes the nearest that they can. */
static inline int64_t nanoseconds(const struct timespec *time)
{
    int64_t ns;
    if (__builtin_mul_overflow((int64_t)time->tv_sec, ERRAND_SECOND, &ns) ||
        __builtin_add_overflow(ns, (int64_t)time->tv_nsec, &ns))
        return time->tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

/* Returns 0 or a negative errno. */
static inline int stat_of(int fd, struct errand_stat *out)
{
    struct stat st;
#if defined(__x86_64__)
    /* glibc 2.33 and newer make it a newfstatat(2) with an empty path, which costs more. */
    if (syscall(SYS_fstat, fd, &st) < 0)
        return -errno;
#else
    if (fstat(fd, &st) < 0)
        return -errno;
#endif
    *out = (struct errand_stat){
        .bytes = (uint64_t)st.st_size,
        .blocks = (uint64_t)st.st_blocks,
        .modified_ns = nanoseconds(&st.st_mtim),
        .changed_ns = nanoseconds(&st.st_ctim),
        .device = st.st_dev,
        .inode = st.st_ino,
        .mode = st.st_mode,
        .links = (uint32_t)st.st_nlink,
        .user = st.st_uid,
        .group = st.st_gid,
        .block_size = (uint32_t)st.st_blksize,
        .accessed_ns = nanoseconds(&st.st_atim),
        .special = st.st_rdev,
    };
    return 0;
}

#endif
