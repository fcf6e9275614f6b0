/* SPDX-License-Identifier: MIT */
/* The file server as the command line sees it. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/config.h"

enum { SERVER_THREADS_MAX = 256 };

/* Serves until a signal ends it. Returns the process's exit code. */
int server_run(const struct config *config);

#endif
