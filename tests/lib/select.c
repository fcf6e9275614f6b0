/* SPDX-License-Identifier: MIT */
/* How the backend is chosen: by trying; what was asked for and cannot be had is an error that says why. */
#include "support.h"

#include <seccomp.h>
#include <sys/resource.h>

static int open_with(enum errand_backend backend, errand_queue **queue, char why[256])
{
    *queue = NULL;
    why[0] = 0;
    struct errand_queue_options options = {.size = sizeof options, .backend = backend, .why = why, .why_size = 256};
    return errand_queue_open(queue, &options);
}

/* From now on io_uring_setup(2) fails so in this process. */
static void forbid_uring(int error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    REQUIRE(filter != NULL);
    REQUIRE_INT(seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)error), SCMP_SYS(io_uring_setup), 0), 0);
    REQUIRE_INT(seccomp_load(filter), 0);
    seccomp_release(filter);
}

static void check_without_uring(int error)
{
    char why[256];
    errand_queue *queue;
    forbid_uring(error);
    REQUIRE_INT(open_with(ERRAND_BACKEND_AUTO, &queue, why), 0);
    CHECK_STR(errand_queue_backend(queue), "threads");
    CHECK(strlen(errand_queue_backend_reason(queue)) > 0);
    CHECK(strlen(why) > 0);
    char buffer[100];
    struct errand_read_file job = {
        .size = sizeof job, .dir_fd = AT_FDCWD, .path = make_file("file", 100, 1), .buffer = buffer, .length = 100};
    REQUIRE_INT(errand_read_file(queue, &job, NULL), 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 100);
    close_queue(queue);
    /* Asked for, it is an error in words, never another backend; by the environment likewise. */
    CHECK_INT(open_with(ERRAND_BACKEND_URING, &queue, why), -error);
    CHECK(queue == NULL);
    CHECK(strlen(why) > 0);
    setenv("ERRAND_BACKEND", "uring", 1);
    CHECK_INT(open_with(ERRAND_BACKEND_AUTO, &queue, why), -error);
    CHECK(strlen(why) > 0);
    unsetenv("ERRAND_BACKEND");
}

TEST(uring_forbidden)
{
    check_without_uring(EPERM);
}

TEST(uring_unknown)
{
    check_without_uring(ENOSYS);
}

TEST(uring_without_memory)
{
    check_without_uring(ENOMEM);
}

TEST(environment_and_option)
{
    char why[256];
    errand_queue *queue;
    static const char *const names[] = {"", "uring", "threads"};
    for (unsigned asked = 0; asked < 3; asked++) {
        for (unsigned option = 0; option < 3; option++) {
            harness_at("ERRAND_BACKEND=%s, option %u", names[asked], option);
            if (asked)
                setenv("ERRAND_BACKEND", names[asked], 1);
            else
                unsetenv("ERRAND_BACKEND");
            int result = open_with((enum errand_backend)option, &queue, why);
            if (!CHECK_INT(result, 0))
                continue;
            CHECK(strlen(why) > 0);
            /* The option overrides the environment, which overrides the trying. */
            CHECK_STR(errand_queue_backend(queue), option ? names[option] : asked ? names[asked] : "uring");
            close_queue(queue);
        }
    }
    setenv("ERRAND_BACKEND", "nonsense", 1);
    CHECK_INT(open_with(ERRAND_BACKEND_AUTO, &queue, why), -EINVAL);
    CHECK(strlen(why) > 0);
    CHECK_INT(open_with(ERRAND_BACKEND_THREADS, &queue, why), 0);
    close_queue(queue);
}

/* An ordinary user without memory to lock: either it works, or it falls back and says so. */
TEST(no_memory_to_lock)
{
    char why[256];
    errand_queue *queue;
    if (getuid() == 0) {
        REQUIRE_CALL(chmod(harness_directory(), 0777));
        REQUIRE_CALL(setresgid(65534, 65534, 65534));
        REQUIRE_CALL(setresuid(65534, 65534, 65534));
    }
    REQUIRE_CALL(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0}));
    REQUIRE_INT(open_with(ERRAND_BACKEND_AUTO, &queue, why), 0);
    CHECK(strlen(errand_queue_backend_reason(queue)) > 0);
    close_queue(queue);
}
