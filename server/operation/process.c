/* SPDX-License-Identifier: MIT */
/* Starting child processes, and keeping book of them. */
#include "process.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void stop_readiness(struct process *process)
{
    if (process->readiness != NULL)
        errand_source_stop(process->readiness);
    process->readiness = NULL;
    if (process->ready >= 0)
        close(process->ready);
    process->ready = -1;
}

/* A record for a process that is there. ready: -1, or the pipe's end, which it takes over. */
static int add(struct processes *processes, pid_t pid, enum process_role role, int ready)
{
    struct process *process = calloc(1, sizeof *process);
    if (process == NULL) {
        if (ready >= 0)
            close(ready);
        return -ENOMEM;
    }
    *process =
        (struct process){.role = role, .pid = pid, .ready = ready, .started = errand_queue_now(processes->queue)};
    int error = errand_source_child(processes->queue, pid, process, &process->end);
    if (error == 0 && ready >= 0)
        error = errand_source_ready(processes->queue, ready, POLLIN, process, &process->readiness);
    if (error) {
        stop_readiness(process);
        if (process->end != NULL)
            errand_source_stop(process->end);
        free(process);
        return error;
    }
    process->next = processes->first;
    processes->first = process;
    return 0;
}

/*
 * In a process group of its own, so that a terminal's ^C reaches the supervisor alone, which passes it on once. The
 * signals stay blocked as they are here: what comes before it can act on them waits.
 */
static int spawn(const char *program, char *const *arguments, pid_t *pid)
{
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);
    if (error)
        return -error;
    error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    if (error == 0)
        error = posix_spawn(pid, program, NULL, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    return -error;
}

/* One that nobody would hear of. */
static void kill_unwatched(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int process_start(struct processes *processes, char *const *arguments, struct handover *handover)
{
    int pipes[2];
    pid_t pid = 0;
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    handover->ready = pipes[1];
    int error = handover_offer(handover) ? 0 : -ENOMEM;
    if (error == 0)
        error = spawn("/proc/self/exe", arguments, &pid); /* this version, whatever is in its place by now */
    handover_withdraw(handover);
    close(pipes[1]);
    if (error) {
        close(pipes[0]);
        return error;
    }
    error = add(processes, pid, PROCESS_STARTING, pipes[0]);
    if (error)
        kill_unwatched(pid);
    return error;
}

int process_test(struct processes *processes, const char *program, char *const *arguments)
{
    static char test[] = "-t";
    unsigned count = 0;
    while (arguments[count] != NULL)
        count++;
    char **with_test = calloc(count + 2, sizeof *with_test);
    if (with_test == NULL)
        return -ENOMEM;
    memcpy(with_test, arguments, 2 * sizeof *with_test); /* "errand", "serve" */
    with_test[2] = test;
    memcpy(with_test + 3, arguments + 2, (count - 2) * sizeof *with_test);
    pid_t pid = 0;
    int error = spawn(program, with_test, &pid);
    free(with_test);
    if (error)
        return error;
    error = add(processes, pid, PROCESS_TESTING, -1);
    if (error)
        kill_unwatched(pid);
    return error;
}

int process_adopt(struct processes *processes, pid_t pid, enum process_role role)
{
    int error = add(processes, pid, role, -1);
    return error == -ESRCH || error == -ECHILD ? 0 : error; /* it has ended and been seen to */
}

bool process_reads_ready(struct process *process)
{
    char byte;
    bool serves = process->ready >= 0 && read(process->ready, &byte, 1) == 1;
    stop_readiness(process);
    return serves;
}

void process_explain(const struct process *process, int status)
{
    static const char *const names[] = {[PROCESS_STARTING] = "starting",
                                        [PROCESS_SERVING] = "serving",
                                        [PROCESS_DRAINING] = "draining",
                                        [PROCESS_TESTING] = "testing"};
    if (WIFSIGNALED(status))
        log_error("the %s process %d was ended by signal %d (%s)", names[process->role], (int)process->pid,
                  WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (process->role != PROCESS_STARTING) /* which has said why */
        log_error("the %s process %d ended with exit code %d", names[process->role], (int)process->pid,
                  WEXITSTATUS(status));
}

void process_forget(struct processes *processes, struct process *process)
{
    struct process **at = &processes->first;
    while (*at != process)
        at = &(*at)->next;
    *at = process->next;
    stop_readiness(process);
    errand_source_stop(process->end);
    process->end = NULL;
    process->next = processes->gone;
    processes->gone = process;
}

void processes_free_gone(struct processes *processes)
{
    while (processes->gone != NULL) {
        struct process *next = processes->gone->next;
        free(processes->gone);
        processes->gone = next;
    }
}

struct process *processes_find(const struct processes *processes, enum process_role role)
{
    struct process *process = processes->first;
    while (process != NULL && process->role != role)
        process = process->next;
    return process;
}

void processes_signal(const struct processes *processes, int number)
{
    for (const struct process *process = processes->first; process != NULL; process = process->next)
        kill(process->pid, number);
}

bool processes_list(const struct processes *processes, struct handover *handover)
{
    for (const struct process *process = processes->first; process != NULL; process = process->next) {
        if (process->role == PROCESS_SERVING)
            handover->serving = process->pid;
        else if (process->role == PROCESS_DRAINING && !handover_add_draining(handover, process->pid))
            return false;
    }
    return true;
}

void processes_close(struct processes *processes)
{
    while (processes->first != NULL)
        process_forget(processes, processes->first);
    processes_free_gone(processes);
}
