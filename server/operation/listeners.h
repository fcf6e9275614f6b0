/* SPDX-License-Identifier: MIT */
/*
 * All that a server listens on: for each address some sockets, which a supervisor opens, keeps over reloads and
 * upgrades, and passes to each serving process.
 *
 * The number of an address's sockets never changes while it is listened on, whatever becomes of the number of threads:
 * a socket more or less moves clients between the sockets of a port (SO_REUSEPORT), and closing one resets those that
 * wait in its backlog. Threads share sockets, or have several, instead.
 */
#ifndef SERVER_OPERATION_LISTENERS_H
#define SERVER_OPERATION_LISTENERS_H

#include "config/config.h"

enum listener_kind { LISTENER_HTTP, LISTENER_FTP, LISTENER_STATUS, LISTENER_KINDS };

/* "http", "ftp", "status": as a socket unit names them, with FileDescriptorName= */
extern const char *const listener_kinds[LISTENER_KINDS];

struct listener {
    struct listen_address configured; /* what it is known by over a reload: port 0 stays port 0 */
    struct listen_address address;    /* with the port that the system chose */
    int *sockets;                     /* -1: given away */
    unsigned count;
    uint8_t kind;  /* enum listener_kind: whom it leads to; the status is not the service */
    bool given;    /* by a service manager: takes the place of what is configured for its kind */
    bool borrowed; /* somebody else removes the file of a local one at the end */
};

struct listeners {
    struct listener *list; /* in order of their kinds */
    unsigned count;
};

/*
 * Opens what a configuration says, with so many sockets for each address of the service and one for each of the status;
 * what `running` (may be empty) has already is shared with it, and listeners that were given to it are taken instead of
 * configured ones. False: why says what is wrong, and nothing more is open than before.
 */
bool listeners_open(struct listeners *listeners, const struct config *config, unsigned sockets,
                    const struct listeners *running, char *why, size_t why_size);

/* Closes the sockets that are not also in `kept` (NULL: all), removes the files of theirs that nobody else does, and
 * frees the list. */
void listeners_close(struct listeners *listeners, const struct listeners *kept);

/* Closes the service's, so that nobody waits there in vain, and leaves the status's. */
void listeners_close_service(struct listeners *listeners);

/* Frees the list alone. */
void listeners_free(struct listeners *listeners);

/* Adds one that is open. False: no memory. */
bool listeners_add(struct listeners *listeners, const struct listener *listener, const int *sockets);

/* Adds those that a service manager gave to this process, of which "ftp" and "status" name some. False: why. */
bool listeners_take_given(struct listeners *listeners, char *why, size_t why_size);

/* Nobody is to come through its file any more, unless that is somebody else's. */
void listener_forget(struct listener *listener);

/* As errand.conf(5) has it: "127.0.0.1:8080", "unix:/run/errand". */
void listener_name(const struct listen_address *address, char out[LISTEN_URL_SPACE]);

#endif
