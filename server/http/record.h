/* SPDX-License-Identifier: MIT */
/* What is written down of a request: see record/record.h. */
#ifndef SERVER_HTTP_RECORD_H
#define SERVER_HTTP_RECORD_H

#include "record/record.h"

/* head: the whole of it, or, of what was refused, what came of it (or nothing: NULL, 0). */
void record_begin_now(struct record *record, struct record_request *request, struct connection *connection,
                      const char *head, size_t length);
void record_reply_now(struct record *record, struct record_request *request, const char *head, size_t length);
void record_end_now(struct record *record, struct record_request *request);

static inline void record_begin(struct record *record, struct record_request *request, struct connection *connection,
                                const char *head, size_t length)
{
    request->open = false;
    if (record->metrics != NULL)
        record_begin_now(record, request, connection, head, length);
}

/* out: the reply's head, perhaps with a body behind it. */
static inline void record_reply(struct record *record, struct record_request *request, const char *out, size_t length)
{
    if (request->open)
        record_reply_now(record, request, out, length);
}

static inline void record_end(struct record *record, struct record_request *request)
{
    if (request->open)
        record_end_now(record, request);
}

#endif
