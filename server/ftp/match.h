/* SPDX-License-Identifier: MIT */
/* Patterns of names in a directory, as clients send them for LIST and NLST. */
#ifndef SERVER_FTP_MATCH_H
#define SERVER_FTP_MATCH_H

#include <stdbool.h>

/* Has it anything in it that stands for something else? */
bool ftp_match_is_pattern(const char *name);

/*
 * "*" is anything, "?" one character (of UTF-8, or one byte that is none), "[a-z]" one byte of these, "[!a-z]" or
 * "[^a-z]" one of the others; what is not closed is itself, and so is all else. Takes time proportional to the product
 * of the lengths at most, however many stars there are.
 */
bool ftp_match(const char *pattern, const char *name);

#endif
