/* SPDX-License-Identifier: MIT */
/* Starts the workers, and stops them: what concerns the process as a whole. */
#include "shared.h"
#include "http/mime.h"
#include "log.h"
#include "record/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What is posted to workers; only the addresses count. */
static const char message_stop, message_leave, message_finished, message_reopen;

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

static void stop_all(struct server *server, const void *message)
{
    for (unsigned i = 0; i < server->count; i++)
        post(&server->workers[i], message);
}

void server_signal(struct server *server, int number)
{
    if (number == SIGUSR1) { /* the access log was renamed */
        stop_all(server, &message_reopen);
        return;
    }
    stop_all(server, server->signals++ == 0 ? &message_stop : &message_leave);
}

void server_message(struct worker *worker, const void *message)
{
    if (message == &message_stop)
        worker_stop(worker);
    else if (message == &message_leave)
        worker->over = true;
    else if (message == &message_finished)
        worker->finished++;
    else if (message == &message_reopen)
        record_reopen(&worker->record);
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
        stop_all(server,
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

static unsigned default_threads(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set) < SERVER_THREADS_MAX ? (unsigned)CPU_COUNT(&set) : SERVER_THREADS_MAX;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < SERVER_THREADS_MAX ? (unsigned)online : 1;
}

/* The directory may be searchable without being readable: that is enough to serve what is in it. */
static int open_root(const char *directory)
{
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && faccessat(fd, ".", X_OK, AT_EACCESS) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    const char *remedy = error == ENOENT    ? "no such directory"
                         : error == ENOTDIR ? "not a directory (errand serve takes the directory that holds the file)"
                         : error == EACCES  ? "no permission to look into it (make it searchable: chmod +rx)"
                                            : strerror(error);
    fprintf(stderr, "errand: cannot serve %s: %s\n", directory, remedy);
    return -1;
}

static int complain_of_address(const struct listen_address *address, int error)
{
    char url[LISTEN_URL_SPACE];
    listen_url(address, "http", url);
    const char *remedy =
        error == -EADDRINUSE      ? "another program listens there (choose another port with -p, 0 takes a free one)"
        : error == -EACCES        ? "no permission (ports below 1024 are for root; choose another with -p)"
        : error == -EADDRNOTAVAIL ? "this machine does not have that address (0.0.0.0 means all of its addresses)"
                                  : strerror(-error);
    fprintf(stderr, "errand: cannot listen on %s: %s\n", url, remedy);
    return error;
}

static int listen_for_all(struct server *server, struct listen_address *address)
{
    int *sockets = calloc(server->count, sizeof *sockets);
    int error = sockets == NULL ? -ENOMEM : listen_open(address, sockets, server->count);
    for (unsigned i = 0; i < server->count && error == 0; i++)
        server->workers[i].http.listener = sockets[i];
    free(sockets);
    return error == 0 ? 0 : complain_of_address(address, error);
}

/* What is there beside the service: the status, and the access log, which had better be found wrong now than later. */
static int open_record(struct server *server, struct listen_address *status)
{
    const struct server_options *options = server->options;
    server->record = (struct record_options){
        .access_log = options->access_log, .format = options->log_format, .status = status->length > 0};
    int error = options->access_log == NULL ? 0 : sink_check(options->access_log);
    if (error) {
        fprintf(stderr, "errand: cannot write the access log %s: %s\n", options->access_log,
                error == -ESPIPE ? "it is a pipe (use - and redirect standard output)" : strerror(-error));
        return error;
    }
    for (unsigned i = 0; i < server->count && error == 0; i++)
        error = record_prepare(&server->workers[i].record, &server->record);
    if (error) {
        fprintf(stderr, "errand: out of memory\n");
        return error;
    }
    if (status->length > 0)
        error = listen_open(status, &server->workers[0].status.listener, 1);
    return error == 0 ? 0 : complain_of_address(status, error);
}

static void report(const struct server *server, const struct listen_address *address,
                   const struct listen_address *status)
{
    char url[LISTEN_URL_SPACE], path[PATH_MAX];
    const char *directory = realpath(server->options->directory, path);
    const errand_queue *queue = server->workers[0].queue;
    listen_url(address, "http", url);
    printf("errand %s serves %s at %s\n", errand_version(), directory ? directory : server->options->directory, url);
    printf("backend %s (%s), %u %s\n", errand_queue_backend(queue), errand_queue_backend_reason(queue), server->count,
           server->count == 1 ? "queue" : "queues");
    if (status->length > 0) {
        listen_url(status, "http", url);
        printf("status at %s\n", url);
    }
    fflush(stdout);
}

static void report_failure(const struct server *server, int error)
{
    const struct worker *worker = server->failed;
    fprintf(stderr, "errand: queue %u cannot start: %s%s%s%s\n", worker->number, errand_error_name(error),
            worker->why[0] ? " (" : "", worker->why, worker->why[0] ? ")" : "");
    if (server->options->backend != ERRAND_BACKEND_AUTO || getenv("ERRAND_BACKEND") != NULL)
        fprintf(stderr, "errand: a backend was asked for; --backend auto (and no ERRAND_BACKEND) takes what works\n");
}

/* ------------------------------------------------------------------------------------------ the whole */

/* From the first worker to the last: returns the exit code. */
static int run_workers(struct server *server, const struct listen_address *address, const struct listen_address *status)
{
    unsigned running;
    int error = start_workers(server, &running);
    if (error == 0) {
        report(server, address, status);
        worker_run(&server->workers[0]);
    } else {
        report_failure(server, error);
    }
    if (error || server->workers[0].error || server->workers[0].over)
        stop_all(server, &message_leave);
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
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN); /* standard output may be a pipe that nobody reads */
}

static int run_in(struct server *server)
{
    struct listen_address address = server->options->http, status = server->options->status;
    server->workers = calloc(server->count, sizeof *server->workers);
    server->types = mime_types_open("/etc/mime.types");
    if (server->workers == NULL || server->types == NULL) {
        fprintf(stderr, "errand: out of memory\n");
        return 1;
    }
    for (unsigned i = 0; i < server->count; i++) {
        server->workers[i].server = server;
        server->workers[i].number = i;
        server->workers[i].http.listener = server->workers[i].status.listener = -1;
    }
    int code = 1;
    if (listen_for_all(server, &address) == 0 && open_record(server, &status) == 0)
        code = run_workers(server, &address, &status);
    for (unsigned i = 0; i < server->count; i++) {
        struct worker *worker = &server->workers[i];
        if (worker->http.listener >= 0) /* of workers whose thread never began */
            close(worker->http.listener);
        if (worker->status.listener >= 0)
            close(worker->status.listener);
        record_free(&worker->record);
    }
    return code;
}

int server_run(const struct server_options *options)
{
    struct server server = {.options = options, .lock = PTHREAD_MUTEX_INITIALIZER, .started = PTHREAD_COND_INITIALIZER};
    server.count = options->threads ? options->threads : default_threads();
    server.limit = connection_limit(raise_descriptor_limit(), server.count);
    block_signals();
    tzset(); /* reads a file, so not when the first line of the log is written */
    server.root = open_root(options->directory);
    if (server.root < 0)
        return 1;
    int code = run_in(&server);
    close(server.root);
    mime_types_close(server.types);
    free(server.workers);
    return code;
}
