/* SPDX-License-Identifier: MIT */
/* Conditional requests (RFC 9110, 13): has the client the current version already, or another one than it thinks? */
#ifndef SERVER_HTTP_CONDITIONAL_H
#define SERVER_HTTP_CONDITIONAL_H

#include "request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does a list of entity tags, or "*", name this one? tag: with its quotes, without W/. Weak comparison. */
bool http_tag_in_list(const char *list, size_t length, const char *tag, size_t tag_length);

enum { HTTP_TAG_SPACE = 56 };

/* Writes the entity tag of a file's version, in quotes; returns its length, less than HTTP_TAG_SPACE. */
size_t http_tag_write(char *out, int64_t modified_ns, uint64_t size, uint64_t inode);

/* A field's value; bytes NULL: there is no such field. */
struct http_text {
    const char *bytes;
    size_t length;
};

/* The conditions of a request, and its Range, which may depend on one. */
struct http_conditions {
    struct http_text if_match, if_none_match, if_modified_since, if_unmodified_since, if_range, range;
};

/* Those of a request, in its head; none if it gave one twice. any: is there one (a Range counts, too)? */
struct http_conditions http_conditions_of(const struct http_request *request, const char *head);
bool http_conditions_any(const struct http_conditions *conditions);

/* They lie in the head. To outlive it: the bytes they need, and their copy into so many. */
size_t http_conditions_size(const struct http_conditions *conditions);
void http_conditions_move(struct http_conditions *conditions, char *space);

/* What they are held against. */
struct http_current {
    bool exists;     /* if not, the rest says nothing */
    const char *tag; /* strong: with its quotes, without W/ */
    size_t tag_length;
    int64_t modified; /* seconds since 1970 */
    int64_t now;      /* as the reply's Date will say */
};

struct http_verdict {
    int status;       /* 0: go on; 304 or 412 */
    bool takes_range; /* go on, and a Range may be applied */
};

/*
 * In RFC 9110, 13.2.2's order: If-Match (strong) or else If-Unmodified-Since; If-None-Match (weak) or else
 * If-Modified-Since (GET and HEAD); If-Range (strong, or exactly the date). For who would otherwise answer with
 * success: what ends in 404 or 403 anyway is not asked for its conditions (13.2.1), nor is OPTIONS. A malformed date is
 * ignored, a malformed list of tags has no tag behind the place where it is malformed.
 */
struct http_verdict http_conditions_judge(const struct http_conditions *conditions, enum http_method method,
                                          const struct http_current *current);

#endif
