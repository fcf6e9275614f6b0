/* SPDX-License-Identifier: MIT */
/*
 * What the server and the service manager that started it (systemd) tell each other, by the protocols that
 * sd_notify(3) and sd_listen_fds(3) describe: a few lines of the environment and a datagram. No library is needed.
 */
#ifndef SERVER_OPERATION_NOTIFY_H
#define SERVER_OPERATION_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Tells the manager how this process is: lines like "READY=1\nSTATUS=serves /srv/www". Never waits. Returns 0, also if
 * no manager asked (no $NOTIFY_SOCKET); -EAGAIN when it has no room for the message now (READY=1 had better be sent
 * again); -EINVAL when the variable holds no socket's name; otherwise what sending failed with.
 */
int notify_state(const char *state);

/*
 * The same in two steps, for a process that gives up the right to make sockets before it has something to tell.
 * *manager is the caller's, to be closed; -1 if no manager asked, and then nothing is sent.
 */
int notify_connect(int *manager);
int notify_send(int manager, const char *state);

/* A listening socket that the manager opened. */
struct activation_socket {
    int fd;           /* non-blocking, closed by exec */
    const char *name; /* FileDescriptorName= of its unit, by default the unit's; "" if none was given */
};

/* All of them, in the order of the unit. */
struct activation {
    struct activation_socket *list;
    unsigned count;
    char *names; /* what the names point to */
};

/*
 * Takes over what the manager opened for this process ($LISTEN_PID, $LISTEN_FDS, $LISTEN_FDNAMES), and takes the
 * variables away, so that no child mistakes them for its own. Nothing for this process is a success with count 0.
 * False: something there is no listening stream socket of IPv4, IPv6 or the filesystem; why names it, what was given
 * stays open, and the list is empty. To be called once, on the process's only thread.
 */
bool activation_take(struct activation *activation, char *why, size_t why_size);

/* Frees the list. The sockets stay open, they are the caller's. */
void activation_free(struct activation *activation);

#endif
