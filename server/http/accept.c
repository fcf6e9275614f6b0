/* SPDX-License-Identifier: MIT */
/* Lists with weights. Both fields have the same form; elements are read one by one, nothing is kept but the answers. */
#include "accept.h"
#include "bytes.h"

enum { UNSET = -1, WEIGHT_ONE = 1000 };

/* An element of a list: "gzip;q=0.5", "text/html;level=1;q=0.7". */
struct element {
    const char *name; /* up to the first parameter */
    size_t length;
    int weight; /* in thousandths */
};

struct reader {
    const char *at, *end;
    bool failed;
};

static void pass_blanks(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
        reader->at++;
}

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static size_t pass_token(struct reader *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && http_is_token(*reader->at))
        reader->at++;
    reader->failed = reader->failed || reader->at == start;
    return (size_t)(reader->at - start);
}

static void pass_quoted(struct reader *reader)
{
    while (reader->at < reader->end) {
        char c = *reader->at++;
        if (c == '"')
            return;
        if (c == '\\' && reader->at < reader->end)
            reader->at++;
    }
    reader->failed = true;
}

/* "0.5", "1", "1.000": at most three digits, at most one. */
static int read_weight(struct reader *reader)
{
    int value = 0, unit = WEIGHT_ONE;
    if (reader->at < reader->end && (*reader->at == '0' || *reader->at == '1'))
        value = (*reader->at++ - '0') * WEIGHT_ONE;
    else
        reader->failed = true;
    if (take(reader, '.')) {
        for (; unit > 1 && reader->at < reader->end && http_is_digit(*reader->at); reader->at++) {
            unit /= 10;
            value += (*reader->at - '0') * unit;
        }
    }
    reader->failed = reader->failed || value > WEIGHT_ONE;
    return value;
}

/* What follows a name: parameters, the weight being one of them. */
static void read_parameters(struct reader *reader, struct element *element)
{
    for (pass_blanks(reader); take(reader, ';'); pass_blanks(reader)) {
        pass_blanks(reader);
        const char *name = reader->at;
        size_t length = pass_token(reader);
        bool is_weight = length == 1 && (*name | 0x20) == 'q';
        if (!take(reader, '=')) {
            reader->failed = reader->failed || is_weight; /* others may have no value */
        } else if (is_weight) {
            element->weight = read_weight(reader);
        } else if (take(reader, '"')) {
            pass_quoted(reader);
        } else {
            pass_token(reader);
        }
    }
}

/* The next element. False: there is none, or the list is malformed. */
static bool next(struct reader *reader, struct element *element, bool is_media)
{
    for (pass_blanks(reader); take(reader, ',');)
        pass_blanks(reader);
    if (reader->at == reader->end)
        return false;
    element->name = reader->at;
    element->weight = WEIGHT_ONE;
    pass_token(reader);
    if (is_media) {
        reader->failed = !take(reader, '/') || reader->failed;
        pass_token(reader);
    }
    element->length = (size_t)(reader->at - element->name);
    read_parameters(reader, element);
    pass_blanks(reader);
    reader->failed = reader->failed || (reader->at < reader->end && *reader->at != ',');
    return !reader->failed;
}

static bool is(const struct element *element, const char *word)
{
    size_t length = strlen(word);
    if (element->length != length)
        return false;
    for (size_t i = 0; i < length; i++) /* not http_same_word(): "*" */
        if (element->name[i] != word[i] && (element->name[i] | 0x20) != word[i])
            return false;
    return true;
}

static void note(int *weight, int value)
{
    if (*weight == UNSET || value < *weight)
        *weight = value;
}

const char *http_coding_name(enum http_coding coding)
{
    static const char names[HTTP_CODINGS][5] = {"zstd", "br", "gzip"};
    return names[coding];
}

/* From the weights to the list: the highest first, ours first where they are the same. */
static void choose(struct http_codings *codings, int weights[HTTP_CODINGS], int least)
{
    for (;;) {
        unsigned best = 0;
        for (unsigned i = 1; i < HTTP_CODINGS; i++)
            if (weights[i] > weights[best])
                best = i;
        if (weights[best] <= 0 || weights[best] < least)
            return;
        codings->list[codings->count++] = (uint8_t)best;
        weights[best] = 0;
    }
}

struct http_codings http_accept_encoding(const char *text, size_t length)
{
    struct http_codings codings = {.identity = true};
    if (text == NULL)
        return codings;
    struct reader reader = {.at = text, .end = text + length};
    struct element element;
    int weights[HTTP_CODINGS] = {UNSET, UNSET, UNSET}, identity = UNSET, others = UNSET;
    while (next(&reader, &element, false)) {
        if (is(&element, "identity"))
            note(&identity, element.weight);
        else if (is(&element, "*"))
            note(&others, element.weight);
        else if (is(&element, "x-gzip")) /* RFC 9110, 8.4.1.3 */
            note(&weights[HTTP_GZIP], element.weight);
        for (unsigned i = 0; i < HTTP_CODINGS; i++)
            if (is(&element, http_coding_name(i)))
                note(&weights[i], element.weight);
    }
    if (reader.failed)
        return codings;
    for (unsigned i = 0; i < HTTP_CODINGS; i++)
        if (weights[i] == UNSET)
            weights[i] = others;
    codings.identity = identity > 0 || (identity == UNSET && others != 0);
    choose(&codings, weights, identity);
    return codings;
}

bool http_prefers_json(const char *text, size_t length)
{
    struct reader reader = {.at = text, .end = text + length};
    struct element element;
    /* Of each type: by its own name, by its kind, by both stars. The first that is there counts. */
    static const char *const names[2][3] = {{"application/json", "application/*", "*/*"},
                                            {"text/html", "text/*", "*/*"}};
    int weights[2][3] = {{UNSET, UNSET, UNSET}, {UNSET, UNSET, UNSET}};
    while (next(&reader, &element, true))
        for (unsigned type = 0; type < 2; type++)
            for (unsigned i = 0; i < 3; i++)
                if (is(&element, names[type][i]))
                    note(&weights[type][i], element.weight);
    if (reader.failed)
        return false;
    unsigned json = 0, html = 0;
    while (json < 2 && weights[0][json] == UNSET)
        json++;
    while (html < 2 && weights[1][html] == UNSET)
        html++;
    int json_weight = weights[0][json], html_weight = weights[1][html];
    if (json_weight != html_weight)
        return json_weight > html_weight && json_weight > 0;
    return json_weight > 0 && json < html;
}
