/* SPDX-License-Identifier: MIT */
/* From the path of a URL to the path of a file beneath the root. */
#ifndef SERVER_PATH_H
#define SERVER_PATH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Decodes and normalises a URL's path, which begins with "/". out gets the file's path without a leading slash,
 * ended by NUL, and needs length + 2 bytes. *directory: it names a directory by its slash (or "." or ".."; then out is
 * empty or ends with "/"). *hidden: some name begins with a dot, and is not ".well-known".
 * Returns its length; -400: malformed, or leads above the root; -404: a name that no file served here can have (one
 * that has a slash in it, or is the library's own for a file under way).
 */
int path_from_url(const char *url, size_t length, char *out, bool *directory, bool *hidden);

/* Encodes a path for a URL; out needs 3 * length bytes. Returns the end. */
char *path_to_url(char *out, const char *path, size_t length);

#endif
