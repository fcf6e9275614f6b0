/* SPDX-License-Identifier: MIT */
/* The ports that a confined process has left for FTP's data connections. */
#include "config/config.h"
#include "operation/confine.h"
#include "operation/landlock.h"
#include "support.h"

#include <arpa/inet.h>

/* Binds a new socket to the port. Returns 0 or an errno; EADDRINUSE: it may, but others have it. */
static int bind_error(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int error = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    return error == EADDRINUSE ? 0 : error;
}

static const struct {
    const char *keys;
    int any, within, without, connected;
} port_rows[] = {
    {"Listen=127.0.0.1:0\n", 0, EACCES, EACCES, 0},
    {"Listen=127.0.0.1:0\nPassivePorts=50100-50199\n", 0, 0, EACCES, 0},
    {"Listen=127.0.0.1:0\nPassivePorts=50100-50199\nActive=no\n", EACCES, 0, EACCES, -EACCES},
    {"Listen=off\nPassivePorts=50100-50199\n", EACCES, EACCES, EACCES, -EACCES},
};

static struct config *config_of(unsigned row)
{
    char why[512] = "";
    FILE *file = fopen(path_of("errand.conf"), "w");
    REQUIRE(file != NULL);
    fprintf(file, "[Ftp]\n%s[Host]\nDirectory=.\n", port_rows[row].keys);
    fclose(file);
    struct config *config = config_new();
    REQUIRE(config != NULL);
    bool good = config_read(config, path_of("errand.conf"), why, sizeof why) && config_finish(config, why, sizeof why);
    harness_note("%s", why);
    REQUIRE(good);
    return config;
}

static void check_ports(enum errand_backend backend, unsigned row)
{
    char why[512] = "";
    uint16_t port;
    int listener = make_listener(&port), client = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    REQUIRE_CALL(getsockname(listener, (struct sockaddr *)&address, &length));
    struct config *config = config_of(row);
    struct sites sites;
    REQUIRE(sites_open(&sites, config, why, sizeof why));
    REQUIRE_INT(confine_files(&(struct confine){.config = config, .sites = &sites}, why, sizeof why), 1);
    harness_at("%s", port_rows[row].keys);
    errand_queue *queue = open_queue(backend, NULL);
    CHECK_INT(bind_error(0), port_rows[row].any);
    CHECK_INT(bind_error(50100), port_rows[row].within);
    CHECK_INT(bind_error(50199), port_rows[row].within);
    CHECK_INT(bind_error(50200), port_rows[row].without);
    errand_chain *chain = new_chain(queue);
    errand_step_connect(chain, client, &address, length);
    submit(chain, NULL, 0);
    CHECK_INT(next_event(queue).error, port_rows[row].connected);
    close_queue(queue);
    close(client);
    close(listener);
    sites_close(&sites);
    config_free(config);
    for (int fd = 3; fd < 64; fd++) /* paths that are kept for the process's life */
        if (fcntl(fd, F_GETFL) >= 0 && (fcntl(fd, F_GETFL) & O_PATH))
            close(fd);
}

/* Each in a process of its own: nothing is given back. */
#define PORTS(number)                                                                                                  \
    TEST_EACH_BACKEND(ports_of_row_##number)                                                                           \
    {                                                                                                                  \
        if (landlock_version() < 4)                                                                                    \
            SKIP("this kernel's Landlock knows no ports");                                                             \
        check_ports(backend, number);                                                                                  \
    }
PORTS(0)
PORTS(1)
PORTS(2)
PORTS(3)
