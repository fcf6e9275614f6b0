/* SPDX-License-Identifier: MIT */
/* Entity tags, made of a file's time, size and inode; and the conditions that are held against them. */
#include "conditional.h"
#include "date.h"
#include "text.h"

#include <string.h>

/* One entity tag at *at: returns its length with the quotes and moves *at behind it; *weak: it had W/. 0: malformed. */
static size_t read_tag(const char **at, const char *end, bool *weak)
{
    *weak = end - *at > 2 && (*at)[0] == 'W' && (*at)[1] == '/';
    if (*weak)
        *at += 2;
    if (*at == end || **at != '"')
        return 0;
    const char *quote = memchr(*at + 1, '"', (size_t)(end - *at - 1));
    if (quote == NULL)
        return 0;
    size_t length = (size_t)(quote + 1 - *at);
    *at = quote + 1;
    return length;
}

static bool find_tag(const char *list, size_t length, const char *tag, size_t tag_length, bool strong)
{
    const char *at = list, *end = list + length;
    if (length == 1 && *list == '*')
        return true;
    bool separate = true;
    while (at < end) {
        if (*at == ' ' || *at == '\t' || *at == ',') {
            separate = separate || *at == ',';
            at++;
            continue;
        }
        bool weak;
        size_t size = separate ? read_tag(&at, end, &weak) : 0;
        if (size == 0)
            return false; /* not a list of tags: what follows cannot be trusted */
        if (size == tag_length && memcmp(at - size, tag, size) == 0 && !(weak && strong))
            return true;
        separate = false;
    }
    return false;
}

bool http_tag_in_list(const char *list, size_t length, const char *tag, size_t tag_length)
{
    return find_tag(list, length, tag, tag_length, false);
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

/* The conditions are texts and nothing else, so that they can be gone through. */
enum { TEXTS = sizeof(struct http_conditions) / sizeof(struct http_text) };

static struct http_text text_of(struct http_span span, const char *head)
{
    return (struct http_text){span.at ? head + span.at : NULL, span.length};
}

struct http_conditions http_conditions_of(const struct http_request *request, const char *head)
{
    if (request->flags & HTTP_SELECTS_TWICE)
        return (struct http_conditions){0};
    return (struct http_conditions){
        .if_match = text_of(request->if_match, head),
        .if_none_match = text_of(request->if_none_match, head),
        .if_modified_since = text_of(request->if_modified_since, head),
        .if_unmodified_since = text_of(request->if_unmodified_since, head),
        .if_range = text_of(request->if_range, head),
        .range = text_of(request->range, head),
    };
}

bool http_conditions_any(const struct http_conditions *conditions)
{
    const struct http_text *texts = (const void *)conditions;
    for (size_t i = 0; i < TEXTS; i++)
        if (texts[i].bytes != NULL)
            return true;
    return false;
}

size_t http_conditions_size(const struct http_conditions *conditions)
{
    const struct http_text *texts = (const void *)conditions;
    size_t size = 0;
    for (size_t i = 0; i < TEXTS; i++)
        size += texts[i].length;
    return size;
}

void http_conditions_move(struct http_conditions *conditions, char *space)
{
    struct http_text *texts = (void *)conditions;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i].bytes == NULL)
            continue;
        texts[i].bytes = memcpy(space, texts[i].bytes, texts[i].length);
        space += texts[i].length;
    }
}

static bool is_date(struct http_text text, int64_t *seconds)
{
    return text.bytes != NULL && http_date_read(text.bytes, text.length, seconds);
}

/* Is the version that the client knows still the one that it thinks? */
static bool is_unchanged(const struct http_conditions *conditions, const struct http_current *current)
{
    const struct http_text *list = &conditions->if_match;
    int64_t since;
    if (list->bytes != NULL) /* then If-Unmodified-Since counts for nothing */
        return current->exists && find_tag(list->bytes, list->length, current->tag, current->tag_length, true);
    if (current->exists && is_date(conditions->if_unmodified_since, &since))
        return current->modified <= since;
    return true; /* also of what does not exist: it has no date (RFC 9110, 13.1.4) */
}

/* Has the client the current version? */
static bool is_known(const struct http_conditions *conditions, const struct http_current *current, bool reads)
{
    const struct http_text *list = &conditions->if_none_match;
    int64_t since;
    if (list->bytes != NULL) /* then If-Modified-Since counts for nothing */
        return current->exists && find_tag(list->bytes, list->length, current->tag, current->tag_length, false);
    return reads && current->exists && is_date(conditions->if_modified_since, &since) && current->modified <= since;
}

/* If-Range. A date names a version only if that cannot change any more within the same second. */
static bool is_same_version(struct http_text text, const struct http_current *current)
{
    int64_t date;
    if (text.length > 0 && text.bytes[0] == '"')
        return text.length == current->tag_length && memcmp(text.bytes, current->tag, text.length) == 0;
    return is_date(text, &date) && date == current->modified && current->modified < current->now;
}

struct http_verdict http_conditions_judge(const struct http_conditions *conditions, enum http_method method,
                                          const struct http_current *current)
{
    bool reads = method == HTTP_GET || method == HTTP_HEAD;
    if (method == HTTP_OPTIONS)
        return (struct http_verdict){0}; /* has nothing to do with any version: RFC 9110, 13.2.1 */
    if (!is_unchanged(conditions, current))
        return (struct http_verdict){.status = 412};
    if (is_known(conditions, current, reads))
        return (struct http_verdict){.status = reads ? 304 : 412};
    bool range = method == HTTP_GET && current->exists && conditions->range.bytes != NULL;
    if (range && conditions->if_range.bytes != NULL)
        range = is_same_version(conditions->if_range, current);
    return (struct http_verdict){.takes_range = range};
}
