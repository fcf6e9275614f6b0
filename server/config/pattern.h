/* SPDX-License-Identifier: MIT */
/*
 * Patterns of paths. Matched against a whole decoded path with its leading slash:
 *     *      anything but a slash, also nothing
 *     **     anything
 *     ?      one byte that is not a slash
 * all else itself. A pattern without a slash is matched against the last name alone ("*.html").
 */
#ifndef SERVER_CONFIG_PATTERN_H
#define SERVER_CONFIG_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum { PATTERN_STARS_MAX = 9 };

/* What the stars stood for, in the path. */
struct pattern_match {
    unsigned count;
    struct {
        size_t at, length;
    } stars[PATTERN_STARS_MAX];
};

/* False: no match. match may be NULL. Takes time proportional to the product of the lengths at most. */
bool pattern_match(const char *pattern, size_t pattern_length, const char *path, size_t path_length,
                   struct pattern_match *match);

/* Of the paths beneath a directory, which ends with a slash: do none, some, or all match? ("Some" may be none.) */
enum pattern_reach { PATTERN_NONE, PATTERN_SOME, PATTERN_ALL };
enum pattern_reach pattern_reach(const char *pattern, size_t pattern_length, const char *directory, size_t length);

#endif
