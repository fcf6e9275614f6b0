/* SPDX-License-Identifier: MIT */
/*
 * Paths of URLs. The kernel confines what is opened (openat2, RESOLVE_BENEATH); this is the first of the two walls, and
 * the one that knows hidden names. Everything is decoded once, before names are looked at, so that no second
 * spelling of "." or "/" gets past.
 */
#include "path.h"
#include "errand.h"

#include <string.h>
#include <strings.h>

enum { TEMPORARY = sizeof ERRAND_TEMPORARY - 1 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes one name, up to a slash. Returns its length or a negated status; *url is moved behind it. */
static int decode_name(const char **url, const char *end, char *out)
{
    const char *at = *url;
    char *to = out;
    while (at < end && *at != '/') {
        char c = *at++;
        if (c == '%') {
            int high = end - at >= 2 ? hex_digit(at[0]) : -1;
            int low = high >= 0 ? hex_digit(at[1]) : -1;
            if (low < 0)
                return -400;
            c = (char)(high << 4 | low);
            at += 2;
            if (c == '/')
                return -404;
        }
        if (c == '\0')
            return -400;
        *to++ = c;
    }
    *url = at;
    return (int)(to - out);
}

/* Takes the last name off a path that is empty or ends with a slash. Returns the new length, or -1 above the root. */
static int parent_of(const char *path, int length)
{
    if (length == 0)
        return -1;
    for (length--; length > 0 && path[length - 1] != '/';)
        length--;
    return length;
}

static bool is_hidden(const char *name, int length)
{
    return name[0] == '.' && !(length == 11 && memcmp(name, ".well-known", 11) == 0);
}

int path_from_url(const char *url, size_t length, char *out, bool *directory, bool *hidden)
{
    const char *end = url + length;
    int size = 0; /* of out, which ends with "/" whenever a name begins */
    *directory = true;
    *hidden = false;
    while (url < end) {
        if (*url == '/') {
            url++;
            *directory = true;
            continue;
        }
        int name = decode_name(&url, end, out + size);
        if (name < 0)
            return name;
        *directory = true;
        if (name == 1 && out[size] == '.')
            continue;
        if (name == 2 && memcmp(out + size, "..", 2) == 0) {
            size = parent_of(out, size);
            if (size < 0)
                return -400;
            continue;
        }
        if (name >= TEMPORARY && strncasecmp(out + size, ERRAND_TEMPORARY, TEMPORARY) == 0)
            return -404;
        *hidden = *hidden || is_hidden(out + size, name);
        size += name;
        out[size++] = '/';
        *directory = false;
    }
    if (!*directory)
        size--;
    out[size] = '\0';
    return size;
}

char *path_to_url(char *out, const char *path, size_t length)
{
    static const char plain[] = "/-._~!$&'()*+,;=:@";
    for (size_t i = 0; i < length; i++) {
        char c = path[i];
        bool alphanumeric = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (alphanumeric || (c != '\0' && strchr(plain, c) != NULL)) {
            *out++ = c;
        } else {
            *out++ = '%';
            *out++ = "0123456789ABCDEF"[(unsigned char)c >> 4];
            *out++ = "0123456789ABCDEF"[c & 15];
        }
    }
    return out;
}
