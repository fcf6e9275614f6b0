/* SPDX-License-Identifier: MIT */
/* What a supervisor passes on: as text and back, and listeners that are shared over a reload. */
#include "harness.h"
#include "operation/handover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config *configured(const char *text)
{
    char why[512] = "";
    struct config *config = config_new();
    config->ftp.listen.off = true; /* a port that is always the same is nobody else's */
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    bool good = config_read_dump(config, file, why, sizeof why) && config_finish(config, why, sizeof why);
    harness_note("%s", why);
    REQUIRE(good);
    fclose(file);
    return config;
}

/* Opens what the text says, in the presence of `running`. */
static bool open_all(struct listeners *listeners, const char *text, const struct listeners *running, char why[512])
{
    struct config *config = configured(text);
    bool good = listeners_open(listeners, config, 3, running, why, 512);
    config_free(config);
    return good;
}

static const struct listeners none;

static const char text_of_all[] = "supervisor 12\nready 9\nconfig 8\nserving 4711\ndraining 1\ndraining 22\n";

TEST(text_and_back)
{
    char why[512], path[128], text[512];
    struct handover handover = {.ready = -1, .config = -1}, copy;
    snprintf(path, sizeof path, "a socket.%d", (int)getpid()); /* with a space */
    snprintf(text, sizeof text, "[Server]\nListen=127.0.0.1:0\nListen=unix:%s\n[Status]\nListen=[::1]:0\n", path);
    struct listeners *listeners = &handover.listeners;
    REQUIRE(open_all(listeners, text, &none, why));
    char *written = handover_write(&handover);
    REQUIRE(written != NULL);
    harness_note("%s", written);
    REQUIRE(handover_read(&copy, written));
    REQUIRE_INT(copy.listeners.count, 3);
    for (unsigned n = 0; n < 3; n++) {
        const struct listener *one = &listeners->list[n], *other = &copy.listeners.list[n];
        char name[LISTEN_URL_SPACE], other_name[LISTEN_URL_SPACE];
        listener_name(&one->configured, name);
        listener_name(&other->configured, other_name);
        CHECK_STR(name, other_name);
        listener_name(&one->address, name); /* with the port that the system chose */
        listener_name(&other->address, other_name);
        CHECK_STR(name, other_name);
        CHECK_INT(other->count, n < 2 ? 3 : 1);
        CHECK(memcmp(one->sockets, other->sockets, other->count * sizeof(int)) == 0);
        CHECK_INT(other->kind, n == 2 ? LISTENER_STATUS : LISTENER_HTTP);
        CHECK(!other->given && !other->borrowed);
    }
    handover_free(&copy);
    free(written);
    listeners_close(listeners, NULL);
    CHECK_INT(access(path, F_OK), -1);

    REQUIRE(handover_read(&copy, text_of_all));
    written = handover_write(&copy);
    CHECK_STR(written, text_of_all);
    free(written);
    handover_free(&copy);
}

TEST(nonsense)
{
    static const char *const texts[] = {
        "nothing",
        "supervisor",
        "supervisor x",
        "supervisor -1",
        "supervisor 1 2",
        "supervisor 99999999999999999999",
        "ready 1\nready",
        "listener",
        "listener other own 5 127.0.0.1:0",
        "listener http mine 5 127.0.0.1:0",
        "listener http own 127.0.0.1:0",
        "listener http own 5, 127.0.0.1:0",
        "listener http own 5,x 127.0.0.1:0",
        "listener http own 5",
        "listener http own 5 nowhere",
        "listener http own 5 127.0.0.1:0\nnothing",
    };
    struct handover handover;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        harness_at("%s", texts[i]);
        CHECK(!handover_read(&handover, texts[i]));
        CHECK_INT(handover.listeners.count, 0);
        CHECK_INT(handover.ready, -1);
    }
    CHECK(handover_read(&handover, ""));
    handover_free(&handover);
}

/* Only what is to be passed on outlives an exec, and only while it is offered. */
TEST(environment)
{
    char why[512];
    struct handover handover = {.ready = -1, .config = -1, .supervisor = 5}, taken;
    REQUIRE(open_all(&handover.listeners, "[Server]\nListen=127.0.0.1:0\n", &none, why));
    int fd = handover.listeners.list[0].sockets[0];
    CHECK(!handover_is_to_serve());
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK(handover_offer(&handover));
    CHECK_INT(fcntl(fd, F_GETFD), 0);
    CHECK(handover_is_to_serve());
    CHECK(handover_take(&taken));
    CHECK(getenv("ERRAND_HANDOVER") == NULL);
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_INT(taken.supervisor, 5);
    CHECK_INT(taken.listeners.list[0].sockets[0], fd);
    handover_free(&taken);
    CHECK(handover_take(&taken)); /* nothing */
    CHECK_INT(taken.listeners.count, 0);
    handover_free(&taken);
    listeners_close(&handover.listeners, NULL);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* A reload shares what stays, opens what is new, closes what goes; one that fails leaves no trace. */
TEST(shared_over_a_reload)
{
    char why[512];
    struct listeners before, after;
    REQUIRE(open_all(&before, "[Server]\nListen=127.0.0.1:0\nListen=127.0.0.1:0\n", &none, why));
    int first = before.list[0].sockets[0], second = before.list[1].sockets[0];

    REQUIRE(
        open_all(&after, "[Server]\nListen=127.0.0.1:0\nListen=unix:s\n[Status]\nListen=127.0.0.1:0\n", &before, why));
    CHECK_INT(after.list[0].sockets[0], first);
    CHECK(after.list[2].kind == LISTENER_STATUS &&
          after.list[2].sockets[0] != second); /* of another kind: another socket */
    listeners_close(&before, &after);
    CHECK(is_open(first) && !is_open(second));

    struct listeners failed;
    char text[256], taken[LISTEN_URL_SPACE];
    listener_name(&after.list[0].address, taken); /* the port itself, which is known as 0 */
    snprintf(text, sizeof text, "[Server]\nListen=127.0.0.1:0\nListen=unix:new\nListen=%s\n", taken);
    CHECK(!open_all(&failed, text, &after, why));
    CHECK(strstr(why, "another program listens there") != NULL);
    CHECK_INT(failed.count, 0);
    CHECK(is_open(first));
    CHECK_INT(access("new", F_OK), -1); /* what it had opened is gone */
    CHECK_INT(access("s", F_OK), 0);
    listeners_close(&after, NULL);
    CHECK(!is_open(first));
    CHECK_INT(access("s", F_OK), -1);
}

/* What a service manager gave takes the place of what is configured, of its kind, and is not ours to remove. */
TEST(given_ones_go_first)
{
    char why[512];
    struct listeners before, after;
    REQUIRE(open_all(&before, "[Server]\nListen=unix:given\n", &none, why));
    before.list[0].given = before.list[0].borrowed = true;
    REQUIRE(open_all(&after, "[Server]\nListen=127.0.0.1:0\n[Status]\nListen=unix:own\n", &before, why));
    REQUIRE_INT(after.count, 2);
    CHECK_INT(after.list[0].sockets[0], before.list[0].sockets[0]);
    CHECK(after.list[1].kind == LISTENER_STATUS);
    listeners_close(&before, &after);
    listeners_close(&after, NULL);
    CHECK_INT(access("given", F_OK), 0);
    CHECK_INT(access("own", F_OK), -1);
    unlink("given");
}
