/* SPDX-License-Identifier: MIT */
/*
 * What is written down of a session: commands that move files, change them, or log in; see record/record.h. One is
 * begun before its command is, and lasts until that is over; who answers says what happens to it meanwhile.
 */
#ifndef SERVER_FTP_RECORD_H
#define SERVER_FTP_RECORD_H

#include "record/record.h"

struct ftp_record;
struct ftp_session;

/* If this command is worth it, and anybody wants to know. */
void ftp_record_begin(struct ftp_session *session, unsigned verb, const char *name, const char *argument);

/* Nothing is done by these four if there is none. A reply was given; a stage is over; a chain has ended. */
void ftp_record_reply(struct ftp_session *session, int code);
void ftp_record_stage(struct ftp_session *session, enum stage stage);
void ftp_record_chain(struct ftp_session *session, const struct errand_event *event);

/* The command is over. path: the file that it was about, if that was another than its argument says; or NULL. */
void ftp_record_end(struct ftp_session *session, const char *path);

/* The session is over, and with it the command: there was no last reply. */
void ftp_record_lost(struct ftp_session *session);

#endif
