/* SPDX-License-Identifier: MIT */
/* Signals, through a signalfd(2): the caller keeps them blocked. */
#include "source/source.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static bool signal_event(errand_source *source, struct errand_event *event)
{
    struct signalfd_siginfo info;
    event->kind = ERRAND_EVENT_SIGNAL;
    if (source_poll_failed(source, event))
        return true;
    if (read(source->fd, &info, sizeof info) != sizeof info) {
        source_arm_poll(source);
        return false;
    }
    event->bytes = info.ssi_signo;
    queue_source_is_ready(source); /* perhaps there is another; if not, it is armed again */
    return true;
}

static void signal_dispose(errand_source *source)
{
    close(source->fd);
}

int errand_source_signal(errand_queue *queue, int signal_number, void *user_data, errand_source **out)
{
    static const struct source_type type = {source_poll_took, signal_event, source_does_nothing, source_poll_resume,
                                            signal_dispose};
    sigset_t set, blocked;
    sigemptyset(&set);
    if (sigaddset(&set, signal_number) < 0)
        return -EINVAL;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    if (!sigismember(&blocked, signal_number))
        return -EINVAL;
    int result = source_new(queue, &type, user_data, out);
    if (result < 0)
        return result;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return source_own(out, fd < 0 ? -errno : fd);
}
