/* SPDX-License-Identifier: MIT */
/*
 * A command that takes a chain, or some of them in succession; with a data connection it is a transfer. One exists from
 * its beginning until its last reply.
 */
#ifndef SERVER_FTP_TASK_H
#define SERVER_FTP_TASK_H

#include "login.h"
#include "session.h"

struct ftp_task {
    struct ftp_session *session;
    errand_chain *chain; /* being described */
    char *path;          /* as ftp_path_make() gives it */
    int root;
    /* Its chain ended. Either the last reply is given and ftp_task_end() called, or another chain submitted. */
    void (*ended)(struct ftp_task *task, const struct errand_event *event);
    void (*release)(struct ftp_task *task); /* gives back what `more` refers to; NULL: nothing */
    void *more;                             /* the command's own, freed with it */
    struct errand_stat stat;
    int64_t offset;    /* where a transfer begins in its file */
    errand_call go_on; /* of a transfer, when its data connection is there */
    int step, look;    /* of the chain under way */
    int64_t stall_ns;  /* the chain under way may stand still for so long */
    bool transfer;     /* has a data connection */
    bool stores;       /* by it a file comes in: only while the client is there */
    bool keeps;        /* it has come: too late for ABOR */
    bool awaits;       /* that it comes */
    bool begun;        /* 150 was said */
    bool aborted;      /* by ABOR */
    bool replied;      /* the last reply was given within the chain */
};

/*
 * Begins one on what the argument names, if the user may do that; else replies, and returns NULL. Its chain is to be
 * described and given to ftp_task_submit(); more_size: of `more`, zeroed.
 */
struct ftp_task *ftp_task_begin(struct ftp_session *session, const char *argument, enum ftp_right right,
                                size_t more_size, void (*ended)(struct ftp_task *, const struct errand_event *));

/* The same of a command that names nothing. */
struct ftp_task *ftp_task_begin_bare(struct ftp_session *session, size_t more_size,
                                     void (*ended)(struct ftp_task *, const struct errand_event *));

/* The same of a transfer, which needs a data connection, and begins where REST said. */
struct ftp_task *ftp_transfer_begin(struct ftp_session *session, const char *argument, enum ftp_right right,
                                    size_t more_size, void (*ended)(struct ftp_task *, const struct errand_event *));

/* The file's path beneath the root. */
const char *ftp_task_file(const struct ftp_task *task);

/* Submits task->chain; if that fails, replies and ends the task. */
void ftp_task_submit(struct ftp_task *task);

/* A further chain, to be described: task->chain. Returns 0 or the error. */
int ftp_task_next(struct ftp_task *task);

/* In a call step: the command cannot be carried out, as was said by a reply. What would follow is dropped. */
int ftp_task_give_up(struct ftp_task *task, errand_chain *chain);

/* The last reply was given. Ends a transfer's data connection, too. */
void ftp_task_end(struct ftp_task *task);

/* Of a transfer, in a call step when all is judged: says 150 with these words, and appends what makes the data
 * connection, if it is not there, and then calls go_on. small: all that will be sent fits into the socket, so the 150
 * may go out with the last reply. Returns 0 or the error. */
int ftp_task_open_data(struct ftp_task *task, errand_chain *chain, bool small, errand_call go_on, const char *words);

/* Of a transfer that ended with this event: gives its reply, 226 or what went wrong, and ends the task. */
void ftp_task_end_transfer(struct ftp_task *task, const struct errand_event *event);

#endif
