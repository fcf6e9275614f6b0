/* SPDX-License-Identifier: MIT */
/* The end of a child process, through a pidfd, which names it even after its number is another's. */
#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* As waitpid(2) would give it. */
static int wait_status(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* Returns 0: it is running, 1: it has ended, or a negative errno. */
static int look(int pidfd, int options, siginfo_t *info)
{
    info->si_pid = 0;
    if (waitid(P_PIDFD, (id_t)pidfd, info, WEXITED | WNOHANG | options) < 0)
        return -errno;
    return info->si_pid != 0;
}

static bool child_event(errand_source *source, struct errand_event *event)
{
    siginfo_t info;
    event->kind = ERRAND_EVENT_CHILD;
    if (source->over)
        return false;
    if (source_poll_failed(source, event))
        return true;
    int result = look(source->fd, 0, &info);
    if (result == 0) {
        source_arm_poll(source);
        return false;
    }
    source->over = true;
    if (result < 0) {
        event->error = result;
        return true;
    }
    event->id = (errand_id)info.si_pid;
    event->bytes = (uint64_t)wait_status(&info);
    return true;
}

static void child_dispose(errand_source *source)
{
    close(source->fd);
}

/* Takes the pidfd over. */
static int new_child(errand_queue *queue, int pidfd, void *user_data, errand_source **out)
{
    static const struct source_type type = {source_poll_took, child_event, source_does_nothing, source_poll_resume,
                                            child_dispose};
    siginfo_t info;
    int result = look(pidfd, WNOWAIT, &info);
    if (result >= 0)
        result = source_new(queue, &type, user_data, out);
    if (result < 0) {
        close(pidfd);
        return result;
    }
    return source_own(out, pidfd);
}

int errand_source_child(errand_queue *queue, int pid, void *user_data, errand_source **out)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return pidfd < 0 ? -errno : new_child(queue, pidfd, user_data, out);
}

int errand_source_pidfd(errand_queue *queue, int pidfd, void *user_data, errand_source **out)
{
    int own = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
    return own < 0 ? -errno : new_child(queue, own, user_data, out);
}
