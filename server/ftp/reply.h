/* SPDX-License-Identifier: MIT */
/*
 * Replies (RFC 959, 4.2). They gather while commands are carried out, and go out together, by a chain beside that of
 * the command: a client that does not read holds up nobody but himself.
 */
#ifndef SERVER_FTP_REPLY_H
#define SERVER_FTP_REPLY_H

#include "errand.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FTP_REPLY_ENOUGH = 16 << 10 }; /* unsent: no further command is begun */

struct ftp_session;

struct ftp_output {
    char *bytes;           /* not sent yet; NULL: none */
    char *sending;         /* what the chain sends */
    errand_id chain;       /* 0: none is under way */
    uint32_t length, room; /* of bytes */
    bool again;            /* they are to follow what the chain sends */
};

/* "250 text\r\n". A text of several lines, each but the last ended by '\n', becomes a reply of several lines. What is
 * put in may have any bytes but NUL: see ftp_reply_path() for names. */
void ftp_reply(struct ftp_session *session, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* 257 "the ""path""" text, quoted as RFC 959, appendix II, has it. */
void ftp_reply_path(struct ftp_session *session, int code, const char *path, const char *text);

/* 213 text, and a path as it is: RFC 959's quotes are those of 257 alone. */
void ftp_reply_name(struct ftp_session *session, int code, const char *text, const char *path);

/* What an error of a file means: 450, 451, 550, 552 or 553 with words. */
void ftp_reply_error(struct ftp_session *session, int error);

/* Ready bytes. */
void ftp_output_add(struct ftp_session *session, const char *bytes, size_t length);

/* Sends what has gathered, as soon as what was sent before is out. */
void ftp_output_flush(struct ftp_session *session);

static inline bool ftp_output_is_idle(const struct ftp_output *output)
{
    return output->chain == 0 && output->length == 0;
}

/* The session is being closed; its chain is cancelled. And when nothing uses it any more: */
void ftp_output_cancel(struct ftp_session *session);
void ftp_output_free(struct ftp_output *output);

#endif
