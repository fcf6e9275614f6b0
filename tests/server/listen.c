/* SPDX-License-Identifier: MIT */
/* Addresses as people type them, and the port that nobody else may have. */
#include "harness.h"
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
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
