/* SPDX-License-Identifier: MIT */
/*
 * Lines of the access log. Whatever a client sent, a line stays one line with the fields that it should have: control
 * bytes, quotes and backslashes are escaped, and what is too long is cut, with "..." in place of the rest.
 */
#ifndef SERVER_RECORD_FORMAT_H
#define SERVER_RECORD_FORMAT_H

#include "config/config.h"
#include "stages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line is at most so long: what a pipe takes whole or not at all, so that workers' lines do not mix in one. */
enum { ACCESS_LINE_MAX = 4096 };

struct access_text {
    const char *bytes;
    size_t length; /* 0: absent */
};

/* What a line of the log of transfers has, too: see xferlog(5). All zero: it is none. */
struct access_transfer {
    char direction; /* 'o': to the client, 'i': from him */
    bool ascii;     /* lines were converted */
    bool anonymous;
    bool complete;
};

struct access_entry {
    unsigned char client[16];                   /* an IPv6 address, or an IPv4 one mapped into it; all zero: unknown */
    struct access_text method, target, version; /* of a line that is no request, all of it is the target */
    struct access_text host, referer, agent, user;
    struct access_transfer transfer;
    bool ftp;         /* a command, which is no line of the combined format */
    int status;       /* 0: none was sent */
    uint64_t bytes;   /* of the body, as the socket took them; of FTP: over the data connection */
    int64_t began_us; /* since 1970 */
    struct stage_times times;
    const char *failed; /* the step that failed; NULL: none */
    const char *error;  /* its error's name */
};

/* What lines of the same second share. All zero at first. */
struct access_clock {
    int64_t second;
    size_t length;
    char local[32]; /* "10/Oct/2000:13:55:36 -0700" */
    char utc[24];   /* "2000-10-10T20:55:36" */
    char plain[28]; /* "Tue Oct 10 13:55:36 2000" */
};

/* Has a log of this format a line for it? */
bool access_has_line(enum config_log_format format, const struct access_entry *entry);

/* Writes a line, its newline included, in at most ACCESS_LINE_MAX bytes. Returns its end. */
char *access_format(char *out, enum config_log_format format, const struct access_entry *entry,
                    struct access_clock *clock);

/* A line that says how many are missing at this place. */
char *access_format_dropped(char *out, enum config_log_format format, uint64_t dropped, int64_t now_us,
                            struct access_clock *clock);

/* A client's address in words; out has 46 bytes. Returns the end. */
char *access_address(char *out, const unsigned char address[16]);

#endif
