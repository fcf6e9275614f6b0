/* SPDX-License-Identifier: MIT */
/*
 * What the serving process gives up before it has to do with a client, so that a mistake in it is no way to the rest of
 * the machine: files (Landlock) and system calls (seccomp). Neither can be undone; both hold for this thread and what
 * it starts afterwards (threads, rings and their kernel workers), so the time is after everything was opened and the
 * identity taken, and before the first queue.
 */
#ifndef SERVER_OPERATION_CONFINE_H
#define SERVER_OPERATION_CONFINE_H

#include "config/config.h"
#include "listeners.h"
#include "sites.h"

struct users;

struct confine {
    const struct config *config;
    const struct sites *sites;
    const struct listeners *listeners; /* some of whose files this process removes at its end; NULL: none */
    const struct users *users;         /* whose homes are served, too; NULL: nobody's */
};

enum { CONFINE_WORDS = 256 };

/*
 * Gives up what the keys Landlock and Seccomp say. True: words say what was done, as in "confined to its files".
 * False: words say what is wrong, and the remedy; the process must not serve.
 */
bool confine(const struct confine *confine, char words[CONFINE_WORDS]);

/*
 * By Landlock, all but: reading the sites' directories and homes, changing what is in those that are writable; writing,
 * and making anew, the access log; removing the files of listeners that are its own; reading /proc/self. Programs, TCP
 * ports but those of FTP's data connections, abstract sockets and signals to others are given up with it as far as the
 * kernel can. Returns 1; 0 if this kernel lacks what it takes; -1 if it failed: why says what, for both.
 */
int confine_files(const struct confine *confine, char *why, size_t why_size);

/*
 * By seccomp, all system calls but those that serving takes; with FTP (ftp->listen) those for its data connections are
 * among them. The others answer as if the kernel did not know them. Returns 0 or a negative errno. io_uring does what
 * it is told without them, so what goes through a ring is confined by Landlock alone.
 */
int confine_calls(const struct config_ftp *ftp);

#endif
