/* SPDX-License-Identifier: MIT */
/*
 * FTP (RFC 959, 1123, 2389, 2428, 2640, 3659, 7151) on a control connection: commands one after the other, pipelined
 * or not, their replies in order. A command either is carried out at once, or is a task: a chain (task.h), during
 * which only ABOR and STAT are obeyed; what else comes waits. Idle, a session is this record, its directory's path, and
 * nothing more.
 *
 *     line.h        from bytes to commands          task.h        a command that takes a chain
 *     command.h     which there are                 data.h        the data connection of a transfer
 *     reply.h       replies                         ports.h       where passive ones are accepted
 *     login.h       who may do what                 path.h        from names to paths
 *     accounts.h    users with passwords            homes.h       where they are, and how fast
 *     record.h      what is written down
 *
 * TLS (RFC 4217) will be a filter on both connections, and AUTH, PBSZ and PROT commands of login.c.
 */
#ifndef SERVER_FTP_SESSION_H
#define SERVER_FTP_SESSION_H

#include "config/config.h"
#include "connection.h"
#include "data.h"
#include "login.h"
#include "reply.h"
#include "users.h"

struct ftp_homes;
struct ftp_ports;
struct ftp_record;
struct ftp_task;
struct worker;

struct ftp_session {
    struct connection base;
    struct ftp_output output;
    struct ftp_data data;
    struct ftp_login login;
    struct ftp_task *task;     /* the command under way; NULL: none */
    struct ftp_record *record; /* what will be written down of it; NULL: nothing */
    char *held;                /* input that cannot be used yet; NULL: none */
    char *directory;           /* as ftp_path_make() gives it; NULL: the home */
    char *rename_from;         /* of RNFR; NULL: none */
    int64_t restart;           /* of REST: where the next transfer begins */
    uint32_t held_length;
    uint8_t hash;      /* what HASH gives: see hash.c */
    uint8_t facts_off; /* by OPTS MLST; see row.h */
    bool ascii;        /* TYPE A */
    bool skips;        /* the rest of a line that is too long */
    bool quits;        /* 221 or 421 was said: it ends when that is out */
    bool only_epsv;    /* EPSV ALL: no other way to a data connection */
};

/* What the sessions of one worker have in common. */
struct ftp_shared {
    struct worker *worker;
    struct ftp_ports *ports;
    struct ftp_homes *homes;
    struct users_cache logins;
};

extern const struct protocol ftp_protocol;

/* NULL: no memory. */
struct ftp_shared *ftp_shared_open(struct worker *worker);
void ftp_shared_close(struct ftp_shared *shared);

static inline struct ftp_session *ftp_session_of(struct connection *connection)
{
    return (struct ftp_session *)connection;
}

/* These need worker.h. */
struct ftp_shared *ftp_session_shared(const struct ftp_session *session);
const struct config_ftp *ftp_session_config(const struct ftp_session *session);
errand_queue *ftp_session_queue(const struct ftp_session *session);

/* After anything happened: sends replies, and says what is waited for. go_on: there may be commands to be begun. */
void ftp_session_settle(struct ftp_session *session, bool go_on);

/* Says that it is over, and ends it when that is out. */
void ftp_session_end(struct ftp_session *session, int code, const char *text);

/* Forgets the user, and all that he has set up. */
void ftp_session_forget(struct ftp_session *session);

#endif
