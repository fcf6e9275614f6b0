/* SPDX-License-Identifier: MIT */
/*
 * What a supervisor passes on when it starts a serving process, or lets a new version of itself take its place: the
 * numbers of inherited descriptors and processes, as lines of the environment variable ERRAND_HANDOVER:
 *
 *     supervisor 4711                              who started this serving process
 *     ready 9                                      a pipe to tell when it serves
 *     config 8                                     a file with the configuration, whose paths begin where we are
 *     serving 4712                                 the supervisor's processes
 *     draining 4700
 *     listener service own 5,6 127.0.0.1:0         sockets, and what they are configured as
 *     listener status borrowed 7 unix:/run/status
 */
#ifndef SERVER_OPERATION_HANDOVER_H
#define SERVER_OPERATION_HANDOVER_H

#include "listeners.h"

#include <sys/types.h>

struct handover {
    struct listeners listeners;
    pid_t supervisor; /* 0: not from one to a serving process */
    int ready;        /* -1: nobody wants to know */
    int config;       /* -1: none */
    pid_t serving;    /* 0: none */
    pid_t *draining;
    unsigned draining_count;
};

/* False: no memory. */
bool handover_add_draining(struct handover *handover, pid_t pid);

/* As text, to be freed. NULL: no memory. */
char *handover_write(const struct handover *handover);

/* False: the text makes no sense, or no memory; the handover is empty. */
bool handover_read(struct handover *handover, const char *text);

/* Writes it into this process's environment, and lets its descriptors outlive an exec; or takes that back. */
bool handover_offer(const struct handover *handover);
void handover_withdraw(const struct handover *handover);

/* Is there one, from a supervisor to a process that is to serve? */
bool handover_is_to_serve(void);

/* What this process was handed over, which is taken out of its environment. False: what is there makes no sense.
 * Nothing there is an empty handover, and a success. */
bool handover_take(struct handover *handover);

/* Frees the lists; sockets and files stay open. */
void handover_free(struct handover *handover);

#endif
