/* SPDX-License-Identifier: MIT */
/* Classes of bytes in HTTP, and comparisons of its words: the parser's inner loops, hence inline. */
#ifndef SERVER_HTTP_BYTES_H
#define SERVER_HTTP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern const bool http_token_table[256]; /* RFC 9110 "tchar" */

static inline bool http_is_token(char c)
{
    return http_token_table[(unsigned char)c];
}

static inline bool http_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool http_is_alphanumeric(char c)
{
    return http_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Compares without regard to case. word: lower-case letters, "-", ":" and "/" only (so that 0x20 does no harm). */
static inline bool http_same_word(const char *text, const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((text[i] >= 'A' && text[i] <= 'Z') ? text[i] | 0x20 : text[i]) != word[i])
            return false;
    return true;
}

/* Takes spaces and tabs off both ends; moves *text, returns the new length. */
static inline size_t http_trim(const char **text, size_t length)
{
    while (length > 0 && (**text == ' ' || **text == '\t')) {
        (*text)++;
        length--;
    }
    while (length > 0 && ((*text)[length - 1] == ' ' || (*text)[length - 1] == '\t'))
        length--;
    return length;
}

#define HTTP_EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Is one of the eight bytes zero / less than n (n <= 128)? Exact as a question, not as to which one it is. */
static inline bool http_any_zero(uint64_t eight)
{
    return ((eight - HTTP_EACH_BYTE(0x01)) & ~eight & HTTP_EACH_BYTE(0x80)) != 0;
}

static inline bool http_any_less(uint64_t eight, unsigned n)
{
    return ((eight - HTTP_EACH_BYTE(n)) & ~eight & HTTP_EACH_BYTE(0x80)) != 0;
}

/* What a request target may hold: no space, no control character, no "#". Bytes beyond ASCII are let through: the
 * standard wants them encoded, people type them. */
static inline bool http_is_target(const char *text, size_t length)
{
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t eight;
        memcpy(&eight, text + i, 8);
        if (http_any_less(eight, 0x21) || http_any_zero(eight ^ HTTP_EACH_BYTE(0x7f)) ||
            http_any_zero(eight ^ HTTP_EACH_BYTE('#')))
            return false;
    }
    for (; i < length; i++)
        if ((unsigned char)text[i] < 0x21 || text[i] == 0x7f || text[i] == '#')
            return false;
    return true;
}

/* What a field's value may hold: no control character but the tab. */
static inline bool http_is_value(const char *text, size_t length)
{
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t eight;
        memcpy(&eight, text + i, 8);
        if (http_any_less(eight, 0x20) || http_any_zero(eight ^ HTTP_EACH_BYTE(0x7f)))
            break; /* perhaps only a tab */
    }
    for (; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

#endif
