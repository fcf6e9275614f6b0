/* SPDX-License-Identifier: MIT */
/*
 * Where lines go: a file, opened anew for each piece of work, so that it can be renamed or removed at any time; or
 * standard output, be it a file, a pipe, a terminal or a socket. All by chains: nothing here ever waits.
 */
#ifndef SERVER_RECORD_SINK_H
#define SERVER_RECORD_SINK_H

#include "errand.h"

#include <stdbool.h>

struct sink {
    errand_queue *queue;
    const char *path; /* NULL: standard output */
    int fd;           /* standard output, or what was opened for it */
    bool stream;      /* something that is polled */
    bool own;         /* fd is to be closed */
    bool socket;

    const char *data; /* what is being written */
    size_t length, done;
    errand_id chain; /* 0: nothing is */
    void (*ended)(const struct errand_event *event);
    void *user_data;
};

/* path: "-" is standard output; must outlive it. ended: as errand_submit's, gets user_data; once for each write. */
void sink_open(struct sink *sink, errand_queue *queue, const char *path,
               void (*ended)(const struct errand_event *event), void *user_data);

/* After the queue's end. */
void sink_close(struct sink *sink);

/*
 * Writes whole lines, of at most ACCESS_LINE_MAX bytes each. They stay the caller's, unchanged, until `ended`. Returns
 * 0 or an error.
 */
int sink_write(struct sink *sink, const char *data, size_t length);

/* At the end of a chain: goes on with what a stream has not taken yet. False: that was all, or it failed. */
bool sink_goes_on(struct sink *sink, const struct errand_event *event);

/* Gives it up; `ended` comes, with -ECANCELED. */
void sink_cancel(struct sink *sink);

/* What is wrong with the path, looked at before there is a queue: 0 or an error. Makes the file. May wait. */
int sink_check(const char *path);

#endif
