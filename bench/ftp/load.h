/* SPDX-License-Identifier: MIT */
/* What the parts of the FTP load generator share: what was asked of it, its sessions, and what it has counted. */
#ifndef BENCH_FTP_LOAD_H
#define BENCH_FTP_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../load/histogram.h"

#define SECOND INT64_C(1000000000)

struct path {
    char *name;
    uint64_t bytes;
};

enum state { GONE, GREETING, USER, PASSWORD, TYPE, IDLE, PASSIVE, BEGINNING, MOVING, QUITTING, CLOSING };

enum action { RETRIEVE, STORE, LIST };

struct session {
    int fd, data;       /* -1: none */
    int file;           /* to compare with; -1: none */
    enum state state;   /* what is waited for */
    enum action action; /* of the transfer under way */
    const struct path *path;
    uint64_t moved;    /* bytes of the transfer under way */
    int64_t due_ns;    /* when the session, or the kept session's transfer, began, or should have begun */
    uint32_t waiting;  /* with a rate: transfers due behind this one */
    uint32_t asked;    /* sessions, or transfers of a kept one, that were begun */
    uint32_t finished; /* and that came to their end */
    uint32_t number;
    bool said, ended; /* of a transfer: that it is complete, by its reply; the data connection's end */
    unsigned length;
    char line[1024]; /* of a reply, so much as has come */
};

struct options {
    struct sockaddr_in address;
    const char *check, *paths_file;
    FILE *trace;
    uint32_t sessions, each, path_count;
    int64_t duration_ns, patience_ns;
    double rate; /* transfers a second, 0: as fast as they are answered */
    bool keep, list, store, spin, wait, warm;
    struct path *paths;
};

struct load {
    int poll;
    struct session *sessions;
    struct histogram times;
    uint64_t transfers, bytes, wrong_code, wrong_length, wrong_body, closed, turned_away;
    uint32_t begun;   /* of the sessions: so many were opened for the first time */
    uint32_t entered; /* and so many had logged in */
    uint32_t busy;    /* sessions, or transfers of kept ones, that have not come to their end */
    int64_t started_ns, last_ns;
    uint64_t random;
    bool refused; /* the server knows no such command */
    bool warming, ending;
};

extern struct options options;
extern struct load load;

/* options.c: fills in options, paths among them, or ends the program with a message. */
void read_options(int argc, char **argv);

/* session.c: the control connection. */
void open_session(struct session *session, int64_t due_ns);
void begin_transfer(struct session *session, int64_t due_ns);
void transfer_over(struct session *session);
void take_control_event(struct session *session);
void give_up(struct session *session, uint64_t *counter, const char *what);
void take_time(const struct session *session, int64_t now);

/* transfer.c: the data connection. */
void open_data(struct session *session, unsigned port);
void close_data(struct session *session);
void take_data_event(struct session *session);
void make_pattern(void);

/* load.c */
_Noreturn void die(const char *what, int error);
int64_t now_ns(void);
int64_t period_ns(void);                              /* with a rate: between two transfers of one session */
int connect_to(unsigned port);                        /* a socket that is being connected, to the server */
void poll_for(int fd, unsigned events, void *tagged); /* see tag() */
bool may_begin(const struct session *session);        /* one more */

/* What an event is of: a session's data connection, else its control connection. */
static inline void *tag(struct session *session, bool data)
{
    return (char *)session + data;
}

#endif
