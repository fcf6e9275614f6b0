/* SPDX-License-Identifier: MIT */
/*
 * Passwords of this system's own users, by PAM. Its modules read files and start programs, which a process that has
 * confined itself may not. So another one asks them: it begins before any right is given up, is told names and
 * passwords through a socket, and has a child for each. It ends with the last who has the other end.
 */
#ifndef SERVER_OPERATION_PAM_H
#define SERVER_OPERATION_PAM_H

#include "users.h"

enum { PAM_HOME_SPACE = 1024, PAM_FROM_SPACE = 46 };

struct pam_question {
    struct users_credentials said;
    char from[PAM_FROM_SPACE]; /* the client's address; "": not known */
};

struct pam_answer {
    bool good;                 /* it is his password, and he may come now; never root */
    char home[PAM_HOME_SPACE]; /* as passwd(5) has it */
};

/* Was the program built with it? */
bool pam_is_there(void);

/* Starts the process. Returns the socket, or a negative errno. */
int pam_open(void);

/* Waits for the answer, half a minute at most: for a step on a worker. Any thread. */
void pam_ask(int socket, const struct pam_question *question, struct pam_answer *answer);

#endif
