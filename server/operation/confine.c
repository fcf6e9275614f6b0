/* SPDX-License-Identifier: MIT */
/* Landlock, and what is given up as a whole. */
#include "confine.h"
#include "landlock.h"
#include "users.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* The first version forbids every rename and link into another directory. */
enum { VERSION_WANTED = 2 };

#define RIGHTS_OF_FILES                                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                       \
     LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)

#define TO_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* Symlinks are made when a tree is copied; what they lead to is judged when it is opened. */
#define TO_CHANGE                                                                                                      \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                    \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |                       \
     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

#define TO_LOG (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)

struct rules {
    int fd;
    struct landlock_handled handled;
};

/* ------------------------------------------------------------------------------------------ exceptions */

/* Each returns 0 or a negative errno. */
static int allow(const struct rules *rules, int fd, uint64_t rights)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        rights &= RIGHTS_OF_FILES; /* others are refused */
    int error = landlock_allow(rules->fd, fd, rights & rules->handled.files);
    return error == -EBADFD ? 0 : error; /* pipes and sockets without a name: opening them is never restricted */
}

/* The descriptor is kept for the process's life: a rule is bound to an inode, and if nobody holds the name, too, memory
 * reclaim may forget it, and the name then get another inode. Those of /proc were seen to. */
static int allow_path(const struct rules *rules, const char *path, uint64_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    return fd < 0 ? -errno : allow(rules, fd, rights);
}

static int allow_folder_of(const struct rules *rules, const char *path, uint64_t rights)
{
    char copy[PATH_MAX];
    int length = snprintf(copy, sizeof copy, "%s", path);
    return length < (int)sizeof copy ? allow_path(rules, dirname(copy), rights) : -ENAMETOOLONG;
}

/* It is renamed at any time, and made anew: so it is its folder that counts, and the one that a symlink leads to. A
 * terminal or FIFO is what it is. */
static int allow_log(const struct rules *rules, const char *log)
{
    char real[PATH_MAX];
    struct stat status;
    if (log == NULL)
        return 0;
    if (strcmp(log, "-") == 0) {
        allow_path(rules, "/proc/self/fd/1", TO_LOG); /* opened anew if that is permitted: see record/sink.c */
        return 0;
    }
    if (stat(log, &status) == 0 && !S_ISREG(status.st_mode))
        return allow_path(rules, log, TO_LOG);
    int error = allow_folder_of(rules, log, TO_LOG);
    return error || realpath(log, real) == NULL ? error : allow_folder_of(rules, real, TO_LOG);
}

/* The rule keeps the inode; of homes there may be more than a process may have open. */
static int allow_home(const struct rules *rules, const struct user *user)
{
    int fd = open(user->home, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = allow(rules, fd, user->writable ? TO_READ | TO_CHANGE : TO_READ);
    close(fd);
    return error;
}

/* Ports at which data connections are waited for, and from which they are made. */
static int allow_ports(const struct rules *rules, const struct config_ftp *ftp)
{
    uint64_t right = rules->handled.network & LANDLOCK_ACCESS_NET_BIND_TCP;
    if (right == 0 || ftp->listen.count == 0)
        return 0;
    int error = ftp->active || ftp->passive_first == 0 ? landlock_allow_port(rules->fd, 0, right) : 0;
    for (unsigned port = ftp->passive_first; port != 0 && port <= ftp->passive_last && error == 0; port++)
        error = landlock_allow_port(rules->fd, port, right);
    return error;
}

/* `at`: what the error is about. */
static int allow_all(const struct rules *rules, const struct confine *confine, const char **at)
{
    int error = 0;
    for (unsigned i = 0; i < confine->sites->count && error == 0; i++) {
        const struct site *site = &confine->sites->list[i];
        *at = site->config->directory;
        error = allow(rules, site->directory, config_is_writable(site->config) ? TO_READ | TO_CHANGE : TO_READ);
    }
    for (unsigned i = 0; confine->users != NULL && i < users_count(confine->users) && error == 0; i++) {
        *at = users_at(confine->users, i)->home;
        error = allow_home(rules, users_at(confine->users, i));
    }
    const struct config_ftp *ftp = &confine->config->ftp;
    if (ftp->local_home != NULL && ftp->listen.count > 0 && error == 0) {
        *at = ftp->local_home;
        error = allow_path(rules, *at, ftp->local_writable ? TO_READ | TO_CHANGE : TO_READ);
    }
    for (unsigned i = 0; confine->listeners != NULL && i < confine->listeners->count && error == 0; i++) {
        const struct listener *listener = &confine->listeners->list[i];
        *at = listener->address.local.sun_path;
        if (listen_is_local(&listener->address) && !listener->borrowed)
            error = allow_folder_of(rules, *at, LANDLOCK_ACCESS_FS_REMOVE_FILE);
    }
    if (error == 0) {
        *at = "its ports";
        error = allow_ports(rules, &confine->config->ftp);
    }
    const char *const logs[] = {confine->config->access_log, confine->config->transfer_log};
    for (unsigned i = 0; i < 2 && error == 0; i++) {
        *at = logs[i];
        error = allow_log(rules, logs[i]);
    }
    allow_path(rules, "/proc/self", TO_READ); /* the library reads the table of mounts, and does without if need be */
    return error;
}

/* ------------------------------------------------------------------------------------------ what is given up */

/* Everything that this version of the interface knows. */
static struct landlock_handled handled_by(int version)
{
    static const struct landlock_handled added[] = {
        {.files = (1ULL << 13) - 1}, /* all of the first version */
        {.files = LANDLOCK_ACCESS_FS_REFER},
        {.files = LANDLOCK_ACCESS_FS_TRUNCATE},
        {.network = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP},
        {.files = LANDLOCK_ACCESS_FS_IOCTL_DEV},
        {.scopes = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL},
    };
    struct landlock_handled all = {0};
    for (int i = 0; i < version && i < (int)(sizeof added / sizeof added[0]); i++) {
        all.files |= added[i].files;
        all.network |= added[i].network;
        all.scopes |= added[i].scopes;
    }
    return all;
}

static const char *what_is_missing(int version)
{
    return version == -ENOSYS       ? "this kernel has no Landlock"
           : version == -EOPNOTSUPP ? "Landlock is not switched on in this kernel (see lsm= on its command line)"
           : version < 0            ? "something forbids Landlock here"
                                    : "this kernel's Landlock is too old, want that of Linux 5.19";
}

int confine_files(const struct confine *confine, char *why, size_t why_size)
{
    int version = landlock_version();
    if (version < VERSION_WANTED) {
        snprintf(why, why_size, "%s", what_is_missing(version));
        return 0;
    }
    const char *at = "its files";
    struct rules rules = {.handled = handled_by(version)};
    if (confine->config->ftp.listen.count > 0 && confine->config->ftp.active)
        rules.handled.network &= ~(uint64_t)LANDLOCK_ACCESS_NET_CONNECT_TCP; /* to whatever port a client names */
    rules.fd = landlock_create(&rules.handled);
    int error = rules.fd < 0 ? rules.fd : allow_all(&rules, confine, &at);
    if (error == 0)
        error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -errno : landlock_restrict(rules.fd);
    if (rules.fd >= 0)
        close(rules.fd);
    if (error)
        snprintf(why, why_size, "cannot confine itself to %.128s by Landlock: %s", at, strerror(-error));
    return error ? -1 : 1;
}

/* By the two of them. */
static const char *const what_was_done[2][2] = {{"not confined", "confined to its system calls"},
                                                {"confined to its files", "confined to its files and system calls"}};

bool confine(const struct confine *confine, char words[CONFINE_WORDS])
{
    const struct config *config = confine->config;
    char why[CONFINE_WORDS - 64] = "";
    int files = config->landlock == CONFIG_OFF ? 0 : confine_files(confine, why, sizeof why);
    if (files < 0 || (files == 0 && config->landlock == CONFIG_ON)) {
        snprintf(words, CONFINE_WORDS, "%s (Landlock=no does without)", why);
        return false;
    }
    bool calls = config->seccomp == CONFIG_ON;
    int error = calls ? confine_calls(&config->ftp) : 0;
    if (error) {
        snprintf(words, CONFINE_WORDS, "cannot confine itself to its system calls: %s (Seccomp=no does without)",
                 strerror(-error));
        return false;
    }
    snprintf(words, CONFINE_WORDS, "%s%s%s%s", what_was_done[files > 0][calls], *why ? " (" : "", why, *why ? ")" : "");
    return true;
}
