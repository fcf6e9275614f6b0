/* SPDX-License-Identifier: MIT */
/* Messages to the operator, on standard error. They never hold bytes that a client chose. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

/* One line, "errand: ..."; printf's format. More than ten in a second are counted instead of written. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
