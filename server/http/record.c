/* SPDX-License-Identifier: MIT */
/* From the bytes of a request to what is written down of it. */
#include "record.h"
#include "worker.h"

#include <string.h>

enum { TEXT_MAX = 2048 }; /* of one text: more than a line shows */

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

/* What the log will need of it. */
static void keep_texts(struct record_request *request, struct connection *connection, const char *head, size_t length,
                       bool whole)
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
    record_keep(request, connection, &found);
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
    if (record_has_log(record))
        keep_texts(request, connection, head != NULL ? head : "", length, whole);
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

void record_end_now(struct record *record, struct record_request *request)
{
    metrics_request(record->metrics, (enum metrics_method)request->method, request->status, request->bytes,
                    &request->times);
    request->bytes -= request->bytes > request->head_length ? request->head_length : request->bytes;
    record_write(record, request, NULL);
}
