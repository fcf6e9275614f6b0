/* SPDX-License-Identifier: MIT */
/* What a listing looks like: HTML or JSON, written into memory piece by piece. Knows no chain and no connection. */
#ifndef SERVER_HTTP_PAGE_H
#define SERVER_HTTP_PAGE_H

#include "files/entries.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum page_order { PAGE_BY_NAME, PAGE_BY_SIZE, PAGE_BY_TIME };

/* What the client asks for. */
struct page_choice {
    bool json, descending;
    uint8_t order; /* enum page_order */
};

/* query: with its "?", as it came: sort=name|size|time, order=asc|desc, json. What else it says means nothing. */
struct page_choice page_choose(const char *query, size_t length, bool prefers_json);

/* Puts them in the order that was chosen: directories first, what is equal by name. */
void page_sort(struct entry *entries, size_t count, const char *names, const struct page_choice *choice);

enum { PAGE_NONCE_BYTES = 16, PAGE_NONCE = 2 * PAGE_NONCE_BYTES };

struct page_view {
    struct page_choice choice;
    const char *path; /* of the directory: empty, or ends with a slash */
    size_t path_length;
    char nonce[PAGE_NONCE]; /* of the style and the script */
    bool sorted;            /* all of it, here; else it comes as the directory has it */
    bool rows;              /* an entry was written */
};

/* Bytes that grow. What is written after memory ran out is lost, and `failed` says so. */
struct page {
    char *bytes;
    size_t length, size;
    bool failed;
};

void page_put(struct page *page, const char *bytes, size_t length);

void page_begin(struct page *page, const struct page_view *view);
void page_entry(struct page *page, struct page_view *view, const struct entry *entry, const char *name);
void page_end(struct page *page, const struct page_view *view);

#endif
