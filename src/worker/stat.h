/* SPDX-License-Identifier: MIT */
/* fstat(2) into the public struct. */
#ifndef WORKER_STAT_H
#define WORKER_STAT_H

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "errand.h"

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
        .modified_ns = st.st_mtim.tv_sec * ERRAND_SECOND + st.st_mtim.tv_nsec,
        .changed_ns = st.st_ctim.tv_sec * ERRAND_SECOND + st.st_ctim.tv_nsec,
        .device = st.st_dev,
        .inode = st.st_ino,
        .mode = st.st_mode,
        .links = (uint32_t)st.st_nlink,
        .user = st.st_uid,
        .group = st.st_gid,
        .block_size = (uint32_t)st.st_blksize,
    };
    return 0;
}

#endif
