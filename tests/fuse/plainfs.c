/* SPDX-License-Identifier: MIT */
/*
 * plainfs: a filesystem for tests that shows another directory, and can do less: it has no O_TMPFILE, and a
 * rename neither exchanges two names nor refuses to replace one.
 *
 *     plainfs DIRECTORY MOUNTPOINT
 *
 * It says `ready` once it is mounted, and ends when it is unmounted.
 */
#define FUSE_USE_VERSION 34

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int base; /* the directory */

/* Paths come with a leading slash, and are meant from the working directory. */
static const char *of(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int done(long result)
{
    return result < 0 ? -errno : 0;
}

static void *on_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    if (fchdir(base) != 0) /* fuse_main() has gone to "/" */
        _exit(1);
    config->use_ino = 1;
    config->hard_remove = 1;
    config->nullpath_ok = 0;
    printf("ready\n");
    fflush(stdout);
    return NULL;
}

static int on_getattr(const char *path, struct stat *status, struct fuse_file_info *file)
{
    return done(file ? fstat((int)file->fh, status) : lstat(of(path), status));
}

static int on_readlink(const char *path, char *target, size_t size)
{
    ssize_t length = readlink(of(path), target, size - 1);
    if (length >= 0)
        target[length] = 0;
    return done(length);
}

static int on_mkdir(const char *path, mode_t mode)
{
    return done(mkdir(of(path), mode));
}

static int on_unlink(const char *path)
{
    return done(unlink(of(path)));
}

static int on_rmdir(const char *path)
{
    return done(rmdir(of(path)));
}

static int on_symlink(const char *target, const char *path)
{
    return done(symlink(target, of(path)));
}

static int on_link(const char *from, const char *to)
{
    return done(link(of(from), of(to)));
}

static int on_rename(const char *from, const char *to, unsigned flags)
{
    if (flags)
        return -EINVAL;
    return done(rename(of(from), of(to)));
}

static int on_chmod(const char *path, mode_t mode, struct fuse_file_info *file)
{
    return done(file ? fchmod((int)file->fh, mode) : chmod(of(path), mode));
}

static int on_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *file)
{
    return done(file ? fchown((int)file->fh, user, group) : lchown(of(path), user, group));
}

static int on_truncate(const char *path, off_t length, struct fuse_file_info *file)
{
    return done(file ? ftruncate((int)file->fh, length) : truncate(of(path), length));
}

static int on_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *file)
{
    return done(file ? futimens((int)file->fh, times) : utimensat(AT_FDCWD, of(path), times, AT_SYMLINK_NOFOLLOW));
}

static int opened(struct fuse_file_info *file, int fd)
{
    file->fh = (uint64_t)fd;
    return done(fd);
}

static int on_open(const char *path, struct fuse_file_info *file)
{
    return opened(file, open(of(path), (file->flags & ~O_APPEND) | O_NOFOLLOW | O_CLOEXEC));
}

static int on_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
    return opened(file, open(of(path), file->flags | O_CREAT | O_CLOEXEC, mode));
}

static int on_read(const char *path, char *data, size_t size, off_t offset, struct fuse_file_info *file)
{
    (void)path;
    ssize_t n = pread((int)file->fh, data, size, offset);
    return n < 0 ? -errno : (int)n;
}

static int on_write(const char *path, const char *data, size_t size, off_t offset, struct fuse_file_info *file)
{
    (void)path;
    ssize_t n = pwrite((int)file->fh, data, size, offset);
    return n < 0 ? -errno : (int)n;
}

static int on_release(const char *path, struct fuse_file_info *file)
{
    (void)path;
    return done(close((int)file->fh));
}

static int on_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)path;
    (void)data_only;
    return done(fsync((int)file->fh));
}

static int on_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *file,
                      enum fuse_readdir_flags flags)
{
    (void)offset;
    (void)file;
    (void)flags;
    DIR *directory = opendir(of(path));
    if (!directory)
        return -errno;
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat status = {.st_ino = entry->d_ino, .st_mode = (mode_t)entry->d_type << 12};
        if (fill(buffer, entry->d_name, &status, 0, 0))
            break;
    }
    closedir(directory);
    return 0;
}

int main(int count, char **arguments)
{
    const struct fuse_operations operations = {
        .init = on_init,
        .getattr = on_getattr,
        .readlink = on_readlink,
        .mkdir = on_mkdir,
        .unlink = on_unlink,
        .rmdir = on_rmdir,
        .symlink = on_symlink,
        .link = on_link,
        .rename = on_rename,
        .chmod = on_chmod,
        .chown = on_chown,
        .truncate = on_truncate,
        .utimens = on_utimens,
        .open = on_open,
        .create = on_create,
        .read = on_read,
        .write = on_write,
        .release = on_release,
        .fsync = on_fsync,
        .readdir = on_readdir,
    };
    if (count != 3 || (base = open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        fprintf(stderr, "usage: plainfs DIRECTORY MOUNTPOINT\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    umask(0);
    char *options[] = {arguments[0], "-f", "-s", "-odefault_permissions,allow_other", arguments[2], NULL};
    return fuse_main(5, options, &operations, NULL);
}
