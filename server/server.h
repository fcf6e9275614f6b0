/* SPDX-License-Identifier: MIT */
/* The file server as the command line sees it. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "errand.h"
#include "listen.h"
#include "record/format.h"

enum { SERVER_THREADS_MAX = 256 };

struct server_options {
    const char *directory;
    struct listen_address http;
    struct listen_address status; /* length 0: off */
    const char *access_log;       /* "-": standard output; NULL: none */
    enum access_format log_format;
    enum errand_backend backend;
    unsigned threads; /* 0: as many as there are cores for this process */
};

/* Serves until a signal ends it. Returns the process's exit code. */
int server_run(const struct server_options *options);

#endif
