/* SPDX-License-Identifier: MIT */
/*
 * The least calls that copy or remove a tree of small files, on one thread, without checks: what can be had at all.
 *
 *     tree-bare copy FROM TO, tree-bare remove DIR
 *
 * A file costs openat, fstat, openat, read, write, flistxattr, futimens, and two closes; or unlinkat. The copy is what
 * cp -a makes of regular files and directories that are the caller's and have no attributes; anything else ends it.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static char buffer[1 << 16];

static void copy_file(int from_dir, int to_dir, const char *name)
{
    struct stat st;
    int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NOATIME);
    if (from < 0 || fstat(from, &st) < 0)
        err(1, "%s", name);
    int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, st.st_mode & 0777);
    ssize_t n = read(from, buffer, sizeof buffer);
    if (to < 0 || n != st.st_size || write(to, buffer, (size_t)n) != n || flistxattr(from, NULL, 0) != 0)
        err(1, "%s", name);
    if (futimens(to, (struct timespec[2]){st.st_atim, st.st_mtim}) < 0)
        err(1, "%s", name);
    close(to);
    close(from);
}

static void walk(int from_dir, int to_dir);

static void go_into(int from_dir, int to_dir, const char *name)
{
    struct stat st;
    int to = -1, from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (from < 0 || fstat(from, &st) < 0)
        err(1, "%s", name);
    if (to_dir >= 0 && (mkdirat(to_dir, name, st.st_mode & 0777) < 0 ||
                        (to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)) < 0))
        err(1, "%s", name);
    walk(from, to);
    if (to_dir < 0 ? unlinkat(from_dir, name, AT_REMOVEDIR) < 0
                   : futimens(to, (struct timespec[2]){st.st_atim, st.st_mtim}) < 0)
        err(1, "%s", name);
    if (to >= 0)
        close(to);
}

/* Closes from_dir. */
static void walk(int from_dir, int to_dir)
{
    DIR *dir = fdopendir(from_dir);
    if (!dir)
        err(1, "fdopendir");
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type == DT_DIR)
            go_into(from_dir, to_dir, entry->d_name);
        else if (to_dir >= 0)
            copy_file(from_dir, to_dir, entry->d_name);
        else if (unlinkat(from_dir, entry->d_name, 0) < 0)
            err(1, "%s", entry->d_name);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    bool copies = argc == 4 && strcmp(argv[1], "copy") == 0;
    if (!copies && (argc != 3 || strcmp(argv[1], "remove") != 0))
        errx(2, "want: copy FROM TO, or: remove DIR");
    int from = open(argv[2], O_RDONLY | O_DIRECTORY);
    if (from < 0 || (copies && mkdir(argv[3], 0755) < 0))
        err(1, "%s", argv[2]);
    walk(from, copies ? open(argv[3], O_RDONLY | O_DIRECTORY) : -1);
    return !copies && rmdir(argv[2]) < 0;
}
