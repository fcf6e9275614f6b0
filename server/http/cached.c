/* SPDX-License-Identifier: MIT */
/*
 * GET and HEAD of small files from the worker's cache. An entry is a whole reply: the head that cached_make() wrote,
 * and the file behind it. Who asks plainly for that very file gets it in one send, as it lies there; its Date is
 * renewed in place once a second, while nobody else is being sent it. All others (other names of it, conditions, a
 * range, HEAD, HTTP/1.0, codings, CORS) get a head of their own and a copy of the bytes, by file.c.
 */
#include "answer.h"
#include "shared.h"

#include <string.h>

/* What cached_make() notes of a head. */
enum {
    NOTE_SECOND, /* of its Date */
    NOTE_DATE,   /* where that stands */
    NOTE_RULED,  /* the rules of its own path had a say in it */
};

static struct cache *cache_of(const struct exchange *exchange)
{
    return exchange_shared(exchange)->worker->cache;
}

int cached_make(void *context, const struct cache_file *file, char *head, uint64_t notes[CACHE_NOTES])
{
    struct http_shared *shared = context;
    const struct site *site = &shared->worker->server->sites.list[file->host];
    char path[CACHE_PATH_MOST + 1] = "/";
    struct policy policy;
    memcpy(path + 1, file->path, file->path_length);
    policy_of(site->config, path, file->path_length + 1, &policy);
    http_clock_update(&shared->clock, errand_queue_now(shared->worker->queue));
    char lines[CACHE_HEAD_MOST], tag[HTTP_TAG_SPACE];
    size_t length = policy.headers ? policy_headers(site->config, path, file->path_length + 1, NULL) : 0;
    if (length > CACHE_HEAD_MOST - HTTP_HEAD_SPACE)
        return -1;
    if (policy.headers)
        policy_headers(site->config, path, file->path_length + 1, lines);
    if (site->config->precompressed)
        length = (size_t)(answer_put_vary(lines + length) - lines);
    struct http_file_head about = {.status = 200, .lines = lines, .lines_length = length};
    file_describe(&about, tag, shared, file->stat, policy.type, file->path, file->path_length);
    notes[NOTE_SECOND] = (uint64_t)shared->clock.seconds;
    notes[NOTE_RULED] = policy.headers || policy.type != NULL;
    size_t size = http_head_file(head, &shared->clock, &about);
    notes[NOTE_DATE] = http_head_date(head, &shared->clock);
    return (int)size;
}

/* Does the entry's own head say what this request is to be told? */
static bool is_plain(const struct exchange *exchange, const struct cache_entry *entry)
{
    const struct policy *policy = &exchange->policy;
    bool same_rules =
        exchange->names == NULL || (!policy->headers && policy->type == NULL && entry->notes[NOTE_RULED] == 0);
    return exchange->method == HTTP_GET && !exchange->conditional && !exchange->old && exchange->keep_alive &&
           policy->origins == NULL && same_rules && file_coding(exchange) == HTTP_CODINGS &&
           exchange->http->base.endpoint->worker->phase == WORKER_SERVES;
}

/* Its Date is this second's. False: it is another, and somebody is being sent the head at this moment. */
static bool is_of_now(struct exchange *exchange, struct cache_entry *entry)
{
    const struct http_clock *clock = exchange_clock(exchange);
    if (entry->notes[NOTE_SECOND] == (uint64_t)clock->seconds)
        return true;
    if (!cache_is_sole(entry))
        return false;
    http_head_renew(entry->head + entry->notes[NOTE_DATE], clock);
    entry->notes[NOTE_SECOND] = (uint64_t)clock->seconds;
    return true;
}

static int append_hit(errand_chain *chain, struct exchange *exchange)
{
    struct cache_entry *entry = exchange->entry;
    if (is_plain(exchange, entry) && is_of_now(exchange, entry)) {
        record_reply(exchange_record(exchange), &exchange->record, entry->head, entry->head_length);
        exchange->replied = true;
        return answer_head(chain, exchange, entry->head, (size_t)entry->head_length + entry->body_length);
    }
    exchange->stat = entry->stat;
    return file_append_bytes(chain, exchange, entry->head + entry->head_length);
}

/* Several ranges of a file are sent from the file. */
static bool wants_parts(const struct exchange *exchange)
{
    const struct http_text *range = &exchange->conditions.range;
    return range->bytes != NULL && memchr(range->bytes, ',', range->length) != NULL;
}

static void go_on(struct exchange *exchange, enum cache_answer answer, struct cache_entry *entry);

static void told(struct cache_waiter *waiter, enum cache_answer answer, struct cache_entry *entry)
{
    struct exchange *exchange = LINK_OF(waiter, struct exchange, waiter);
    exchange->waits = false;
    go_on(exchange, answer, entry);
}

static enum cache_answer look(struct exchange *exchange, struct cache_entry **entry)
{
    const struct exchange_names *names = exchange->names;
    const struct exchange_name *name = names ? &names->list[exchange->name] : NULL;
    if (name != NULL && name->kind == KIND_LISTING)
        return CACHE_PASS;
    exchange->waiter = (struct cache_waiter){.told = told};
    return cache_find(cache_of(exchange),
                      (uint32_t)(exchange->site - exchange_shared(exchange)->worker->server->sites.list),
                      name ? name->path : exchange->path, name ? strlen(name->path) : exchange->path_length,
                      &exchange->waiter, entry);
}

/* With the answer for one of the names: the next one's turn, or the end of it. */
static void go_on(struct exchange *exchange, enum cache_answer answer, struct cache_entry *entry)
{
    unsigned count = exchange->names ? exchange->names->count : 1;
    while (answer == CACHE_ABSENT && ++exchange->name < count)
        answer = look(exchange, &entry);
    switch (answer) {
    case CACHE_WAIT: exchange->waits = true; return;
    case CACHE_ABSENT: answer_alone(exchange, 404); return;
    case CACHE_PASS: file_begin(exchange); return;
    case CACHE_HIT: break;
    }
    exchange->entry = entry;
    exchange_run(exchange, append_hit);
}

void cached_begin(struct exchange *exchange)
{
    struct cache_entry *entry = NULL;
    if (cache_of(exchange) == NULL || wants_parts(exchange)) {
        file_begin(exchange);
        return;
    }
    enum cache_answer answer = look(exchange, &entry);
    go_on(exchange, answer, entry);
}

void cached_release(struct exchange *exchange)
{
    if (exchange->waits)
        cache_leave(&exchange->waiter);
    if (exchange->entry != NULL)
        cache_release(cache_of(exchange), exchange->entry);
    exchange->waits = false;
    exchange->entry = NULL;
}
