/* SPDX-License-Identifier: MIT */
/* landlock(7): its system calls, which have no function in glibc, and what Debian 12's headers (6.1) lack. */
#ifndef SERVER_OPERATION_LANDLOCK_H
#define SERVER_OPERATION_LANDLOCK_H

#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights by the version of the interface (ABI) that brought them. 3, Linux 6.2: */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
/* 4, Linux 6.7: */
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP    (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#define LANDLOCK_RULE_OF_A_PORT 2 /* LANDLOCK_RULE_NET_PORT, an enumerator there */
/* 5, Linux 6.10: */
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
/* 6, Linux 6.12: */
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL               (1ULL << 1)
#endif

/* What a ruleset takes away, but for its exceptions: the kernel's landlock_ruleset_attr of version 6. An older kernel
 * takes it, too, if what it does not know is 0. */
struct landlock_handled {
    uint64_t files, network, scopes;
};

/* All return a negative errno for an error. The version: from 1 on. */
static inline int landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 0 ? -errno : (int)version;
}

/* A descriptor. */
static inline int landlock_create(const struct landlock_handled *handled)
{
    long fd = syscall(SYS_landlock_create_ruleset, handled, sizeof *handled, 0);
    return fd < 0 ? -errno : (int)fd;
}

/* An exception: these rights to what the descriptor leads to (O_PATH will do), and to all beneath it. */
static inline int landlock_allow(int ruleset, int fd, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0 ? -errno : 0;
}

/* The same to a TCP port; 0: to bind to one that the system chooses. */
static inline int landlock_allow_port(int ruleset, uint64_t port, uint64_t rights)
{
    const struct {
        uint64_t rights, port;
    } rule = {rights, port};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_OF_A_PORT, &rule, 0) != 0 ? -errno : 0;
}

/* For this thread and all that it starts, for good. Wants PR_SET_NO_NEW_PRIVS. */
static inline int landlock_restrict(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) != 0 ? -errno : 0;
}

#endif
