/* SPDX-License-Identifier: MIT */
/* Starts the workers, and stops them: what concerns the process as a whole. */
#include "shared.h"
#include "ftp/homes.h"
#include "ftp/session.h"
#include "operation/handover.h"
#include "http/mime.h"
#include "operation/identity.h"
#include "gate.h"
#include "http/session.h"
#include "log.h"
#include "operation/notify.h"
#include "record/sink.h"
#include "record/status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What is posted to workers; only the addresses count. */
static const char message_drain, message_stop, message_leave, message_finished, message_reopen, message_rates;

bool server_is_full_for(const struct worker *worker)
{
    struct server *server = worker->server;
    return worker->connections > server->limit / (8 * server->count) &&
           atomic_load_explicit(&server->connections, memory_order_relaxed) >= server->limit;
}

void server_count_connection(struct server *server, int change)
{
    atomic_fetch_add_explicit(&server->connections, (unsigned)change, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------------ stopping */

static void post(struct worker *worker, const void *message)
{
    pthread_mutex_lock(&worker->server->lock);
    int error = worker->reachable ? errand_post(worker->post, message) : 0;
    pthread_mutex_unlock(&worker->server->lock);
    if (error)
        log_error("cannot reach queue %u: %s", worker->number, errand_error_name(error));
}

static void tell_all(struct server *server, const void *message)
{
    for (unsigned i = 0; i < server->count; i++)
        post(&server->workers[i], message);
}

void server_tell_rates(const struct worker *worker)
{
    struct server *server = worker->server;
    for (unsigned i = 0; i < server->count; i++)
        if (i != worker->number && !atomic_exchange(&server->workers[i].told_rates, true))
            post(&server->workers[i], &message_rates);
}

void server_signal(struct server *server, int number)
{
    if (number == SIGUSR1) { /* the access log was renamed */
        tell_all(server, &message_reopen);
        return;
    }
    if (number == SIGQUIT) { /* another process goes on where this one ends */
        tell_all(server, &message_drain);
        return;
    }
    tell_all(server, server->signals++ == 0 ? &message_stop : &message_leave);
}

void server_message(struct worker *worker, const void *message)
{
    if (message == &message_drain)
        worker_drain(worker);
    else if (message == &message_stop)
        worker_stop(worker);
    else if (message == &message_leave)
        worker->over = true;
    else if (message == &message_finished)
        worker->finished++;
    else if (message == &message_reopen)
        record_reopen(&worker->record);
    else if (message == &message_rates) {
        atomic_store(&worker->told_rates, false); /* first: who comes while it is done is told anew */
        ftp_rates_changed(worker->ftp->homes);
    }
}

bool server_may_leave(const struct worker *worker)
{
    return worker->number != 0 || worker->finished == worker->server->count - 1;
}

/* ------------------------------------------------------------------------------------------ threads */

/* Tells whoever waits for it that this worker could start, or could not. */
static void report_start(struct worker *worker, int error)
{
    struct server *server = worker->server;
    pthread_mutex_lock(&server->lock);
    worker->reachable = error == 0;
    worker->error = error;
    if (error && server->failed == NULL)
        server->failed = worker;
    server->starting--;
    pthread_cond_signal(&server->started);
    pthread_mutex_unlock(&server->lock);
}

static void be_unreachable(struct worker *worker)
{
    pthread_mutex_lock(&worker->server->lock);
    worker->reachable = false;
    pthread_mutex_unlock(&worker->server->lock);
}

static void *thread_of(void *argument)
{
    struct worker *worker = argument;
    struct server *server = worker->server;
    int error = worker_open(worker);
    report_start(worker, error);
    if (error == 0) {
        worker_run(worker);
        be_unreachable(worker);
    }
    worker_close(worker);
    if (worker->error && error == 0)
        tell_all(server,
                 &message_stop); /* a server that lacks one of its queues loses clients: better end as a whole */
    post(&server->workers[0], &message_finished);
    return NULL;
}

/* Worker 0 first, on this thread, so that the others can report to it. Returns 0 or the error of *server->failed. */
static int start_workers(struct server *server, unsigned *running)
{
    struct worker *main_worker = &server->workers[0];
    server->starting = server->count;
    *running = 0;
    int error = worker_open(main_worker);
    report_start(main_worker, error);
    for (unsigned i = 1; i < server->count && error == 0; i++) {
        error = -pthread_create(&server->workers[i].thread, NULL, thread_of, &server->workers[i]);
        if (error)
            server->failed = &server->workers[i];
        else
            ++*running;
    }
    pthread_mutex_lock(&server->lock);
    while (server->starting > server->count - 1 - *running)
        pthread_cond_wait(&server->started, &server->lock);
    if (error == 0 && server->failed != NULL)
        error = server->failed->error;
    pthread_mutex_unlock(&server->lock);
    return error;
}

/* ------------------------------------------------------------------------------------------ the start */

/* As many descriptors as this process may have. Returns their number. */
static unsigned raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur > 1u << 20 ? 1u << 20 : (unsigned)limit.rlim_cur;
}

/* Connections, so that a quarter of the descriptors stays for the files they ask for, and some for the queues. */
static unsigned connection_limit(unsigned descriptors, unsigned threads)
{
    unsigned kept = descriptors / 4 + 16 + 12 * threads;
    unsigned most = 1048576 - WORKER_OWN; /* chains of a queue */
    unsigned limit = descriptors > kept + 8 ? descriptors - kept : 8;
    return limit < most ? limit : most;
}

unsigned server_threads(const struct config *config)
{
    if (config->threads != 0)
        return config->threads;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set) < SERVER_THREADS_MAX ? (unsigned)CPU_COUNT(&set) : SERVER_THREADS_MAX;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < SERVER_THREADS_MAX ? (unsigned)online : 1;
}

/* A log had better be found wrong now than later. */
static int check_log(const char *path, const char *name)
{
    int error = path == NULL ? 0 : sink_check(path);
    if (error)
        fprintf(stderr, "errand: cannot write the %s log %s: %s\n", name, path,
                error == -ESPIPE ? "it is a pipe (use - and redirect standard output)" : strerror(-error));
    return error;
}

static int open_record(struct server *server)
{
    const struct config *config = server->config;
    server->record = (struct record_options){
        .logs = {[RECORD_ACCESS] = {config->access_log, config->access_log_format},
                 [RECORD_TRANSFERS] = {config->transfer_log, CONFIG_LOG_XFERLOG}},
        .status = server_listeners(server, LISTENER_STATUS) > 0,
    };
    int error = check_log(config->access_log, "access");
    if (error == 0)
        error = check_log(config->transfer_log, "transfer");
    if (error)
        return error;
    for (unsigned i = 0; i < server->count && error == 0; i++)
        error = record_prepare(&server->workers[i].record, &server->record);
    if (error)
        fprintf(stderr, "errand: out of memory\n");
    return error;
}

static void report(const struct server *server)
{
    char path[PATH_MAX];
    const char *directory = server->config->hosts[0].directory, *real = realpath(directory, path);
    const errand_queue *queue = server->workers[0].queue;
    printf("errand %s serves %s at ", errand_version(), real ? real : directory);
    server_print_addresses(server, false);
    printf("backend %s (%s), %u %s, %s\n", errand_queue_backend(queue), errand_queue_backend_reason(queue),
           server->count, server->count == 1 ? "queue" : "queues", server->confined);
    if (server->record.status) {
        printf("status at ");
        server_print_addresses(server, true);
    }
    fflush(stdout);
}

/* To the supervisor, or the service manager. */
static void tell_ready(struct server *server)
{
    if (server->ready < 0) {
        int error = notify_send(server->manager, "READY=1");
        if (error)
            log_error("cannot tell the service manager: %s", strerror(-error));
        if (server->manager >= 0)
            close(server->manager);
        server->manager = -1;
    } else {
        ssize_t ignored = write(server->ready, "\n", 1); /* if nobody is there to read it, PR_SET_PDEATHSIG ends us */
        (void)ignored;
        close(server->ready);
        server->ready = -1;
    }
}

static void report_failure(const struct server *server, int error)
{
    const struct worker *worker = server->failed;
    fprintf(stderr, "errand: queue %u cannot start: %s%s%s%s\n", worker->number, errand_error_name(error),
            worker->why[0] ? " (" : "", worker->why, worker->why[0] ? ")" : "");
    if (server->config->backend != ERRAND_BACKEND_AUTO || getenv("ERRAND_BACKEND") != NULL)
        fprintf(stderr, "errand: a backend was asked for; --backend auto (and no ERRAND_BACKEND) takes what works\n");
}

/* ------------------------------------------------------------------------------------------ the whole */

/* From the first worker to the last: returns the exit code. */
static int run_workers(struct server *server)
{
    unsigned running;
    int error = start_workers(server, &running);
    if (error == 0) {
        report(server);
        tell_ready(server);
        worker_run(&server->workers[0]);
    } else {
        report_failure(server, error);
    }
    if (error || server->workers[0].error || server->workers[0].over)
        tell_all(server, &message_leave);
    for (unsigned i = 1; i <= running; i++)
        pthread_join(server->workers[i].thread, NULL);
    be_unreachable(&server->workers[0]);
    worker_close(&server->workers[0]);
    for (unsigned i = 0; i < server->count; i++)
        error = error ? error : server->workers[i].error;
    return error ? 1 : 0;
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN); /* standard output may be a pipe that nobody reads */
}

static bool set_up(struct server *server)
{
    server->workers = calloc(server->count, sizeof *server->workers);
    server->types = mime_types_open(server->config->mime_types);
    bool good = server->workers != NULL && server->types != NULL && gate_open(&server->gate, server->config) == 0;
    for (unsigned i = 0; i < server->count && good; i++)
        server->workers[i] = (struct worker){.server = server, .number = i};
    if (!good)
        fprintf(stderr, "errand: out of memory\n");
    return good;
}

static void tear_down(struct server *server)
{
    for (unsigned i = 0; i < server->count && server->workers != NULL; i++) {
        struct worker *worker = &server->workers[i];
        for (unsigned n = 0; n < worker->endpoint_count; n++) /* of workers whose thread never began */
            if (worker->endpoints[n].listener >= 0)
                close(worker->endpoints[n].listener);
        free(worker->endpoints);
        record_free(&worker->record);
    }
    gate_close(server->gate);
    mime_types_close(server->types);
    listeners_close(&server->listeners, NULL);
    free(server->workers);
}

static bool become_user(const struct config *config)
{
    char why[256];
    bool good = identity_take(config, why, sizeof why);
    if (!good)
        fprintf(stderr, "errand: %s\n", why);
    return good;
}

static bool give_up_rights(struct server *server)
{
    struct confine all = {server->config, &server->sites, &server->listeners, server->accounts.users};
    bool good = confine(&all, server->confined);
    if (!good)
        fprintf(stderr, "errand: %s\n", server->confined);
    return good;
}

/* It is told later, when no socket can be made any more. To serve is worth more than to say so. */
static void connect_to_manager(struct server *server)
{
    int error = server->ready < 0 ? notify_connect(&server->manager) : 0;
    if (error)
        log_error("cannot reach the service manager ($NOTIFY_SOCKET): %s", strerror(-error));
}

/* Without its supervisor nobody would reload it, or end it. For after the user was taken: setuid(2) forgets it. */
static bool end_with(pid_t supervisor)
{
    if (supervisor == 0)
        return true;
    return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == supervisor; /* it may have ended before */
}

/* ready: where to say that it serves; -1: to the service manager, if there is one. */
static int run(const struct config *config, const struct listeners *running, pid_t supervisor, int ready)
{
    struct server server = {.config = config,
                            .ready = ready,
                            .manager = -1,
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .started = PTHREAD_COND_INITIALIZER};
    server.count = server_threads(config);
    server.limit = connection_limit(raise_descriptor_limit(), server.count);
    if (config->limits.connections != 0 && config->limits.connections < server.limit)
        server.limit = config->limits.connections;
    block_signals();
    connect_to_manager(&server);
    tzset(); /* reads a file, so not when the first line of the log is written */
    char why[512];
    if (!sites_open(&server.sites, config, why, sizeof why) ||
        !ftp_accounts_open(&server.accounts, config, why, sizeof why)) {
        fprintf(stderr, "errand: %s\n", why);
        sites_close(&server.sites);
        return 1;
    }
    int code = 1;
    if (set_up(&server)) {
        if (server_listen(&server, running) && become_user(config) && end_with(supervisor) &&
            open_record(&server) == 0 && give_up_rights(&server))
            code = run_workers(&server);
        server_forget_addresses(&server.workers[0], true); /* unless a worker ran, which did */
    }
    tear_down(&server);
    ftp_accounts_close(&server.accounts);
    sites_close(&server.sites);
    return code;
}

int server_run(const struct config *config)
{
    struct listeners given = {0};
    char why[512];
    if (!listeners_take_given(&given, why, sizeof why)) {
        fprintf(stderr, "errand: %s\n", why);
        listeners_free(&given);
        return 1;
    }
    int code = run(config, &given, 0, -1);
    listeners_free(&given);
    return code;
}

static int run_handed_over(const struct handover *handover)
{
    char why[512];
    struct config *config = config_new();
    for (unsigned n = 0; n < handover->listeners.count; n++)
        handover->listeners.list[n].borrowed = true;
    FILE *file = fdopen(handover->config, "r");
    if (file != NULL)
        rewind(file); /* whoever wrote or read it has the same position */
    int code = 1;
    if (config == NULL || file == NULL || !config_read_dump(config, file, why, sizeof why) ||
        !config_finish(config, why, sizeof why))
        fprintf(stderr, "errand: the supervisor's configuration is not good: %s\n",
                config == NULL || file == NULL ? strerror(errno) : why);
    else
        code = run(config, &handover->listeners, handover->supervisor, handover->ready);
    if (file != NULL)
        fclose(file);
    config_free(config);
    return code;
}

bool server_run_supervised(int *code)
{
    struct handover handover;
    if (!handover_is_to_serve())
        return false;
    if (handover_take(&handover)) {
        *code = run_handed_over(&handover);
    } else {
        fprintf(stderr, "errand: $ERRAND_HANDOVER makes no sense (it is for the program's own use: unset it)\n");
        *code = 1;
    }
    handover_free(&handover);
    return true;
}
