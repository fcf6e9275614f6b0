/* SPDX-License-Identifier: MIT */
/* The system calls that a confined process has left: enough for chains on every backend, and no more. */
#include "operation/confine.h"
#include "support.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void *of_a_thread(void *argument)
{
    *(int *)argument = socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
    return NULL;
}

static void check_what_is_gone(int listener, pid_t parent)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    const struct {
        const char *name;
        long result;
        int error;
    } calls[] = {
#define TRIED(call) #call, (errno = 0, (long)(call)), errno
        {TRIED(socket(AF_INET, SOCK_STREAM, 0))},
        {TRIED(connect(listener, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(struct sockaddr)))},
        {TRIED(listen(listener, 1))},
        {TRIED(execl("/bin/true", "true", (char *)NULL))},
        {TRIED(fork())},
        {TRIED(ptrace(PTRACE_TRACEME, 0, NULL, NULL))},
        {TRIED(kill(parent, 0))},
        {TRIED(syscall(SYS_setuid, 0))},
        {TRIED(chroot("/"))},
        {TRIED(mknod(path_of("device"), S_IFIFO | 0600, 0))},
        {TRIED(mprotect(page, 4096, PROT_READ | PROT_EXEC))},
        {TRIED(ioctl(0, TIOCSTI, "x"))},
        {TRIED(syscall(SYS_tgkill, parent, parent, 0))},
        {TRIED(syscall(SYS_bpf, 0, NULL, 0))},
#undef TRIED
    };
    for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        harness_at("%s", calls[i].name);
        CHECK_INT(calls[i].result, -1);
        CHECK_INT(calls[i].error, ENOSYS);
    }
    CHECK_INT(munmap(page, 4096), 0);
}

/* As an upload does it, and then away with it. */
static void check_files(errand_queue *queue)
{
    harness_at("what stays");
    errand_chain *chain = new_chain(queue);
    int file = ERRAND_SLOT(errand_step_open(chain, AT_FDCWD, harness_directory(), O_TMPFILE | O_WRONLY, 0644));
    errand_step_write(chain, file, "new", 3, 0);
    errand_step_sync(chain, file, 0);
    errand_step_replace(chain, file, AT_FDCWD, path_of("f"));
    errand_step_close(chain, file);
    errand_step_rename(chain, AT_FDCWD, path_of("f"), AT_FDCWD, path_of("g"), 0);
    errand_step_close(chain, ERRAND_SLOT(errand_step_open(chain, AT_FDCWD, path_of("g"), O_RDONLY, 0)));
    errand_step_unlink(chain, AT_FDCWD, path_of("g"));
    submit(chain, NULL, 0);
    CHECK_INT(next_event(queue).error, 0);
}

static int socket_error(int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = errno;
    return fd < 0 ? error : close(fd);
}

/* Data connections are waited for, and made if clients may ask for it; no other sockets. */
static void check_sockets(errand_queue *queue, int listener, bool active)
{
    harness_at(active ? "active" : "passive");
    CHECK_INT(socket_error(AF_UNIX, SOCK_STREAM), ENOSYS);
    CHECK_INT(socket_error(AF_INET, SOCK_DGRAM), ENOSYS);
    CHECK_INT(socket_error(AF_NETLINK, SOCK_RAW), ENOSYS);
    CHECK_INT(socket_error(AF_INET6, SOCK_STREAM), 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    int one = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    CHECK_INT(bind(one, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(one, 1), 0);
    close(one);
    socklen_t length = sizeof address;
    REQUIRE_CALL(getsockname(listener, (struct sockaddr *)&address, &length));
    one = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    int result = connect(one, (struct sockaddr *)&address, length);
    CHECK_INT(result < 0 ? errno : 0, active ? EINPROGRESS : ENOSYS);
    close(one);
    if (active) {
        errand_chain *chain = new_chain(queue);
        errand_step_connect(chain, -1, &address, length);
        submit(chain, NULL, 0);
        CHECK_INT(next_event(queue).error, 0);
    }
}

/* All in a child that ends by _exit(): what looks for leaks would not be allowed to. */
static void with_few_calls(enum errand_backend backend, const struct config_ftp *ftp)
{
    uint16_t port;
    int listener = make_listener(&port), in_thread = 0;
    pthread_t thread;
    pid_t parent = getppid();
    REQUIRE_INT(confine_calls(ftp), 0);
    errand_queue *queue = open_queue(backend, NULL);
    check_files(queue);
    CHECK_INT(pthread_create(&thread, NULL, of_a_thread, &in_thread), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(in_thread, ENOSYS);
    if (ftp->listen.count > 0)
        check_sockets(queue, listener, ftp->active);
    else
        check_what_is_gone(listener, parent);
    harness_at("the end");
    CHECK_INT(errand_queue_close(queue), 0);
}

static void in_a_child(enum errand_backend backend, const struct config_ftp *ftp)
{
    pid_t pid = (pid_t)REQUIRE_CALL(fork());
    if (pid == 0) {
        with_few_calls(backend, ftp);
        _exit(0);
    }
    int status;
    REQUIRE_CALL(waitpid(pid, &status, 0));
    CHECK_INT(status, 0);
}

TEST_EACH_BACKEND(few_calls_are_left)
{
    in_a_child(backend, &(struct config_ftp){.active = true});
}

TEST_EACH_BACKEND(sockets_of_ftp)
{
    in_a_child(backend, &(struct config_ftp){.listen.count = 1, .active = true});
    in_a_child(backend, &(struct config_ftp){.listen.count = 1});
}
