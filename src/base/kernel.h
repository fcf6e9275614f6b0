/* SPDX-License-Identifier: MIT */
/* Constants of kernels newer than Debian 12's headers (6.1). */
#ifndef BASE_KERNEL_H
#define BASE_KERNEL_H

#include <stdint.h>

/* cachestat(2), Linux 6.5: how much of a range is in the page cache. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct kernel_cachestat_range {
    uint64_t offset, length;
};

struct kernel_cachestat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted; /* pages */
};

/* statx(2), Linux 6.8: a number of the mount that is never another's; where mountinfo has numbers that come again. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

#endif
