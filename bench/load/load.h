/* SPDX-License-Identifier: MIT */
/* What the load generator's parts share: what was asked of it, its connections, and what it has counted. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "errand.h"
#include "histogram.h"

struct path {
    char *request; /* "GET ..." whole, ready to send */
    char *path;
    size_t request_length;
    uint64_t bytes;
};

struct connection {
    int fd;
    errand_source *source;   /* NULL: given up */
    const struct path *path; /* asked for, NULL: none */
    int64_t due_ns;          /* when the request was sent, or should have been */
    uint32_t waiting;        /* with a rate: requests due behind this one */
    uint32_t asked, number;
    uint64_t body_left, body_got;
    unsigned head_length;
    bool in_body, checked;
    bool sending; /* the chain that sends the request has not ended */
    bool last;    /* it was asked, or answered, for the last time */
    bool ended;   /* the server has closed it */
    char *head;   /* HEAD_MAX bytes */
};

struct options {
    struct sockaddr_in address;
    const char *check, *paths_file;
    FILE *trace;
    uint32_t connections, each, path_count;
    int64_t duration_ns;
    double rate;                            /* requests a second, 0: as fast as they are answered */
    bool hold, spin, wait, connection_each; /* the last: a new connection for each request */
    struct path *paths;
};

struct load {
    errand_queue *queue;
    struct connection *connections;
    struct histogram times;
    uint64_t requests, bytes, wrong_status, wrong_length, wrong_body, closed, failed, renewed;
    uint32_t busy; /* connections that wait for an answer, or for the end that it announced */
    int64_t started_ns, last_ns;
    uint64_t random;
    bool warming, ending;
};

extern struct options options;
extern struct load load;

/* options.c: fills in options, paths among them, or ends the program with a message. */
void read_options(int argc, char **argv);

/* connection.c */
void connect_all(void);
void ask(struct connection *connection, int64_t due_ns);
bool can_ask(const struct connection *connection);
void take_time(const struct connection *connection, int64_t now);
void take_chain_event(struct connection *connection, int error);
void take_data_event(struct connection *connection, const struct errand_event *event);

/* load.c */
_Noreturn void die(const char *what, int error);
int64_t now_ns(void);
int64_t period_ns(void); /* with a rate: between two requests of one connection */

#endif
