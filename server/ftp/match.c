/* SPDX-License-Identifier: MIT */
/*
 * Patterns of names: see match.h. When a byte does not fit the last star takes one more; one before it need not, as
 * what it has is the least it can have, and leaves the most to the other. That is why nothing is tried twice.
 *
 * Patterns of the configuration (config/pattern.h) are others: of whole paths, and a bracket is itself there.
 */
#include "match.h"

#include <stddef.h>
#include <string.h>

bool ftp_match_is_pattern(const char *name)
{
    return strpbrk(name, "*?[") != NULL;
}

/* Where the set that begins with this "[" ends: behind its "]"; NULL: it does not. A "]" that comes first is of it. */
static const char *set_end(const char *set)
{
    set += set[1] == '!' || set[1] == '^' ? 2 : 1;
    const char *close = *set != '\0' ? strchr(set + 1, ']') : NULL;
    return close != NULL ? close + 1 : NULL;
}

static bool is_in_set(const char *set, const char *end, unsigned char byte)
{
    bool others = set[1] == '!' || set[1] == '^', found = false;
    for (const char *at = set + (others ? 2 : 1); at < end - 1; at++) {
        unsigned char first = (unsigned char)*at, last = first;
        if (at[1] == '-' && at + 2 < end - 1) {
            at += 2;
            last = (unsigned char)*at;
        }
        found = found || (byte >= first && byte <= last);
    }
    return found != others;
}

/* One piece of the pattern, not a star, against what begins here: moves both on, if it fits. */
static bool take_piece(const char **pattern, const char **name)
{
    const char *end = **pattern == '[' ? set_end(*pattern) : NULL;
    if (**pattern == '?') {
        do
            ++*name;
        while ((**name & 0xc0) == 0x80);
    } else if (end != NULL ? is_in_set(*pattern, end, (unsigned char)**name) : **pattern == **name) {
        ++*name;
    } else {
        return false;
    }
    *pattern = end != NULL ? end : *pattern + 1;
    return true;
}

bool ftp_match(const char *pattern, const char *name)
{
    const char *star = NULL, *taken = NULL; /* behind the last star; the end of what it stands for */
    while (*name != '\0' || *pattern == '*') {
        if (*pattern == '*') {
            star = ++pattern;
            taken = name;
        } else if (*pattern == '\0' || !take_piece(&pattern, &name)) {
            if (star == NULL)
                return false;
            pattern = star;
            name = ++taken;
        }
    }
    return *pattern == '\0';
}
