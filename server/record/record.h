/* SPDX-License-Identifier: MIT */
/*
 * What a worker writes down of its requests: lines of logs, and figures. Whoever answers a request, or carries out a
 * command, keeps a struct record_request beside it and says what happens:
 *
 *     record_begin    its head is complete, or it was refused: http/record.h, ftp/record.h
 *     record_stage    a stage is over
 *     record_reply    the head of the reply was written
 *     record_chain    a chain of it ended, well or not, or was cancelled
 *     record_end      nothing more will happen: may be called for one that was recorded already
 *
 * When neither is wanted each of these is one comparison.
 */
#ifndef SERVER_RECORD_RECORD_H
#define SERVER_RECORD_RECORD_H

#include "access.h"
#include "address.h"
#include "metrics.h"

struct connection;
struct worker;

enum record_log { RECORD_ACCESS, RECORD_TRANSFERS, RECORD_LOGS };

struct record_options {
    struct {
        const char *path; /* "-" for standard output; NULL: none */
        enum config_log_format format;
    } logs[RECORD_LOGS];
    bool status; /* somebody may ask for the figures */
};

/* A worker's. */
struct record {
    struct metrics *metrics;              /* NULL: nothing is recorded */
    struct access_log *logs[RECORD_LOGS]; /* NULL: it is not kept */
    errand_source *timer;                 /* for publishing what is so now */
    int64_t published;
    bool publishes, timer_set;
};

/* What a log needs of a request in words, which are gone when the line is written. */
struct record_texts {
    struct address client;
    struct access_text method, target, version, host, referer, agent, user;
    char user_space[64];
    char space[];
};

/* One request. All zero, or as record_end() leaves it, until record_begin(). */
struct record_request {
    struct stage_times times;
    struct record_texts *texts;
    uint64_t bytes;       /* that sockets took */
    uint32_t head_length; /* of the reply */
    int16_t status;
    uint16_t failed; /* kind of the step */
    int32_t error;   /* the first chain's that failed */
    uint8_t method;  /* enum metrics_method */
    bool open;
};

/* Before the threads begin: returns 0 or -ENOMEM. Then on the worker's thread, when it has a queue. */
int record_prepare(struct record *record, const struct record_options *options);
int record_open(struct worker *worker, const struct record_options *options);

/* After the queue's end; and when all threads have ended. */
void record_close(struct record *record);
void record_free(struct record *record);

/* An ERRAND_EVENT_TIMER's user_data: is it one of these? Then it was seen to. */
bool record_timer(struct worker *worker, const void *user_data);

/* After each batch of events. */
void record_publish(struct worker *worker);
static inline void record_batch(struct worker *worker, struct record *record)
{
    if (record->publishes)
        record_publish(worker);
}

/* The logs were renamed: writes to new ones. */
void record_reopen(struct record *record);

/* No more requests: has the logs written. True: the worker may leave. */
bool record_finished(struct record *record);

/* ------------------------------------------------------------------------------------------ of a request */

/* Keeps these words for its line, and who the client is. Without memory there is no line. */
void record_keep(struct record_request *request, struct connection *connection, const struct record_texts *found);
void record_user_now(struct record_request *request, const char *name, size_t length);

/* The end: its lines. transfer: of a command of FTP; NULL: of a request. */
void record_write(struct record *record, struct record_request *request, const struct access_transfer *transfer);

static inline bool record_has_log(const struct record *record)
{
    return record->logs[RECORD_ACCESS] != NULL || record->logs[RECORD_TRANSFERS] != NULL;
}

static inline void record_stage(struct record_request *request, enum stage stage, errand_queue *queue)
{
    if (request->open)
        stage_passed(&request->times, stage, errand_queue_now(queue));
}

/* The user who has shown who he is. */
static inline void record_user(struct record_request *request, const char *name, size_t length)
{
    if (request->open && request->texts != NULL)
        record_user_now(request, name, length);
}

/* stage: which is over with it. */
static inline void record_chain(struct record *record, struct record_request *request, const struct errand_event *event,
                                enum stage stage, errand_queue *queue)
{
    if (!request->open)
        return;
    stage_passed(&request->times, stage, errand_queue_now(queue));
    request->bytes += event->bytes;
    if (event->error != 0) {
        metrics_error(record->metrics, event->step_kind);
        if (request->error == 0) {
            request->error = event->error;
            request->failed = event->step_kind;
        }
    }
}

/* ------------------------------------------------------------------------------------------ of connections */

/* Of those that clients of the service make: not of those that ask for these figures. */
static inline void record_input(struct record *record, uint64_t bytes)
{
    if (record->metrics != NULL)
        counter_add(&record->metrics->bytes_in, bytes);
}

static inline void record_output(struct record *record, uint64_t bytes)
{
    if (record->metrics != NULL)
        counter_add(&record->metrics->bytes_out, bytes);
}

/* Somebody was refused, or cut off, by a limit. */
static inline void record_limited(struct record *record, enum metrics_limit limit)
{
    if (record->metrics != NULL)
        counter_add(&record->metrics->limited[limit], 1);
}

static inline void record_accepted(struct record *record, bool taken)
{
    if (record->metrics != NULL)
        counter_add(taken ? &record->metrics->accepted : &record->metrics->refused, 1);
}

#endif
