/* SPDX-License-Identifier: MIT */
/* Running a chain: from one step to the next, and the end. */
#include "chain/chain.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

struct step *chain_file(errand_chain *chain, struct step *step)
{
    return step->file >= 0 ? step : &chain->steps[ERRAND_SLOT(0) - step->file];
}

void step_done(errand_chain *chain, int64_t result)
{
    chain->steps[chain->current++].result = result;
}

void step_failed(errand_chain *chain, int error)
{
    struct step *step = &chain->steps[chain->current];
    chain->error = chain->stopped ? chain->stopped : error;
    chain->failed_step = chain->current;
    chain->failed_kind = step->kind;
    chain->state = CHAIN_ENDING;
}

void chain_start(errand_chain *chain)
{
    chain->state = CHAIN_RUNNING;
    chain->progressed = chain->context->now;
}

int64_t chain_due(const errand_chain *chain)
{
    int64_t due = chain->deadline ? chain->deadline : HEAP_NEVER;
    if (chain->stall_ns && chain->progressed + chain->stall_ns < due)
        due = chain->progressed + chain->stall_ns;
    return due;
}

static enum chain_next do_op(errand_chain *chain, enum op_kind kind)
{
    chain->op.kind = (uint8_t)kind;
    return CHAIN_DO;
}

static enum chain_next send_next(errand_chain *chain, struct step *step)
{
    uint64_t sent = step->result > 0 ? (uint64_t)step->result : 0;
    if (sent == step->length) {
        step_done(chain, (int64_t)sent);
        return CHAIN_GO_ON;
    }
    struct op *op = &chain->op;
    op->socket = step->socket;
    op->data = (const char *)step->data + sent;
    op->length = step->length - sent;
    op->flags = step->flags & ERRAND_MORE ? MSG_MORE : 0;
    op->close_first = -1;
    return do_op(chain, OP_SEND);
}

static enum chain_next receive_next(errand_chain *chain, struct step *step)
{
    uint64_t received = step->result > 0 ? (uint64_t)step->result : 0;
    if (received == step->length || (received && (step->flags & ERRAND_SOME))) {
        step_done(chain, (int64_t)received);
        return CHAIN_GO_ON;
    }
    struct op *op = &chain->op;
    op->socket = step->socket;
    op->buffer = (char *)step->buffer + received;
    op->length = step->length - received;
    op->flags = 0;
    return do_op(chain, OP_RECEIVE);
}

static void took_peer_bytes(errand_chain *chain, struct step *step)
{
    int64_t n = chain->op.result;
    if (n < 0) {
        step_failed(chain, (int)n);
        return;
    }
    step->result = (step->result > 0 ? step->result : 0) + n;
    chain->moved += (uint64_t)n;
    if (n > 0 || step->kind == ERRAND_STEP_SEND)
        return;
    if (step->flags & ERRAND_EXACT)
        step_failed(chain, -ENODATA);
    else
        step_done(chain, step->result);
}

static enum chain_next call_next(errand_chain *chain, struct step *step)
{
    chain->in_call = 1;
    chain->context->in_call++;
    int result = step->function(chain, step->context);
    chain->context->in_call--;
    chain->in_call = 0;
    if (result == 0)
        result = chain->sticky;
    if (result < 0)
        step_failed(chain, result);
    else
        step_done(chain, 0);
    return CHAIN_GO_ON;
}

static enum chain_next stat_next(errand_chain *chain, struct step *step)
{
    struct step *file = chain_file(chain, step);
    if (!(file->facts & FILE_INLINE))
        return plan_on_worker(chain);
    plan_stat(chain, file, step->stat);
    return CHAIN_DO;
}

static enum chain_next close_next(errand_chain *chain, struct step *step)
{
    struct step *file = chain_file(chain, step);
    if (file->facts & FILE_CLOSED_EARLY) {
        file->facts = 0;
        step_done(chain, 0);
        return CHAIN_GO_ON;
    }
    if (!(file->facts & FILE_OWNED) || chain->hand_over == file - chain->steps) {
        step_failed(chain, -EINVAL);
        return CHAIN_GO_ON;
    }
    return file_closes_inline(file) && plan_close(chain, file) ? CHAIN_DO : plan_on_worker(chain);
}

static enum chain_next hand_over_next(errand_chain *chain, struct step *step)
{
    struct step *file = chain_file(chain, step);
    if (file->facts & FILE_OWNED) {
        chain->hand_over = (int16_t)(file - chain->steps);
        step_done(chain, file->fd);
    } else {
        step_failed(chain, -EINVAL);
    }
    return CHAIN_GO_ON;
}

static enum chain_next shutdown_next(errand_chain *chain, struct step *step)
{
    chain->op.socket = step->socket;
    chain->op.flags = (uint32_t)step->how;
    return do_op(chain, OP_SHUTDOWN);
}

static enum chain_next step_next(errand_chain *chain, struct step *step)
{
    bool uses_file =
        step->kind == ERRAND_STEP_STAT || step->kind == ERRAND_STEP_READ || step->kind == ERRAND_STEP_SENDFILE;
    if (uses_file && !(chain_file(chain, step)->facts & (FILE_OPEN | FILE_CLOSED_EARLY))) {
        step_failed(chain, -EBADF); /* an earlier step closed it */
        return CHAIN_GO_ON;
    }
    switch ((enum errand_step_kind)step->kind) {
    case ERRAND_STEP_OPEN: return plan_open(chain, step);
    case ERRAND_STEP_STAT: return stat_next(chain, step);
    case ERRAND_STEP_READ: return read_next(chain, step);
    case ERRAND_STEP_CLOSE: return close_next(chain, step);
    case ERRAND_STEP_SEND: return send_next(chain, step);
    case ERRAND_STEP_RECEIVE: return receive_next(chain, step);
    case ERRAND_STEP_SENDFILE: return sendfile_next(chain, step);
    case ERRAND_STEP_SHUTDOWN: return shutdown_next(chain, step);
    case ERRAND_STEP_CALL: return call_next(chain, step);
    case ERRAND_STEP_HAND_OVER: return hand_over_next(chain, step);
    }
    step_failed(chain, -EINVAL);
    return CHAIN_GO_ON;
}

/* Closes what is still open and not handed over, one file at a time. */
static enum chain_next ending_next(errand_chain *chain)
{
    chain_buffer_free(chain);
    for (unsigned i = 0; chain->files > 0 && i < chain->steps_count; i++) {
        struct step *file = &chain->steps[i];
        if (!(file->facts & FILE_OWNED))
            continue;
        if (chain->error == 0 && chain->hand_over == (int)i)
            continue;
        if (plan_close(chain, file))
            return CHAIN_DO;
    }
    chain->state = CHAIN_ENDED;
    return CHAIN_IS_OVER;
}

enum chain_next chain_next(errand_chain *chain)
{
    while (chain->state == CHAIN_RUNNING) {
        if (chain->current >= chain->steps_count) {
            chain->state = CHAIN_ENDING;
        } else if (chain->stopped) {
            step_failed(chain, chain->stopped);
        } else {
            enum chain_next next = step_next(chain, &chain->steps[chain->current]);
            if (next != CHAIN_GO_ON)
                return next;
        }
    }
    return chain->state == CHAIN_ENDING ? ending_next(chain) : CHAIN_IS_OVER;
}

static void took_close(errand_chain *chain, struct step *step)
{
    for (unsigned i = 0; i < chain->steps_count; i++) {
        struct step *file = &chain->steps[i];
        if (!(file->facts & FILE_OWNED) || file->fd != chain->op.fd)
            continue;
        if (chain->state == CHAIN_RUNNING && step->kind == ERRAND_STEP_CLOSE && file->kind == ERRAND_STEP_OPEN)
            note_seen(chain, file);
        file_gone(chain, file, 0);
        break;
    }
    if (chain->state != CHAIN_RUNNING)
        return;
    if (chain->op.result < 0)
        step_failed(chain, (int)chain->op.result);
    else if (step->kind == ERRAND_STEP_CLOSE)
        step_done(chain, 0);
}

static void took_stat(errand_chain *chain, struct step *step)
{
    if (chain->op.result < 0) {
        step_failed(chain, (int)chain->op.result);
        return;
    }
    learn(chain_file(chain, step), chain->op.stat);
    if (step->kind == ERRAND_STEP_STAT)
        step_done(chain, (int64_t)chain->op.stat->bytes);
}

static bool would_have_waited(const struct step *open, int64_t result)
{
    /* EXDEV: the path leads onto another mount, or out of the root, which only a second look without RESOLVE_NO_XDEV
     * can tell; EINVAL: flags that this kernel takes only without RESOLVE_CACHED. */
    return result == -EAGAIN || result == -EOPNOTSUPP || result == -EINVAL ||
           (result == -EXDEV && !open->root->one_mount);
}

static void took_open(errand_chain *chain, struct step *step)
{
    int64_t result = chain->op.result;
    if (result >= 0) {
        step->lane = step->root->lane;
        file_gained(chain, step, (int)result, FILE_INLINE | (step->root->read_inline ? FILE_READABLE : 0));
        chain->context->inline_runs++;
        step_done(chain, result);
    } else if (would_have_waited(step, result)) {
        step->flags |= STEP_TRIED;
    } else {
        step_failed(chain, (int)result);
    }
}

/* The whole of open, read, close came back at once. */
static void took_read_file(errand_chain *chain, struct step *open)
{
    struct op *op = &chain->op;
    struct step *read = open + 1;
    if (op->open_result == 0 && op->result == (int64_t)op->length && chain->current + 3 == chain->steps_count) {
        chain->context->inline_runs++; /* the rule, and nobody is left to ask for the steps' results */
        chain->moved += (uint64_t)op->result;
        chain->current += 3;
        return;
    }
    if (op->open_result < 0) {
        op->result = op->open_result;
        took_open(chain, open);
        return;
    }
    /* A short count at a page's end may be the end of the file or of what is resident: a worker tells. */
    bool doubtful = op->result > 0 && (size_t)op->result < read->length && (read->offset + op->result) % 4096 == 0;
    if (doubtful || op->result == -EAGAIN || op->result == -EOPNOTSUPP) {
        open->flags |= STEP_TRIED;
        return;
    }
    chain->context->inline_runs++;
    step_done(chain, -1);
    if (op->result < 0) {
        step_failed(chain, (int)op->result);
        return;
    }
    chain->moved += (uint64_t)op->result;
    if ((size_t)op->result < read->length && (read->flags & ERRAND_EXACT)) {
        read->result = op->result;
        step_failed(chain, -ENODATA);
        return;
    }
    step_done(chain, op->result);
    step_done(chain, 0);
}

void chain_took(errand_chain *chain)
{
    struct op *op = &chain->op;
    struct step *step = &chain->steps[chain->current]; /* one past the last while ENDING: not looked at then */
    op->in_flight = false;
    chain->progressed = chain->context->now;
    switch ((enum op_kind)op->kind) {
    case OP_OPEN: took_open(chain, step); return;
    case OP_READ_FILE: took_read_file(chain, step); return;
    case OP_STAT: took_stat(chain, step); return;
    case OP_CLOSE: took_close(chain, step); return;
    case OP_FILES: took_run(chain); return;
    case OP_READ: took_read(chain, step); return;
    case OP_SENDFILE: took_sendfile(chain, step); return;
    case OP_POLL: took_sendfile(chain, step); return;
    case OP_SEND:
        if (step->kind == ERRAND_STEP_SENDFILE)
            took_sendfile(chain, step);
        else
            took_peer_bytes(chain, step);
        return;
    case OP_RECEIVE: took_peer_bytes(chain, step); return;
    case OP_SHUTDOWN:
        if (op->result < 0)
            step_failed(chain, (int)op->result);
        else
            step_done(chain, 0);
        return;
    case OP_NONE:
    case OP_ACCEPT:
    case OP_RECEIVE_ANY: return; /* never a chain's */
    }
}

void chain_stop(errand_chain *chain, int error)
{
    if (chain->state == CHAIN_RUNNING || chain->state == CHAIN_ENDING)
        if (!chain->stopped)
            chain->stopped = error;
}

void chain_event(errand_chain *chain, struct errand_event *event)
{
    *event = (struct errand_event){
        .kind = ERRAND_EVENT_CHAIN,
        .error = chain->error,
        .user_data = chain->user_data,
        .step = chain->error ? chain->failed_step : -1,
        .step_kind = chain->error ? chain->failed_kind : 0,
        .fd = -1,
        .bytes = chain->moved,
    };
    if (chain->error == 0 && chain->hand_over >= 0) {
        event->fd = chain->steps[chain->hand_over].fd;
        chain->context->descriptors--;
    }
}
