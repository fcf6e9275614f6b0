/* SPDX-License-Identifier: MIT */
/* The descriptors and the files of a simulated world: eight directories of 64 names, each a device of its own. */
#include "backend/sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SECTOR 512 /* what direct reads must be aligned to */

static const int64_t sizes[] = {0, 1, 100, 4096, 5000, 8192, 20000, 70000, 140000, 300000, 600000};

static void fds_make(struct sim *sim)
{
    for (unsigned fd = FIRST_FD; fd < FDS; fd++)
        sim->fds[fd].next_free = (uint16_t)(fd + 1);
    sim->fd_first = FIRST_FD;
    sim->fd_last = FDS - 1;
}

void files_make(struct sim *sim)
{
    fds_make(sim);
    for (unsigned i = 0; i < INODES; i++)
        sim->free_inodes[i] = (uint16_t)(INODES - 1 - i);
    sim->free_inodes_count = INODES;
    for (unsigned directory = 0; directory < SIM_DIRECTORIES; directory++) {
        int inode = inode_new(sim, S_IFDIR | 0755, directory); /* the first eight: number and directory are the same */
        sim->inodes[inode].directory = (uint8_t)(directory + 1);
        sim->inodes[inode].links = 2;
    }
    if (sim->options.scene)
        return;
    for (unsigned directory = 0; directory < SIM_DIRECTORIES; directory++) {
        for (unsigned name = 0; name < SIM_NAMES; name += 1 + (name % 16 == 15 || (name > 40 && name % 2))) {
            int inode = inode_new(sim,
                                  name % 16 == 7 ? S_IFLNK | 0777
                                  : name == 11   ? S_IFIFO | 0600
                                                 : S_IFREG | 0644,
                                  directory);
            if (inode < 0)
                return;
            struct inode *file = &sim->inodes[inode];
            file->links = 1;
            file->target_directory = (int8_t)(name % 32 == 7 ? directory : below(sim, SIM_DIRECTORIES));
            file->target_name = (uint8_t)below(sim, SIM_NAMES);
            if (S_ISREG(file->mode))
                file->size =
                    chance(sim, 50000) ? sizes[below(sim, 7)] : sizes[below(sim, sizeof sizes / sizeof *sizes)];
            file->fragmented = chance(sim, 8000);
            sim->names[directory][name] = (uint16_t)(inode + 1);
        }
    }
}

/* ---- descriptors */

int fd_new(struct sim *sim, enum object object, unsigned inode)
{
    if (sim->open_count >= sim->options.descriptors)
        return -EMFILE;
    int fd = sim->fd_first;
    struct sim_fd *new = &sim->fds[fd];
    sim->fd_first = new->next_free;
    *new = (struct sim_fd){.object = (uint8_t)object, .inode = (uint16_t)inode};
    if (object == OBJECT_INODE)
        sim->inodes[inode].opens++;
    sim->open_count++;
    sim->library_count++;
    return fd;
}

struct sim_fd *fd_of(struct sim *sim, int fd, const char *what)
{
    if (fd >= FIRST_FD && fd < FDS && sim->fds[fd].object != OBJECT_NONE)
        return &sim->fds[fd];
    complain(sim, "%s of descriptor %d, which is not open", what, fd);
    return NULL;
}

int fd_duplicate(struct sim *sim, int fd)
{
    const struct sim_fd *old = fd_of(sim, fd, "a duplicate");
    if (!old)
        return -EBADF;
    int new = fd_new(sim, old->object, old->inode);
    if (new >= 0) {
        sim->fds[new].path_only = old->path_only;
        sim->fds[new].direct = old->direct;
        sim->fds[new].access = old->access;
    }
    return new;
}

bool fd_allows(const struct sim *sim, int fd, int access)
{
    return !sim->options.scene || sim->fds[fd].access == O_RDWR || sim->fds[fd].access == access;
}

static void fd_release(struct sim *sim, int fd)
{
    struct sim_fd *old = &sim->fds[fd];
    if (old->object == OBJECT_INODE) {
        sim->inodes[old->inode].opens--;
        inode_leave(sim, old->inode);
    }
    old->object = OBJECT_NONE;
    sim->fds[sim->fd_last].next_free = (uint16_t)fd;
    sim->fd_last = (uint16_t)fd;
    sim->open_count--;
}

void fd_close(struct sim *sim, int fd)
{
    const struct sim_fd *old = fd_of(sim, fd, "a close");
    if (!old)
        return;
    if (old->tests)
        complain(sim, "the library closes descriptor %d, which is the caller's", fd);
    sim->library_count--;
    fd_release(sim, fd);
}

void sim_close(struct sim *sim, int fd)
{
    const struct sim_fd *old = fd_of(sim, fd, "the test's close");
    if (old && !old->tests)
        complain(sim, "the test closes descriptor %d, which is the library's", fd);
    if (old)
        fd_release(sim, fd);
}

void sim_take(struct sim *sim, int fd)
{
    struct sim_fd *old = fd_of(sim, fd, "a hand-over");
    if (!old || old->tests) {
        complain(sim, "descriptor %d was handed over, which is the caller's already", fd);
        return;
    }
    old->tests = true;
    sim->library_count--;
}

/* ---- inodes */

int inode_new(struct sim *sim, unsigned mode, unsigned device)
{
    if (sim->free_inodes_count == 0)
        return -ENOSPC;
    unsigned inode = sim->free_inodes[--sim->free_inodes_count];
    sim->inodes[inode] = (struct inode){.device = (uint8_t)device,
                                        .mode = mode,
                                        .attribute = sim->options.scene ? UINT16_MAX : 20,
                                        .target_directory = -1};
    return (int)inode;
}

void inode_leave(struct sim *sim, unsigned inode)
{
    struct inode *old = &sim->inodes[inode];
    if (old->links > 0 || old->opens > 0 || !old->mode)
        return;
    old->mode = 0;
    sim->free_inodes[sim->free_inodes_count++] = (uint16_t)inode;
}

struct inode *inode_of(struct sim *sim, int fd, const char *what)
{
    const struct sim_fd *open = fd_of(sim, fd, what);
    if (open && open->object != OBJECT_INODE)
        complain(sim, "%s of descriptor %d, which is a socket", what, fd);
    return open && open->object == OBJECT_INODE ? &sim->inodes[open->inode] : NULL;
}

uint32_t lane_of_inode(const struct inode *inode)
{
    return inode->device + 1u;
}

void stat_fill(const struct sim *sim, unsigned number, struct errand_stat *out)
{
    const struct inode *inode = &sim->inodes[number];
    *out = (struct errand_stat){.bytes = (uint64_t)inode->size,
                                .blocks = (uint64_t)(inode->size + 4095) / 4096 * 8 + inode->fragmented * 8,
                                .modified_ns = inode->modified,
                                .accessed_ns = inode->accessed,
                                .device = inode->device + 1u,
                                .inode = number,
                                .mode = inode->mode,
                                .links = inode->links,
                                .user = inode->user,
                                .group = inode->group,
                                .block_size = 4096};
}

int64_t file_read(struct sim *sim, int fd, void *buffer, size_t length, int64_t offset)
{
    const struct inode *inode = inode_of(sim, fd, "a read");
    if (!inode)
        return -EBADF;
    if (S_ISDIR(inode->mode))
        return -EISDIR;
    if (S_ISFIFO(inode->mode))
        return -ESPIPE;
    if (sim->fds[fd].path_only || S_ISLNK(inode->mode) || !fd_allows(sim, fd, O_RDONLY))
        return -EBADF;
    if (offset < 0)
        complain(sim, "a read at %lld", (long long)offset);
    if (sim->fds[fd].direct && (offset % SECTOR || length % SECTOR))
        return -EINVAL;
    if (sim->fds[fd].direct && (uintptr_t)buffer % SECTOR)
        complain(sim, "a direct read into memory that is not aligned");
    int64_t left = offset < inode->size ? inode->size - offset : 0;
    size_t n = (int64_t)length < left ? length : (size_t)left;
    memcpy(buffer, sim_pattern(sim, (uint64_t)offset), n);
    return (int64_t)n;
}

/* ---- paths */

static bool number(const char **at, unsigned limit, unsigned *value)
{
    const char *p = *at;
    for (*value = 0; *p >= '0' && *p <= '9' && *value < 1000; p++)
        *value = *value * 10 + (unsigned)(*p - '0');
    bool good = p > *at && *value < limit && (*p == '/' || *p == 0);
    *at = p;
    return good;
}

/* One component that is not the last name. Returns 0 or an error. */
static int step_into(struct sim *sim, const char **at, unsigned base, bool beneath, bool no_mounts, struct found *found)
{
    const char *p = *at;
    unsigned value;
    if (found->name >= 0)
        return sim->names[found->directory][found->name] ? -ENOTDIR : -ENOENT;
    if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == 0)) {
        if (beneath && found->directory == base)
            return -EXDEV;
        if (no_mounts && found->directory != 0)
            return LEADS_ELSEWHERE;
        found->directory = 0;
        *at = p + 2;
    } else if (p[0] == '.' && (p[1] == '/' || p[1] == 0)) {
        *at = p + 1;
    } else if (*p == 'd' && found->directory == 0) {
        p++;
        if (!number(&p, SIM_DIRECTORIES, &value) || value == 0)
            return -ENOENT;
        if (no_mounts)
            return LEADS_ELSEWHERE;
        found->directory = value;
        *at = p;
    } else if (*p == 'n') {
        p++;
        if (!number(&p, SIM_NAMES, &value))
            return -ENOENT;
        found->name = (int)value;
        *at = p;
    } else {
        return -ENOENT;
    }
    return 0;
}

int path_find(struct sim *sim, int dir_fd, const char *path, bool beneath, bool no_mounts, struct found *found)
{
    unsigned base = 0;
    if (*path != '/' && dir_fd != AT_FDCWD) {
        const struct inode *directory = inode_of(sim, dir_fd, "a look-up");
        if (!directory || !directory->directory)
            return directory ? -ENOTDIR : -EBADF;
        base = directory->directory - 1u;
    } else if (*path == '/' && beneath) {
        return -EXDEV;
    }
    *found = (struct found){.directory = base, .name = -1};
    if (!*path)
        return -ENOENT;
    while (*path) {
        while (*path == '/')
            path++;
        int result = *path ? step_into(sim, &path, base, beneath, no_mounts, found) : 0;
        if (result < 0)
            return result;
    }
    return 0;
}

static int create(struct sim *sim, const struct found *found, const struct sim_how *how)
{
    int inode = inode_new(sim, S_IFREG | how->mode, found->directory);
    if (inode < 0)
        return inode;
    if ((how->flags & O_TMPFILE) == O_TMPFILE)
        return inode;
    sim->inodes[inode].links = 1;
    sim->names[found->directory][found->name] = (uint16_t)(inode + 1);
    return inode;
}

/* Returns the inode, an error, LEADS_ELSEWHERE. */
static int open_name(struct sim *sim, struct found *found, const struct sim_how *how, unsigned base)
{
    for (int level = 0; level < LINK_LEVELS; level++) {
        unsigned inode = sim->names[found->directory][found->name];
        if (inode == 0)
            return how->flags & O_CREAT ? create(sim, found, how) : -ENOENT;
        inode--;
        if ((how->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
            return -EEXIST;
        const struct inode *file = &sim->inodes[inode];
        if (!S_ISLNK(file->mode))
            return (int)inode;
        if (how->flags & O_NOFOLLOW)
            return how->flags & O_PATH ? (int)inode : -ELOOP;
        if (file->target_directory < 0)
            return -ENOENT;
        if ((unsigned)file->target_directory != found->directory) {
            if (how->beneath && base != 0)
                return -EXDEV;
            if (how->no_mounts)
                return LEADS_ELSEWHERE;
        }
        *found = (struct found){.directory = (unsigned)file->target_directory, .name = file->target_name};
    }
    return -ELOOP;
}

int path_open(struct sim *sim, int dir_fd, const char *path, const struct sim_how *how)
{
    struct found found;
    int result = path_find(sim, dir_fd, path, how->beneath, how->no_mounts, &found);
    if (result < 0)
        return result;
    unsigned base = dir_fd == AT_FDCWD || *path == '/' ? 0 : sim->inodes[sim->fds[dir_fd].inode].directory - 1u;
    bool temporary = (how->flags & O_TMPFILE) == O_TMPFILE; /* which has O_DIRECTORY in it */
    if (found.name < 0)
        result = temporary ? create(sim, &found, how) : how->flags & O_CREAT ? -EISDIR : (int)found.directory;
    else
        result = temporary ? -ENOTDIR : open_name(sim, &found, how, base);
    if (result < 0)
        return result;
    struct inode *inode = &sim->inodes[result];
    if (!temporary && (how->flags & O_DIRECTORY) && !S_ISDIR(inode->mode))
        result = -ENOTDIR;
    else if (S_ISDIR(inode->mode) && (how->flags & O_ACCMODE) != O_RDONLY)
        result = -EISDIR;
    else if (S_ISFIFO(inode->mode) && (how->flags & O_ACCMODE) == O_WRONLY)
        result = -ENXIO;
    unsigned number = (unsigned)(inode - sim->inodes);
    int fd = result < 0 ? result : fd_new(sim, OBJECT_INODE, number);
    if (fd >= 0) {
        sim->fds[fd].path_only = (how->flags & O_PATH) != 0;
        sim->fds[fd].direct = (how->flags & O_DIRECT) != 0;
        sim->fds[fd].access = how->flags & O_ACCMODE;
        if ((how->flags & O_TRUNC) && S_ISREG(inode->mode))
            inode->size = 0;
    }
    inode_leave(sim, number);
    return fd;
}
