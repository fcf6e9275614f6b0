/* SPDX-License-Identifier: MIT */
/*
 * The access log of a worker, or its log of transfers. Lines gather in one buffer while another is being written by a
 * chain; when the one is full and the other is not yet written, further lines are dropped and counted, and the log says
 * so where they are missing: a request never waits for its log.
 */
#ifndef SERVER_RECORD_ACCESS_H
#define SERVER_RECORD_ACCESS_H

#include "errand.h"
#include "format.h"
#include "metrics.h"

#include <stdbool.h>

struct access_log;

/* path: "-" is standard output; must outlive it. metrics: where it counts. NULL: no memory. */
struct access_log *access_log_open(errand_queue *queue, const char *path, enum config_log_format format,
                                   struct metrics *metrics);

/* If it is one for a log of this format. entry->began_us is filled in from its times. */
void access_log_add(struct access_log *log, struct access_entry *entry);

/* Has what is there written now, to the file that has the name now. (The file is opened by name each time anyway.) */
void access_log_reopen(struct access_log *log);

/* An ERRAND_EVENT_TIMER whose user_data is the log. */
void access_log_timer(struct access_log *log);

/* At the end, when no more entries come: has all written. True: it is done, or has had its time. Called again after
 * each batch of events. */
bool access_log_finished(struct access_log *log);

/* After the queue was closed: says what was not written, and frees it. */
void access_log_close(struct access_log *log);

#endif
