/* SPDX-License-Identifier: MIT */
/* Running a chain: from one step to the next, and the end. */
#include "chain/filter.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

struct step *chain_file(errand_chain *chain, struct step *step)
{
    return step->file >= 0 ? step : &chain->steps[ERRAND_SLOT(0) - step->file];
}

int chain_descriptor(const errand_chain *chain, int operand)
{
    if (operand >= 0)
        return operand;
    const struct step *slot = &chain->steps[ERRAND_SLOT(0) - operand];
    return slot->facts & FILE_OPEN ? slot->fd : -1;
}

static bool is_result_of(int64_t operand)
{
    return operand < INT64_MIN + CHAIN_STEPS_LIMIT;
}

static int resolve(const errand_chain *chain, int64_t *operand)
{
    if (!is_result_of(*operand))
        return 0;
    int64_t result = chain->steps[*operand - INT64_MIN].result;
    if (result < 0)
        return result == -EINPROGRESS ? -EINPROGRESS : (int)result;
    *operand = result;
    return 0;
}

int chain_resolve(errand_chain *chain, struct step *step)
{
    int result = 0;
    switch ((enum errand_step_kind)step->kind) {
    case ERRAND_STEP_READ:
    case ERRAND_STEP_WRITE:
    case ERRAND_STEP_TRUNCATE: return resolve(chain, &step->offset);
    case ERRAND_STEP_COPY:
        result = resolve(chain, &step->to_offset);
        /* fallthrough */
    case ERRAND_STEP_SENDFILE:
    case ERRAND_STEP_RECEIVE_FILE:
    case ERRAND_STEP_ALLOCATE:
        if (result == 0)
            result = resolve(chain, &step->offset);
        return result == 0 ? resolve(chain, &step->range) : result;
    default: return 0;
    }
}

void step_done(errand_chain *chain, int64_t result)
{
    if (chain->state == CHAIN_RUNNING) /* else it failed in the middle of a run */
        chain->steps[chain->current++].result = result;
}

void step_failed(errand_chain *chain, int error)
{
    struct step *step = &chain->steps[chain->current];
    if ((step->flags & STEP_OPTIONAL) && !chain->stopped) {
        chain_buffer_free(chain);
        step_done(chain, error);
        return;
    }
    step->result = error;
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
    if (chain->stopped)
        return HEAP_NEVER; /* it was told already */
    int64_t due = chain->deadline ? chain->deadline : HEAP_NEVER;
    if (chain->stall_ns && chain->progressed + chain->stall_ns < due)
        due = chain->progressed + chain->stall_ns;
    if (chain->wake && chain->wake < due)
        due = chain->wake;
    return due;
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
    if (!file_closes_inline(file))
        return plan_on_worker(chain);
    plan_close(chain, file);
    return CHAIN_DO;
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

static bool is_open(errand_chain *chain, const struct step *step, int operand)
{
    if (operand >= 0)
        return true;
    const struct step *slot = &chain->steps[ERRAND_SLOT(0) - operand];
    /* The last bytes of a file that was closed early are on their way. */
    unsigned open = FILE_OPEN | (step->kind == ERRAND_STEP_SENDFILE ? FILE_CLOSED_EARLY : 0);
    return slot->facts & open;
}

/* Whether the files and sockets that a step works on are open: an earlier step may have closed, or failed to open
 * them. */
static bool has_operands(errand_chain *chain, const struct step *step)
{
    switch ((enum errand_step_kind)step->kind) {
    case ERRAND_STEP_SENDFILE:
    case ERRAND_STEP_RECEIVE_FILE:
    case ERRAND_STEP_COPY:
    case ERRAND_STEP_COPY_METADATA: return is_open(chain, step, step->file) && is_open(chain, step, step->to);
    case ERRAND_STEP_OPEN: return !(step->flags & STEP_LIKE) || is_open(chain, step, step->to);
    case ERRAND_STEP_SEND:
    case ERRAND_STEP_RECEIVE:
    case ERRAND_STEP_SHUTDOWN: return is_open(chain, step, step->socket);
    case ERRAND_STEP_STAT:
    case ERRAND_STEP_READ:
    case ERRAND_STEP_WRITE:
    case ERRAND_STEP_SYNC:
    case ERRAND_STEP_TRUNCATE:
    case ERRAND_STEP_ALLOCATE:
    case ERRAND_STEP_CHMOD:
    case ERRAND_STEP_CHOWN:
    case ERRAND_STEP_UTIMES:
    case ERRAND_STEP_GET_ATTRIBUTE:
    case ERRAND_STEP_SET_ATTRIBUTE:
    case ERRAND_STEP_LIST_ATTRIBUTES:
    case ERRAND_STEP_REMOVE_ATTRIBUTE:
    case ERRAND_STEP_LIST:
    case ERRAND_STEP_LOAD:
    case ERRAND_STEP_REPLACE:
    case ERRAND_STEP_LINK_FILE: return is_open(chain, step, step->file);
    default: return true;
    }
}

static enum chain_next step_next(errand_chain *chain, struct step *step)
{
    int error = has_operands(chain, step) ? chain_resolve(chain, step) : -EBADF;
    if (error < 0) {
        step_failed(chain, error);
        return CHAIN_GO_ON;
    }
    switch ((enum errand_step_kind)step->kind) {
    case ERRAND_STEP_OPEN: return plan_open(chain, step);
    case ERRAND_STEP_STAT: return stat_next(chain, step);
    case ERRAND_STEP_READ: return read_next(chain, step);
    case ERRAND_STEP_LOAD: return load_next(chain, step);
    case ERRAND_STEP_CLOSE: return close_next(chain, step);
    case ERRAND_STEP_SEND: return send_next(chain, step);
    case ERRAND_STEP_RECEIVE: return receive_next(chain, step);
    case ERRAND_STEP_SENDFILE: return sendfile_next(chain, step);
    case ERRAND_STEP_RECEIVE_FILE: return receive_file_next(chain, step);
    case ERRAND_STEP_SHUTDOWN: return shutdown_next(chain, step);
    case ERRAND_STEP_CALL: return call_next(chain, step);
    case ERRAND_STEP_HAND_OVER: return hand_over_next(chain, step);
    case ERRAND_STEP_ACCEPT: return accept_next(chain, step);
    case ERRAND_STEP_CONNECT: return connect_next(chain, step);
    case ERRAND_STEP_POLL: return poll_next(chain, step);
    case ERRAND_STEP_SLEEP: return sleep_next(chain, step);
    case ERRAND_STEP_AWAIT: return await_next(chain, step);
    case ERRAND_STEP_LIST: return list_next(chain, step);
    case ERRAND_STEP_WRITE:
    case ERRAND_STEP_SYNC:
    case ERRAND_STEP_TRUNCATE:
    case ERRAND_STEP_ALLOCATE:
    case ERRAND_STEP_COPY:
    case ERRAND_STEP_CHMOD:
    case ERRAND_STEP_CHOWN:
    case ERRAND_STEP_UTIMES:
    case ERRAND_STEP_GET_ATTRIBUTE:
    case ERRAND_STEP_SET_ATTRIBUTE:
    case ERRAND_STEP_LIST_ATTRIBUTES:
    case ERRAND_STEP_REMOVE_ATTRIBUTE:
    case ERRAND_STEP_COPY_METADATA:
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_REPLACE:
    case ERRAND_STEP_SYMLINK:
    case ERRAND_STEP_READ_LINK:
    case ERRAND_STEP_UNLINK:
    case ERRAND_STEP_MKDIR:
    case ERRAND_STEP_RMDIR:
    case ERRAND_STEP_MKNOD:
    case ERRAND_STEP_WORK: return plan_on_worker(chain);
    }
    step_failed(chain, -EINVAL);
    return CHAIN_GO_ON;
}

/* Closes what is still open and not handed over, one file at a time. */
static enum chain_next ending_next(errand_chain *chain)
{
    chain_buffer_free(chain);
    filters_free(chain);
    for (unsigned i = 0; chain->files > 0 && i < chain->steps_count; i++) {
        struct step *file = &chain->steps[i];
        if (!(file->facts & FILE_OWNED))
            continue;
        if (chain->error == 0 && chain->hand_over == (int)i)
            continue;
        plan_close(chain, file);
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
        } else if (chain->stopped && chain->steps[chain->current].kind != ERRAND_STEP_AWAIT) {
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
    int error = step->kind == ERRAND_STEP_STAT ? run_expects(step->flags, chain->op.stat) : 0;
    if (error < 0)
        step_failed(chain, error);
    else if (step->kind == ERRAND_STEP_STAT)
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
    } else if (!next_alternative(step, (int)result)) {
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
    case OP_SENDFILE:
    case OP_SPLICE: took_sendfile(chain, step); return;
    case OP_ACCEPT:
    case OP_CONNECT: took_socket(chain, step); return;
    case OP_POLL:
        if (step->kind == ERRAND_STEP_SENDFILE)
            took_sendfile(chain, step);
        else if (op->result < 0)
            step_failed(chain, (int)op->result);
        else
            step_done(chain, op->result);
        return;
    case OP_SEND:
        if (step->kind == ERRAND_STEP_SENDFILE)
            took_sendfile(chain, step);
        else
            took_peer_bytes(chain, step);
        return;
    case OP_RECEIVE:
        if (step->kind == ERRAND_STEP_RECEIVE_FILE)
            took_received(chain, step);
        else
            took_peer_bytes(chain, step);
        return;
    case OP_SHUTDOWN:
        if (op->result < 0)
            step_failed(chain, (int)op->result);
        else
            step_done(chain, 0);
        return;
    case OP_NONE:
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
    if (chain->error == 0) {
        event->data = chain->loaded;
        chain->loaded = NULL; /* the queue lends it */
    }
    if (chain->error == 0 && chain->hand_over >= 0) {
        event->fd = chain->steps[chain->hand_over].fd;
        chain->context->descriptors--;
    }
}
