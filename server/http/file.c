/* SPDX-License-Identifier: MIT */
/*
 * GET and HEAD of files: one chain (open, stat, call, sendfile, close), whose call writes the head when the file is
 * known and appends what follows.
 */
#include "answer.h"
#include "date.h"
#include "listing.h"
#include "multipart.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* As many as a chain has steps for; who asks for more gets the whole file. */
enum { PARTS_MAX = WORKER_CHAIN_STEPS - 8 };

/* What is about to be sent: the file, its name, its version. */
struct found {
    enum http_coding coding;
    char tag[HTTP_TAG_SPACE];
    struct http_file_head head;
    unsigned parts; /* 0, or that many of: */
    struct http_piece pieces[HTTP_RANGES_MAX];
};

static const struct exchange_name *chosen(const struct exchange *exchange)
{
    return exchange->names ? &exchange->names->list[exchange->name] : NULL;
}

enum http_coding file_coding(const struct exchange *exchange)
{
    const struct exchange_name *name = chosen(exchange);
    return name ? name->coding : HTTP_CODINGS;
}

void file_describe(struct http_file_head *head, char tag[HTTP_TAG_SPACE], const struct http_shared *shared,
                   const struct errand_stat *stat, const struct config_rule *typed, const char *path,
                   size_t path_length)
{
    head->tag = tag;
    head->tag_length = http_tag_write(tag, stat->modified_ns, stat->bytes, stat->inode);
    head->size = head->length = stat->bytes;
    head->modified = stat->modified_ns / ERRAND_SECOND - (stat->modified_ns % ERRAND_SECOND < 0);
    if (typed != NULL) {
        head->type = typed->type.bytes;
        head->type_length = typed->type.length;
    } else {
        head->type = mime_line(shared->types, path, path_length, &head->type_length);
    }
}

static void describe(struct exchange *exchange, struct found *found)
{
    const struct exchange_name *name = chosen(exchange);
    *found = (struct found){.coding = file_coding(exchange)};
    file_describe(&found->head, found->tag, exchange_shared(exchange), &exchange->stat,
                  exchange->page_status == 0 ? exchange->policy.type : NULL, name ? name->path : exchange->path,
                  name ? name->plain : exchange->path_length);
}

/* Returns 0, or a status that is not of the file: 412, 416. */
static int judge(struct exchange *exchange, struct found *found)
{
    struct http_file_head *head = &found->head;
    head->status = 200;
    if (!exchange->conditional)
        return 0;
    struct http_current current = {.exists = true,
                                   .tag = found->tag,
                                   .tag_length = head->tag_length,
                                   .modified = head->modified,
                                   .now = exchange_clock(exchange)->seconds};
    struct http_verdict verdict = http_conditions_judge(&exchange->conditions, exchange->method, &current);
    const struct http_text *range = &exchange->conditions.range;
    if (verdict.status == 304)
        head->status = 304;
    if (verdict.status != 0)
        return verdict.status == 304 ? 0 : verdict.status;
    if (!verdict.takes_range || range->bytes == NULL || exchange->method != HTTP_GET)
        return 0;
    struct http_ranges ranges;
    http_ranges_read(&ranges, range->bytes, range->length);
    int status = http_ranges_apply(&ranges, head->size, found->pieces, &found->parts);
    if (status == 416)
        return 416;
    if (status == 200 || found->parts > PARTS_MAX) {
        found->parts = 0;
        return 0;
    }
    head->status = 206;
    head->offset = found->pieces[0].offset;
    head->length = found->pieces[0].length;
    if (found->parts == 1)
        found->parts = 0;
    return 0;
}

static int close_behind(errand_chain *chain, struct exchange *exchange)
{
    int step = errand_step_close(chain, ERRAND_SLOT(exchange->file_step));
    if (step >= 0 && exchange->linger)
        step = errand_step_shutdown(chain, exchange->http->base.fd, SHUT_WR);
    return step < 0 ? step : 0;
}

static int append_piece(errand_chain *chain, struct exchange *exchange, const struct http_piece *piece,
                        const char *head, size_t length)
{
    return errand_step_sendfile(chain, exchange->http->base.fd, ERRAND_SLOT(exchange->file_step),
                                (int64_t)piece->offset, (int64_t)piece->length, head, length, ERRAND_EXACT);
}

/* Several ranges: each with a head of its own. */
static int append_parts(errand_chain *chain, struct exchange *exchange, struct found *found)
{
    struct http_multipart multipart = {
        .type = found->head.type, .type_length = found->head.type_length, .size = found->head.size};
    uint8_t bytes[HTTP_BOUNDARY_BYTES];
    char type[HTTP_PARTS_TYPE_SPACE];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return -EIO;
    http_multipart_bound(&multipart, bytes);
    found->head.type_length = http_multipart_type(type, &multipart);
    found->head.type = type;
    found->head.parts = true;
    found->head.length = http_multipart_length(&multipart, found->pieces, found->parts);
    char *at = answer_space(exchange, found->head.lines_length + HTTP_PARTS_END_SPACE +
                                          found->parts * (HTTP_PART_SPACE + multipart.type_length));
    if (at == NULL)
        return -ENOMEM;
    char *head = at;
    at += http_head_file(at, exchange_clock(exchange), &found->head);
    record_reply(exchange_record(exchange), &exchange->record, head, (size_t)(at - head));
    int result = 0;
    for (unsigned i = 0; i < found->parts && result >= 0; i++) {
        at += http_multipart_part(at, &multipart, &found->pieces[i], i == 0);
        result = append_piece(chain, exchange, &found->pieces[i], head, (size_t)(at - head));
        head = at;
    }
    at += http_multipart_end(at, &multipart);
    if (result >= 0)
        result = errand_step_send(chain, exchange->http->base.fd, head, (size_t)(at - head), 0);
    return result < 0 ? result : close_behind(chain, exchange);
}

/* `bytes`: the whole file, if it is in memory. */
static int append_reply(errand_chain *chain, struct exchange *exchange, const char *bytes)
{
    struct found found;
    describe(exchange, &found);
    int status = exchange->page_status == 0 ? judge(exchange, &found) : 0;
    if (status != 0)
        return answer_status(chain, exchange, status);
    struct http_file_head *head = &found.head;
    if (exchange->page_status != 0)
        head->status = exchange->page_status;
    if (!answer_lines(exchange, true, found.coding, &head->lines, &head->lines_length))
        return -ENOMEM;
    head->connection = exchange_connection_line(exchange);
    if (found.parts > 0)
        return append_parts(chain, exchange, &found);
    bool alone = exchange_is_head(exchange) || head->status == 304 || head->length == 0;
    char *out = answer_space(exchange, head->lines_length + (bytes && !alone ? head->length : 0));
    if (out == NULL)
        return -ENOMEM;
    size_t length = http_head_file(out, exchange_clock(exchange), head);
    record_reply(exchange_record(exchange), &exchange->record, out, length);
    if (bytes && !alone) {
        memcpy(out + length, bytes + head->offset, head->length);
        length += head->length;
    }
    if (bytes || alone)
        return answer_head(chain, exchange, out, length);
    struct http_piece piece = {head->offset, head->length};
    int step = append_piece(chain, exchange, &piece, out, length);
    return step < 0 ? step : close_behind(chain, exchange);
}

int file_append_bytes(errand_chain *chain, struct exchange *exchange, const char *bytes)
{
    return append_reply(chain, exchange, bytes);
}

/* The call step: the file is open and known; what is the answer? */
static int decide(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    if (exchange->names != NULL && exchange->names->count > 1)
        exchange->name = (uint8_t)errand_chain_choice(chain, exchange->file_step);
    record_stage(&exchange->record, STAGE_OPEN, exchange_shared(exchange)->worker->queue);
    const struct exchange_name *name = chosen(exchange);
    bool asked = name == NULL || name->kind == KIND_FILE; /* and not the server's idea */
    if (S_ISREG(exchange->stat.mode))
        return append_reply(chain, exchange, NULL);
    if (S_ISDIR(exchange->stat.mode) && name != NULL && name->kind == KIND_LISTING)
        return listing_append(chain, exchange);
    if (S_ISDIR(exchange->stat.mode) && !exchange->directory && asked)
        return answer_with_slash(chain, exchange);
    return answer_status(chain, exchange, 404); /* a device, a FIFO, an index.html that is a directory */
}

static int append_look(errand_chain *chain, struct exchange *exchange, errand_call then)
{
    if (exchange->file_step < 0)
        return exchange->file_step;
    errand_step_stat(chain, ERRAND_SLOT(exchange->file_step), &exchange->stat);
    int step = errand_step_call(chain, then, exchange);
    return step < 0 ? step : 0;
}

int file_append(errand_chain *chain, struct exchange *exchange)
{
    const struct exchange_names *names = exchange->names;
    const int flags = O_RDONLY | O_NOCTTY;
    int root = exchange_root(exchange);
    if (names == NULL || names->count == 1) {
        const char *path = names ? names->list[0].path : exchange->path;
        exchange->file_step = (int16_t)errand_step_open(chain, root, path, flags, 0);
    } else {
        const char *paths[EXCHANGE_NAMES_MAX];
        for (unsigned i = 0; i < names->count; i++)
            paths[i] = names->list[i].path;
        exchange->file_step = (int16_t)errand_step_open_first(chain, root, paths, names->count, flags);
    }
    return append_look(chain, exchange, decide);
}

/* The host's page for an error: also what it is when it cannot be had. */
static int decide_page(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    bool good = errand_chain_result(chain, exchange->file_step) >= 0 && S_ISREG(exchange->stat.mode);
    record_stage(&exchange->record, STAGE_OPEN, exchange_shared(exchange)->worker->queue);
    return good ? append_reply(chain, exchange, NULL) : answer_status(chain, exchange, exchange->page_status);
}

int file_append_page(errand_chain *chain, struct exchange *exchange, const struct config_text *path)
{
    const char *at = path->bytes + (*path->bytes == '/');
    free(exchange->names);
    exchange->names = calloc(1, sizeof *exchange->names);
    if (exchange->names == NULL)
        return -ENOMEM;
    exchange->names->count = 1;
    exchange->names->list[0] = (struct exchange_name){at, (uint16_t)strlen(at), KIND_TRIED, HTTP_CODINGS};
    exchange->name = 0;
    exchange->stat.mode = 0;
    exchange->file_step = (int16_t)errand_step_open(chain, exchange_root(exchange), at, O_RDONLY | O_NOCTTY, 0);
    if (exchange->file_step < 0)
        return exchange->file_step;
    errand_step_optional(chain, exchange->file_step);
    int look = errand_step_stat(chain, ERRAND_SLOT(exchange->file_step), &exchange->stat);
    errand_step_optional(chain, look);
    int step = errand_step_call(chain, decide_page, exchange);
    return step < 0 ? step : 0;
}

void file_begin(struct exchange *exchange)
{
    exchange_run(exchange, file_append);
}
