/* SPDX-License-Identifier: MIT */
/*
 * Conditions and preferences. Lines: the tag of the current version, then If-Match, If-None-Match, If-Modified-Since,
 * If-Unmodified-Since, If-Range, Range, Accept, Accept-Encoding; an empty one is a field that is not there.
 */
#include "fuzz.h"
#include "http/accept.h"
#include "http/conditional.h"
#include "http/date.h"

enum { LINES = 9 };

/* Splits into lines; returns how many there are. */
static unsigned split(const char *text, size_t size, struct http_text lines[LINES])
{
    unsigned count = 0;
    const char *end = text + size;
    memset(lines, 0, LINES * sizeof *lines);
    while (text < end && count < LINES) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline ? newline : end) - text);
        if (length > 0)
            lines[count] = (struct http_text){text, length};
        text += length + 1;
        count++;
    }
    return count;
}

static void check_date(struct http_text text)
{
    int64_t seconds, again;
    char out[HTTP_DATE_LENGTH];
    if (text.bytes == NULL || !http_date_read(text.bytes, text.length, &seconds))
        return;
    http_date_write(out, seconds);
    HOLDS(http_date_read(out, sizeof out, &again) && again == seconds);
}

static void check_verdicts(const struct http_conditions *conditions, const struct http_current *current)
{
    const struct http_current nothing = {0};
    for (unsigned method = HTTP_UNKNOWN; method <= HTTP_COPY; method++) {
        bool reads = method == HTTP_GET || method == HTTP_HEAD;
        struct http_verdict verdict = http_conditions_judge(conditions, method, current);
        HOLDS(verdict.status == 0 || verdict.status == 412 || (verdict.status == 304 && reads));
        HOLDS(!verdict.takes_range || (verdict.status == 0 && method == HTTP_GET && conditions->range.bytes != NULL));
        verdict = http_conditions_judge(conditions, method, &nothing);
        bool fails = conditions->if_match.bytes != NULL && method != HTTP_OPTIONS;
        HOLDS(verdict.status == (fails ? 412 : 0) && !verdict.takes_range);
    }
    /* What is the same version by If-Match is so by If-None-Match, which compares weakly. */
    struct http_conditions match = {.if_match = conditions->if_match};
    struct http_conditions none_match = {.if_none_match = conditions->if_match};
    if (match.if_match.bytes != NULL && http_conditions_judge(&match, HTTP_PUT, current).status == 0)
        HOLDS(http_conditions_judge(&none_match, HTTP_PUT, current).status == 412);
}

static void check_accepts(struct http_text accept, struct http_text accept_encoding)
{
    struct http_codings codings = http_accept_encoding(accept_encoding.bytes, accept_encoding.length);
    unsigned seen = 0;
    HOLDS(codings.count <= HTTP_CODINGS);
    for (unsigned i = 0; i < codings.count; i++) {
        HOLDS(codings.list[i] < HTTP_CODINGS && !(seen & 1u << codings.list[i]));
        seen |= 1u << codings.list[i];
    }
    if (accept.bytes != NULL)
        http_prefers_json(accept.bytes, accept.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_exact(data, size);
    struct http_text lines[LINES];
    split(text, size, lines);
    struct http_conditions conditions = {.if_match = lines[1],
                                         .if_none_match = lines[2],
                                         .if_modified_since = lines[3],
                                         .if_unmodified_since = lines[4],
                                         .if_range = lines[5],
                                         .range = lines[6]};
    struct http_current current = {true, lines[0].bytes ? lines[0].bytes : "\"\"", lines[0].length, 784111777,
                                   784111778};
    if (lines[0].bytes == NULL)
        current.tag_length = 2;
    check_verdicts(&conditions, &current);
    for (unsigned i = 0; i < LINES; i++)
        check_date(lines[i]);
    check_accepts(lines[7], lines[8]);
    size_t needs = http_conditions_size(&conditions);
    char *space = fuzz_exact("", 0);
    space = realloc(space, needs ? needs : 1);
    HOLDS(space != NULL);
    http_conditions_move(&conditions, space);
    memset(text, 'x', size);
    HOLDS(http_conditions_size(&conditions) == needs);
    http_conditions_judge(&conditions, HTTP_GET, &(struct http_current){true, "\"\"", 2, 784111777, 784111778});
    free(space);
    free(text);
    return 0;
}
