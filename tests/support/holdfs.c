/* SPDX-License-Identifier: MIT */
/* See holdfs.h. The program runs on its own, so that it holds none of the test's descriptors, above all no ring. */
#include "holdfs.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct holdfs {
    pid_t process;
    int control;
    char path[320];
    char line[512];
};

static const char *read_line(struct holdfs *holdfs)
{
    size_t used = 0;
    while (used < sizeof holdfs->line - 1) {
        ssize_t length = read(holdfs->control, holdfs->line + used, 1);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0) {
            FAIL("holdfs has ended");
            harness_give_up();
        }
        if (holdfs->line[used] == '\n')
            break;
        used++;
    }
    holdfs->line[used] = 0;
    return holdfs->line;
}

static const char *ask(struct holdfs *holdfs, const char *command)
{
    char line[512];
    int length = snprintf(line, sizeof line, "%s\n", command);
    if (send(holdfs->control, line, (size_t)length, MSG_NOSIGNAL) != length) {
        FAIL("holdfs does not listen: %s", strerror(errno));
        harness_give_up();
    }
    return read_line(holdfs);
}

static void tell(struct holdfs *holdfs, const char *command)
{
    REQUIRE_STR(ask(holdfs, command), "ok");
}

struct holdfs *holdfs_start(const struct holdfs_options *options)
{
    struct holdfs_options chosen = options ? *options : (struct holdfs_options){0};
    struct holdfs *holdfs = calloc(1, sizeof *holdfs);
    int ends[2];
    REQUIRE(holdfs != NULL);
    if (access("/dev/fuse", R_OK | W_OK))
        SKIP("no /dev/fuse here");
    snprintf(holdfs->path, sizeof holdfs->path, "%s/%s", harness_directory(), chosen.name ? chosen.name : "held");
    REQUIRE_CALL(mkdir(holdfs->path, 0755));
    REQUIRE_CALL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    char files[32], size[32];
    snprintf(files, sizeof files, "%u", chosen.files ? chosen.files : 64);
    snprintf(size, sizeof size, "%zu", chosen.size ? chosen.size : 8192);
    holdfs->process = fork();
    REQUIRE_CALL(holdfs->process);
    if (!holdfs->process) {
        dup2(ends[1], 0);
        dup2(ends[1], 1);
        execl(HOLDFS_PROGRAM, "holdfs", "--files", files, "--size", size, holdfs->path,
              chosen.cache ? "--cache" : (char *)NULL, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    holdfs->control = ends[0];
    REQUIRE_STR(read_line(holdfs), "ready");
    for (unsigned i = 0; !chosen.cold && i < (chosen.files ? chosen.files : 64); i++) {
        struct stat status;
        char path[400];
        snprintf(path, sizeof path, "%s/f%u", holdfs->path, i);
        REQUIRE_CALL(stat(path, &status));
        snprintf(path, sizeof path, "%s/d/f%u", holdfs->path, i);
        REQUIRE_CALL(stat(path, &status));
    }
    return holdfs;
}

const char *holdfs_path(const struct holdfs *holdfs)
{
    return holdfs->path;
}

void holdfs_hold(struct holdfs *holdfs, const char *operations)
{
    char command[256];
    snprintf(command, sizeof command, "hold %s", operations);
    tell(holdfs, command);
}

unsigned holdfs_held(struct holdfs *holdfs)
{
    return holdfs_held_of(holdfs, "held");
}

unsigned holdfs_held_of(struct holdfs *holdfs, const char *operation)
{
    const char *status = ask(holdfs, "status"), *place = strstr(status, operation);
    REQUIRE(place != NULL);
    return (unsigned)strtoul(place + strlen(operation), NULL, 10);
}

void holdfs_wait_held(struct holdfs *holdfs, unsigned count)
{
    char command[64];
    snprintf(command, sizeof command, "wait %u", count);
    tell(holdfs, command);
}

void holdfs_release(struct holdfs *holdfs, unsigned count)
{
    char command[64];
    snprintf(command, sizeof command, "release %u", count);
    tell(holdfs, command);
}

void holdfs_release_all(struct holdfs *holdfs)
{
    tell(holdfs, "release");
}

void holdfs_pass(struct holdfs *holdfs)
{
    tell(holdfs, "pass");
}

void holdfs_fail(struct holdfs *holdfs, int error, const char *operations)
{
    char command[256];
    snprintf(command, sizeof command, "fail %d %s", error, operations);
    tell(holdfs, command);
}

void holdfs_abort(struct holdfs *holdfs)
{
    if (umount2(holdfs->path, MNT_FORCE | MNT_DETACH) && errno == EPERM)
        kill(holdfs->process, SIGKILL); /* without privilege: the connection ends with its server */
}

void holdfs_stop(struct holdfs *holdfs)
{
    int status;
    close(holdfs->control);
    REQUIRE_CALL(waitpid(holdfs->process, &status, 0));
    CHECK(WIFEXITED(status) ? !WEXITSTATUS(status) : WTERMSIG(status) == SIGKILL);
    umount2(holdfs->path, MNT_FORCE | MNT_DETACH); /* in case it died */
    CHECK(!rmdir(holdfs->path));
    free(holdfs);
}
