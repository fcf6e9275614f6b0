/* SPDX-License-Identifier: MIT */
/*
 * The small process that stands above the serving one, as long as the service lives. It keeps what outlives a
 * configuration and a version: the listening sockets, the service manager's trust, the rights of its user. It never
 * touches a client or a file that is served.
 *
 *     SIGHUP    reload: a new process with the new configuration; when it serves, the one before drains
 *     SIGUSR2   upgrade: the program's file, if it likes the configuration, takes this process's place and reloads
 *     SIGUSR1   the access log was renamed
 *     SIGQUIT   ends when the last client has gone
 *     SIGTERM, SIGINT   ends soon; a second one, at once; a third kills
 *
 *       starting ---- it serves ----> serving ---- another one serves ----> draining ----> gone
 *          |                             |
 *          +-- ends: the one before      +-- ends unasked: it is started again, with the configuration it had
 *              goes on serving
 *
 * Serving processes are started by an exec of this program, so they begin with nothing but what handover.h names, and
 * the configuration that they get is the text of what was found good here. A reload that fails changes nothing.
 */
#ifndef SERVER_OPERATION_SUPERVISOR_H
#define SERVER_OPERATION_SUPERVISOR_H

struct config;

struct supervisor_options {
    /* Reads the configuration anew. NULL: it is not good, standard error says why, and *code is the exit code if there
     * is nothing else to serve with. */
    struct config *(*load)(void *context, int *code);
    void *context;
    char *const *arguments; /* of this program, from its name on, with a NULL at the end: to start it again */
};

/* Until a signal ends it, perhaps in the place of a supervisor of an older version. Returns the exit code. */
int supervisor_run(const struct supervisor_options *options);

#endif
