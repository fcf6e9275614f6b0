/* SPDX-License-Identifier: MIT */
/* Which files may answer a request: the path, what stands in for a directory, compressed siblings, the host's tries. */
#include "answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char suffixes[HTTP_CODINGS][5] = {[HTTP_ZSTD] = ".zst", [HTTP_BR] = ".br", [HTTP_GZIP] = ".gz"};
enum { SUFFIX_MAX = 4 };

struct gathering {
    const struct exchange *exchange;
    struct exchange_names *names; /* NULL: only to see how much room they need */
    unsigned count;
    size_t size;
};

/* One name: two pieces of text, and the suffix of a coding. */
static void add_one(struct gathering *g, const struct config_text pieces[2], enum exchange_kind kind, unsigned coding)
{
    const char *suffix = coding == HTTP_CODINGS ? "" : suffixes[coding];
    size_t plain = pieces[0].length + pieces[1].length, length = plain + strlen(suffix) + 1;
    if (g->count == EXCHANGE_NAMES_MAX)
        return;
    if (g->names != NULL) {
        char *at = g->names->text + g->size;
        g->names->list[g->count] = (struct exchange_name){at, (uint16_t)plain, (uint8_t)kind, (uint8_t)coding};
        memcpy(at, pieces[0].bytes, pieces[0].length);
        memcpy(at + pieces[0].length, pieces[1].bytes, pieces[1].length);
        memcpy(at + plain, suffix, strlen(suffix) + 1);
    }
    g->size += length;
    g->count++;
}

/* The name in the codings that the client takes, then as it is. */
static void add(struct gathering *g, const char *path, size_t length, const struct config_text *behind,
                enum exchange_kind kind)
{
    const struct http_codings *codings = &g->exchange->codings;
    const struct config_text pieces[2] = {{path, length}, behind ? *behind : (struct config_text){"", 0}};
    for (unsigned i = 0; i < codings->count; i++)
        add_one(g, pieces, kind, codings->list[i]);
    if (codings->identity)
        add_one(g, pieces, kind, HTTP_CODINGS);
}

/* A try of the host's: "$path" is the request's. Without a slash at the beginning, as all our paths. */
static void add_try(struct gathering *g, const struct config_text *text)
{
    static const char word[] = "$path";
    const struct exchange *exchange = g->exchange;
    const char *at = text->bytes;
    size_t length = text->length;
    while (length > 0 && *at == '/') {
        at++;
        length--;
    }
    if (length >= sizeof word - 1 && memcmp(at, word, sizeof word - 1) == 0) {
        struct config_text behind = {at + sizeof word - 1, length - (sizeof word - 1)};
        size_t own = exchange->path_length;
        if (own > 0 && exchange->path[own - 1] == '/')
            own--;
        add(g, exchange->path, own, &behind, KIND_TRIED);
    } else {
        add(g, at, length, NULL, KIND_TRIED);
    }
}

static void gather(struct gathering *g)
{
    static const struct config_text usual = {"index.html", 10};
    const struct exchange *exchange = g->exchange;
    const struct config_host *host = exchange->site->config;
    if (!exchange->directory)
        add(g, exchange->path, exchange->path_length, NULL, KIND_FILE);
    else if (host->index.count == 0)
        add(g, exchange->path, exchange->path_length, &usual, KIND_INDEX);
    for (unsigned i = 0; exchange->directory && i < host->index.count; i++)
        add(g, exchange->path, exchange->path_length, &host->index.list[i], KIND_INDEX);
    for (unsigned i = 0; i < host->try_files.count; i++)
        add_try(g, &host->try_files.list[i]);
    if (exchange->directory && exchange->policy.listing)
        add_one(g, (struct config_text[]){{exchange->path, exchange->path_length}, {".", 1}}, KIND_LISTING,
                HTTP_CODINGS);
    if (host->fallback.length > 1)
        add(g, host->fallback.bytes + 1, host->fallback.length - 1, NULL, KIND_FALLBACK);
}

int names_choose(struct exchange *exchange)
{
    const struct config_host *host = exchange->site->config;
    bool alone = !exchange->directory && host->try_files.count == 0 && host->fallback.length == 0;
    if (alone && exchange->codings.count == 0 && exchange->codings.identity)
        return 0;
    struct gathering g = {.exchange = exchange};
    gather(&g);
    if (g.count == 0)
        return 406; /* nothing that the client says it can read */
    struct exchange_names *names = malloc(sizeof *names + g.size);
    if (names == NULL)
        return 503;
    exchange->names = g.names = names;
    g.count = 0;
    g.size = 0;
    gather(&g);
    names->count = g.count;
    return 0;
}
