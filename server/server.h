/* SPDX-License-Identifier: MIT */
/* The file server as the command line sees it. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/config.h"

enum { SERVER_THREADS_MAX = 256 };

/* Serves until a signal ends it, alone. Returns the process's exit code. */
int server_run(const struct config *config);

/*
 * To be called first of all: was this process started by a supervisor, to serve? Then it does, with the supervisor's
 * sockets and a configuration that it found good, and *code is the exit code. False: it was not.
 */
bool server_run_supervised(int *code);

/* Workers that a configuration asks for. */
unsigned server_threads(const struct config *config);

#endif
