/* SPDX-License-Identifier: MIT */
/* The steps of peers and of time: what waits for somebody else, and is cancelled at once. */
#include "chain/chain.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static enum chain_next do_op(errand_chain *chain, enum op_kind kind)
{
    chain->op.kind = (uint8_t)kind;
    return CHAIN_DO;
}

/* Until when so many bytes, moved now, are paid for. More than a ration were begun with another rate: they are not held
 * against it. */
static int64_t paid_until(const errand_chain *chain, uint64_t bytes)
{
    int64_t now = chain->context->now;
    if (chain->rate == 0)
        return now;
    __uint128_t time = (__uint128_t)chain_ration(chain, bytes) * (uint64_t)ERRAND_SECOND / chain->rate;
    return time < (uint64_t)(HEAP_NEVER / 2 - now) ? now + (int64_t)time : HEAP_NEVER / 2;
}

void chain_pay(errand_chain *chain, uint64_t bytes)
{
    chain->paid = paid_until(chain, bytes);
}

bool chain_set_rate(errand_chain *chain, uint64_t rate)
{
    chain->rate = rate;
    int64_t most = paid_until(chain, SIZE_MAX);
    if (chain->paid > most)
        chain->paid = most;
    return chain->wake && chain->state == CHAIN_RUNNING && chain->steps[chain->current].kind != ERRAND_STEP_SLEEP;
}

enum chain_next send_next(errand_chain *chain, struct step *step)
{
    uint64_t sent = so_far(step);
    if (sent == step->length) {
        step_done(chain, (int64_t)sent);
        return CHAIN_GO_ON;
    }
    if (chain_is_ahead(chain))
        return CHAIN_WAITS;
    struct op *op = &chain->op;
    op->socket = chain_descriptor(chain, step->socket);
    op->data = (const char *)step->data + sent;
    op->length = chain_ration(chain, step->length - sent);
    op->flags = step->flags & ERRAND_MORE ? MSG_MORE : 0;
    op->close_first = -1;
    return do_op(chain, OP_SEND);
}

enum chain_next receive_next(errand_chain *chain, struct step *step)
{
    uint64_t received = so_far(step);
    if (received == step->length || (received && (step->flags & ERRAND_SOME))) {
        step_done(chain, (int64_t)received);
        return CHAIN_GO_ON;
    }
    if (chain_is_ahead(chain))
        return CHAIN_WAITS;
    struct op *op = &chain->op;
    op->socket = chain_descriptor(chain, step->socket);
    op->buffer = (char *)step->buffer + received;
    op->length = chain_ration(chain, step->length - received);
    op->flags = 0;
    return do_op(chain, OP_RECEIVE);
}

void took_peer_bytes(errand_chain *chain, struct step *step)
{
    int64_t n = chain->op.result;
    if (n < 0) {
        step_failed(chain, (int)n);
        return;
    }
    step->result = (int64_t)so_far(step) + n;
    chain->moved += (uint64_t)n;
    chain_pay(chain, (uint64_t)n);
    if (n > 0 || step->kind == ERRAND_STEP_SEND)
        return;
    if (step->flags & ERRAND_EXACT)
        step_failed(chain, -ENODATA);
    else
        step_done(chain, step->result);
}

enum chain_next shutdown_next(errand_chain *chain, struct step *step)
{
    chain->op.socket = chain_descriptor(chain, step->socket);
    chain->op.flags = (uint32_t)step->how;
    return do_op(chain, OP_SHUTDOWN);
}

enum chain_next accept_next(errand_chain *chain, struct step *step)
{
    chain->op.socket = step->socket;
    return do_op(chain, OP_ACCEPT);
}

/* The path of a socket in the filesystem, which has to be looked up and may have to be waited for; NULL: none. */
const char *connect_path(const struct step *step)
{
    const char *address = step->data, *path = address + offsetof(struct sockaddr_un, sun_path);
    sa_family_t family;
    memcpy(&family, address, sizeof family); /* it lies where another operand ended, at any place */
    return family == AF_UNIX && address + step->length > path && *path ? path : NULL;
}

enum chain_next connect_next(errand_chain *chain, struct step *step)
{
    struct op *op = &chain->op;
    if (connect_path(step))
        return plan_on_worker(chain);
    op->socket = step->socket;
    op->data = step->data;
    op->length = step->length;
    return do_op(chain, OP_CONNECT);
}

enum chain_next poll_next(errand_chain *chain, struct step *step)
{
    chain->op.socket = step->socket;
    chain->op.flags = (uint32_t)step->how;
    return do_op(chain, OP_POLL);
}

enum chain_next sleep_next(errand_chain *chain, struct step *step)
{
    int64_t now = chain->context->now;
    if (!(step->flags & STEP_TRIED)) { /* it begins */
        step->flags |= STEP_TRIED;
        chain->wake = step->offset < HEAP_NEVER - now ? now + step->offset : HEAP_NEVER - 1;
        return CHAIN_WAITS;
    }
    if (chain->wake)
        return CHAIN_WAITS; /* it was resumed, for a later step */
    step_done(chain, 0);
    return CHAIN_GO_ON;
}

static bool take_token(errand_chain *chain)
{
    bool resumed = chain->resumed;
    chain->resumed = false;
    return resumed;
}

enum chain_next await_next(errand_chain *chain, struct step *step)
{
    if (!chain->resumed && chain->stopped && !step->function)
        step_failed(chain, chain->stopped);
    if (!chain->resumed && chain->stopped && step->function && !(step->flags & STEP_PAUSED)) {
        step->flags |= STEP_PAUSED;
        chain->in_call = 1;
        chain->context->in_call++;
        step->function(chain, step->context);
        chain->context->in_call--;
        chain->in_call = 0;
    }
    if (chain->state != CHAIN_RUNNING)
        return CHAIN_GO_ON;
    if (!take_token(chain))
        return CHAIN_WAITS;
    chain->moved += chain->resume_bytes;
    if (chain->stopped || chain->resume_result < 0)
        step_failed(chain, chain->stopped ? chain->stopped : (int)chain->resume_result);
    else
        step_done(chain, chain->resume_result);
    return CHAIN_GO_ON;
}

enum chain_next list_next(errand_chain *chain, struct step *step)
{
    if (step->flags & STEP_PAUSED) {
        if (!take_token(chain))
            return CHAIN_WAITS;
        step->flags &= (uint8_t)~STEP_PAUSED;
        if (chain->resume_result < 0) {
            step_failed(chain, (int)chain->resume_result);
            return CHAIN_GO_ON;
        }
    }
    return plan_on_worker(chain);
}

/* A socket that an accept or a connect made is the chain's. */
void took_socket(errand_chain *chain, struct step *step)
{
    int64_t result = chain->op.result;
    bool made = step->kind == ERRAND_STEP_ACCEPT || step->socket < 0;
    if (result < 0) {
        step_failed(chain, (int)result);
        return;
    }
    if (made)
        file_gained(chain, step, (int)result, FILE_SOCKET);
    step_done(chain, made ? result : step->socket);
}
