/* SPDX-License-Identifier: MIT */
/* Who a session's user is, and what he may do. */
#ifndef SERVER_FTP_LOGIN_H
#define SERVER_FTP_LOGIN_H

#include "cache/links.h"

#include <stdbool.h>
#include <stdint.h>

struct ftp_home;
struct ftp_session;
struct site;

enum ftp_right {
    FTP_RIGHT_READ,  /* fetch it, list it, look at it */
    FTP_RIGHT_WRITE, /* make, replace, rename, remove it */
};

struct ftp_login {
    char *name;              /* that USER gave; NULL: none */
    char *mail;              /* that an anonymous one gave for a password, for the logs; NULL: none */
    const struct site *host; /* that HOST chose; NULL: the default one */
    const struct site *site; /* whose directory is his home */
    struct ftp_home *home;   /* of Users=; NULL: he is anonymous */
    struct link transfer;    /* the one under way shares the rate of a home: see homes.h */
    int root;                /* the home, as errand_root_add() gave it */
    bool good;               /* he has shown who he is */
    uint8_t failures;
};

/* May he do that with what is at the path (absolute, of his home)? */
bool ftp_may(const struct ftp_session *session, const char *path, enum ftp_right right);

/* Has he come without a password? */
bool ftp_is_anonymous(const struct ftp_session *session);

/* May a directory become another, with all that is beneath it: is nothing of it somebody else's affair, at either end,
 * or shown there that was hidden? Of both he may write to what they are themselves. */
bool ftp_may_move(const struct ftp_session *session, const char *from, const char *to);

void ftp_login_forget(struct ftp_login *login);

/* Has the password of session->login.name looked at, and lets him in or not: a task. */
void ftp_verify(struct ftp_session *session, const char *password);

/* He may come in: his home is this root, and treated as this site. */
void ftp_enter(struct ftp_session *session, const struct site *site, int root);

#endif
