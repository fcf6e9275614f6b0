/* SPDX-License-Identifier: MIT */
/* What is told to the service manager, and the sockets that it passes. */
#include "harness.h"
#include "operation/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------ messages */

/* A manager at that name ("@..." is abstract), and the variable that says so. */
static int manager_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    REQUIRE(length < sizeof address.sun_path);
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = (int)REQUIRE_CALL(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    REQUIRE_CALL(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)));
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void check_heard(int manager, const char *wanted)
{
    char text[512] = "";
    ssize_t length = recv(manager, text, sizeof text - 1, 0);
    if (CHECK(length >= 0))
        CHECK_STR(text, wanted);
    CHECK_INT(recv(manager, text, sizeof text, 0), -1);
}

TEST(told_by_a_path_and_by_an_abstract_name)
{
    char names[2][128];
    snprintf(names[0], sizeof names[0], "%s/notify", harness_directory());
    snprintf(names[1], sizeof names[1], "@%s/notify", harness_directory());
    for (unsigned i = 0; i < 2; i++) {
        int manager = manager_at(names[i]);
        harness_at("%s", names[i]);
        CHECK_INT(notify_state("READY=1\nSTATUS=serves"), 0);
        check_heard(manager, "READY=1\nSTATUS=serves");
        close(manager);
        CHECK_INT(notify_state("STOPPING=1"), -ECONNREFUSED);
    }
}

TEST(nobody_to_tell)
{
    unsetenv("NOTIFY_SOCKET");
    CHECK_INT(notify_state("READY=1"), 0);
    static const char *const bad[] = {"", "/", "@", "relative", "vsock:2:1234"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        harness_at("%s", bad[i]);
        setenv("NOTIFY_SOCKET", bad[i], 1);
        CHECK_INT(notify_state("READY=1"), -EINVAL);
    }
    char longest[sizeof((struct sockaddr_un *)NULL)->sun_path + 1];
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    CHECK_INT(notify_state("READY=1"), -EINVAL);
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    CHECK_INT(notify_state("READY=1"), -ENOENT);
}

/* As long as the manager's socket is there, one that is connected needs its name no more. */
TEST(told_later)
{
    char name[128];
    int connected;
    snprintf(name, sizeof name, "%s/notify", harness_directory());
    int manager = manager_at(name);
    CHECK_INT(notify_connect(&connected), 0);
    REQUIRE(connected >= 0);
    REQUIRE_CALL(unlink(name));
    unsetenv("NOTIFY_SOCKET");
    CHECK_INT(notify_send(connected, "READY=1"), 0);
    check_heard(manager, "READY=1");
    close(connected);
    close(manager);
    CHECK_INT(notify_connect(&connected), 0);
    CHECK_INT(connected, -1);
    CHECK_INT(notify_send(connected, "READY=1"), 0);
}

/* A manager that reads nothing does not make it wait. */
TEST(a_full_queue)
{
    char name[128];
    snprintf(name, sizeof name, "%s/notify", harness_directory());
    int manager = manager_at(name), error = 0;
    unsigned told = 0;
    while (error == 0 && told < 100000) {
        error = notify_state("STATUS=again");
        told += error == 0;
    }
    CHECK_INT(error, -EAGAIN);
    CHECK(told > 0);
    close(manager);
}

/* ------------------------------------------------------------------------------------------ sockets */

static int listener(int domain)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    snprintf(local.sun_path, sizeof local.sun_path, "%s/listener", harness_directory());
    struct sockaddr *address = domain == AF_INET6  ? (struct sockaddr *)&six
                               : domain == AF_INET ? (struct sockaddr *)&four
                                                   : (struct sockaddr *)&local;
    socklen_t length = domain == AF_INET6 ? sizeof six : domain == AF_INET ? sizeof four : sizeof local;
    int fd = (int)REQUIRE_CALL(socket(domain, SOCK_STREAM, 0));
    REQUIRE_CALL(bind(fd, address, length));
    REQUIRE_CALL(listen(fd, 1));
    return fd;
}

/* Puts it where the manager's sockets begin. The harness counts what is open, so the test ends with place_nothing(). */
static void place(int number, int fd)
{
    if (fd == 3 + number)
        return;
    REQUIRE_CALL(dup2(fd, 3 + number));
    close(fd);
}

static void place_nothing(int count)
{
    for (int fd = 3; fd < 3 + count; fd++)
        close(fd);
}

static void say(const char *count, const char *names)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    if (names != NULL)
        setenv("LISTEN_FDNAMES", names, 1);
}

static void check_environment_is_clean(void)
{
    CHECK(getenv("LISTEN_PID") == NULL);
    CHECK(getenv("LISTEN_FDS") == NULL);
    CHECK(getenv("LISTEN_FDNAMES") == NULL);
}

TEST(sockets_are_taken)
{
    struct activation activation;
    char why[256] = "";
    int domains[3] = {AF_INET, AF_UNIX, AF_INET6}, delay = 0;
    socklen_t length = sizeof delay;
    unsigned before = harness_count_descriptors();
    for (int fd = 3; fd < 6; fd++)
        REQUIRE_INT(fcntl(fd, F_GETFD), -1); /* the harness leaves these free */
    for (int i = 0; i < 3; i++)
        place(i, listener(domains[i]));
    say("3", "http::status");
    if (!CHECK(activation_take(&activation, why, sizeof why)))
        harness_note("%s", why);
    check_environment_is_clean();
    REQUIRE_INT(activation.count, 3);
    CHECK_STR(activation.list[0].name, "http");
    CHECK_STR(activation.list[1].name, "");
    CHECK_STR(activation.list[2].name, "status");
    for (int i = 0; i < 3; i++) {
        CHECK_INT(activation.list[i].fd, 3 + i);
        CHECK_INT(fcntl(3 + i, F_GETFD), FD_CLOEXEC);
        CHECK(fcntl(3 + i, F_GETFL) & O_NONBLOCK);
    }
    CHECK_INT(getsockopt(3, IPPROTO_TCP, TCP_NODELAY, &delay, &length), 0);
    CHECK_INT(delay != 0, 1);
    activation_free(&activation);
    CHECK_INT(harness_count_descriptors(), before + 3); /* they stay open */
    say("1", NULL);
    CHECK(activation_take(&activation, why, sizeof why));
    REQUIRE_INT(activation.count, 1);
    CHECK_STR(activation.list[0].name, "");
    activation_free(&activation);
    place_nothing(3);
}

TEST(sockets_of_another)
{
    struct activation activation;
    char why[256] = "";
    CHECK(activation_take(&activation, why, sizeof why)); /* nobody passed any */
    CHECK_INT(activation.count, 0);
    static const char *const others[] = {"1", "", "x", "99999999999999999999", "-1"};
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        harness_at("%s", others[i]);
        say("1", "http");
        setenv("LISTEN_PID", others[i], 1);
        CHECK(activation_take(&activation, why, sizeof why));
        CHECK_INT(activation.count, 0);
        check_environment_is_clean();
    }
    say("0", "");
    CHECK(activation_take(&activation, why, sizeof why));
    CHECK_INT(activation.count, 0);
}

static void check_refused(const char *count, const char *word)
{
    struct activation activation;
    char why[256] = "";
    harness_at("%s", word);
    say(count, "one");
    CHECK(!activation_take(&activation, why, sizeof why));
    if (!CHECK(strstr(why, word) != NULL))
        harness_note("%s", why);
    CHECK_INT(activation.count, 0);
    check_environment_is_clean();
}

TEST(what_is_no_listening_socket)
{
    static const char *const counts[] = {"", "x", "-1", "1x", "4097", "99999999999999999999"};
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++)
        check_refused(counts[i], "LISTEN_FDS");
    REQUIRE_INT(fcntl(3, F_GETFD), -1);
    check_refused("1", "number 1 (one) is not open");
    place(0, (int)REQUIRE_CALL(open("/dev/null", O_RDONLY)));
    check_refused("1", "no stream socket");
    place_nothing(1);
    place(0, (int)REQUIRE_CALL(socket(AF_INET, SOCK_DGRAM, 0)));
    check_refused("1", "no stream socket");
    place_nothing(1);
    place(0, (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM, 0)));
    check_refused("1", "Accept=no");
    place_nothing(1);
    place(0, listener(AF_INET));
    check_refused("2", "number 2 () is not open");
    place_nothing(1);
}
