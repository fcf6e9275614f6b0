/* SPDX-License-Identifier: MIT */
/* Dates as HTTP writes them: "Sun, 06 Nov 1994 08:49:37 GMT". */
#ifndef SERVER_HTTP_DATE_H
#define SERVER_HTTP_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_DATE_LENGTH = 29 };

/* Writes HTTP_DATE_LENGTH bytes, no NUL. Seconds since 1970; beyond the years 0 to 9999 the nearest of them. */
void http_date_write(char *out, int64_t seconds);

/* Reads any of the three forms of RFC 9110. False: it is none of them. */
bool http_date_read(const char *text, size_t length, int64_t *seconds);

#endif
