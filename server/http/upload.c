/* SPDX-License-Identifier: MIT */
/* Uploads: see upload.h. */
#include "upload.h"
#include "change.h"
#include "chunked.h"
#include "input.h"
#include "files/place.h"
#include "files/room.h"
#include "files/temporary.h"
#include "transfer.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE = 128 * 1024,    /* written at once, and all that an upload keeps in memory besides its input */
    PASS_OVER = 64 * 1024, /* of a body that is refused; more ends the connection */
};

static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";

enum upload_stage {
    OPENING,
    BODY,    /* more of it is wanted */
    KEEPING, /* the last chain is under way */
    OVER,    /* a reply was written */
};

struct upload {
    struct http_chunked chunked;
    uint64_t left;    /* of a body with a length */
    uint64_t written; /* and being written */
    size_t filled;    /* of piece */
    char *piece;
    struct temporary temporary;
    struct errand_stat stat;
    uint8_t stage;
    bool is_chunked, expects, complete, copied, exists, only_new;
    int look, room, name; /* steps of the chain under way */
};

/* ------------------------------------------------------------------------------------------- the body */

int upload_prepare(struct exchange *exchange, const struct http_request *request)
{
    struct upload *upload = exchange->upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        return 503;
    upload->temporary.fd = -1;
    upload->is_chunked = request->flags & HTTP_HAS_ENCODING;
    upload->left = request->content_length;
    upload->complete = !upload->is_chunked && upload->left == 0;
    upload->expects = request->flags & HTTP_HAS_EXPECT;
    if (request->flags & HTTP_ENCODING_OTHER)
        return 501;
    return request->flags & HTTP_EXPECTS_OTHER ? 417 : 0;
}

int upload_prepare_copy(struct exchange *exchange)
{
    struct upload *upload = exchange->upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        return -ENOMEM;
    upload->temporary.fd = -1;
    upload->left = exchange->stat.bytes;
    upload->complete = true;
    return 0;
}

int upload_check(const struct exchange *exchange, const struct http_request *request)
{
    uint64_t most = exchange->site->config->upload_max;
    if (!(request->flags & (HTTP_HAS_ENCODING | HTTP_HAS_LENGTH)))
        return 411;
    if (request->content_range.at != 0) /* a part in the place of the whole: RFC 9110, 9.3.4 */
        return 400;
    if (exchange->directory)
        return 405;
    return most != 0 && request->content_length > most ? 413 : 0;
}

bool upload_reads(const struct exchange *exchange)
{
    return exchange->upload != NULL && !exchange->upload->complete;
}

void upload_leave_body(struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    upload->stage = OVER;
    if (upload->complete)
        return;
    upload->complete = true;
    /* Who waits for 100 Continue may or may not send the body now: unknowable. */
    if (!upload->is_chunked && !upload->expects && upload->left <= PASS_OVER && exchange->keep_alive) {
        exchange->http->skip = (uint32_t)upload->left;
        return;
    }
    exchange->keep_alive = false;
    exchange->linger = true;
}

bool upload_waits(const struct exchange *exchange)
{
    return exchange->upload != NULL && exchange->upload->stage == BODY && exchange->http->base.chain == 0;
}

/* Of the bytes, what fits. Returns how many are done with, or the negated status of a body that is refused. */
static int64_t take_plain(struct upload *upload, const char *data, size_t length)
{
    size_t room = PIECE - upload->filled;
    size_t take = length < room ? length : room;
    take = take < upload->left ? take : (size_t)upload->left;
    memcpy(upload->piece + upload->filled, data, take);
    upload->filled += take;
    upload->left -= take;
    upload->complete = upload->left == 0;
    return (int64_t)take;
}

static int64_t take_chunked(struct upload *upload, const char *data, size_t length)
{
    size_t room = PIECE - upload->filled;
    struct http_chunked_step step;
    int result = http_chunked_read(&upload->chunked, data, length < room ? length : room, &step);
    if (result < 0)
        return result;
    if (result == HTTP_CHUNKED_DATA) {
        memcpy(upload->piece + upload->filled, data + step.at, step.length);
        upload->filled += step.length;
    }
    upload->complete = result == HTTP_CHUNKED_END;
    return (int64_t)step.used;
}

/* Input becomes content until the piece is full or there is no more. Returns 0 or a status. */
static int fill_piece(struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    struct http_connection *http = exchange->http;
    uint64_t most = exchange->site->config->upload_max;
    while (!upload->complete && http->input != NULL && upload->filled < PIECE) {
        const char *data = http->input->data + http->input->begin;
        size_t length = http->input->end - http->input->begin;
        int64_t used = upload->is_chunked ? take_chunked(upload, data, length) : take_plain(upload, data, length);
        if (used < 0)
            return (int)-used;
        input_take(&http->input, (size_t)used);
        if (most != 0 && upload->written + upload->filled > most)
            return 413;
    }
    return 0;
}

static int append_write(errand_chain *chain, struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    int fd = upload->temporary.fd;
    int step = errand_step_write(chain, fd, upload->piece, upload->filled, (int64_t)upload->written);
    exchange->stored = upload->filled;
    upload->written += upload->filled;
    upload->filled = 0;
    return step < 0 ? step : 0;
}

/* The content of a COPY, with all that belongs to the file. */
static int append_copy(errand_chain *chain, struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    int to = upload->temporary.fd;
    int from = ERRAND_SLOT(errand_step_open(chain, exchange_root(exchange), exchange->path, O_RDONLY, 0));
    errand_step_copy(chain, to, 0, from, 0, ERRAND_TO_END, ERRAND_HOLES);
    upload->copied = true;
    int step =
        errand_step_copy_metadata(chain, to, from, ERRAND_OWNER | ERRAND_MODE | ERRAND_TIMES | ERRAND_ATTRIBUTES);
    return step < 0 ? step : 0;
}

static int append_keep(errand_chain *chain, struct exchange *exchange);

/* The next chain: a name of ours is locked before anything else, then what there is is written. */
static int append_next(errand_chain *chain, struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    if (temporary_wants_lock(&upload->temporary)) {
        temporary_lock(chain, &upload->temporary);
        return 0;
    }
    if (exchange->transfer != NULL && !upload->copied)
        return append_copy(chain, exchange);
    int error = upload->filled > 0 ? append_write(chain, exchange) : 0;
    if (error == 0 && upload->complete) {
        upload->stage = KEEPING;
        error = append_keep(chain, exchange);
    }
    return error;
}

void upload_take(struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    int status = fill_piece(exchange);
    if (status != 0)
        answer_alone(exchange, status);
    else if (temporary_wants_lock(&upload->temporary) || upload->complete || upload->filled == PIECE)
        exchange_run(exchange, append_next);
}

/* ---------------------------------------------------------------------------------------- the first chain */

/* All was judged and there is room: the body may come. */
static int begin_body(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    struct upload *upload = exchange->upload;
    if (room_lacks(chain, upload->room))
        return answer_status(chain, exchange, 507);
    if (exchange->transfer == NULL && (upload->piece = malloc(PIECE)) == NULL)
        return -ENOMEM;
    if (upload->expects && !upload->complete && exchange->http->input == NULL)
        errand_step_send(chain, exchange->http->base.fd, proceed, sizeof proceed - 1, 0);
    upload->stage = BODY;
    int step = errand_step_hand_over(chain, ERRAND_SLOT(upload->temporary.step));
    return step < 0 ? step : 0;
}

/* Room for the body and for what is to stay free. */
static int append_room(errand_chain *chain, struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    uint64_t space = exchange->site->config->upload_space;
    upload->room = -1;
    if (space > 0)
        upload->room = room_ask(chain, ERRAND_SLOT(upload->temporary.step), upload->left, space);
    int step = errand_step_call(chain, begin_body, exchange);
    return step < 0 ? step : 0;
}

/* Where the file is to be. */
static const char *target_of(const struct exchange *exchange)
{
    return exchange->transfer != NULL ? transfer_path(exchange->transfer) : exchange->path;
}

/* Appends a look at what is there; and judges what it saw. */
static int append_look(errand_chain *chain, struct exchange *exchange)
{
    if (exchange->transfer != NULL)
        return transfer_look(chain, exchange);
    return change_look(chain, exchange, exchange->path, O_PATH, &exchange->stat);
}

static int judge(struct exchange *exchange, int64_t found)
{
    return exchange->transfer != NULL ? transfer_judge(exchange, found) : change_judge(exchange, found);
}

/* The call step: what stands at the path is known, and whether a temporary file could be opened. */
static int looked(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    struct upload *upload = exchange->upload;
    int status = judge(exchange, errand_chain_result(chain, upload->look));
    if (status != 0)
        return answer_status(chain, exchange, status);
    int error = temporary_opened(chain, &upload->temporary, target_of(exchange));
    return error == 0 ? append_room(chain, exchange) : answer_status(chain, exchange, change_status_of(error));
}

int upload_append(errand_chain *chain, struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    upload->look = append_look(chain, exchange);
    int error = temporary_open(chain, &upload->temporary, exchange_root(exchange), target_of(exchange));
    if (error != 0)
        return error;
    int step = errand_step_call(chain, looked, exchange);
    return step < 0 ? step : 0;
}

bool upload_chain_ended(struct exchange *exchange, const struct errand_event *event)
{
    struct upload *upload = exchange->upload;
    if (event->fd >= 0)
        upload->temporary.fd = event->fd;
    return upload->stage == BODY;
}

/* ---------------------------------------------------------------------------------------- the last chain */

static int append_name(errand_chain *chain, struct exchange *exchange);

/* The call step: the file has its name, and the disk keeps it. */
static int kept(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    struct upload *upload = exchange->upload;
    int64_t named = errand_chain_result(chain, upload->name);
    if (named == -EINVAL && upload->only_new) { /* the filesystem cannot refuse to replace: the look must do */
        upload->only_new = false;
        return append_name(chain, exchange);
    }
    if (named < 0)
        return named == -EEXIST ? answer_status(chain, exchange, 412) : (int)named;
    char tag[HTTP_TAG_SPACE];
    size_t length = http_tag_write(tag, upload->stat.modified_ns, upload->stat.bytes, upload->stat.inode);
    temporary_named(&upload->temporary);
    return answer_changed(chain, exchange, upload->exists ? 204 : 201, tag, length);
}

static int append_name(errand_chain *chain, struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    upload->name = temporary_name(chain, &upload->temporary, target_of(exchange), upload->only_new);
    if (upload->only_new)
        errand_step_optional(chain, upload->name);
    place_sync(chain, exchange_root(exchange), target_of(exchange));
    int step = errand_step_call(chain, kept, exchange);
    return step < 0 ? step : 0;
}

/*
 * The call step: all is written and synced. Between this look at the present file and the step that follows at once,
 * another may still change it; but not for "If-None-Match: *", where a name that has come meanwhile is not replaced.
 */
static int looked_again(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    struct upload *upload = exchange->upload;
    const struct http_text *none = &exchange->conditions.if_none_match;
    int status = judge(exchange, errand_chain_result(chain, upload->look));
    if (status != 0)
        return answer_status(chain, exchange, status);
    upload->exists = errand_chain_result(chain, upload->look) >= 0;
    upload->only_new =
        exchange->transfer != NULL ? transfer_only_new(exchange->transfer) : none->length == 1 && *none->bytes == '*';
    return append_name(chain, exchange);
}

static int append_keep(errand_chain *chain, struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    int fd = upload->temporary.fd;
    errand_step_sync(chain, fd, 0);
    errand_step_stat(chain, fd, &upload->stat);
    upload->look = append_look(chain, exchange);
    int step = errand_step_call(chain, looked_again, exchange);
    return step < 0 ? step : 0;
}

/* ------------------------------------------------------------------------------------------------- its end */

void upload_free(struct exchange *exchange)
{
    struct upload *upload = exchange->upload;
    if (upload == NULL)
        return;
    temporary_drop(&upload->temporary, &exchange_shared(exchange)->worker->remover);
    free(upload->piece);
    free(upload);
    exchange->upload = NULL;
}
