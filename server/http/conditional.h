/* SPDX-License-Identifier: MIT */
/* Conditional requests: has the client the current version already? */
#ifndef SERVER_HTTP_CONDITIONAL_H
#define SERVER_HTTP_CONDITIONAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does a list of entity tags, or "*", name this one? tag: with its quotes, without W/. Weak comparison. */
bool http_tag_in_list(const char *list, size_t length, const char *tag, size_t tag_length);

enum { HTTP_TAG_SPACE = 56 };

/* Writes the entity tag of a file's version, in quotes; returns its length, less than HTTP_TAG_SPACE. */
size_t http_tag_write(char *out, int64_t modified_ns, uint64_t size, uint64_t inode);

#endif
