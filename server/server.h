/* SPDX-License-Identifier: MIT */
/* The file server as the command line sees it. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/config.h"

enum { SERVER_THREADS_MAX = 256 };

struct handover;

/* Serves until a signal ends it, alone. Returns the process's exit code. */
int server_run(const struct config *config);

/* Serves with what a supervisor handed over: its sockets, and a configuration that it found good. */
int server_run_supervised(const struct handover *handover);

/* Workers that a configuration asks for. */
unsigned server_threads(const struct config *config);

#endif
