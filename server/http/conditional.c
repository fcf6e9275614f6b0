/* SPDX-License-Identifier: MIT */
/* Entity tags: made of a file's time, size and inode; compared with those in If-None-Match. */
#include "conditional.h"
#include "text.h"

#include <string.h>

bool http_tag_in_list(const char *list, size_t length, const char *tag, size_t tag_length)
{
    const char *at = list, *end = list + length;
    if (length == 1 && *list == '*')
        return true;
    while (at < end) {
        if (*at == ' ' || *at == '\t' || *at == ',') {
            at++;
            continue;
        }
        if (end - at > 2 && at[0] == 'W' && at[1] == '/')
            at += 2;
        if (*at != '"')
            return false; /* not a list of tags: what follows cannot be trusted */
        const char *quote = memchr(at + 1, '"', (size_t)(end - at - 1));
        if (quote == NULL)
            return false;
        size_t size = (size_t)(quote + 1 - at);
        if (size == tag_length && memcmp(at, tag, size) == 0)
            return true;
        at = quote + 1;
    }
    return false;
}

size_t http_tag_write(char *out, int64_t modified_ns, uint64_t size, uint64_t inode)
{
    char *at = out;
    *at++ = '"';
    at = text_hex(at, (uint64_t)modified_ns);
    *at++ = '-';
    at = text_hex(at, size);
    *at++ = '-';
    at = text_hex(at, inode);
    *at++ = '"';
    return (size_t)(at - out);
}
