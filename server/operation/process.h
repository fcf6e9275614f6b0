/* SPDX-License-Identifier: MIT */
/* The supervisor's child processes, as it sees them. Their events carry the record as user_data. */
#ifndef SERVER_OPERATION_PROCESS_H
#define SERVER_OPERATION_PROCESS_H

#include "handover.h"

enum process_role {
    PROCESS_STARTING, /* has not said yet that it serves */
    PROCESS_SERVING,
    PROCESS_DRAINING, /* another one has taken its place */
    PROCESS_TESTING,  /* a new version, that looks at the configuration */
};

struct process {
    struct process *next;
    enum process_role role;
    pid_t pid;
    int ready; /* the pipe that it says so by; -1: closed */
    errand_source *end, *readiness;
    int64_t started; /* on the queue's clock */
};

struct processes {
    errand_queue *queue;
    struct process *first, *gone;
};

/* Starts this program again as a serving process: an event READY tells that it serves, or will not. Returns 0 or the
 * error. */
int process_start(struct processes *processes, char *const *arguments, struct handover *handover);

/* Starts the program in that file with the same arguments, only to look whether they are good. */
int process_test(struct processes *processes, const char *program, char *const *arguments);

/* Takes in a child that was there before. */
int process_adopt(struct processes *processes, pid_t pid, enum process_role role);

/* After its event READY: whether it serves. */
bool process_reads_ready(struct process *process);

/* Says how it ended, if nobody else has. */
void process_explain(const struct process *process, int status);

/* It has ended. The record stays until processes_free_gone(): events of the same batch may name it. */
void process_forget(struct processes *processes, struct process *process);
void processes_free_gone(struct processes *processes);

/* The first of a role. NULL: none. */
struct process *processes_find(const struct processes *processes, enum process_role role);

/* To all of them. */
void processes_signal(const struct processes *processes, int number);

/* Names those that serve or drain in a handover. False: no memory. */
bool processes_list(const struct processes *processes, struct handover *handover);

/* Lets go of all records, not of the processes. */
void processes_close(struct processes *processes);

#endif
