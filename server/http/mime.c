/* SPDX-License-Identifier: MIT */
/*
 * Media types: a table from extensions to ready header lines, hashed, filled once at the start. An entry in
 * /etc/mime.types goes before the built-in one. A key that begins with a slash is the whole of a name without a dot:
 * browsers would offer README for download otherwise.
 */
#include "mime.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXTENSION_MAX = 15, SLOTS_AT_FIRST = 1024 };

/* Lines are kept once for all their extensions, the next behind the last. */
struct line {
    struct line *next;
    size_t length;
    char text[];
};

struct slot {
    char extension[EXTENSION_MAX + 1]; /* lower case; empty: free */
    const struct line *line;
};

struct mime_types {
    struct slot *slots; /* open addressing; a power of two of them, at most half in use */
    size_t size, used;
    struct line *lines;
    const struct line *unknown;
};

static const char *const built_in[] = {
    "text/html html htm",
    "text/plain txt text log md conf c h py sh",
    "text/plain /readme /license /copying /copyright /makefile /changelog /news /authors /notice /install",
    "text/css css",
    "text/csv csv",
    "text/xml xml",
    "text/javascript js mjs",
    "application/json json map",
    "application/wasm wasm",
    "application/pdf pdf",
    "application/gzip gz tgz",
    "application/zip zip",
    "application/x-tar tar",
    "application/x-bzip2 bz2",
    "application/x-xz xz",
    "application/zstd zst",
    "application/manifest+json webmanifest",
    "image/png png",
    "image/jpeg jpg jpeg",
    "image/gif gif",
    "image/webp webp",
    "image/avif avif",
    "image/svg+xml svg svgz",
    "image/vnd.microsoft.icon ico",
    "font/woff woff",
    "font/woff2 woff2",
    "font/ttf ttf",
    "font/otf otf",
    "audio/mpeg mp3",
    "audio/ogg ogg oga opus",
    "audio/flac flac",
    "video/mp4 mp4 m4v",
    "video/webm webm",
    "video/ogg ogv",
    "video/x-matroska mkv",
};

static uint32_t hash_of(const char *extension)
{
    uint32_t hash = 2166136261u;
    for (; *extension; extension++)
        hash = (hash ^ (unsigned char)*extension) * 16777619u;
    return hash ^ hash >> 15;
}

/* The slot that holds the extension, or the free one where it belongs. */
static struct slot *find(const struct mime_types *types, const char *extension)
{
    size_t mask = types->size - 1;
    for (size_t i = hash_of(extension) & mask;; i = (i + 1) & mask) {
        struct slot *slot = &types->slots[i];
        if (slot->extension[0] == '\0' || strcmp(slot->extension, extension) == 0)
            return slot;
    }
}

static bool grow(struct mime_types *types)
{
    struct mime_types larger = {.size = types->size * 2};
    larger.slots = calloc(larger.size, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < types->size; i++)
        if (types->slots[i].extension[0] != '\0')
            *find(&larger, types->slots[i].extension) = types->slots[i];
    free(types->slots);
    types->slots = larger.slots;
    types->size = larger.size;
    return true;
}

/* Files of text are nearly always UTF-8 today, and browsers guess worse than that. */
static const struct line *make_line(struct mime_types *types, const char *type)
{
    char text[MIME_LINE_MAX + 1];
    const char *charset = strncmp(type, "text/", 5) == 0 ? "; charset=utf-8" : "";
    int length = snprintf(text, sizeof text, "Content-Type: %s%s\r\n", type, charset);
    if (length < 0 || (size_t)length >= sizeof text)
        return NULL;
    struct line *line = malloc(sizeof *line + (size_t)length + 1);
    if (line == NULL)
        return NULL;
    memcpy(line->text, text, (size_t)length + 1);
    line->length = (size_t)length;
    line->next = types->lines;
    types->lines = line;
    return line;
}

static bool is_media_type(const char *type)
{
    bool slash = false;
    for (; *type; type++) {
        slash = slash || *type == '/';
        if (!isalnum((unsigned char)*type) && strchr("/.+-_!#$&^", *type) == NULL)
            return false;
    }
    return slash;
}

/* "type extension ...": as in mime.types. Later entries replace earlier ones. */
static bool add_entry(struct mime_types *types, char *entry)
{
    char *rest = NULL;
    const char *type = strtok_r(entry, " \t\r\n", &rest), *extension;
    if (type == NULL || *type == '#' || !is_media_type(type))
        return true;
    const struct line *line = NULL;
    while ((extension = strtok_r(NULL, " \t\r\n", &rest)) != NULL && *extension != '#') {
        char lower[EXTENSION_MAX + 1];
        size_t length = strlen(extension);
        if (length > EXTENSION_MAX)
            continue;
        for (size_t i = 0; i <= length; i++)
            lower[i] = (char)tolower((unsigned char)extension[i]);
        if (types->used * 2 >= types->size && !grow(types))
            return false;
        if (line == NULL && (line = make_line(types, type)) == NULL)
            return true;
        struct slot *slot = find(types, lower);
        types->used += slot->extension[0] == '\0';
        memcpy(slot->extension, lower, length + 1);
        slot->line = line;
    }
    return true;
}

static bool add_built_in(struct mime_types *types)
{
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++) {
        char entry[100];
        snprintf(entry, sizeof entry, "%s", built_in[i]);
        if (!add_entry(types, entry))
            return false;
    }
    types->unknown = make_line(types, "application/octet-stream");
    return types->unknown != NULL;
}

static bool add_file(struct mime_types *types, const char *file)
{
    FILE *stream = fopen(file, "re");
    if (stream == NULL)
        return true;
    char *entry = NULL;
    size_t size = 0;
    bool good = true;
    while (good && getline(&entry, &size, stream) > 0)
        good = add_entry(types, entry);
    free(entry);
    fclose(stream);
    return good;
}

struct mime_types *mime_types_open(const char *file)
{
    struct mime_types *types = calloc(1, sizeof *types);
    if (types == NULL)
        return NULL;
    types->size = SLOTS_AT_FIRST;
    types->slots = calloc(types->size, sizeof *types->slots);
    if (types->slots == NULL || !add_built_in(types) || (file != NULL && !add_file(types, file))) {
        mime_types_close(types);
        return NULL;
    }
    return types;
}

void mime_types_close(struct mime_types *types)
{
    if (types == NULL)
        return;
    while (types->lines != NULL) {
        struct line *next = types->lines->next;
        free(types->lines);
        types->lines = next;
    }
    free(types->slots);
    free(types);
}

/* The table's key for a path: what follows its last dot, or a slash and the name. Returns false if it is too long. */
static bool key_of(const char *path, size_t length, char key[EXTENSION_MAX + 1])
{
    size_t n = 0;
    while (n < length && n <= EXTENSION_MAX && path[length - 1 - n] != '.' && path[length - 1 - n] != '/')
        n++;
    if (n == 0 || n > EXTENSION_MAX)
        return false;
    char *at = key;
    if (n == length || path[length - 1 - n] == '/') {
        if (n == EXTENSION_MAX)
            return false;
        *at++ = '/';
    }
    for (const char *from = path + length - n; n > 0; n--, from++)
        *at++ = *from >= 'A' && *from <= 'Z' ? (char)(*from | 0x20) : *from;
    *at = '\0';
    return true;
}

const char *mime_line(const struct mime_types *types, const char *path, size_t path_length, size_t *length)
{
    const struct line *line = types->unknown;
    char key[EXTENSION_MAX + 1];
    if (key_of(path, path_length, key)) {
        const struct slot *slot = find(types, key);
        if (slot->extension[0] != '\0')
            line = slot->line;
    }
    *length = line->length;
    return line->text;
}
