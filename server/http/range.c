/* SPDX-License-Identifier: MIT */
/* Reads and applies Range fields. All arithmetic is unsigned and saturates: 2^63 and beyond are ordinary input. */
#include "range.h"
#include "bytes.h"

#include <stdbool.h>
#include <string.h>

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

/* One range at *text, up to a comma or the end; moves *text there. HTTP_RANGE_NONE: malformed. */
static struct http_range read_one(const char **text, const char *end)
{
    const struct http_range none = {.kind = HTTP_RANGE_NONE};
    struct http_range range = {.kind = HTTP_RANGE_SPAN};
    size_t first_digits = read_number(text, end, &range.first);
    if (*text == end || *(*text)++ != '-')
        return none;
    size_t last_digits = read_number(text, end, &range.last);
    if (first_digits == 0 && last_digits == 0)
        return none;
    if (first_digits == 0)
        range.kind = HTTP_RANGE_SUFFIX;
    else if (last_digits == 0)
        range.last = UINT64_MAX;
    else if (range.last < range.first)
        return none;
    return range;
}

static bool is_bytes(const char *text, size_t length)
{
    return length >= 6 && http_same_word(text, "bytes", 5) && text[5] == '=';
}

struct http_range http_range_read(const char *text, size_t length)
{
    const char *end = text + length;
    if (!is_bytes(text, length))
        return (struct http_range){.kind = HTTP_RANGE_NONE};
    text += 6;
    const char *start = text;
    struct http_range range = read_one(&text, end);
    if (text != end || range.kind == HTTP_RANGE_NONE)
        range.kind = memchr(start, ',', (size_t)(end - start)) ? HTTP_RANGE_LIST : HTTP_RANGE_NONE;
    return range;
}

/* Between the elements of a list, empty ones included. Returns whether there was a comma. */
static bool pass_commas(const char **text, const char *end)
{
    bool comma = false;
    for (; *text < end && (**text == ' ' || **text == '\t' || **text == ','); (*text)++)
        comma = comma || **text == ',';
    return comma;
}

void http_ranges_read(struct http_ranges *ranges, const char *text, size_t length)
{
    const char *end = text + length;
    ranges->count = 0;
    if (!is_bytes(text, length))
        return;
    text += 6;
    if (text < end && (*text == ' ' || *text == '\t'))
        return; /* here the grammar has no blanks */
    unsigned count = 0;
    pass_commas(&text, end);
    while (text < end) {
        if (count == HTTP_RANGES_MAX)
            return;
        ranges->list[count] = read_one(&text, end);
        if (ranges->list[count++].kind == HTTP_RANGE_NONE || (!pass_commas(&text, end) && text < end))
            return;
    }
    ranges->count = count;
}

int http_range_apply(const struct http_range *range, uint64_t size, uint64_t *offset, uint64_t *length)
{
    *offset = 0;
    *length = size;
    switch (range->kind) {
    case HTTP_RANGE_NONE:
    case HTTP_RANGE_LIST: return 200;
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

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool overlap(const struct http_piece *one, const struct http_piece *other)
{
    return one->offset < other->offset + other->length && other->offset < one->offset + one->length;
}

/* Is it worth the work, or made to make work? See range.h. */
static bool is_sensible(const struct http_piece *pieces, unsigned count, uint64_t size)
{
    unsigned overlaps = 0, tiny = 0;
    bool ascending = true;
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned others = 0;
        for (unsigned j = 0; j < count; j++)
            others += j != i && overlap(&pieces[i], &pieces[j]);
        overlaps += others > 0;
        tiny += pieces[i].length < HTTP_TINY;
        ascending = ascending && (i == 0 || pieces[i].offset > pieces[i - 1].offset);
        sum = add(sum, add(pieces[i].length, HTTP_PART_COST));
    }
    return overlaps <= HTTP_OVERLAPS_MAX && (tiny <= HTTP_TINIES_MAX || ascending) && sum < size;
}

int http_ranges_apply(const struct http_ranges *ranges, uint64_t size, struct http_piece pieces[HTTP_RANGES_MAX],
                      unsigned *count)
{
    bool whole = ranges->count == 0;
    *count = 0;
    for (unsigned i = 0; i < ranges->count; i++) {
        struct http_piece *piece = &pieces[*count];
        int status = http_range_apply(&ranges->list[i], size, &piece->offset, &piece->length);
        whole = whole || status == 200; /* an end of an empty file */
        *count += status == 206;
    }
    if (!whole && *count == 0)
        return 416;
    if (!whole && (*count == 1 || is_sensible(pieces, *count, size)))
        return 206;
    *count = 0;
    return 200;
}
