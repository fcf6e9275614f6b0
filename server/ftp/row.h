/* SPDX-License-Identifier: MIT */
/* What a listing says of one entry: a line as `ls -l` has it, or the facts of RFC 3659. Knows no session. */
#ifndef SERVER_FTP_ROW_H
#define SERVER_FTP_ROW_H

#include "files/entries.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ftp_fact {
    FTP_FACT_TYPE = 1,
    FTP_FACT_SIZE = 2,
    FTP_FACT_MODIFY = 4,
    FTP_FACT_PERM = 8,
    FTP_FACT_UNIQUE = 16,
    FTP_FACT_MODE = 32,
    FTP_FACT_OWNER = 64,
    FTP_FACT_GROUP = 128,
    FTP_FACTS = 255,
};

/* Room that each of these takes at most, but for names and what a symlink says. */
enum { FTP_ROW_MOST = 256 };

/* These write at `at`, without a NUL, and return the end. */

/* "-rw-r--r--    1 1000     1000          123 Jan 31 12:34 ", as vsftpd has it: clients take it apart by columns and by
 * words. What is not known of the entry is 0. now: seconds; decides whether the time of day or the year is told. */
char *ftp_row_long(char *at, const struct entry *entry, int64_t now);

/* "type=file;size=123; ": of these facts those that are known. target: what a symlink says; NULL: not known. writable:
 * the user may change it. */
char *ftp_row_facts(char *at, unsigned facts, const struct entry *entry, const char *target, bool writable);

/* Names of facts, each with ";". Of all, with a "*" behind those that are on, or of those alone. */
enum { FTP_FACT_NAMES = 96 };
char *ftp_row_names(char *at, unsigned facts, bool all);

/* Which facts a text like that names; what else it has means nothing. */
unsigned ftp_row_choose(const char *text);

#endif
