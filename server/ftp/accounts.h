/* SPDX-License-Identifier: MIT */
/*
 * The users that Users= names, for all workers of a server: who they are, and what they use at this moment. A home is
 * treated as a host of its own, without rules: so what is asked of a path asks nothing about users.
 */
#ifndef SERVER_FTP_ACCOUNTS_H
#define SERVER_FTP_ACCOUNTS_H

#include "sites.h"

#include <stdatomic.h>

struct peers;
struct users;

/* What one user uses. */
struct ftp_account {
    atomic_uint sessions;  /* logged in */
    atomic_uint transfers; /* of those under way, that share his rate */
};

struct ftp_accounts {
    struct users *users;      /* NULL: there are anonymous ones only */
    struct ftp_account *list; /* by a user's number */
    int pam;                  /* where users of this system are asked for: operation/pam.h; -1: nowhere */
    int local;                /* the directory of their homes; -1: none */
    struct peers *guesses;    /* addresses that wrong passwords came from */
    struct config_host hosts[2];
    struct site homes[2]; /* of who may not write in his; of who may */
};

/* Reads the file, and looks whether the homes are there. False: why says what is wrong and what to do. */
bool ftp_accounts_open(struct ftp_accounts *accounts, const struct config *config, char *why, size_t why_size);
void ftp_accounts_close(struct ftp_accounts *accounts);

#endif
