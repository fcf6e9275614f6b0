/* SPDX-License-Identifier: MIT */
/*
 * Homes of users who are logged in, a worker's: each is a root of its queue, from the first session of its user to the
 * last. And the rate of a user, which all his transfers share: whenever one begins or ends they get new rates, those
 * of other workers by a message.
 */
#ifndef SERVER_FTP_HOMES_H
#define SERVER_FTP_HOMES_H

#include <stdbool.h>
#include <stdint.h>

struct ftp_home;
struct ftp_homes;
struct ftp_session;
struct user;
struct worker;

/* NULL: no memory. */
struct ftp_homes *ftp_homes_open(struct worker *worker);
void ftp_homes_close(struct ftp_homes *homes);

/* A session of this user begins: session->login.home. Returns 0; -EUSERS: he has as many as he may; -ENOMEM. */
int ftp_home_join(struct ftp_session *session, const struct user *user);

/* Is it open; or has the session to open its directory, and hand it over to the home with ftp_home_opened()? */
bool ftp_home_is_open(const struct ftp_home *home);
int ftp_home_opened(struct ftp_session *session, int directory);

int ftp_home_root(const struct ftp_home *home);
bool ftp_home_is_writable(const struct ftp_home *home);

/* Beneath which those of this system's users are. */
int ftp_homes_local(const struct ftp_session *session);

/* A session ends, if it has a home. */
void ftp_home_leave(struct ftp_session *session);

/* A transfer of the session begins; ends. */
void ftp_rate_begin(struct ftp_session *session);
void ftp_rate_end(struct ftp_session *session);

/* Bytes a second that the transfer under way may have; 0: without limit. */
uint64_t ftp_rate(const struct ftp_session *session);

/* Another worker's transfers have begun or ended. */
void ftp_rates_changed(struct ftp_homes *homes);

#endif
