/* SPDX-License-Identifier: MIT */
/*
 * The steps that move a file's bytes: read, into the caller's memory, and sendfile, to a socket. Workers fill buffers
 * of the library's; only the queue's thread touches the caller's memory and sockets, so that a deadline needs to wait
 * for nobody.
 */
#include "chain/filter.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The most that one sendfile(2) moves before others get their turn. */
#define SENDFILE_PIECE ((size_t)2 << 20)

/* From so much on it costs less to have a worker fill a pipe than to look whether all of it is resident. Measured for
 * 1 MB and more; a lower bound was not tried. */
#define PIPE_LEAST ((uint64_t)512 << 10)

bool chain_buffer(errand_chain *chain, size_t wanted)
{
    if (chain->buffer && chain->buffer_size >= wanted)
        return true;
    chain_buffer_free(chain);
    chain->buffer_size = buffer_grant(chain->context->buffers, wanted);
    chain->buffer = buffer_take(chain->context->buffers, chain->buffer_size);
    return chain->buffer != NULL;
}

void chain_buffer_free(errand_chain *chain)
{
    if (chain->buffer)
        buffer_free(chain->context->buffers, chain->buffer, chain->buffer_size);
    chain->buffer = NULL;
    chain->start = chain->end = 0;
    if (chain->pipe)
        pipe_free(&chain->context->buffers->pipes, chain->pipe);
    chain->pipe = NULL;
}

static bool reads_inline(const struct step *file)
{
    unsigned needed = FILE_READABLE | FILE_COMPACT;
    return (file->facts & needed) == needed;
}

/* ------------------------------------------------------------------------------------------------ read */

static void read_ended(errand_chain *chain, struct step *step)
{
    uint64_t got = so_far(step);
    chain_buffer_free(chain);
    if (got < step->length && (step->flags & ERRAND_EXACT))
        step_failed(chain, -ENODATA);
    else if (step->kind == ERRAND_STEP_LOAD && got == step->length)
        step_failed(chain, -EFBIG); /* it grew meanwhile, or does not say how big it is */
    else
        step_done(chain, (int64_t)got);
}

enum chain_next read_next(errand_chain *chain, struct step *step)
{
    struct step *file = chain_file(chain, step);
    if ((file->facts & FILE_INLINE) && !(file->facts & FILE_KNOWN)) {
        plan_stat(chain, file, NULL);
        return CHAIN_DO;
    }
    if ((step->flags & STEP_TRIED) || !reads_inline(file))
        return plan_on_worker(chain);
    size_t left = step->length - so_far(step);
    struct op *op = &chain->op;
    op->kind = OP_READ;
    op->fd = file->fd;
    op->buffer = (char *)step->buffer + so_far(step);
    op->length = left < BUFFER_LARGE ? left : BUFFER_LARGE;
    op->offset = step->offset + (int64_t)so_far(step);
    return CHAIN_DO;
}

/* A read into memory that is made when the file's size is known. */
enum chain_next load_next(errand_chain *chain, struct step *step)
{
    struct step *file = chain_file(chain, step);
    if (step->buffer)
        return read_next(chain, step);
    if (!(file->facts & FILE_KNOWN)) {
        if (!(file->facts & FILE_INLINE))
            return plan_look(chain);
        plan_stat(chain, file, NULL);
        return CHAIN_DO;
    }
    uint64_t most = (uint64_t)step->range, size = file->bytes == BYTES_UNTOLD ? most : file->bytes;
    /* One more than there should be, to see the end; and it is never empty. */
    if (size <= most)
        step->buffer = chain->loaded = malloc((size_t)size + 1);
    step->length = (size_t)size + 1;
    if (!step->buffer)
        step_failed(chain, size <= most ? -ENOMEM : -EFBIG);
    return CHAIN_GO_ON;
}

/* How many bytes the file had behind position when it was looked at; BYTES_UNTOLD. */
static uint64_t bytes_behind(const struct step *file, uint64_t position)
{
    if (!(file->facts & FILE_KNOWN) || file->bytes == BYTES_UNTOLD)
        return BYTES_UNTOLD;
    return position < file->bytes ? file->bytes - position : 0;
}

/* The end of the file is where a read gives nothing, or where the file's size was. */
static bool at_end(const struct step *file, int64_t position, int64_t got)
{
    return got == 0 || bytes_behind(file, (uint64_t)position) == 0;
}

/* What is left of the head goes before the file's bytes. By the queue's thread: it is the caller's memory. */
static void copy_head(errand_chain *chain, const struct step *step)
{
    if (step->head_sent < step->length)
        memcpy(chain->buffer, (const char *)step->data + step->head_sent, step->length - step->head_sent);
}

/* A part of the file, behind what was left of the head, is in the buffer and ready to be sent. */
static void filled(errand_chain *chain, struct step *step, size_t moved)
{
    chain->start = 0;
    chain->end = step->length - step->head_sent + moved;
    step->head_sent = (uint32_t)step->length;
    step->file_sent += moved;
    if (step->flags & STEP_FILTERED)
        filter_feed(chain, filter_of(chain, step), moved);
}

void took_read(errand_chain *chain, struct step *step)
{
    struct op *op = &chain->op;
    struct step *file = chain_file(chain, step);
    if (op->result == -EAGAIN || op->result == -EOPNOTSUPP) {
        step->flags |= STEP_TRIED;
        return;
    }
    if (op->result < 0) {
        step_failed(chain, (int)op->result);
        return;
    }
    if (so_far(step) == 0 && step->kind != ERRAND_STEP_SENDFILE)
        chain->context->inline_runs++;
    if (step->kind == ERRAND_STEP_SENDFILE) {
        filled(chain, step, (size_t)op->result);
        if (at_end(file, op->offset + op->result, op->result))
            step->flags |= STEP_FILE_ENDED;
        return;
    }
    step->result = (int64_t)so_far(step) + op->result;
    chain->moved += (uint64_t)op->result;
    if (so_far(step) == step->length || at_end(file, op->offset + op->result, op->result))
        read_ended(chain, step);
}

void took_file_bytes(errand_chain *chain, struct step *step, size_t moved, size_t asked)
{
    if (step->kind == ERRAND_STEP_SENDFILE) {
        copy_head(chain, step);
        filled(chain, step, moved);
        if (moved < asked)
            step->flags |= STEP_FILE_ENDED;
        return;
    }
    memcpy((char *)step->buffer + so_far(step), chain->buffer, moved);
    step->result = (int64_t)(so_far(step) + moved);
    chain->moved += moved;
    if (so_far(step) == step->length || moved < asked)
        read_ended(chain, step);
}

/* -------------------------------------------------------------------------------------------- sendfile */

static uint64_t file_left(const struct step *step, const struct step *file)
{
    if (step->flags & STEP_FILE_ENDED)
        return 0;
    bool to_end = step->range == ERRAND_TO_END;
    uint64_t left = (uint64_t)(to_end ? INT64_MAX - step->offset : step->range) - step->file_sent;
    uint64_t in_file = bytes_behind(file, (uint64_t)step->offset + step->file_sent);
    bool appended = in_file == 0 && !to_end; /* a definite range may lie in what was appended since */
    return in_file < left && !appended ? in_file : left;
}

/* Bytes are held back for `left` more of the file only if it is known that there are some. */
static enum chain_next send_bytes(errand_chain *chain, struct step *step, const struct step *file, const void *data,
                                  size_t length, uint64_t left)
{
    uint64_t in_file = bytes_behind(file, (uint64_t)step->offset + step->file_sent);
    bool more = (left > 0 && in_file > 0 && in_file != BYTES_UNTOLD) || (step->flags & ERRAND_MORE);
    struct op *op = &chain->op;
    op->kind = OP_SEND;
    op->socket = chain_descriptor(chain, step->socket);
    op->data = data;
    op->length = chain_ration(chain, length);
    op->flags = more ? MSG_MORE : 0;
    op->close_first = -1;
    return CHAIN_DO;
}

/* The last bytes go out together with the close of their file: one entry into the kernel for both. */
static void close_with_last_send(errand_chain *chain, struct step *file)
{
    if (file->kind != ERRAND_STEP_OPEN || !(file->facts & FILE_OWNED) || !file_closes_inline(file) ||
        !chain_file_is_spent(chain, (unsigned)(file - chain->steps), chain->current + 1u))
        return;
    chain->op.close_first = file->fd;
    file_gone(chain, file, FILE_CLOSED_EARLY | (file->facts & FILE_KNOWN));
}

static enum chain_next send_buffer(errand_chain *chain, struct step *step, struct step *file)
{
    uint64_t left = file_left(step, file);
    size_t length = chain->end - chain->start;
    bool filtered = step->flags & STEP_FILTERED; /* what it will still put out nobody knows: nothing is held back */
    send_bytes(chain, step, file, chain->buffer + chain->start, length, filtered ? 0 : left);
    if (left == 0 && !filtered && chain->op.length == length)
        close_with_last_send(chain, file);
    return CHAIN_DO;
}

static enum chain_next wait_for_room(errand_chain *chain, const struct step *step)
{
    struct op *op = &chain->op;
    op->socket = chain_descriptor(chain, step->socket);
    op->kind = OP_POLL;
    op->flags = POLLOUT;
    return CHAIN_DO;
}

static enum chain_next sendfile_piece(errand_chain *chain, struct step *step, struct step *file, uint64_t left)
{
    struct op *op = &chain->op;
    op->socket = chain_descriptor(chain, step->socket);
    op->kind = OP_SENDFILE;
    op->fd = file->fd;
    op->offset = step->offset + (int64_t)step->file_sent;
    op->length = chain_ration(chain, left < SENDFILE_PIECE ? (size_t)left : SENDFILE_PIECE);
    return CHAIN_DO;
}

/*
 * Whether what is next goes through a pipe, which the chain has then. A chain with a rate would hold it for too long,
 * and slow readers may hold all there are: who gets none takes the other ways.
 */
static bool takes_pipe(errand_chain *chain, const struct step *step, const struct step *file, uint64_t left)
{
    uint64_t in_file = bytes_behind(file, (uint64_t)step->offset + step->file_sent);
    if (chain->rate > 0 && chain->pipe) /* it came later */
        chain_buffer_free(chain);
    if (left < PIPE_LEAST || in_file < PIPE_LEAST || in_file == BYTES_UNTOLD || chain->rate > 0 ||
        (file->facts & FILE_NO_PIPE) || (step->flags & STEP_FILTERED))
        return false;
    if (!chain->pipe)
        chain->pipe = pipe_take(&chain->context->buffers->pipes);
    return chain->pipe != NULL;
}

/* All of them whole pages but the first: so the next time begins with a whole one. */
static enum chain_next fill_pipe(errand_chain *chain, struct step *step, uint64_t left)
{
    uint64_t offset = (uint64_t)step->offset + step->file_sent;
    uint64_t most = PIPE_PARTS * PIPE_SIZE - offset % 4096;
    return plan_pipe(chain, (int64_t)offset, (size_t)(left < most ? left : most));
}

void took_pipe(errand_chain *chain, struct step *step, const struct run_call *call)
{
    if (call->result < 0) {
        chain_file(chain, step)->facts |= FILE_NO_PIPE;
        chain_buffer_free(chain);
    } else if (call->ended) {
        step->flags |= STEP_FILE_ENDED;
    }
}

static enum chain_next splice_piece(errand_chain *chain, struct step *step, const struct step *file,
                                    const struct pipe_part *part)
{
    struct op *op = &chain->op;
    op->kind = OP_SPLICE;
    op->fd = part->from;
    op->socket = chain_descriptor(chain, step->socket);
    op->offset = step->offset + (int64_t)step->file_sent;
    op->length = part->held;
    bool another = part + 1 < chain->pipe->parts + PIPE_PARTS && part[1].held > 0; /* perhaps the last of the file */
    op->flags = another || file_left(step, file) > part->held || (step->flags & ERRAND_MORE);
    return CHAIN_DO;
}

/* Has a buffer filled with what is left of the head and a piece of the file: see filled(). */
static enum chain_next fill_buffer(errand_chain *chain, struct step *step, struct step *file, uint64_t left,
                                   size_t head)
{
    int64_t offset = step->offset + (int64_t)step->file_sent;
    size_t length = left < BUFFER_LARGE - head ? (size_t)left : BUFFER_LARGE - head;
    if ((step->flags & STEP_TRIED) || !reads_inline(file))
        return plan_fill(chain, offset, head, length);
    if (!chain_buffer(chain, head + length)) {
        step_failed(chain, -ENOMEM);
        return CHAIN_GO_ON;
    }
    copy_head(chain, step);
    size_t room = chain->buffer_size - head;
    struct op *op = &chain->op;
    op->kind = OP_READ;
    op->fd = file->fd;
    op->buffer = chain->buffer + head;
    op->length = length < room ? length : room;
    op->offset = offset;
    return CHAIN_DO;
}

static enum chain_next sendfile_ended(errand_chain *chain, struct step *step)
{
    chain_buffer_free(chain);
    if (step->range >= 0 && step->file_sent < (uint64_t)step->range && (step->flags & ERRAND_EXACT))
        step_failed(chain, -ENODATA);
    else
        step_done(chain, (int64_t)so_far(step));
    return CHAIN_GO_ON;
}

enum chain_next sendfile_next(errand_chain *chain, struct step *step)
{
    struct step *file = chain_file(chain, step);
    if (chain_is_ahead(chain))
        return CHAIN_WAITS;
    if (chain->start < chain->end)
        return send_buffer(chain, step, file);
    if (step->flags & STEP_POLL)
        return wait_for_room(chain, step);
    struct pipe_part *part = chain->pipe ? pipe_next(chain->pipe) : NULL;
    if (part)
        return splice_piece(chain, step, file, part);
    if ((file->facts & FILE_INLINE) && !(file->facts & FILE_KNOWN)) {
        plan_stat(chain, file, NULL);
        return CHAIN_DO;
    }
    uint64_t left = file_left(step, file);
    size_t head = step->length - step->head_sent;
    struct filter *filter = step->flags & STEP_FILTERED ? filter_of(chain, step) : NULL;
    if (filter && head == 0 && filter_is_busy(filter, left == 0))
        return filter_next(chain, filter, left == 0);
    if (left == 0 && head == 0)
        return sendfile_ended(chain, step);
    /* Measured (DESIGN's table): below 64 KiB read and send cost what sendfile(2) costs, and take the head along. */
    bool by_kernel =
        reads_inline(file) && left > BUFFER_MIDDLE && file->bytes != BYTES_UNTOLD && !(file->facts & FILE_NO_SENDFILE);
    by_kernel = by_kernel && !filter;
    bool by_pipe = takes_pipe(chain, step, file, left);
    if (head > 0 && (by_pipe || by_kernel || filter || left == 0 || head > BUFFER_SMALL / 2))
        return send_bytes(chain, step, file, (const char *)step->data + step->head_sent, head, left);
    if (by_pipe)
        return fill_pipe(chain, step, left);
    if (by_kernel && !(step->flags & STEP_TRIED))
        return sendfile_piece(chain, step, file, left);
    return fill_buffer(chain, step, file, left, head);
}

static void took_sent(errand_chain *chain, struct step *step, int64_t sent)
{
    step->result = (int64_t)so_far(step) + sent;
    chain->moved += (uint64_t)sent;
    chain_pay(chain, (uint64_t)sent);
    if (chain->op.kind == OP_SPLICE) {
        step->file_sent += (uint64_t)sent;
        pipe_next(chain->pipe)->held -= (size_t)sent;
    } else if (chain->op.kind == OP_SENDFILE) {
        step->file_sent += (uint64_t)sent;
        if (sent == 0)
            step->flags |= STEP_FILE_ENDED;
    } else if (chain->start < chain->end) {
        chain->start += (size_t)sent;
        if (chain->start == chain->end)
            step->flags &= (uint8_t)~STEP_TRIED; /* a worker brought its piece in: what follows may be there by now */
    } else {
        step->head_sent += (uint32_t)sent;
    }
}

void took_sendfile(errand_chain *chain, struct step *step)
{
    int64_t result = chain->op.result;
    if (chain->op.kind == OP_POLL) {
        step->flags &= (uint8_t)~STEP_POLL;
        if (result < 0)
            step_failed(chain, (int)result);
        return;
    }
    if (result >= 0) {
        took_sent(chain, step, result);
    } else if ((chain->op.kind == OP_SENDFILE || chain->op.kind == OP_SPLICE) && result == -EAGAIN) {
        step->flags |= STEP_POLL;
    } else if (chain->op.kind == OP_SENDFILE && result == -ENODATA) {
        step->flags |= STEP_TRIED;
    } else if (chain->op.kind == OP_SPLICE &&
               (result == -EINVAL || result == -ENOSYS || result == -EPERM || result == -ENODATA)) {
        chain_file(chain, step)->facts |= FILE_NO_PIPE;
        chain_buffer_free(chain); /* nothing of what it holds was sent */
    } else if (chain->op.kind == OP_SENDFILE && (result == -EINVAL || result == -ENOSYS || result == -EPERM)) {
        chain_file(chain, step)->facts |= FILE_NO_SENDFILE;
    } else {
        step_failed(chain, (int)result);
    }
}

/* ---------------------------------------------------------------------------------------- receive-file */

/* What was received and is not yet written lies in the buffer, from start to end. */
enum chain_next receive_file_next(errand_chain *chain, struct step *step)
{
    uint64_t left = (uint64_t)(step->range == ERRAND_TO_END ? INT64_MAX - step->offset : step->range) - step->file_sent;
    size_t held = chain->end - chain->start;
    bool ended = left == 0 || (step->flags & STEP_FILE_ENDED), full = held > 0 && chain->end == chain->buffer_size;
    struct filter *filter = step->flags & STEP_FILTERED ? filter_of(chain, step) : NULL;
    if (filter && filter->puts_out && held > 0)
        return plan_flush(chain, step->offset + (int64_t)so_far(step));
    if (filter && held > 0 && (ended || full)) {
        filter_feed(chain, filter, held);
        held = 0;
    }
    if (filter && held == 0 && filter_is_busy(filter, ended))
        return filter_next(chain, filter, ended);
    if (!filter && held > 0 && (ended || full))
        return plan_flush(chain, step->offset + (int64_t)so_far(step));
    if (ended) {
        chain_buffer_free(chain);
        if (step->range >= 0 && left > 0 && (step->flags & ERRAND_EXACT))
            step_failed(chain, -ENODATA);
        else
            step_done(chain, (int64_t)so_far(step));
        return CHAIN_GO_ON;
    }
    if (chain_is_ahead(chain))
        return CHAIN_WAITS;
    if (held == 0 && !chain_buffer(chain, left < BUFFER_LARGE ? (size_t)left : BUFFER_LARGE)) {
        step_failed(chain, -ENOMEM);
        return CHAIN_GO_ON;
    }
    size_t room = chain->buffer_size - chain->end;
    struct op *op = &chain->op;
    op->kind = OP_RECEIVE;
    op->socket = chain_descriptor(chain, step->socket);
    op->buffer = chain->buffer + chain->end;
    op->length = chain_ration(chain, left < room ? (size_t)left : room);
    op->flags = 0;
    return CHAIN_DO;
}

void took_received(errand_chain *chain, struct step *step)
{
    int64_t n = chain->op.result;
    if (n < 0) {
        step_failed(chain, (int)n);
    } else if (n == 0) {
        step->flags |= STEP_FILE_ENDED;
    } else {
        chain->end += (size_t)n;
        step->file_sent += (uint64_t)n;
        chain_pay(chain, (uint64_t)n);
    }
}

void took_flushed(errand_chain *chain, struct step *step, size_t moved)
{
    step->result = (int64_t)(so_far(step) + moved);
    chain->moved += moved;
    chain->start = chain->end = 0;
    if (step->flags & STEP_FILTERED)
        filter_of(chain, step)->puts_out = false;
}
