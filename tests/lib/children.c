/* SPDX-License-Identifier: MIT */
/* The child source: ends of processes, once each, with the status that waitpid(2) would have given. */
#include "support.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A child that ends when a byte comes, or the pipe ends; `how`: its exit status, or less than 0 for a signal. */
struct child {
    pid_t pid;
    int pipe;
};

static struct child new_child(int how)
{
    int pipes[2];
    REQUIRE_CALL(pipe2(pipes, O_CLOEXEC));
    struct child child = {.pid = (pid_t)REQUIRE_CALL(fork()), .pipe = pipes[1]};
    if (child.pid == 0) {
        char byte;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pipes[1]);
        ssize_t n = read(pipes[0], &byte, 1);
        (void)n;
        if (how < 0)
            kill(getpid(), -how);
        _exit(how);
    }
    close(pipes[0]);
    return child;
}

static void let_end(struct child *child)
{
    close(child->pipe);
}

static int pidfd_of(pid_t pid)
{
    return (int)REQUIRE_CALL(syscall(SYS_pidfd_open, pid, 0));
}

TEST_EACH_BACKEND(ends_of_children)
{
    errand_queue *queue = open_queue(backend, NULL);
    const int hows[] = {0, 7, 255, -SIGTERM, -SIGKILL};
    enum { count = sizeof hows / sizeof hows[0] };
    struct child children[count];
    errand_source *sources[count];
    for (unsigned i = 0; i < count; i++) {
        children[i] = new_child(hows[i]);
        CHECK_INT(errand_source_child(queue, children[i].pid, &children[i], &sources[i]), 0);
    }
    no_event(queue);
    for (unsigned i = count; i-- > 0;) {
        let_end(&children[i]);
        struct errand_event event = next_event(queue);
        check_source_event(&event, ERRAND_EVENT_CHILD, &children[i]);
        CHECK_INT(event.id, children[i].pid);
        int status = (int)event.bytes;
        if (hows[i] >= 0)
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == hows[i]);
        else
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == -hows[i]);
        CHECK_INT(waitpid(children[i].pid, &status, WNOHANG), -1); /* it was taken away */
        CHECK_INT(errand_source_pause(sources[i]), 0);
        CHECK_INT(errand_source_resume(sources[i]), 0);
        no_event(queue); /* once */
    }
    for (unsigned i = 0; i < count; i++)
        CHECK_INT(errand_source_stop(sources[i]), 0);
    close_queue(queue);
}

/* One that has ended before it is asked for; one by its pidfd, which is closed at once. */
TEST_EACH_BACKEND(children_that_have_ended)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    siginfo_t info;
    for (unsigned by_pidfd = 0; by_pidfd < 2; by_pidfd++) {
        struct child child = new_child(3);
        let_end(&child);
        REQUIRE_CALL(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT));
        int pidfd = pidfd_of(child.pid);
        if (by_pidfd)
            CHECK_INT(errand_source_pidfd(queue, pidfd, NULL, &source), 0);
        else
            CHECK_INT(errand_source_child(queue, child.pid, NULL, &source), 0);
        close(pidfd);
        struct errand_event event = next_event(queue);
        check_source_event(&event, ERRAND_EVENT_CHILD, NULL);
        CHECK_INT(event.id, child.pid);
        CHECK_INT(WEXITSTATUS((int)event.bytes), 3);
        CHECK_INT(errand_source_stop(source), 0);
    }
    close_queue(queue);
}

/* Paused or stopped before its end: the child is there to be waited for. */
TEST_EACH_BACKEND(paused_and_stopped_children)
{
    errand_queue *queue = open_queue(backend, NULL);
    struct child paused = new_child(1), stopped = new_child(2);
    errand_source *pause, *stop;
    siginfo_t info;
    int status;
    CHECK_INT(errand_source_child(queue, paused.pid, NULL, &pause), 0);
    CHECK_INT(errand_source_child(queue, stopped.pid, NULL, &stop), 0);
    CHECK_INT(errand_source_pause(pause), 0);
    let_end(&paused);
    let_end(&stopped);
    REQUIRE_CALL(waitid(P_PID, (id_t)paused.pid, &info, WEXITED | WNOWAIT));
    REQUIRE_CALL(waitid(P_PID, (id_t)stopped.pid, &info, WEXITED | WNOWAIT));
    CHECK_INT(errand_source_stop(stop), 0);
    no_event(queue);
    CHECK_INT(waitpid(stopped.pid, &status, WNOHANG), stopped.pid);
    CHECK_INT(errand_source_resume(pause), 0);
    struct errand_event event = next_event(queue);
    CHECK_INT(event.id, paused.pid);
    CHECK_INT(WEXITSTATUS((int)event.bytes), 1);
    CHECK_INT(errand_source_stop(pause), 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(children_of_others)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source = NULL;
    int status, sockets[2];
    CHECK_INT(errand_source_child(queue, 0, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_child(queue, -1, NULL, &source), -EINVAL);
    CHECK_INT(errand_source_child(queue, getppid(), NULL, &source), -ECHILD);
    CHECK_INT(errand_source_child(NULL, getppid(), NULL, &source), -ECHILD);
    CHECK_INT(errand_source_pidfd(queue, -1, NULL, &source), -EBADF);
    make_pair(PAIR_UNIX, sockets);
    CHECK_INT(errand_source_pidfd(queue, sockets[0], NULL, &source), -EBADF); /* no pidfd, says waitid(2) */
    close(sockets[0]);
    close(sockets[1]);
    struct child child = new_child(0);
    CHECK_INT(errand_source_child(queue, child.pid, NULL, &source), 0);
    let_end(&child);
    REQUIRE_CALL(waitpid(child.pid, &status, 0)); /* somebody else is faster */
    struct errand_event event = next_event(queue);
    CHECK_INT(event.kind, ERRAND_EVENT_CHILD);
    CHECK_INT(event.error, -ECHILD);
    no_event(queue);
    CHECK_INT(errand_source_stop(source), 0);
    CHECK_INT(errand_source_child(queue, child.pid, NULL, &source), -ESRCH);
    close_queue(queue);
}
