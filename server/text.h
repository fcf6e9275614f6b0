/* SPDX-License-Identifier: MIT */
/* Writing text without printf: each function writes at `at`, without a NUL, and returns the end. */
#ifndef SERVER_TEXT_H
#define SERVER_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A string literal. */
#define TEXT_PUT(at, literal) text_bytes((at), (literal), sizeof(literal) - 1)

static inline char *text_bytes(char *at, const char *bytes, size_t length)
{
    if (length > 0)
        memcpy(at, bytes, length);
    return at + length;
}

static inline char *text_number(char *at, uint64_t value)
{
    char digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return text_bytes(at, digits + i, sizeof digits - i);
}

static inline char *text_hex(char *at, uint64_t value)
{
    unsigned digits = value == 0 ? 1 : (67 - (unsigned)__builtin_clzll(value)) / 4;
    for (unsigned shift = digits * 4; shift > 0; shift -= 4)
        *at++ = "0123456789abcdef"[(value >> (shift - 4)) & 15];
    return at;
}

#endif
