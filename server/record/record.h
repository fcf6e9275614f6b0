/* SPDX-License-Identifier: MIT */
/*
 * What a worker writes down of its requests: lines of the access log, and figures. Whoever answers a request keeps a
 * struct record_request beside it and says what happens:
 *
 *     record_begin    its head is complete, or it was refused
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
#include "metrics.h"

struct connection;
struct worker;

struct record_options {
    const char *access_log; /* a path, "-" for standard output; NULL: none */
    enum config_log_format format;
    bool status; /* somebody may ask for the figures */
};

/* A worker's. */
struct record {
    struct metrics *metrics; /* NULL: nothing is recorded */
    struct access_log *log;  /* NULL: none is kept */
    errand_source *timer;    /* for publishing what is so now */
    int64_t published;
    bool publishes, timer_set;
};

struct record_texts; /* what the log needs of a head, which is gone when the line is written */

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

/* The log was renamed: writes to a new one. */
void record_reopen(struct record *record);

/* No more requests: has the log written. True: the worker may leave. */
bool record_finished(struct record *record);

/* ------------------------------------------------------------------------------------------ of a request */

/* head: the whole of it, or, of what was refused, what came of it (or nothing: NULL, 0). */
void record_begin_now(struct record *record, struct record_request *request, struct connection *connection,
                      const char *head, size_t length);
void record_reply_now(struct record *record, struct record_request *request, const char *head, size_t length);
void record_end_now(struct record *record, struct record_request *request);
void record_user_now(struct record_request *request, const char *name, size_t length);

static inline void record_begin(struct record *record, struct record_request *request, struct connection *connection,
                                const char *head, size_t length)
{
    request->open = false;
    if (record->metrics != NULL)
        record_begin_now(record, request, connection, head, length);
}

static inline void record_stage(struct record_request *request, enum stage stage, errand_queue *queue)
{
    if (request->open)
        stage_passed(&request->times, stage, errand_queue_now(queue));
}

/* out: the reply's head, perhaps with a body behind it. */
static inline void record_reply(struct record *record, struct record_request *request, const char *out, size_t length)
{
    if (request->open)
        record_reply_now(record, request, out, length);
}

/* The user who has shown who he is. */
static inline void record_user(struct record_request *request, const char *name, size_t length)
{
    if (request->open && request->texts != NULL)
        record_user_now(request, name, length);
}

static inline void record_chain(struct record *record, struct record_request *request, const struct errand_event *event,
                                errand_queue *queue)
{
    if (!request->open)
        return;
    bool opening = event->error != 0 && event->step_kind == ERRAND_STEP_OPEN; /* a page is still to be sent */
    stage_passed(&request->times, opening ? STAGE_OPEN : STAGE_SEND, errand_queue_now(queue));
    request->bytes += event->bytes;
    if (event->error != 0) {
        metrics_error(record->metrics, event->step_kind);
        if (request->error == 0) {
            request->error = event->error;
            request->failed = event->step_kind;
        }
    }
}

static inline void record_end(struct record *record, struct record_request *request)
{
    if (request->open)
        record_end_now(record, request);
}

/* ------------------------------------------------------------------------------------------ of connections */

/* Of those that clients of the service make: not of those that ask for these figures. */
static inline void record_input(struct record *record, uint64_t bytes)
{
    if (record->metrics != NULL)
        counter_add(&record->metrics->bytes_in, bytes);
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
