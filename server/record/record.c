/* SPDX-License-Identifier: MIT */
/* From what happens to a request to its line and its figures. */
#include "record.h"
#include "cache/cache.h"
#include "gate.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 2048, /* of one text: more than a line shows */
    USER_SPACE = 64,
    SAMPLED_MAX = 1024 /* chains that are asked where they are */
};

#define PUBLISH_NS (100 * ERRAND_MILLISECOND)

struct record_texts {
    struct address client;
    struct access_text method, target, version, host, referer, agent, user;
    char user_space[USER_SPACE];
    char space[];
};

int record_prepare(struct record *record, const struct record_options *options)
{
    *record = (struct record){.publishes = options->status};
    if (options->access_log == NULL && !options->status)
        return 0;
    record->metrics = metrics_new();
    return record->metrics != NULL ? 0 : -ENOMEM;
}

int record_open(struct worker *worker, const struct record_options *options)
{
    struct record *record = &worker->record;
    if (options->access_log == NULL)
        return 0;
    record->log = access_log_open(worker->queue, options->access_log, options->format, record->metrics);
    return record->log != NULL ? 0 : -ENOMEM;
}

void record_close(struct record *record)
{
    access_log_close(record->log);
    record->log = NULL;
    record->timer = NULL;
}

void record_free(struct record *record)
{
    free(record->metrics);
    record->metrics = NULL;
}

void record_reopen(struct record *record)
{
    if (record->log != NULL)
        access_log_reopen(record->log);
}

bool record_finished(struct record *record)
{
    return record->log == NULL || access_log_finished(record->log);
}

/* ------------------------------------------------------------------------------------------ publishing */

/* What step are the chains at? Of very many, those that began first are asked: the slowest. */
static void publish_steps(struct worker *worker, struct metrics *metrics)
{
    uint64_t steps[METRICS_STEPS] = {0}, busy = 0;
    struct errand_progress progress = {.size = sizeof progress};
    for (struct connection *at = worker->waits[WAIT_BUSY].first; at != NULL; at = at->next) {
        if (++busy > SAMPLED_MAX)
            continue;
        unsigned kind = 0;
        if (at->chain != 0 && errand_chain_progress(worker->queue, at->chain, &progress) == 0)
            kind = progress.step_kind < METRICS_STEPS ? progress.step_kind : 0;
        steps[kind]++;
    }
    steps[0] += busy > SAMPLED_MAX ? busy - SAMPLED_MAX : 0;
    for (unsigned i = 0; i < METRICS_STEPS; i++)
        counter_set(&metrics->steps[i], steps[i]);
    counter_set(&metrics->busy, busy);
}

static void publish_cache(const struct cache *cache, struct metrics *metrics)
{
    struct cache_figures figures;
    if (cache == NULL)
        return;
    cache_figures(cache, &figures);
    counter_set(&metrics->cache_hits, figures.hits + figures.absent);
    counter_set(&metrics->cache_misses, figures.passed + figures.waits);
    counter_set(&metrics->cache_evictions, figures.evictions);
    counter_set(&metrics->cache_bytes, figures.bytes);
    counter_set(&metrics->cache_entries, figures.entries);
}

void record_publish(struct worker *worker)
{
    struct record *record = &worker->record;
    int64_t now = errand_queue_now(worker->queue);
    bool busy = false;
    if (now - record->published >= PUBLISH_NS) {
        record->published = now;
        publish_steps(worker, record->metrics);
        metrics_publish_queue(record->metrics, worker->queue);
        publish_cache(worker->cache, record->metrics);
        counter_set(&record->metrics->connections, worker->connections);
        busy = worker->waits[WAIT_BUSY].first != NULL;
    } else {
        busy = true; /* what this batch changed is still to be told */
    }
    if (!busy || record->timer_set)
        return;
    int64_t after = record->published + PUBLISH_NS - now;
    int error = record->timer == NULL ? errand_source_timer(worker->queue, after, 0, &record->timer, &record->timer)
                                      : errand_source_set_timer(record->timer, after, 0);
    record->timer_set = error == 0;
}

bool record_timer(struct worker *worker, const void *user_data)
{
    struct record *record = &worker->record;
    if (user_data == &record->timer) {
        record->timer_set = false; /* the end of this batch publishes */
        return true;
    }
    if (record->log == NULL || user_data != record->log)
        return false;
    access_log_timer(record->log);
    return true;
}

/* ------------------------------------------------------------------------------------------ of a request */

/* Is the line this field's? Then its value, without the blanks around it. name: lower case, with its colon. */
static bool is_field(const char *line, size_t length, const char *name, size_t name_length, struct access_text *value)
{
    if (length < name_length)
        return false;
    for (size_t i = 0; i < name_length; i++)
        if ((line[i] >= 'A' && line[i] <= 'Z' ? line[i] | 0x20 : line[i]) != name[i])
            return false;
    line += name_length;
    length -= name_length;
    while (length > 0 && (*line == ' ' || *line == '\t'))
        line++, length--;
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r'))
        length--;
    *value = (struct access_text){line, length < TEXT_MAX ? length : TEXT_MAX};
    return true;
}

#define FIELD(name, value) is_field(line, length, name, sizeof(name) - 1, value)

static void find_fields(struct record_texts *texts, const char *line, const char *end)
{
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = newline != NULL ? (size_t)(newline - line) : (size_t)(end - line);
        switch (*line | 0x20) {
        case 'h': FIELD("host:", &texts->host); break;
        case 'r': FIELD("referer:", &texts->referer); break;
        case 'u': FIELD("user-agent:", &texts->agent); break;
        default: break;
        }
        line += length + 1;
    }
}

/* The parts of the request line; of anything else, the line as a whole. */
static void find_line(struct record_texts *texts, const char *line, size_t length, bool whole)
{
    if (length > 0 && line[length - 1] == '\r')
        length--;
    const char *first = memchr(line, ' ', length), *last = memrchr(line, ' ', length), *end = line + length;
    if (!whole || first == NULL || last == first) {
        texts->target = (struct access_text){line, length < TEXT_MAX ? length : TEXT_MAX};
        return;
    }
    texts->method = (struct access_text){line, (size_t)(first - line)};
    texts->target = (struct access_text){first + 1, (size_t)(last - first - 1)};
    texts->version = (struct access_text){last + 1, (size_t)(end - last - 1)};
    if (texts->target.length > TEXT_MAX)
        texts->target.length = TEXT_MAX;
}

static void keep(struct access_text *text, char **at)
{
    if (text->length > 0)
        memcpy(*at, text->bytes, text->length);
    text->bytes = *at;
    *at += text->length;
}

/* Copies what the log will need. NULL: no memory, and no line. */
static struct record_texts *copy_texts(struct connection *connection, const char *head, size_t length, bool whole)
{
    struct record_texts found = {0};
    const char *end = head + length;
    while (head < end && (*head == '\r' || *head == '\n'))
        head++; /* an old habit of clients */
    if (head < end) {
        const char *newline = memchr(head, '\n', (size_t)(end - head));
        find_line(&found, head, newline != NULL ? (size_t)(newline - head) : (size_t)(end - head), whole);
        if (newline != NULL)
            find_fields(&found, newline + 1, end);
    }
    size_t space = found.method.length + found.target.length + found.version.length + found.host.length +
                   found.referer.length + found.agent.length;
    struct record_texts *texts = malloc(sizeof *texts + space);
    if (texts == NULL)
        return NULL;
    char *at = texts->space;
    *texts = found;
    keep(&texts->method, &at);
    keep(&texts->target, &at);
    keep(&texts->version, &at);
    keep(&texts->host, &at);
    keep(&texts->referer, &at);
    keep(&texts->agent, &at);
    texts->client = gate_address(connection);
    return texts;
}

void record_begin_now(struct record *record, struct record_request *request, struct connection *connection,
                      const char *head, size_t length)
{
    bool whole = length >= 4 && memcmp(head + length - 4, "\r\n\r\n", 4) == 0;
    const char *blank = length > 0 ? memchr(head, ' ', length < 32 ? length : 32) : NULL;
    *request = (struct record_request){
        .open = true,
        .method = (uint8_t)(blank != NULL ? metrics_method(head, (size_t)(blank - head)) : METRICS_OTHER)};
    stage_begin(&request->times, errand_queue_now(connection->endpoint->worker->queue));
    if (record->log != NULL)
        request->texts = copy_texts(connection, head != NULL ? head : "", length, whole);
}

void record_reply_now(struct record *record, struct record_request *request, const char *head, size_t length)
{
    (void)record;
    if (length >= 12) /* "HTTP/1.1 200" */
        request->status = (int16_t)((head[9] - '0') * 100 + (head[10] - '0') * 10 + head[11] - '0');
    if (request->texts == NULL)
        return;
    const char *end = NULL;
    if (length < 4 || memcmp(head + length - 4, "\r\n\r\n", 4) != 0) /* a page follows it */
        end = memmem(head, length, "\r\n\r\n", 4);
    request->head_length = end != NULL ? (uint32_t)(end - head) + 4 : (uint32_t)length;
}

void record_user_now(struct record_request *request, const char *name, size_t length)
{
    struct record_texts *texts = request->texts;
    length = length < USER_SPACE ? length : USER_SPACE;
    memcpy(texts->user_space, name, length);
    texts->user = (struct access_text){texts->user_space, length};
}

void record_end_now(struct record *record, struct record_request *request)
{
    request->open = false;
    metrics_request(record->metrics, (enum metrics_method)request->method, request->status, request->bytes,
                    &request->times);
    struct record_texts *texts = request->texts;
    if (texts == NULL)
        return;
    request->texts = NULL;
    if (record->log != NULL) {
        struct access_entry entry = {
            .method = texts->method,
            .target = texts->target,
            .version = texts->version,
            .host = texts->host,
            .referer = texts->referer,
            .agent = texts->agent,
            .user = texts->user,
            .status = request->status,
            .bytes = request->bytes > request->head_length ? request->bytes - request->head_length : 0,
            .times = request->times,
            .failed = request->error != 0 ? errand_step_name(request->failed) : NULL,
            .error = request->error != 0 ? errand_error_name(request->error) : NULL,
        };
        memcpy(entry.client, texts->client.bytes, sizeof entry.client);
        access_log_add(record->log, &entry);
    }
    free(texts);
}
