/* SPDX-License-Identifier: MIT */
/* How a listing goes on: see the picture in listing.h. */
#include "listing.h"
#include "page.h"
#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* A batch ends with one of these bounds, or with what was read together with what reached it: some hundred names. */
enum {
    BATCH_ENTRIES = 2000,
    BATCH_NAMES = 96 << 10,
    PIECE = 24 << 10,                          /* bytes of the page that are sent at once */
    LOOK_ENTRIES = (HTTP_CHAIN_STEPS - 1) / 3, /* by one chain: open, stat, close each; then a call */
    LOOKS_ALL = 32,                            /* of all listings of a worker; but each may have one */
    LOOKS = 8,                                 /* chains at once */
    CHUNK_HEAD = 10,                           /* room for "ffffffff\r\n" */
};

struct look {
    struct listing *listing;
    errand_id id; /* 0: none */
    size_t first;
    unsigned count;
    int opens[LOOK_ENTRIES], looks[LOOK_ENTRIES]; /* their steps */
    struct errand_stat stats[LOOK_ENTRIES];
};

struct listing {
    struct exchange *exchange; /* NULL: gone */
    struct http_shared *shared;
    errand_queue *queue;
    errand_id list; /* its chain; 0: it has ended */
    int dir;        /* open while that chain lasts */
    int error;
    unsigned looking; /* looks under way */
    bool paused, listed, released;
    bool awaited; /* by the connection's chain */
    bool begun, over;
    struct page_entry *entries; /* the batch */
    char *names;
    size_t count, room, names_length, names_room;
    size_t looked, shown; /* how far it has come */
    int64_t paid;         /* what was sent is within the rate from then on */
    struct page page;
    struct page_view view;
    char head[CHUNK_HEAD];
    struct look looks[LOOKS];
};

/* ------------------------------------------------------------------------------------------- its life */

static void free_listing(struct listing *listing)
{
    free(listing->entries);
    free(listing->names);
    free(listing->page.bytes);
    free(listing);
}

static bool is_known(const struct listing *listing)
{
    return listing->looked == listing->count && listing->looking == 0;
}

/* Is there something to be sent, or to be told? */
static bool is_ready(const struct listing *listing)
{
    return listing->error != 0 || ((listing->paused || listing->listed) && is_known(listing));
}

static void look_on(struct listing *listing);

/* After anything happened to it. May free it. */
static void advance(struct listing *listing)
{
    if (listing->exchange == NULL) {
        if (listing->looking == 0 && listing->list == 0)
            free_listing(listing);
        else if (listing->looking == 0) /* last, because looks begin in its directory */
            errand_cancel(listing->queue, listing->list);
        return;
    }
    if (listing->error == 0)
        look_on(listing);
    if (listing->listed && is_known(listing) && listing->list != 0 && !listing->released) {
        listing->released = true;
        errand_resume(listing->queue, listing->list, 0, 0);
    }
    if (listing->awaited && is_ready(listing)) {
        listing->awaited = false;
        errand_resume(listing->queue, listing->exchange->http->base.chain, 0, 0);
    }
}

void listing_release(struct exchange *exchange)
{
    struct listing *listing = exchange->listing;
    if (listing == NULL)
        return;
    exchange->listing = NULL;
    listing->exchange = NULL;
    for (unsigned i = 0; i < LOOKS; i++)
        if (listing->looks[i].id != 0)
            errand_cancel(listing->queue, listing->looks[i].id);
    advance(listing);
}

bool listing_is_begun(const struct exchange *exchange)
{
    return exchange->listing->begun;
}

/* ------------------------------------------------------------------------------------------- looks */

/* The call step of a look. */
static int looked(errand_chain *chain, void *context)
{
    struct look *look = context;
    struct listing *listing = look->listing;
    for (unsigned i = 0; i < look->count; i++) {
        struct page_entry *entry = &listing->entries[look->first + i];
        const struct errand_stat *stat = &look->stats[i];
        entry->gone = errand_chain_result(chain, look->opens[i]) == -ENOENT;
        if (errand_chain_result(chain, look->looks[i]) < 0)
            continue;
        entry->known = true;
        entry->type = (uint8_t)IFTODT(stat->mode);
        entry->size = stat->bytes;
        entry->modified = stat->modified_ns / ERRAND_SECOND - (stat->modified_ns % ERRAND_SECOND < 0);
    }
    return 0;
}

static void look_ended(const struct errand_event *event)
{
    struct look *look = event->user_data;
    struct listing *listing = look->listing;
    look->id = 0;
    listing->looking--;
    listing->shared->looks--;
    if (event->error == -ECANCELED && listing->error == 0) /* by us, or the queue is being closed */
        listing->error = -ECANCELED;
    advance(listing);
}

static bool begin_look(struct look *look, unsigned count)
{
    struct listing *listing = look->listing;
    errand_chain *chain;
    if (errand_chain_new(listing->queue, &chain) != 0)
        return false;
    look->first = listing->looked;
    look->count = count;
    for (unsigned i = 0; i < count; i++) {
        const char *name = listing->names + listing->entries[look->first + i].name;
        look->opens[i] = errand_step_open(chain, listing->dir, name, O_PATH | O_NOFOLLOW, 0);
        errand_step_optional(chain, look->opens[i]);
        look->looks[i] = errand_step_stat(chain, ERRAND_SLOT(look->opens[i]), &look->stats[i]);
        errand_step_optional(chain, look->looks[i]);
        errand_step_optional(chain, errand_step_close(chain, ERRAND_SLOT(look->opens[i])));
    }
    errand_step_call(chain, looked, look);
    struct errand_submit options = {
        .size = sizeof options, .user_data = look, .ended = look_ended, .flags = ERRAND_UNHURRIED};
    if (errand_submit(chain, &options, &look->id) != 0)
        return false;
    listing->looking++;
    listing->shared->looks++;
    listing->looked += count;
    return true;
}

/* Begins as many looks as may be under way. What no chain is to be had for stays unknown: it is listed all the same. */
static void look_on(struct listing *listing)
{
    bool all = listing->paused || listing->listed;
    for (unsigned i = 0; i < LOOKS && listing->looked < listing->count; i++) {
        size_t left = listing->count - listing->looked;
        bool enough = listing->looking > 0 && listing->shared->looks >= LOOKS_ALL;
        if (enough || (left < LOOK_ENTRIES && !all))
            return;
        struct look *look = &listing->looks[i];
        look->listing = listing;
        if (look->id == 0 && !begin_look(look, left < LOOK_ENTRIES ? (unsigned)left : LOOK_ENTRIES)) {
            if (listing->looking > 0)
                return; /* the end of one gives another try */
            listing->looked = listing->count;
        }
    }
}

/* ------------------------------------------------------------------------------------------- names */

static bool is_shown(const struct listing *listing, const struct errand_entry *what)
{
    const struct exchange *exchange = listing->exchange;
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

static bool make_room(struct listing *listing, size_t length)
{
    if (listing->count == listing->room) {
        size_t room = listing->room < BATCH_ENTRIES ? 2 * listing->room + 32 : listing->room + 512;
        struct page_entry *entries = reallocarray(listing->entries, room, sizeof *entries);
        if (entries == NULL)
            return false;
        listing->entries = entries;
        listing->room = room;
    }
    if (listing->names_room - listing->names_length < length) {
        size_t room = listing->names_room < BATCH_NAMES / 2 ? 2 * listing->names_room : listing->names_room + 16384;
        room += length + 512;
        char *names = realloc(listing->names, room);
        if (names == NULL)
            return false;
        listing->names = names;
        listing->names_room = room;
    }
    return true;
}

static int on_entry(errand_chain *chain, const struct errand_entry *what, void *context)
{
    struct listing *listing = context;
    if (listing->exchange == NULL || listing->error != 0)
        return 1;
    if (!is_shown(listing, what))
        return listing->paused ? ERRAND_PAUSE : 0;
    size_t length = strlen(what->name);
    if (!make_room(listing, length + 1))
        return -ENOMEM;
    listing->dir = (int)errand_chain_result(chain, 0);
    listing->entries[listing->count++] =
        (struct page_entry){.name = (uint32_t)listing->names_length, .length = (uint16_t)length, .type = what->type};
    memcpy(listing->names + listing->names_length, what->name, length + 1);
    listing->names_length += length + 1;
    listing->paused = listing->count >= BATCH_ENTRIES || listing->names_length >= BATCH_NAMES;
    advance(listing);
    return listing->paused ? ERRAND_PAUSE : 0;
}

static int on_listed(errand_chain *chain, void *context)
{
    struct listing *listing = context;
    (void)chain;
    listing->listed = true;
    listing->paused = false;
    advance(listing);
    return 0;
}

static void list_ended(const struct errand_event *event)
{
    struct listing *listing = event->user_data;
    listing->list = 0;
    if (listing->error == 0)
        listing->error = event->error;
    advance(listing);
}

static int begin_list(struct listing *listing)
{
    const struct exchange_name *name = listing->exchange->names->list;
    while (name->kind != KIND_LISTING)
        name++;
    errand_chain *chain;
    int error = errand_chain_new(listing->queue, &chain);
    if (error)
        return error;
    int dir = errand_step_open(chain, exchange_root(listing->exchange), name->path, O_RDONLY | O_DIRECTORY, 0);
    errand_step_list(chain, ERRAND_SLOT(dir), on_entry, listing);
    errand_step_call(chain, on_listed, listing);
    errand_step_await(chain, NULL, NULL); /* its descriptor is where looks begin */
    struct errand_submit options = {.size = sizeof options, .user_data = listing, .ended = list_ended};
    return errand_submit(chain, &options, &listing->list);
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
    while (listing->shown < listing->count && page->length < PIECE) {
        const struct page_entry *entry = &listing->entries[listing->shown++];
        page_entry(page, &listing->view, entry, listing->names + entry->name);
    }
    if (listing->shown < listing->count)
        return;
    if (listing->listed) {
        page_end(page, &listing->view);
        listing->over = true;
        return;
    }
    listing->count = listing->looked = listing->shown = listing->names_length = 0;
    listing->paused = false;
    errand_resume(listing->queue, listing->list, 0, 0);
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

static void pay(struct listing *listing, uint64_t bytes)
{
    uint64_t rate = exchange_rate(listing->exchange);
    int64_t now = errand_queue_now(listing->queue);
    if (rate != 0)
        listing->paid = (listing->paid > now ? listing->paid : now) + (int64_t)(bytes * ERRAND_SECOND / rate);
}

/* The call step of the connection's chain: appends what sends a piece. */
static int send_piece(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    struct listing *listing = exchange->listing;
    int fd = exchange->http->base.fd, step = 0;
    if (listing->error != 0)
        return listing->error;
    if (!is_ready(listing))
        return 0; /* more came with what completed the batch */
    listing->page.length = 0;
    page_put(&listing->page, listing->head, CHUNK_HEAD);
    if (!listing->begun) {
        char *head;
        size_t length = write_head(exchange, &listing->view, &head);
        if (length == 0)
            return -ENOMEM;
        listing->view.sorted = listing->listed;
        if (listing->listed)
            page_sort(listing->entries, listing->count, listing->names, &listing->view.choice);
        page_begin(&listing->page, &listing->view);
        step = errand_step_send(chain, fd, head, length, ERRAND_MORE);
    }
    write_piece(listing);
    size_t length;
    const char *piece = listing->page.failed ? NULL : frame(listing, &length);
    if (step < 0 || piece == NULL)
        return step < 0 ? step : -ENOMEM;
    listing->begun = true;
    pay(listing, length);
    if (length > 0)
        step = errand_step_send(chain, fd, piece, length, 0);
    if (step >= 0 && listing->over && exchange->linger)
        step = errand_step_shutdown(chain, fd, SHUT_WR);
    return step < 0 ? step : 0;
}

static int submit_piece(struct exchange *exchange)
{
    struct listing *listing = exchange->listing;
    errand_chain *chain;
    int error = errand_chain_new(listing->queue, &chain);
    if (error)
        return error;
    int64_t early = listing->paid - errand_queue_now(listing->queue);
    if (early > 0)
        errand_step_sleep(chain, early);
    listing->awaited = !is_ready(listing);
    if (listing->awaited)
        errand_step_await(chain, NULL, NULL);
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
    listing->shared = exchange_shared(exchange);
    listing->queue = listing->shared->worker->queue;
    int error = begin_view(exchange, &listing->view) ? 0 : -EIO;
    if (error == 0)
        error = begin_list(listing);
    return error ? error : submit_piece(exchange);
}

int listing_go_on(struct exchange *exchange)
{
    if (exchange->listing->over)
        return 0;
    int error = submit_piece(exchange);
    return error ? error : 1;
}
