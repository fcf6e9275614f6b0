/* SPDX-License-Identifier: MIT */
/* From what happens to a request to its line and its figures. */
#include "record.h"
#include "cache/cache.h"
#include "ftp/ports.h"
#include "ftp/session.h"
#include "gate.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLED_MAX = 1024 }; /* chains that are asked where they are */

#define PUBLISH_NS (100 * ERRAND_MILLISECOND)

int record_prepare(struct record *record, const struct record_options *options)
{
    bool wanted = options->status;
    *record = (struct record){.publishes = options->status};
    for (unsigned i = 0; i < RECORD_LOGS; i++)
        wanted = wanted || options->logs[i].path != NULL;
    if (!wanted)
        return 0;
    record->metrics = metrics_new();
    return record->metrics != NULL ? 0 : -ENOMEM;
}

int record_open(struct worker *worker, const struct record_options *options)
{
    struct record *record = &worker->record;
    for (unsigned i = 0; i < RECORD_LOGS; i++) {
        if (options->logs[i].path == NULL)
            continue;
        record->logs[i] =
            access_log_open(worker->queue, options->logs[i].path, options->logs[i].format, record->metrics);
        if (record->logs[i] == NULL)
            return -ENOMEM;
    }
    return 0;
}

void record_close(struct record *record)
{
    for (unsigned i = 0; i < RECORD_LOGS; i++) {
        access_log_close(record->logs[i]);
        record->logs[i] = NULL;
    }
    record->timer = NULL;
}

void record_free(struct record *record)
{
    free(record->metrics);
    record->metrics = NULL;
}

void record_reopen(struct record *record)
{
    for (unsigned i = 0; i < RECORD_LOGS; i++)
        if (record->logs[i] != NULL)
            access_log_reopen(record->logs[i]);
}

bool record_finished(struct record *record)
{
    bool finished = true;
    for (unsigned i = 0; i < RECORD_LOGS; i++)
        if (record->logs[i] != NULL && !access_log_finished(record->logs[i]))
            finished = false;
    return finished;
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

static void publish_ftp(const struct worker *worker, struct metrics *metrics)
{
    uint64_t sessions = 0;
    for (unsigned i = 0; i < worker->endpoint_count; i++)
        if (worker->endpoints[i].protocol == &ftp_protocol)
            sessions += worker->endpoints[i].connections;
    counter_set(&metrics->ftp.sessions, sessions);
    counter_set(&metrics->ftp.ports, ftp_ports_busy(worker->ftp->ports));
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
        publish_ftp(worker, record->metrics);
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
    for (unsigned i = 0; i < RECORD_LOGS; i++) {
        if (record->logs[i] == NULL || user_data != record->logs[i])
            continue;
        access_log_timer(record->logs[i]);
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------ of a request */

static void keep(struct access_text *text, char **at)
{
    if (text->length > 0)
        memcpy(*at, text->bytes, text->length);
    text->bytes = *at;
    *at += text->length;
}

void record_keep(struct record_request *request, struct connection *connection, const struct record_texts *found)
{
    size_t space = found->method.length + found->target.length + found->version.length + found->host.length +
                   found->referer.length + found->agent.length + found->user.length;
    struct record_texts *texts = malloc(sizeof *texts + space);
    request->texts = texts;
    if (texts == NULL)
        return;
    char *at = texts->space;
    *texts = *found;
    keep(&texts->method, &at);
    keep(&texts->target, &at);
    keep(&texts->version, &at);
    keep(&texts->host, &at);
    keep(&texts->referer, &at);
    keep(&texts->agent, &at);
    keep(&texts->user, &at);
    texts->client = gate_address(connection);
}

void record_user_now(struct record_request *request, const char *name, size_t length)
{
    struct record_texts *texts = request->texts;
    length = length < sizeof texts->user_space ? length : sizeof texts->user_space;
    memcpy(texts->user_space, name, length);
    texts->user = (struct access_text){texts->user_space, length};
}

void record_write(struct record *record, struct record_request *request, const struct access_transfer *transfer)
{
    struct record_texts *texts = request->texts;
    request->open = false;
    request->texts = NULL;
    if (texts == NULL)
        return;
    struct access_entry entry = {
        .method = texts->method,
        .target = texts->target,
        .version = texts->version,
        .host = texts->host,
        .referer = texts->referer,
        .agent = texts->agent,
        .user = texts->user,
        .ftp = transfer != NULL,
        .status = request->status,
        .bytes = request->bytes,
        .times = request->times,
        .failed = request->error != 0 ? errand_step_name(request->failed) : NULL,
        .error = request->error != 0 ? errand_error_name(request->error) : NULL,
    };
    if (transfer != NULL)
        entry.transfer = *transfer;
    memcpy(entry.client, texts->client.bytes, sizeof entry.client);
    for (unsigned i = 0; i < RECORD_LOGS; i++)
        if (record->logs[i] != NULL)
            access_log_add(record->logs[i], &entry);
    free(texts);
}
