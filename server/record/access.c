/* SPDX-License-Identifier: MIT */
/* Two buffers, one chain at a time, and a timer that is set only while there is something to be written. */
#include "access.h"
#include "log.h"
#include "sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BUFFER_SIZE = 64 * 1024,
    LEAD = 1, /* a buffer begins with a newline, which is written only where the file may end within a line */
};

#define FLUSH_NS     ERRAND_SECOND        /* a line waits at most so long for company */
#define FINISH_NS    (2 * ERRAND_SECOND)  /* a log that hangs delays the end at most so long */
#define COMPLAIN_NS  (60 * ERRAND_SECOND) /* the same complaint again */
#define REAL_TIME_NS ERRAND_SECOND        /* how long the difference between the clocks is taken for the same */

struct buffer {
    size_t used;             /* LEAD: nothing is in it */
    uint64_t lines, dropped; /* in it; and said in it to be missing */
    char data[BUFFER_SIZE];
};

struct access_log {
    errand_queue *queue;
    struct metrics *metrics;
    enum config_log_format format;
    struct access_clock clock;
    struct sink sink;
    struct buffer *filling, *writing; /* writing: NULL while no chain is under way */
    struct buffer *spare;             /* NULL while one is */
    uint64_t dropped;                 /* and not yet said */
    errand_source *timer;
    bool timer_set, again; /* again: write at once what is there when the chain ends */
    bool torn;             /* the file may end within a line */
    int64_t finish_by;     /* 0: not at its end; a time in the past: it has had its time */
    int complained;        /* of this error */
    int64_t complained_at;
    int64_t real_offset, real_until; /* from the queue's clock to the real one */
};

static void write_ended(const struct errand_event *event);

static int64_t now_of(const struct access_log *log)
{
    return errand_queue_now(log->queue);
}

static int64_t real_us(struct access_log *log, int64_t queue_ns)
{
    int64_t now = now_of(log);
    if (now >= log->real_until) {
        struct timespec real, monotonic;
        clock_gettime(CLOCK_REALTIME, &real);
        clock_gettime(CLOCK_MONOTONIC, &monotonic);
        log->real_offset =
            (real.tv_sec - monotonic.tv_sec) * ERRAND_SECOND + (int64_t)real.tv_nsec - (int64_t)monotonic.tv_nsec;
        log->real_until = now + REAL_TIME_NS;
    }
    return (queue_ns + log->real_offset) / 1000;
}

static void empty(struct buffer *buffer)
{
    buffer->data[0] = '\n';
    buffer->used = LEAD;
    buffer->lines = buffer->dropped = 0;
}

static bool is_empty(const struct buffer *buffer)
{
    return buffer->used == LEAD;
}

static bool has_room(const struct buffer *buffer)
{
    return BUFFER_SIZE - buffer->used >= ACCESS_LINE_MAX;
}

static void drop(struct access_log *log, uint64_t lines)
{
    log->dropped += lines;
    counter_add(&log->metrics->log_dropped, lines);
}

/* Says in the log how many lines are missing here. */
static void say_dropped(struct access_log *log)
{
    struct buffer *buffer = log->filling;
    if (log->dropped == 0 || !has_room(buffer))
        return;
    char *begin = buffer->data + buffer->used;
    char *end = access_format_dropped(begin, log->format, log->dropped, real_us(log, now_of(log)), &log->clock);
    buffer->used += (size_t)(end - begin);
    buffer->dropped += log->dropped;
    log->dropped = 0;
}

static void set_timer(struct access_log *log, int64_t after)
{
    int error = log->timer == NULL ? errand_source_timer(log->queue, after, 0, log, &log->timer)
                                   : errand_source_set_timer(log->timer, after, 0);
    log->timer_set = error == 0; /* without one it is written when it is full, and at the end */
}

/* ------------------------------------------------------------------------------------------ writing */

static const char *name_of(const struct access_log *log)
{
    return log->format == CONFIG_LOG_XFERLOG ? "transfer" : "access";
}

static void complain(struct access_log *log, int error, const char *step)
{
    counter_add(&log->metrics->log_errors, 1);
    if (error == log->complained && now_of(log) - log->complained_at < COMPLAIN_NS)
        return;
    log->complained = error;
    log->complained_at = now_of(log);
    log_error("the %s log cannot be written (%s): %s", name_of(log), step, errand_error_name(error));
}

/* What did not reach the file is missing in it: the lines from `from` on, and what a lost line said. */
static void take_back(struct access_log *log, struct buffer *buffer, const char *from)
{
    uint64_t lines = 0;
    for (const char *at = from, *end = buffer->data + buffer->used; at < end; lines++)
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    if (buffer->dropped > 0) {
        /* The line that says it is somewhere in what was lost or in what was not; said twice is the lesser evil. */
        log->dropped += buffer->dropped;
        lines -= lines > buffer->lines ? 1 : 0;
    }
    drop(log, lines);
}

/* Begins to write what has gathered. */
static void start(struct access_log *log)
{
    struct buffer *buffer = log->filling;
    if (log->writing != NULL || is_empty(buffer))
        return;
    log->filling = log->spare;
    log->spare = NULL;
    log->writing = buffer;
    log->again = false;
    say_dropped(log); /* what goes out next begins with it */
    size_t skip = log->torn ? 0 : LEAD;
    int error = sink_write(&log->sink, buffer->data + skip, buffer->used - skip);
    if (error == 0)
        return;
    complain(log, error, "describing the job");
    take_back(log, buffer, buffer->data + LEAD);
    empty(buffer);
    log->spare = buffer;
    log->writing = NULL;
}

static void write_ended(const struct errand_event *event)
{
    struct access_log *log = event->user_data;
    if (sink_goes_on(&log->sink, event))
        return;
    struct buffer *buffer = log->writing;
    const char *end = log->sink.data + log->sink.done;
    counter_add(&log->metrics->log_bytes, log->sink.done);
    if (log->sink.done < log->sink.length) {
        if (event->error != -ECANCELED)
            complain(log, event->error ? event->error : -EIO, errand_step_name(event->step_kind));
        /* A write that failed may have written a part that nobody counted. */
        log->torn = event->step_kind == ERRAND_STEP_WRITE || (log->sink.done > 0 ? end[-1] != '\n' : log->torn);
        take_back(log, buffer, log->sink.done > 0 ? end : buffer->data + LEAD);
        if (log->finish_by != 0)
            log->finish_by = 1; /* it would fail again and again until then */
    } else {
        log->torn = false;
        log->complained = 0;
        counter_add(&log->metrics->log_lines, buffer->lines);
    }
    empty(buffer);
    log->spare = buffer;
    log->writing = NULL;
    if (event->error == -ECANCELED)
        return; /* the queue is being closed, or has had its time */
    say_dropped(log);
    if (log->finish_by != 0)
        set_timer(log, 0); /* the end of a chain that has an `ended` wakes nobody */
    else if (!is_empty(log->filling) && (log->again || !has_room(log->filling)))
        start(log);
    else if (!is_empty(log->filling) && !log->timer_set)
        set_timer(log, FLUSH_NS);
}

/* ------------------------------------------------------------------------------------------ the rest */

struct access_log *access_log_open(errand_queue *queue, const char *path, enum config_log_format format,
                                   struct metrics *metrics)
{
    struct access_log *log = calloc(1, sizeof *log);
    struct buffer *one = malloc(sizeof *one), *other = malloc(sizeof *other);
    if (log == NULL || one == NULL || other == NULL) {
        free(log);
        free(one);
        free(other);
        return NULL;
    }
    empty(one);
    empty(other);
    log->queue = queue;
    log->metrics = metrics;
    log->format = format;
    log->filling = one;
    log->spare = other;
    sink_open(&log->sink, queue, path, write_ended, log);
    return log;
}

void access_log_add(struct access_log *log, struct access_entry *entry)
{
    if (!access_has_line(log->format, entry))
        return;
    if (!has_room(log->filling))
        start(log);
    if (!has_room(log->filling)) {
        drop(log, 1);
        return;
    }
    say_dropped(log);
    struct buffer *buffer = log->filling;
    if (!has_room(buffer)) { /* that took the last room */
        drop(log, 1);
        return;
    }
    char *begin = buffer->data + buffer->used;
    entry->began_us = real_us(log, entry->times.began);
    buffer->used += (size_t)(access_format(begin, log->format, entry, &log->clock) - begin);
    buffer->lines++;
    if (!has_room(buffer))
        start(log);
    else if (log->writing == NULL && !log->timer_set)
        set_timer(log, FLUSH_NS);
}

void access_log_reopen(struct access_log *log)
{
    log->again = log->writing != NULL;
    start(log);
}

void access_log_timer(struct access_log *log)
{
    log->timer_set = false;
    start(log); /* under way already: its end sees to what is here */
}

bool access_log_finished(struct access_log *log)
{
    int64_t now = now_of(log);
    say_dropped(log);
    if (log->writing == NULL && is_empty(log->filling))
        return true;
    if (log->finish_by == 0)
        log->finish_by = now + FINISH_NS;
    if (now >= log->finish_by)
        return true;
    log->again = true;
    start(log);
    set_timer(log, log->finish_by - now);
    return false;
}

void access_log_close(struct access_log *log)
{
    if (log == NULL)
        return;
    uint64_t left = log->filling->lines + (log->writing != NULL ? log->writing->lines : 0) + log->dropped;
    if (left > 0)
        log_error("%" PRIu64 " lines of the %s log were not written", left, name_of(log));
    sink_close(&log->sink);
    free(log->filling);
    free(log->writing);
    free(log->spare);
    free(log);
}
