/* SPDX-License-Identifier: MIT */
/* The test harness: runs each test in a child, sees what it leaves behind, cleans up after it. See harness.h. */
#include "harness.h"
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <ftw.h>
#include <linux/io_uring.h>

enum { limit_seconds = 60, descriptors_most = 4096 };

static struct harness_test *first_test, **last_test = &first_test;
struct report *harness_report;
static char directory[256];

void harness_register(struct harness_test *test)
{
    *last_test = test;
    last_test = &test->next;
}

int64_t harness_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ERRAND_SECOND + time.tv_nsec;
}

void harness_show(void)
{
    harness_report->shown = true;
}

unsigned harness_slowness(void)
{
    const char *scale = getenv("TEST_TIMEOUT_SCALE");
    unsigned more = scale && *scale ? (unsigned)strtoul(scale, NULL, 10) : 1;
    return (more ? more : 1) * (HARNESS_TSAN ? 4 : HARNESS_ASAN ? 2 : 1);
}

const char *harness_backend_name(enum errand_backend backend)
{
    static const char *const names[] = {"auto", "uring", "threads", "sim"};
    return names[backend];
}

const char *harness_directory(void)
{
    return directory;
}

void harness_limit(unsigned seconds)
{
    harness_report->limit_ns = harness_now() + seconds * harness_slowness() * ERRAND_SECOND;
}

/* ---- what a test leaves behind */

/* Calls each() with every number in a directory of /proc/self; returns how many were counted. */
static unsigned numbers_in(const char *path, bool (*each)(int number, void *context), void *context)
{
    unsigned count = 0;
    DIR *open_directory = opendir(path);
    if (!open_directory) {
        fprintf(stderr, "harness: %s: %s\n", path, strerror(errno));
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(open_directory));) {
        int number = (int)strtol(entry->d_name, NULL, 10);
        bool own = strstr(path, "/fd") && number == dirfd(open_directory);
        if (entry->d_name[0] != '.' && !own && each(number, context))
            count++;
    }
    closedir(open_directory);
    return count;
}

static bool note_descriptor(int descriptor, void *context)
{
    bool *open_before = context;
    if (open_before && descriptor < descriptors_most)
        open_before[descriptor] = true;
    return true;
}

static bool leaked_descriptor(int descriptor, void *context)
{
    const bool *open_before = context;
    char path[64], target[256];
    if (descriptor < descriptors_most && open_before[descriptor])
        return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    fprintf(stderr, "descriptor leaked: %d -> %s\n", descriptor, target);
    return true;
}

unsigned harness_count_descriptors(void)
{
    return numbers_in("/proc/self/fd", note_descriptor, NULL);
}

/* Kernel threads that io_uring keeps for a task show among its threads and end when they like: not the test's. */
static bool own_thread(int thread, void *context)
{
    char path[64], name[32] = "";
    bool *print = context;
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", thread);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    ssize_t length = read(descriptor, name, sizeof name - 1);
    close(descriptor);
    if (length <= 0 || !strncmp(name, "iou-", 4))
        return false;
    if (print)
        fprintf(stderr, "thread: %d %s", thread, name);
    return true;
}

unsigned harness_count_threads(void)
{
    return numbers_in("/proc/self/task", own_thread, NULL);
}

static bool threads_are_back(void *context)
{
    return harness_count_threads() <= *(unsigned *)context;
}

/* In the child: runs the test and looks at what it left in this process. Does not return. */
static void run_in_child(const struct harness_test *test, enum errand_backend backend)
{
    static bool open_before[descriptors_most];
    unsigned threads = harness_count_threads();
#ifdef __SANITIZE_THREAD__
    threads++; /* ThreadSanitizer starts one of its own in a forked child, with the child's first thread */
#endif
    numbers_in("/proc/self/fd", note_descriptor, open_before);
    if (test->plain)
        test->plain();
    else
        test->each(backend);
    harness_report->body_ended = true;
    harness_report->at[0] = 0;
    if (numbers_in("/proc/self/fd", leaked_descriptor, open_before))
        harness_fail(__FILE__, __LINE__, "descriptors were leaked");
    /* A thread that was joined may be seen for a moment. */
    if (!harness_eventually(threads_are_back, &threads, 2000)) {
        bool print = true;
        numbers_in("/proc/self/task", own_thread, &print);
        harness_fail(__FILE__, __LINE__, "threads were left behind (%u at the start)", threads);
    }
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        harness_fail(__FILE__, __LINE__, "child processes were left behind");
    fflush(NULL);
    exit(harness_report->failures ? 1 : 0); /* not _exit(): the leak sanitizer looks now */
}

/* ---- cleaning up after a test, in the parent */

/* Without privilege only FUSE's own helper may unmount. */
static int unmount_as_user(const char *path)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execlp("fusermount3", "fusermount3", "-u", "-z", path, (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return status;
}

/* Unmounts what is mounted beneath path, the latest first. Returns how many there were. */
static unsigned unmount_beneath(const char *path)
{
    unsigned count = 0;
    for (bool again = true; again && count < 64;) {
        char line[4096], last[4096] = "";
        FILE *mounts = fopen("/proc/self/mountinfo", "re");
        if (!mounts)
            break;
        while (fgets(line, sizeof line, mounts)) {
            char target[4096];
            if (sscanf(line, "%*s %*s %*s %*s %4095s", target) == 1 && !strncmp(target, path, strlen(path)))
                memcpy(last, target, strlen(target) + 1);
        }
        fclose(mounts);
        /* By force: a filesystem of the test's that still holds operations gives them up, and who waits ends. */
        again = last[0] && (!umount2(last, MNT_FORCE | MNT_DETACH) || !unmount_as_user(last));
        count += again;
    }
    return count;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path) && errno != ENOENT ? -1 : 0;
}

/* Reaps what the test's processes left; kills and counts what still ran. */
static unsigned reap_leftovers(pid_t group)
{
    unsigned count = 0;
    kill(-group, SIGKILL);
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) < 0)
            return count; /* none left */
        if (info.si_pid) {
            waitpid(info.si_pid, NULL, 0);
            count++;
            continue;
        }
        /* Something that left the group still runs: find our children, and end them. */
        char path[64], line[4096] = "";
        snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
        FILE *children = fopen(path, "re");
        if (children) {
            if (fgets(line, sizeof line, children))
                for (char *at = line, *end; (void)(end = at), strtol(at, &end, 10) > 0; at = end)
                    kill((pid_t)strtol(at, NULL, 10), SIGKILL);
            fclose(children);
        }
        if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) < 0)
            return count;
    }
}

/* Copies what the test wrote, each line after "# ". Returns whether there was any. */
static void print_output(FILE *output)
{
    char line[4096];
    rewind(output);
    while (fgets(line, sizeof line, output))
        printf("# %s%s", line, strchr(line, '\n') ? "" : "\n");
}

enum outcome { passed, failed_outcome, skipped };

/* Waits for the child until its limit; false if it had to be killed. */
static bool wait_for(pid_t child, int *status)
{
    int handle = (int)syscall(SYS_pidfd_open, child, 0);
    bool in_time = true;
    for (;;) {
        int64_t left =
            (__atomic_load_n(&harness_report->limit_ns, __ATOMIC_RELAXED) - harness_now()) / ERRAND_MILLISECOND;
        struct pollfd poll_one = {.fd = handle, .events = POLLIN};
        /* In slices: the test may change its limit meanwhile. */
        int ready = poll(&poll_one, 1, left <= 0 ? 0 : left > 200 ? 200 : (int)left);
        if (ready > 0)
            break;
        if (left <= 0) {
            in_time = false;
            kill(-child, SIGKILL);
            kill(child, SIGKILL);
            break;
        }
    }
    close(handle);
    /* A child that waits in an unkillable call (a mount that hangs) ends only once its mount is gone. */
    for (unsigned tries = 0; waitpid(child, status, WNOHANG) == 0; tries++) {
        if (tries == 200)
            unmount_beneath(directory);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return in_time;
}

static enum outcome run_one(const struct harness_test *test, enum errand_backend backend, const char *name,
                            bool verbose)
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/errand-test-XXXXXX", base && *base ? base : "/tmp");
    FILE *output = tmpfile();
    if (!mkdtemp(directory) || !output) {
        printf("not ok %s\n# %s: %s\n", name, directory, strerror(errno));
        return failed_outcome;
    }
    memset(harness_report, 0, sizeof *harness_report);
    const char *shorter = getenv("TEST_LIMIT");
    harness_report->limit_ns = harness_now() + (shorter && *shorter ? strtol(shorter, NULL, 10) : limit_seconds) *
                                                   harness_slowness() * ERRAND_SECOND;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        unsetenv("ERRAND_BACKEND"); /* a test that is about it sets it */
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        if (!verbose) {
            dup2(fileno(output), 1);
            dup2(fileno(output), 2);
        }
        if (null > 2)
            close(null);
        close(fileno(output));
        run_in_child(test, backend);
    }
    setpgid(child, child);
    int status = 0;
    bool in_time = wait_for(child, &status);
    unsigned leftovers = reap_leftovers(child);
    unsigned mounts = unmount_beneath(directory);
    nftw(directory, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    bool removed = access(directory, F_OK) != 0;

    bool good =
        in_time && WIFEXITED(status) && !WEXITSTATUS(status) && !harness_report->failures && harness_report->body_ended;
    bool clean = good && !leftovers && !mounts && removed;
    enum outcome outcome = !clean ? failed_outcome : harness_report->skipped ? skipped : passed;
    printf("%s %s", outcome == failed_outcome ? "not ok" : "ok", name);
    if (outcome == skipped)
        printf(" # skipped: %s", harness_report->reason);
    putchar('\n');
    if (outcome == failed_outcome || (harness_report->shown && !verbose))
        print_output(output);
    if (outcome == failed_outcome) {
        if (!in_time)
            printf("# over its time limit%s%s\n", harness_report->at[0] ? ", at: " : "", harness_report->at);
        else if (WIFSIGNALED(status))
            printf("# killed by %s%s%s\n", strsignal(WTERMSIG(status)), harness_report->at[0] ? ", at: " : "",
                   harness_report->at);
        else if (!harness_report->body_ended)
            printf("# ended by itself with status %d%s%s\n", WEXITSTATUS(status), harness_report->at[0] ? ", at: " : "",
                   harness_report->at);
        else if (!harness_report->failures && WEXITSTATUS(status))
            printf("# status %d (a sanitizer's report?)\n", WEXITSTATUS(status));
        if (good && leftovers)
            printf("# left %u processes behind\n", leftovers);
        if (good && mounts)
            printf("# left %u mounts behind\n", mounts);
        if (!removed)
            printf("# could not remove %s\n", directory);
    }
    fclose(output);
    fflush(stdout);
    return outcome;
}

/* ---- choosing and running */

static bool selected(const char *name, char **parts)
{
    if (!*parts)
        return true;
    for (; *parts; parts++)
        if (strstr(name, *parts))
            return true;
    return false;
}

/* Asked of the kernel and not of the library, so that a library that wrongly refuses cannot skip its own tests. */
static const char *why_no_uring(void)
{
    struct io_uring_params parameters = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
    if (ring >= 0) {
        close(ring);
        return NULL;
    }
    return strerror(errno);
}

int main(int count, char **arguments)
{
    bool list = false, verbose = false, any_failed = false;
    char **parts = arguments + 1;
    for (; *parts && (*parts)[0] == '-'; parts++) {
        list = list || !strcmp(*parts, "--list");
        verbose = verbose || !strcmp(*parts, "--verbose");
    }
    (void)count;
    harness_report = mmap(NULL, sizeof *harness_report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const char *wanted = getenv("TEST_BACKENDS"), *no_uring = why_no_uring();
    for (struct harness_test *test = first_test; test; test = test->next) {
        for (enum errand_backend backend = ERRAND_BACKEND_URING; backend <= HARNESS_SIM; backend++) {
            char name[256];
            const char *backend_name = harness_backend_name(backend);
            snprintf(name, sizeof name, "%s/%s%s%s", program_invocation_short_name, test->name, test->each ? "@" : "",
                     test->each ? backend_name : "");
            if ((test->plain && backend != ERRAND_BACKEND_URING) || (backend == HARNESS_SIM && !test->simulated))
                break;
            if ((test->each && wanted && *wanted && !strstr(wanted, backend_name)) || !selected(name, parts))
                continue;
            if (list)
                printf("%s\n", name);
            else if (test->each && backend == ERRAND_BACKEND_URING && no_uring)
                printf("ok %s # skipped: this kernel refuses io_uring: %s\n", name, no_uring);
            else
                any_failed |= run_one(test, backend, name, verbose) == failed_outcome;
        }
    }
    munmap(harness_report, sizeof *harness_report);
    return any_failed;
}
