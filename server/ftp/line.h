/* SPDX-License-Identifier: MIT */
/*
 * Lines of a control connection (RFC 959, 5.3; RFC 1123, 4.1.2.12; RFC 2640, 3.1). A line ends with LF, and a CR before
 * it is not part of it. Telnet codes are taken out (some clients send IP and DM before ABOR), and so that names can
 * have any byte in them CR NUL stands for CR, and, as other servers and clients have it, NUL alone for LF.
 */
#ifndef SERVER_FTP_LINE_H
#define SERVER_FTP_LINE_H

#include <stddef.h>

enum { FTP_LINE_MAX = 4096 + 64 }; /* the longest path, and a verb */

struct ftp_line {
    size_t length;
    char text[FTP_LINE_MAX + 1]; /* ends with NUL; has no other */
};

/* Takes the first line. Returns the bytes that it took, its end included; 0: there is no end yet. A line that is too
 * long is taken, too, and has the length FTP_LINE_MAX + 1 and no text. */
size_t ftp_line_read(struct ftp_line *line, const char *data, size_t length);

/* Splits it into the verb, as a number that ftp_verb() gives for its letters in upper case, and what follows it: the
 * argument, "" if there is none. A verb of other characters, or of more than four, is 0. */
unsigned ftp_line_split(struct ftp_line *line, char **argument);

enum ftp_line_form {
    FTP_LINE_DATA,   /* of a listing: a CR stays alone; clients that take CR NUL apart there are not known, and others
                        would have the NUL in the name, or its end there */
    FTP_LINE_REPLY,  /* as above, and Telnet's IAC twice */
    FTP_LINE_QUOTED, /* and each quotation mark twice */
};

/* Writes a name so that a line can hold it. out: room for twice as many bytes. Returns how many they are. */
size_t ftp_line_encode(char *out, const char *name, enum ftp_line_form form);

/* "STOR" as a number. */
static inline unsigned ftp_verb(const char *name)
{
    unsigned verb = 0;
    for (; *name; name++)
        verb = verb << 8 | (unsigned char)*name;
    return verb;
}

#endif
