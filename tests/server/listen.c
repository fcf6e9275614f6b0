/* SPDX-License-Identifier: MIT */
/* Addresses as people type them, and the port that nobody else may have. */
#include "harness.h"
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(addresses)
{
    static const struct {
        const char *text, *url;
    } rows[] = {
        {"127.0.0.1:8080", "http://127.0.0.1:8080/"},
        {"0.0.0.0:0", "http://0.0.0.0:0/"},
        {"[::1]:65535", "http://[::1]:65535/"},
        {"[::]:80", "http://[::]:80/"},
        {"localhost:1", "http://127.0.0.1:1/"},
        {"8081", "http://127.0.0.1:8081/"},
        {"unix:/run/s", "unix:/run/s"},
        {"unix:s:80", "unix:s:80"},
        {"unix:", NULL},
        {"", NULL},
        {":", NULL},
        {":80", NULL},
        {"1.2.3.4:", NULL},
        {"1.2.3.4:65536", NULL},
        {"1.2.3.4:-1", NULL},
        {"1.2.3.4:8o", NULL},
        {"1.2.3.4:000080", NULL},
        {"1.2.3:80", NULL},
        {"::1:80", NULL},
        {"[::1:80", NULL},
        {"[::1]", NULL},
        {"example.org:80", NULL},
        {"1111111111111111111111111111111111111111111111111111111111:80", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct listen_address address = {0};
        harness_at("%s", rows[i].text);
        bool good = listen_address_read(&address, rows[i].text);
        CHECK_INT(good, rows[i].url != NULL);
        if (good && rows[i].url) {
            char url[LISTEN_URL_SPACE];
            listen_url(&address, "http", url);
            CHECK_STR(url, rows[i].url);
        }
    }
}

TEST(host_and_port_apart)
{
    struct listen_address address = {0};
    char url[LISTEN_URL_SPACE];
    CHECK(listen_address_read(&address, "127.0.0.1:8080"));
    CHECK(listen_address_set_port(&address, "81"));
    CHECK(listen_address_set_host(&address, "::1", 3));
    listen_url(&address, "http", url);
    CHECK_STR(url, "http://[::1]:81/");
    CHECK(!listen_address_set_host(&address, "nowhere", 7));
    CHECK(!listen_address_set_port(&address, "http"));
}

TEST(one_port_for_all_and_for_nobody_else)
{
    struct listen_address address = {0}, same;
    int sockets[3], others[3];
    REQUIRE(listen_address_read(&address, "127.0.0.1:0"));
    REQUIRE_INT(listen_open(&address, sockets, 3), 0);
    CHECK(address.v4.sin_port != 0);
    same = address;
    CHECK_INT(listen_open(&same, others, 3), -EADDRINUSE);
    CHECK_INT(listen_open(&same, others, 1), -EADDRINUSE);
    for (unsigned i = 0; i < 3; i++)
        close(sockets[i]);
    CHECK_INT(listen_open(&same, sockets, 2), 0);
    for (unsigned i = 0; i < 2; i++)
        close(sockets[i]);
}

static struct listen_address local_address(const char *name)
{
    struct listen_address address = {0};
    char text[512];
    snprintf(text, sizeof text, "unix:%s/%s", harness_directory(), name);
    REQUIRE(listen_address_read(&address, text));
    return address;
}

/* A socket in the filesystem: one name for all, nobody else's while somebody listens, and no other file's. */
TEST(in_the_filesystem)
{
    struct listen_address address = local_address("s");
    int sockets[3], others[2];
    REQUIRE_INT(listen_open(&address, sockets, 3), 0);
    CHECK_INT(listen_open(&address, others, 2), -EADDRINUSE);
    close(sockets[0]);
    CHECK_INT(listen_open(&address, others, 2), -EADDRINUSE); /* its duplicates still listen */
    close(sockets[1]);
    close(sockets[2]);
    CHECK_INT(access(address.local.sun_path, F_OK), 0);
    REQUIRE_INT(listen_open(&address, sockets, 1), 0); /* left behind */
    struct listen_address copy = address;
    struct stat status;
    listen_forget(&copy);
    listen_forget(&copy);
    CHECK_INT(access(address.local.sun_path, F_OK), -1);
    address.mode = 0642;
    CHECK_INT(listen_open(&address, others, 1), 0);
    CHECK_INT(lstat(address.local.sun_path, &status), 0);
    CHECK_INT(status.st_mode & 07777, 0642);
    close(others[0]);
    close(sockets[0]);
    CHECK(!listen_address_set_port(&address, "80"));

    address = local_address("file");
    FILE *file = fopen(address.local.sun_path, "w");
    REQUIRE(file != NULL);
    fclose(file);
    CHECK_INT(listen_open(&address, sockets, 2), -EEXIST);
    address = local_address("link");
    REQUIRE_CALL(symlink("s", address.local.sun_path));
    CHECK_INT(listen_open(&address, sockets, 2), -EEXIST);
    address = local_address("nowhere/s");
    CHECK_INT(listen_open(&address, sockets, 2), -ENOENT);
}

/* The kernel gives every socket of the group some of the clients, and they do not delay small writes. */
TEST(clients_are_spread)
{
    struct listen_address address = {0};
    int sockets[2];
    unsigned accepted[2] = {0};
    REQUIRE(listen_address_read(&address, "127.0.0.1:0"));
    REQUIRE_INT(listen_open(&address, sockets, 2), 0);
    for (unsigned i = 0; i < 64; i++) {
        int client = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM, 0));
        REQUIRE_CALL(connect(client, &address.any, address.length));
        struct pollfd polled[2] = {{.fd = sockets[0], .events = POLLIN}, {.fd = sockets[1], .events = POLLIN}};
        REQUIRE_CALL(poll(polled, 2, 5000));
        unsigned which = polled[0].revents ? 0 : 1;
        int server = (int)REQUIRE_CALL(accept(sockets[which], NULL, NULL));
        int no_delay = 0;
        socklen_t length = sizeof no_delay;
        getsockopt(server, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length);
        CHECK(no_delay);
        accepted[which]++;
        close(server);
        close(client);
    }
    CHECK(accepted[0] > 0 && accepted[1] > 0);
    close(sockets[0]);
    close(sockets[1]);
}
