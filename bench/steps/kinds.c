/* SPDX-License-Identifier: MIT */
/* Each kind of step, and the bare system calls that do its work. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "steps.h"

/* p is the place, c the chain. */
#define BARE(name, ...)                                                                                                \
    static long bare_##name(struct place *p)                                                                           \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define OURS(name, ...)                                                                                                \
    static void ours_##name(errand_chain *c, struct place *p)                                                          \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

BARE(open, int fd = openat(p->directory, p->name, O_RDONLY | O_CLOEXEC); return fd < 0 ? -1 : close(fd);)
OURS(open, int s = errand_step_open(c, p->root, p->name, O_RDONLY, 0); errand_step_close(c, ERRAND_SLOT(s));)
BARE(open_stat, int fd = openat(p->directory, p->name, O_RDONLY | O_CLOEXEC); struct statx x;
     long n = statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x); close(fd); return n;)
OURS(open_stat, int s = errand_step_open(c, p->root, p->name, O_RDONLY, 0);
     errand_step_stat(c, ERRAND_SLOT(s), &p->stat); errand_step_close(c, ERRAND_SLOT(s));)
BARE(open_read, int fd = openat(p->directory, p->name, O_RDONLY | O_CLOEXEC);
     long n = pread(fd, p->buffer, sizeof p->buffer, 0); close(fd); return n;)
OURS(open_read, int s = errand_step_open(c, p->root, p->name, O_RDONLY, 0);
     errand_step_read(c, ERRAND_SLOT(s), p->buffer, sizeof p->buffer, 0, 0); errand_step_close(c, ERRAND_SLOT(s));)
BARE(open_sendfile, int fd = openat(p->directory, p->name, O_RDONLY | O_CLOEXEC); off_t at = 0;
     long n = sendfile(p->sockets[0], fd, &at, sizeof p->buffer); close(fd);
     return n < 0 ? -1 : recv(p->sockets[1], p->buffer, sizeof p->buffer, 0);)
OURS(open_sendfile, int s = errand_step_open(c, p->root, p->name, O_RDONLY, 0);
     errand_step_sendfile(c, p->sockets[0], ERRAND_SLOT(s), 0, sizeof p->buffer, NULL, 0, 0);
     errand_step_close(c, ERRAND_SLOT(s));
     errand_step_receive(c, p->sockets[1], p->buffer, sizeof p->buffer, ERRAND_EXACT);)
BARE(stat, struct statx x; return statx(p->file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x);)
OURS(stat, errand_step_stat(c, p->file, &p->stat);)
BARE(read, return pread(p->file, p->buffer, sizeof p->buffer, 0);)
OURS(read, errand_step_read(c, p->file, p->buffer, sizeof p->buffer, 0, 0);)
BARE(write, return pwrite(p->file, p->buffer, sizeof p->buffer, 0);)
OURS(write, errand_step_write(c, p->file, p->buffer, sizeof p->buffer, 0);)
BARE(truncate, return ftruncate(p->file, sizeof p->buffer);)
OURS(truncate, errand_step_truncate(c, p->file, sizeof p->buffer);)
BARE(allocate, return fallocate(p->file, 0, 0, sizeof p->buffer);)
OURS(allocate, errand_step_allocate(c, p->file, 0, 0, sizeof p->buffer);)
BARE(copy, loff_t from = 0, to = 0; return copy_file_range(p->file, &from, p->to, &to, sizeof p->buffer, 0);)
OURS(copy, errand_step_copy(c, p->to, 0, p->file, 0, sizeof p->buffer, 0);)
BARE(chmod, return fchmod(p->file, 0600);)
OURS(chmod, errand_step_chmod(c, p->file, 0600);)
BARE(chown, return fchown(p->file, 0, 0);)
OURS(chown, errand_step_chown(c, p->file, 0, 0);)
BARE(utimes, struct timespec t[2] = {{.tv_sec = 1}, {.tv_sec = 2}}; return futimens(p->file, t);)
OURS(utimes, errand_step_utimes(c, p->file, ERRAND_SECOND, 2 * ERRAND_SECOND);)
BARE(get_attribute, return fgetxattr(p->file, "user.a", p->buffer, 64);)
OURS(get_attribute, errand_step_get_attribute(c, p->file, "user.a", p->buffer, 64);)
BARE(set_attribute, return fsetxattr(p->file, "user.a", "0123456789", 10, 0);)
OURS(set_attribute, errand_step_set_attribute(c, p->file, "user.a", "0123456789", 10, 0);)
BARE(list_attributes, return flistxattr(p->file, p->buffer, 64);)
OURS(list_attributes, errand_step_list_attributes(c, p->file, p->buffer, 64);)

static int see(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    (void)chain, (void)entry, (void)context;
    return 0;
}

BARE(list, int fd = openat(p->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); long n;
     while ((n = syscall(SYS_getdents64, fd, p->buffer, sizeof p->buffer)) > 0); close(fd); return n;)
OURS(list, int s = errand_step_open(c, p->root, ".", O_RDONLY | O_DIRECTORY, 0);
     errand_step_list(c, ERRAND_SLOT(s), see, NULL); errand_step_close(c, ERRAND_SLOT(s));)
BARE(rename, return renameat(p->directory, p->name, p->directory, p->other) < 0
                        ? -1
                        : renameat(p->directory, p->other, p->directory, p->name);)
OURS(rename, errand_step_rename(c, p->root, p->name, p->root, p->other, 0);
     errand_step_rename(c, p->root, p->other, p->root, p->name, 0);)
BARE(link,
     return linkat(p->directory, p->name, p->directory, p->other, 0) < 0 ? -1 : unlinkat(p->directory, p->other, 0);)
OURS(link, errand_step_link(c, p->root, p->name, p->root, p->other); errand_step_unlink(c, p->root, p->other);)
BARE(symlink, return symlinkat("somewhere", p->directory, p->other) < 0 ? -1 : unlinkat(p->directory, p->other, 0);)
OURS(symlink, errand_step_symlink(c, "somewhere", p->root, p->other); errand_step_unlink(c, p->root, p->other);)
BARE(read_link, return readlinkat(p->directory, p->link, p->buffer, 64);)
OURS(read_link, errand_step_read_link(c, p->root, p->link, p->buffer, 64);)
BARE(mkdir, return mkdirat(p->directory, p->other, 0700) < 0 ? -1 : unlinkat(p->directory, p->other, AT_REMOVEDIR);)
OURS(mkdir, errand_step_mkdir(c, p->root, p->other, 0700); errand_step_rmdir(c, p->root, p->other);)
BARE(mknod, return mknodat(p->directory, p->other, S_IFIFO | 0600, 0) < 0 ? -1 : unlinkat(p->directory, p->other, 0);)
OURS(mknod, errand_step_mknod(c, p->root, p->other, S_IFIFO | 0600, 0); errand_step_unlink(c, p->root, p->other);)
BARE(send, return send(p->sockets[0], p->buffer, 64, MSG_NOSIGNAL) < 0 ? -1 : recv(p->sockets[1], p->buffer, 64, 0);)
OURS(send, errand_step_send(c, p->sockets[0], p->buffer, 64, 0);
     errand_step_receive(c, p->sockets[1], p->buffer, 64, ERRAND_EXACT);)
BARE(sendfile, off_t at = 0; return sendfile(p->sockets[0], p->file, &at, sizeof p->buffer) < 0
                                        ? -1
                                        : recv(p->sockets[1], p->buffer, sizeof p->buffer, 0);)
OURS(sendfile, errand_step_sendfile(c, p->sockets[0], p->file, 0, sizeof p->buffer, NULL, 0, 0);
     errand_step_receive(c, p->sockets[1], p->buffer, sizeof p->buffer, ERRAND_EXACT);)
BARE(receive_file, if (send(p->sockets[0], p->buffer, 4096, MSG_NOSIGNAL) < 0) return -1;
     long n = recv(p->sockets[1], p->buffer, 4096, 0); return n < 0 ? -1 : pwrite(p->file, p->buffer, (size_t)n, 0);)
OURS(receive_file, errand_step_send(c, p->sockets[0], p->buffer, 4096, 0);
     errand_step_receive_file(c, p->sockets[1], p->file, 0, 4096, ERRAND_EXACT);)
BARE(poll, struct pollfd x = {.fd = p->sockets[0], .events = POLLOUT}; return poll(&x, 1, 0);)
OURS(poll, errand_step_poll(c, p->sockets[0], POLLOUT);)
BARE(connect, int a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
     if (connect(a, (struct sockaddr *)&p->address, sizeof p->address) < 0 && errno != EINPROGRESS) return -1;
     int b = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); close(a); return b < 0 ? -1 : close(b);)
OURS(connect, int s = errand_step_connect(c, -1, &p->address, sizeof p->address); errand_step_accept(c, p->listener);
     errand_step_close(c, ERRAND_SLOT(s)); errand_step_close(c, ERRAND_SLOT(s + 1));)

static int go_on(errand_chain *chain, void *context)
{
    (void)chain, (void)context;
    return 0;
}

static int64_t work(void *context)
{
    (void)context;
    return 0;
}

BARE(call, (void)p; return 0;)
OURS(call, (void)p; errand_step_call(c, go_on, NULL);)
BARE(work, (void)p; return 0;)
OURS(work, (void)p; errand_step_work(c, work, NULL);)

const struct kind kinds[] = {
    {"open + close", 2, bare_open, ours_open},
    {"open + stat + close", 3, bare_open_stat, ours_open_stat},
    {"open + read 4 KiB + close", 3, bare_open_read, ours_open_read},
    {"open + sendfile + close + receive 4 KiB", 4, bare_open_sendfile, ours_open_sendfile},
    /* From here on of a descriptor of the caller's, whose filesystem nobody knows: a worker's. */
    {"stat", 1, bare_stat, ours_stat},
    {"read 4 KiB", 1, bare_read, ours_read},
    {"write 4 KiB", 1, bare_write, ours_write},
    {"truncate", 1, bare_truncate, ours_truncate},
    {"allocate", 1, bare_allocate, ours_allocate},
    {"copy 4 KiB", 1, bare_copy, ours_copy},
    {"chmod", 1, bare_chmod, ours_chmod},
    {"chown", 1, bare_chown, ours_chown},
    {"utimes", 1, bare_utimes, ours_utimes},
    {"get_attribute", 1, bare_get_attribute, ours_get_attribute},
    {"set_attribute", 1, bare_set_attribute, ours_set_attribute},
    {"list_attributes", 1, bare_list_attributes, ours_list_attributes},
    {"open + list + close", 3, bare_list, ours_list},
    {"rename, twice", 2, bare_rename, ours_rename},
    {"link + unlink", 2, bare_link, ours_link},
    {"symlink + unlink", 2, bare_symlink, ours_symlink},
    {"read_link", 1, bare_read_link, ours_read_link},
    {"mkdir + rmdir", 2, bare_mkdir, ours_mkdir},
    {"mknod + unlink", 2, bare_mknod, ours_mknod},
    {"send + receive 64", 2, bare_send, ours_send},
    {"sendfile + receive 4 KiB", 2, bare_sendfile, ours_sendfile},
    {"send + receive_file 4 KiB", 2, bare_receive_file, ours_receive_file},
    {"poll", 1, bare_poll, ours_poll},
    {"connect + accept + 2 close", 4, bare_connect, ours_connect},
    {"call", 1, bare_call, ours_call},
    {"work", 1, bare_work, ours_work},
    {NULL, 0, NULL, NULL},
};
