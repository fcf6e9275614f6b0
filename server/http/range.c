/* SPDX-License-Identifier: MIT */
/* Reads and applies a Range field. All arithmetic is unsigned and saturates: 2^63 and beyond are ordinary input. */
#include "range.h"
#include "bytes.h"

/* Digits at *text; moves it behind them. Returns how many there were. */
static size_t read_number(const char **text, const char *end, uint64_t *value)
{
    const char *start = *text;
    *value = 0;
    for (; *text < end && http_is_digit(**text); (*text)++) {
        uint64_t digit = (uint64_t)(**text - '0');
        *value = *value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *value * 10 + digit;
    }
    return (size_t)(*text - start);
}

struct http_range http_range_read(const char *text, size_t length)
{
    const struct http_range none = {.kind = HTTP_RANGE_NONE};
    struct http_range range = {.kind = HTTP_RANGE_SPAN};
    const char *end = text + length;
    if (length < 8 || !http_same_word(text, "bytes", 5) || text[5] != '=')
        return none;
    text += 6;
    size_t first_digits = read_number(&text, end, &range.first);
    if (text == end || *text++ != '-')
        return none;
    size_t last_digits = read_number(&text, end, &range.last);
    if (text != end || (first_digits == 0 && last_digits == 0))
        return none; /* also a list of ranges */
    if (first_digits == 0)
        range.kind = HTTP_RANGE_SUFFIX;
    else if (last_digits == 0)
        range.last = UINT64_MAX;
    else if (range.last < range.first)
        return none;
    return range;
}

int http_range_apply(const struct http_range *range, uint64_t size, uint64_t *offset, uint64_t *length)
{
    *offset = 0;
    *length = size;
    switch (range->kind) {
    case HTTP_RANGE_NONE: return 200;
    case HTTP_RANGE_SUFFIX:
        if (range->last == 0)
            return 416;
        if (size == 0)
            return 200; /* all of nothing: there is no first byte that a 206 could name */
        *length = range->last < size ? range->last : size;
        *offset = size - *length;
        return 206;
    default:
        if (range->first >= size)
            return 416;
        *offset = range->first;
        *length = (range->last < size - 1 ? range->last : size - 1) - range->first + 1;
        return 206;
    }
}
