/* SPDX-License-Identifier: MIT */
/* What the supervisor does about signals and the ends of processes: see supervisor.h. */
#include "supervisor.h"
#include "log.h"
#include "notify.h"
#include "process.h"
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIGNALS = 6, PROCESSES_MAX = 1024, EVENTS = 16 };

#define RETRY_NS (1 * ERRAND_SECOND) /* a serving process that ends at once is not started more often */

/* What is served with: the sockets, and a file that holds the configuration. */
struct setup {
    struct listeners listeners;
    int config; /* -1: none */
};

struct supervisor {
    const struct supervisor_options *options;
    char *program; /* its file's path */
    errand_queue *queue;
    errand_source *signals[SIGNALS], *retry;
    struct processes processes;
    struct setup now, next;                   /* next: of the process that is starting */
    enum { NOTHING, RELOAD, UPGRADE } wanted; /* when what is starting has started */
    bool ends;
    unsigned stops; /* how often it was told to stop */
    int code;
    int reason; /* the exit code if what is being started is all there is, and fails */
};

static void setup_close(struct setup *setup, const struct setup *kept)
{
    listeners_close(&setup->listeners, kept == NULL ? NULL : &kept->listeners);
    if (setup->config >= 0 && (kept == NULL || kept->config != setup->config))
        close(setup->config);
    setup->config = -1;
}

static void tell_manager(const char *state)
{
    int error = notify_state(state);
    if (error)
        log_error("cannot tell the service manager: %s", strerror(-error));
}

/* ------------------------------------------------------------------------------------------ starting */

/* The configuration as a file without a name. -1: errno. */
static int keep_config(const struct config *config)
{
    int fd = memfd_create("errand.conf", MFD_CLOEXEC), copy = fd < 0 ? -1 : dup(fd);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "w");
    if (file != NULL) {
        config_dump(config, file);
        if (fclose(file) == 0)
            return fd;
        copy = -1;
    }
    int error = errno;
    if (copy >= 0)
        close(copy);
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

/* Gets everything ready for the configuration that is in its file now. */
static bool prepare(struct supervisor *supervisor)
{
    char why[512];
    struct setup *next = &supervisor->next;
    struct config *config = supervisor->options->load(supervisor->options->context, &supervisor->reason);
    if (config == NULL)
        return false;
    supervisor->reason = 1;
    bool good =
        listeners_open(&next->listeners, config, server_threads(config), &supervisor->now.listeners, why, sizeof why);
    if (good && (next->config = keep_config(config)) < 0) {
        snprintf(why, sizeof why, "cannot keep the configuration: %s", strerror(errno));
        setup_close(next, &supervisor->now);
        good = false;
    }
    if (!good)
        log_error("%s", why);
    config_free(config);
    return good;
}

static bool start(struct supervisor *supervisor, const struct setup *setup)
{
    struct handover handover = {.listeners = setup->listeners, .config = setup->config, .supervisor = getpid()};
    int error = process_start(&supervisor->processes, supervisor->options->arguments, &handover);
    if (error)
        log_error("cannot start a serving process: %s", errand_error_name(error));
    return error == 0;
}

static void retry_soon(struct supervisor *supervisor)
{
    int error = supervisor->retry == NULL
                    ? errand_source_timer(supervisor->queue, RETRY_NS, 0, NULL, &supervisor->retry)
                    : errand_source_set_timer(supervisor->retry, RETRY_NS, 0);
    if (error)
        log_error("cannot set a timer: %s", errand_error_name(error));
}

/* The same again: the one that served has ended. */
static void restart(struct supervisor *supervisor)
{
    if (!supervisor->ends && processes_find(&supervisor->processes, PROCESS_STARTING) == NULL &&
        !start(supervisor, &supervisor->now))
        retry_soon(supervisor);
}

/* Nothing came of supervisor->next: all is as it was before, if there was a before. */
static void give_up_next(struct supervisor *supervisor)
{
    setup_close(&supervisor->next, &supervisor->now);
    if (supervisor->now.config < 0) {
        supervisor->ends = true;
        supervisor->code = supervisor->reason;
    } else if (!supervisor->ends) {
        log_error("the reload failed; what was served before is served on");
        tell_manager("READY=1\nSTATUS=the last reload failed");
        if (processes_find(&supervisor->processes, PROCESS_SERVING) == NULL)
            restart(supervisor);
    }
}

static void reload(struct supervisor *supervisor)
{
    char state[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", now.tv_sec * 1000000LL + now.tv_nsec / 1000);
    if (processes_find(&supervisor->processes, PROCESS_SERVING) != NULL)
        tell_manager(state);
    if (!prepare(supervisor) || !start(supervisor, &supervisor->next))
        give_up_next(supervisor);
}

/* ------------------------------------------------------------------------------------------ upgrading */

/* In our place, with our number and our children. Returns only if it cannot. */
static void become_new(struct supervisor *supervisor)
{
    struct handover handover = {.ready = -1, .listeners = supervisor->now.listeners, .config = supervisor->now.config};
    if (processes_list(&supervisor->processes, &handover) && handover_offer(&handover)) {
        execv(supervisor->program, supervisor->options->arguments);
        log_error("cannot start %s: %s", supervisor->program, strerror(errno));
        handover_withdraw(&handover);
    } else {
        log_error("out of memory");
    }
    free(handover.draining);
}

/* First it has to say that it can read the configuration: once it is in our place, there is no way back. */
static void upgrade(struct supervisor *supervisor)
{
    int error = process_test(&supervisor->processes, supervisor->program, supervisor->options->arguments);
    if (error)
        log_error("cannot start %s: %s", supervisor->program, errand_error_name(error));
}

static void do_wanted(struct supervisor *supervisor)
{
    int wanted = (int)supervisor->wanted;
    if (wanted == NOTHING || supervisor->ends || processes_find(&supervisor->processes, PROCESS_STARTING) ||
        processes_find(&supervisor->processes, PROCESS_TESTING))
        return;
    supervisor->wanted = NOTHING;
    if (wanted == UPGRADE)
        upgrade(supervisor);
    else
        reload(supervisor);
}

/* ------------------------------------------------------------------------------------------ events */

/* Nobody is to wait in a backlog from which nobody will accept; and another server may listen there at once. Who asks
 * for the status is told that the service stops; one that drains accepts nobody there either. */
static void begin_to_end(struct supervisor *supervisor, int number)
{
    if (!supervisor->ends)
        tell_manager("STOPPING=1");
    supervisor->ends = true;
    listeners_close(&supervisor->next.listeners, &supervisor->now.listeners);
    if (number == SIGQUIT)
        listeners_close(&supervisor->now.listeners, NULL);
    else
        listeners_close_service(&supervisor->now.listeners);
}

static void on_signal(struct supervisor *supervisor, int number)
{
    static const int stronger[] = {SIGTERM, SIGTERM, SIGKILL};
    struct processes *processes = &supervisor->processes;
    switch (number) {
    case SIGHUP: supervisor->wanted = supervisor->wanted == UPGRADE ? UPGRADE : RELOAD; return;
    case SIGUSR2: supervisor->wanted = UPGRADE; return;
    case SIGUSR1: processes_signal(processes, SIGUSR1); return;
    default: break;
    }
    begin_to_end(supervisor, number);
    if (number == SIGQUIT)
        processes_signal(processes, SIGQUIT);
    else
        processes_signal(processes, stronger[supervisor->stops < 2 ? supervisor->stops++ : 2]);
}

static void on_ready(struct supervisor *supervisor, struct process *process)
{
    if (!process_reads_ready(process)) /* it ends, and its end tells how */
        return;
    struct process *before = processes_find(&supervisor->processes, PROCESS_SERVING);
    if (before != NULL) {
        before->role = PROCESS_DRAINING;
        kill(before->pid, SIGQUIT);
    }
    process->role = PROCESS_SERVING;
    if (supervisor->next.config < 0) /* it was started again, with what there is */
        return;
    struct setup old = supervisor->now;
    supervisor->now = supervisor->next;
    supervisor->next = (struct setup){.config = -1};
    setup_close(&old, &supervisor->now);
    tell_manager("READY=1\nSTATUS=serving");
}

/* It was asked neither to end nor to drain. */
static void on_lost(struct supervisor *supervisor, int64_t lived_ns)
{
    if (supervisor->ends)
        return;
    if (lived_ns > RETRY_NS)
        restart(supervisor);
    else
        retry_soon(supervisor);
}

static void on_end(struct supervisor *supervisor, struct process *process, int status)
{
    enum process_role role = process->role;
    int64_t lived_ns = errand_queue_now(supervisor->queue) - process->started;
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!good && role != PROCESS_TESTING)
        process_explain(process, status);
    process_forget(&supervisor->processes, process);
    if (!good && role != PROCESS_DRAINING && supervisor->ends)
        supervisor->code = 1;
    switch (role) {
    case PROCESS_STARTING:
        if (supervisor->next.config >= 0)
            give_up_next(supervisor);
        else
            on_lost(supervisor, lived_ns);
        break;
    case PROCESS_SERVING: on_lost(supervisor, lived_ns); break;
    case PROCESS_TESTING:
        if (good)
            become_new(supervisor);
        else
            log_error("no upgrade: %s does not take the configuration (see above)", supervisor->program);
        break;
    case PROCESS_DRAINING: break;
    }
}

static void on_event(struct supervisor *supervisor, const struct errand_event *event)
{
    switch (event->kind) {
    case ERRAND_EVENT_SIGNAL: on_signal(supervisor, (int)event->bytes); break;
    case ERRAND_EVENT_READY: on_ready(supervisor, event->user_data); break;
    case ERRAND_EVENT_CHILD: on_end(supervisor, event->user_data, (int)event->bytes); break;
    case ERRAND_EVENT_TIMER: restart(supervisor); break;
    default: break;
    }
}

/* ------------------------------------------------------------------------------------------ the whole */

/* A queue without a ring: there is little to do, and it has to run everywhere. */
static int open_queue(struct supervisor *supervisor)
{
    static const int numbers[SIGNALS] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < SIGNALS; i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL); /* also what is started: nobody is ended by a signal before it can act on it */
    signal(SIGPIPE, SIG_IGN);
    struct errand_queue_options options = {.size = sizeof options,
                                           .backend = ERRAND_BACKEND_THREADS,
                                           .chains = 1,
                                           .sources = 2 * PROCESSES_MAX + SIGNALS + 1};
    int error = errand_queue_open(&supervisor->queue, &options);
    for (unsigned i = 0; i < SIGNALS && error == 0; i++)
        error = errand_source_signal(supervisor->queue, numbers[i], NULL, &supervisor->signals[i]);
    supervisor->processes.queue = supervisor->queue;
    return error;
}

/* What the supervisor before has left: its sockets and its processes. */
static int take_over(struct supervisor *supervisor, const struct handover *handover)
{
    int error = 0;
    supervisor->now = (struct setup){.config = handover->config};
    for (unsigned n = 0; n < handover->listeners.count && error == 0; n++)
        error =
            listeners_add(&supervisor->now.listeners, &handover->listeners.list[n], handover->listeners.list[n].sockets)
                ? 0
                : -ENOMEM;
    if (handover->serving > 0 && error == 0)
        error = process_adopt(&supervisor->processes, handover->serving, PROCESS_SERVING);
    for (unsigned i = 0; i < handover->draining_count && error == 0; i++)
        error = process_adopt(&supervisor->processes, handover->draining[i], PROCESS_DRAINING);
    return error;
}

static void run(struct supervisor *supervisor)
{
    supervisor->wanted = RELOAD;
    for (;;) {
        do_wanted(supervisor);
        if (supervisor->ends && supervisor->processes.first == NULL)
            return;
        struct errand_event events[EVENTS];
        int count = errand_queue_wait(supervisor->queue, events, EVENTS, ERRAND_FOREVER);
        if (count < 0) {
            log_error("the supervisor's queue failed: %s", errand_error_name(count));
            supervisor->code = 1;
            processes_signal(&supervisor->processes, SIGTERM);
            return;
        }
        for (int i = 0; i < count; i++)
            on_event(supervisor, &events[i]);
        processes_free_gone(&supervisor->processes);
    }
}

/* The path of this program's file, where a new version will be. */
static char *program_path(void)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    return length < 0 ? NULL : strndup(path, (size_t)length);
}

int supervisor_run(const struct supervisor_options *options)
{
    struct handover handover;
    struct supervisor supervisor = {.options = options, .next = {.config = -1}, .program = program_path()};
    char why[512];
    int error = handover_take(&handover) ? 0 : -EPROTO;
    if (error == 0)
        error = supervisor.program == NULL ? -ENOENT : open_queue(&supervisor);
    if (error == 0)
        error = take_over(&supervisor, &handover);
    if (error) {
        log_error("the supervisor cannot start: %s", errand_error_name(error));
        supervisor.code = 1;
    } else if (!listeners_take_given(&supervisor.now.listeners, why, sizeof why)) {
        log_error("%s", why);
        supervisor.code = 1;
    } else {
        run(&supervisor);
    }
    handover_free(&handover);
    setup_close(&supervisor.now, NULL);
    processes_close(&supervisor.processes);
    if (supervisor.queue != NULL)
        errand_queue_close(supervisor.queue);
    free(supervisor.program);
    return supervisor.code;
}
