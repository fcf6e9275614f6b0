/* SPDX-License-Identifier: MIT */
/* Text that grows while it is written. When memory runs out it says so once, at the end. */
#ifndef SERVER_RECORD_OUT_H
#define SERVER_RECORD_OUT_H

#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out {
    char *data; /* malloc's */
    size_t used, capacity;
    bool failed;
};

static inline bool out_room(struct out *out, size_t length)
{
    if (out->failed || out->capacity - out->used > length)
        return !out->failed;
    size_t capacity = out->capacity * 2 + length + 1024;
    char *larger = realloc(out->data, capacity);
    if (larger == NULL) {
        out->failed = true;
        return false;
    }
    out->data = larger;
    out->capacity = capacity;
    return true;
}

static inline void out_text(struct out *out, const char *text)
{
    size_t length = strlen(text);
    if (out_room(out, length)) {
        memcpy(out->data + out->used, text, length);
        out->used += length;
    }
}

static inline void __attribute__((format(printf, 2, 3))) out_print(struct out *out, const char *format, ...)
{
    char text[512]; /* a line's worth */
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text)
        out_text(out, text);
    else
        out->failed = true;
}

#endif
