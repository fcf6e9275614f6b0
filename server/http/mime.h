/* SPDX-License-Identifier: MIT */
/* Which media type a file has, by its name. */
#ifndef SERVER_HTTP_MIME_H
#define SERVER_HTTP_MIME_H

#include <stddef.h>

enum { MIME_LINE_MAX = 160 };

struct mime_types;

/*
 * Reads a mime.types file on top of the built-in table (NULL or an unreadable one: that table alone). NULL: no memory.
 * Read-only afterwards, so threads may share it.
 */
struct mime_types *mime_types_open(const char *file);
void mime_types_close(struct mime_types *types);

/* The whole header line, "Content-Type: text/html; charset=utf-8\r\n", of at most MIME_LINE_MAX bytes, and its
 * length. */
const char *mime_line(const struct mime_types *types, const char *path, size_t path_length, size_t *length);

#endif
