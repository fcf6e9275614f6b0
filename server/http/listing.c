/* SPDX-License-Identifier: MIT */
/* How a listing goes on: see the picture in listing.h. */
#include "listing.h"
#include "files/entries.h"
#include "page.h"
#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
    PIECE = 24 << 10, /* bytes of the page that are sent at once */
    CHUNK_HEAD = 10,  /* room for "ffffffff\r\n" */
};

struct listing {
    struct exchange *exchange;
    struct entries *entries;
    size_t shown; /* how far the batch has been written */
    int64_t paid; /* what was sent is within the rate from then on */
    bool begun, over;
    struct page page;
    struct page_view view;
    char head[CHUNK_HEAD];
};

void listing_release(struct exchange *exchange)
{
    struct listing *listing = exchange->listing;
    if (listing == NULL)
        return;
    exchange->listing = NULL;
    entries_release(listing->entries);
    free(listing->page.bytes);
    free(listing);
}

bool listing_is_begun(const struct exchange *exchange)
{
    return exchange->listing->begun;
}

/* ------------------------------------------------------------------------------------------- names */

static bool is_shown(void *user, const struct errand_entry *what)
{
    const struct exchange *exchange = user;
    const struct config_host *host = exchange->site->config;
    size_t length = strlen(what->name);
    if (strncmp(what->name, ERRAND_TEMPORARY, sizeof ERRAND_TEMPORARY - 1) == 0 ||
        (*what->name == '.' && !exchange->policy.hidden))
        return false;
    if (host->rule_count == 0)
        return true;
    char *path = malloc(exchange->path_length + length + 3), *at = path;
    struct policy policy = {.deny = true};
    if (path != NULL) {
        at = mempcpy(at, exchange->path - 1, exchange->path_length + 1);
        at = mempcpy(at, what->name, length);
        if (what->type == DT_DIR)
            *at++ = '/';
        *at = '\0';
        policy_of(host, path, (size_t)(at - path), &policy);
        free(path);
    }
    return !policy.deny;
}

static int begin_entries(struct listing *listing)
{
    struct exchange *exchange = listing->exchange;
    const struct exchange_name *name = exchange->names->list;
    while (name->kind != KIND_LISTING)
        name++;
    struct entries_options options = {.connection = &exchange->http->base,
                                      .root = exchange_root(exchange),
                                      .path = name->path,
                                      .looks = true,
                                      .shows = is_shown,
                                      .user = exchange};
    return entries_open(&listing->entries, &options);
}

/* ------------------------------------------------------------------------------------------- the page */

static size_t write_head(struct exchange *exchange, struct page_view *view, char **out)
{
    struct http_stream_head head = {.json = view->choice.json, .nonce = view->nonce, .nonce_length = PAGE_NONCE};
    if (exchange->old)
        exchange->keep_alive = false;
    head.chunked = !exchange->old;
    head.connection = exchange_connection_line(exchange);
    if (!answer_lines(exchange, true, HTTP_CODINGS, &head.lines, &head.lines_length))
        return 0;
    *out = answer_space(exchange, head.lines_length);
    if (*out == NULL)
        return 0;
    size_t length = http_head_stream(*out, exchange_clock(exchange), &head);
    record_reply(exchange_record(exchange), &exchange->record, *out, length);
    return length;
}

static bool begin_view(struct exchange *exchange, struct page_view *view)
{
    uint8_t bytes[PAGE_NONCE_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return false;
    *view = (struct page_view){.path = exchange->path, .path_length = exchange->path_length};
    view->choice = page_choose(exchange->query, exchange->query_length, exchange->json);
    for (size_t i = 0; i < PAGE_NONCE; i++)
        view->nonce[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 * 4) & 15];
    return true;
}

int listing_append(errand_chain *chain, struct exchange *exchange)
{
    exchange->lists = !exchange_is_head(exchange);
    if (exchange->lists)
        return 0;
    struct page_view view;
    char *out;
    size_t length = begin_view(exchange, &view) ? write_head(exchange, &view, &out) : 0;
    return length > 0 ? answer_head(chain, exchange, out, length) : -ENOMEM;
}

/* Fills the page with what is known, up to a piece. A batch that was shown makes way for the next. */
static void write_piece(struct listing *listing)
{
    struct page *page = &listing->page;
    struct entries *entries = listing->entries;
    while (listing->shown < entries->count && page->length < PIECE) {
        const struct entry *entry = &entries->list[listing->shown++];
        page_entry(page, &listing->view, entry, entries->names + entry->name);
    }
    if (listing->shown < entries->count)
        return;
    if (entries->listed) {
        page_end(page, &listing->view);
        listing->over = true;
        return;
    }
    listing->shown = 0;
    entries_next(entries);
}

/* The piece as a chunk. Returns where it begins. */
static const char *frame(struct listing *listing, size_t *length)
{
    struct page *page = &listing->page;
    size_t body = page->length - CHUNK_HEAD, left = body, at = CHUNK_HEAD;
    *length = body;
    if (listing->exchange->old)
        return page->bytes + CHUNK_HEAD;
    if (body > 0)
        page_put(page, "\r\n", 2);
    if (listing->over)
        page_put(page, "0\r\n\r\n", 5);
    if (page->failed)
        return NULL;
    if (body > 0) {
        page->bytes[--at] = '\n';
        page->bytes[--at] = '\r';
        for (; left > 0; left >>= 4)
            page->bytes[--at] = "0123456789abcdef"[left & 15];
    }
    *length = page->length - at;
    return page->bytes + at;
}

/* The call step of the connection's chain: appends what sends a piece. */
static int send_piece(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    struct listing *listing = exchange->listing;
    struct entries *entries = listing->entries;
    int fd = exchange->http->base.fd, step = 0;
    if (entries->error != 0)
        return entries->error;
    if (!entries_are_ready(entries))
        return 0; /* another chain awaits it */
    listing->page.length = 0;
    page_put(&listing->page, listing->head, CHUNK_HEAD);
    if (!listing->begun) {
        char *head;
        size_t length = write_head(exchange, &listing->view, &head);
        if (length == 0)
            return -ENOMEM;
        listing->view.sorted = entries->listed;
        if (entries->listed)
            page_sort(entries->list, entries->count, entries->names, &listing->view.choice);
        page_begin(&listing->page, &listing->view);
        step = errand_step_send(chain, fd, head, length, ERRAND_MORE);
    }
    write_piece(listing);
    size_t length;
    const char *piece = listing->page.failed ? NULL : frame(listing, &length);
    if (step < 0 || piece == NULL)
        return step < 0 ? step : -ENOMEM;
    listing->begun = true;
    listing->paid = connection_paid(&exchange->http->base, listing->paid, length, exchange_rate(exchange));
    if (length > 0)
        step = errand_step_send(chain, fd, piece, length, 0);
    if (step >= 0 && listing->over && exchange->linger)
        step = errand_step_shutdown(chain, fd, SHUT_WR);
    return step < 0 ? step : 0;
}

static int submit_piece(struct exchange *exchange)
{
    struct listing *listing = exchange->listing;
    errand_queue *queue = exchange_shared(exchange)->worker->queue;
    errand_chain *chain;
    int error = errand_chain_new(queue, &chain);
    if (error)
        return error;
    int64_t early = listing->paid - errand_queue_now(queue);
    if (early > 0)
        errand_step_sleep(chain, early);
    entries_await(listing->entries, chain);
    errand_step_call(chain, send_piece, exchange);
    return exchange_submit(exchange, chain);
}

int listing_begin(struct exchange *exchange)
{
    struct listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL)
        return -ENOMEM;
    exchange->lists = false;
    exchange->listing = listing;
    listing->exchange = exchange;
    int error = begin_view(exchange, &listing->view) ? begin_entries(listing) : -EIO;
    return error ? error : submit_piece(exchange);
}

int listing_go_on(struct exchange *exchange)
{
    if (exchange->listing->over)
        return 0;
    int error = submit_piece(exchange);
    return error ? error : 1;
}
