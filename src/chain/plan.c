/* SPDX-License-Identifier: MIT */
/*
 * How a file step is done: inline, because it was shown not to wait; as one linked segment; or, with the file steps
 * that follow it, as one run on a worker. ARCHITECTURE.md, "Never block", has the facts behind these rules.
 */
#include "chain/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The flags of an open that neither changes anything nor can be made to wait once the name is cached. */
#define QUIET_FLAGS (O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_DIRECTORY | O_NOATIME | O_NOCTTY | O_LARGEFILE)

static bool opens_quietly(const struct step *open)
{
    return !((int)open->open_flags & ~QUIET_FLAGS);
}

/* Open, read into a caller's buffer, close, and nothing in between that would have to see the file. */
static bool is_read_file(const errand_chain *chain, const struct step *open)
{
    unsigned index = (unsigned)(open - chain->steps);
    if (index + 2 >= chain->steps_count)
        return false;
    const struct step *read = open + 1, *close = open + 2;
    return read->kind == ERRAND_STEP_READ && read->file == ERRAND_SLOT((int)index) && read->length > 0 &&
           read->length <= BUFFER_LARGE && close->kind == ERRAND_STEP_CLOSE && close->file == ERRAND_SLOT((int)index);
}

enum chain_next plan_open(errand_chain *chain, struct step *step)
{
    const struct chain_context *context = chain->context;
    struct root *root = step->root;
    if ((step->flags & STEP_TRIED) || !root || !root->open_inline || !opens_quietly(step))
        return plan_on_worker(chain);
    struct op *op = &chain->op;
    op->kind = OP_OPEN;
    op->fd = root->fd;
    op->path = step->path;
    op->how = (struct open_how){.flags = (uint64_t)step->open_flags,
                                .resolve = root->resolve | RESOLVE_NO_XDEV | RESOLVE_CACHED};
    if (context->read_files && root->read_inline && is_read_file(chain, step) &&
        seen_holds(context->seen, step->path_hash, context->now)) {
        op->kind = OP_READ_FILE;
        op->buffer = step[1].buffer;
        op->length = step[1].length;
        op->offset = step[1].offset;
    }
    return CHAIN_DO;
}

void plan_stat(errand_chain *chain, struct step *file, struct errand_stat *out)
{
    chain->op.kind = OP_STAT;
    chain->op.fd = file->fd;
    chain->op.stat = out ? out : &chain->context->stat;
}

void learn(struct step *file, const struct errand_stat *stat)
{
    /* Of a FIFO or a device it says nothing, and files of /proc say 0 whatever they hold. */
    file->bytes = S_ISREG(stat->mode) && stat->bytes > 0 ? stat->bytes : BYTES_UNTOLD;
    file->facts |= FILE_KNOWN;
    /* ext4 and xfs count the blocks of extent trees outside the inode: none, if the blocks just hold the bytes. */
    uint64_t unit = stat->block_size ? stat->block_size : 4096;
    if (S_ISREG(stat->mode) && stat->blocks * 512 == (stat->bytes + unit - 1) / unit * unit)
        file->facts |= FILE_COMPACT;
    if (stat->links == 0)
        file->facts |= FILE_UNLINKED;
}

bool plan_close(errand_chain *chain, struct step *file)
{
    struct op *op = &chain->op;
    op->fd = file->fd;
    if (!file_closes_inline(file)) {
        struct file_run *run = run_new(NULL);
        if (run) {
            run->fd = file->fd;
            run->lane = file->lane;
            run->calls[run->count++].call = CALL_CLOSE;
            run->calls[0].step = (uint8_t)(file - chain->steps);
            file->facts |= FILE_LENT;
            op->kind = OP_FILES;
            op->run = run;
            return true;
        } /* Without memory a close that may wait is better than none. */
    }
    op->kind = OP_CLOSE;
    return true;
}

bool chain_file_is_spent(const errand_chain *chain, unsigned opener, unsigned from)
{
    if (chain->hand_over == (int)opener)
        return false;
    for (unsigned i = from; i < chain->steps_count; i++) {
        const struct step *step = &chain->steps[i];
        bool uses = step->kind != ERRAND_STEP_OPEN && step->file == ERRAND_SLOT((int)opener);
        if (uses || step->kind == ERRAND_STEP_CALL)
            return uses && step->kind == ERRAND_STEP_CLOSE;
    }
    return true;
}

/* Puts a call for the step into the run; false: the run ends before it. */
static bool add_call(errand_chain *chain, struct file_run *run, unsigned index)
{
    static const uint8_t calls[] = {
        [ERRAND_STEP_OPEN] = CALL_OPEN,
        [ERRAND_STEP_STAT] = CALL_STAT,
        [ERRAND_STEP_READ] = CALL_READ,
        [ERRAND_STEP_CLOSE] = CALL_CLOSE,
    };
    struct step *step = &chain->steps[index];
    if (run->count == RUN_CALLS || step->kind >= sizeof calls || !calls[step->kind])
        return false;
    if (step->kind == ERRAND_STEP_READ) {
        size_t left = step->length - (size_t)(step->result > 0 ? step->result : 0);
        if (run->reads)
            return false;
        run->reads = true;
        run->length = left < BUFFER_LARGE ? left : BUFFER_LARGE;
        run->offset = step->offset + (step->result > 0 ? step->result : 0);
    }
    run->calls[run->count].call = calls[step->kind];
    run->calls[run->count++].step = (uint8_t)index;
    return true;
}

/* After a worker's open we look at the file at once, to know whether what follows may be done inline. */
static void add_look(struct file_run *run, unsigned opener)
{
    run->calls[run->count].call = CALL_STAT;
    run->calls[run->count++].step = (uint8_t)opener;
}

static void add_following(errand_chain *chain, struct file_run *run, unsigned first, unsigned opener)
{
    for (unsigned i = first; i < chain->steps_count; i++) {
        const struct step *step = &chain->steps[i];
        bool same = step->kind != ERRAND_STEP_OPEN && step->file == ERRAND_SLOT((int)opener);
        bool kept = step->kind == ERRAND_STEP_CLOSE && chain->hand_over == (int)opener; /* close_next() refuses */
        if (!same || kept || !add_call(chain, run, i))
            return;
        if (step->kind == ERRAND_STEP_CLOSE || (step->kind == ERRAND_STEP_READ && step->length > run->length))
            return;
    }
}

static struct file_run *run_open(struct step *step)
{
    struct file_run *run = run_new(step->path);
    if (!run)
        return NULL;
    run->root = step->root;
    if (step->root) {
        atomic_fetch_add_explicit(&step->root->references, 1, memory_order_relaxed);
        run->lane = step->root->lane;
    } else {
        run->dir_fd = step->file;
        run->borrowed = step->file != AT_FDCWD;
    }
    run->open_flags = (int)step->open_flags;
    run->mode = step->mode;
    return run;
}

static struct file_run *run_with(struct step *file)
{
    struct file_run *run = run_new(NULL);
    if (!run)
        return NULL;
    run->fd = file->fd;
    run->lane = file->lane;
    run->borrowed = !(file->facts & FILE_OWNED);
    file->facts |= FILE_LENT;
    return run;
}

/* Hands the current step, and the file steps that follow it on the same file, to a worker. */
enum chain_next plan_on_worker(errand_chain *chain)
{
    unsigned first = chain->current;
    struct step *step = &chain->steps[first];
    bool opens = step->kind == ERRAND_STEP_OPEN;
    struct step *file = opens ? step : chain_file(chain, step);
    unsigned opener = (unsigned)(file - chain->steps);
    struct file_run *run = opens ? run_open(step) : run_with(file);
    if (!run) {
        step_failed(chain, -ENOMEM);
        return CHAIN_GO_ON;
    }
    add_call(chain, run, first);
    if (opens && step->root && step->root->open_inline && first + 1 < chain->steps_count &&
        step[1].kind != ERRAND_STEP_STAT)
        add_look(run, opener);
    if (step->kind != ERRAND_STEP_CLOSE && !(step->kind == ERRAND_STEP_READ && step->length > run->length))
        add_following(chain, run, first + 1, opener);
    chain->op.kind = OP_FILES;
    chain->op.run = run;
    return CHAIN_DO;
}

/* A piece of a file into the chain's buffer, behind its first `lead` bytes. */
enum chain_next plan_fill(errand_chain *chain, struct step *file, int64_t offset, size_t lead, size_t length)
{
    struct file_run *run = run_with(file);
    if (!run) {
        step_failed(chain, -ENOMEM);
        return CHAIN_GO_ON;
    }
    run->calls[run->count].call = CALL_READ;
    run->calls[run->count++].step = chain->current;
    run->reads = true;
    run->lead = lead;
    run->length = length;
    run->offset = offset;
    chain_buffer_free(chain);
    chain->op.kind = OP_FILES;
    chain->op.run = run;
    return CHAIN_DO;
}

static void took_opened(errand_chain *chain, struct step *step, const struct file_run *run)
{
    unsigned facts = 0;
    if (step->root && step->root->open_inline && !run->crossed && opens_quietly(step))
        facts = FILE_INLINE | (step->root->read_inline ? FILE_READABLE : 0);
    step->lane = run->lane;
    file_gained(chain, step, run->fd, facts);
    step_done(chain, run->fd); /* -1: closed again in this run */
}

/* A path that may go out as one segment next time: see took_read_file() for the exception. */
void note_seen(errand_chain *chain, const struct step *open)
{
    unsigned compact = FILE_READABLE | FILE_COMPACT;
    if (!chain->context->read_files || (open->facts & compact) != compact || !is_read_file(chain, open))
        return;
    const struct step *read = open + 1;
    if (open->bytes % 4096 == 0 && open->bytes < (uint64_t)read->offset + read->length)
        return;
    seen_note(chain->context->seen, open->path_hash, chain->context->now);
}

static void took_call(errand_chain *chain, struct file_run *run, unsigned n)
{
    struct step *step = &chain->steps[run->calls[n].step];
    struct step *file = step->kind == ERRAND_STEP_OPEN ? step : chain_file(chain, step);
    switch ((enum file_call)run->calls[n].call) {
    case CALL_OPEN: took_opened(chain, step, run); return;
    case CALL_STAT:
        learn(file, &run->stat);
        if (step->kind != ERRAND_STEP_STAT)
            return;
        if (step->stat)
            *step->stat = run->stat;
        step_done(chain, (int64_t)run->stat.bytes);
        return;
    case CALL_READ: took_file_bytes(chain, step, run->moved, run->length); return;
    case CALL_CLOSE:
        if (file->kind == ERRAND_STEP_OPEN)
            note_seen(chain, file);
        file_gone(chain, file, 0);
        if (step->kind == ERRAND_STEP_CLOSE && chain->state == CHAIN_RUNNING)
            step_done(chain, 0);
        return;
    }
}

/* Gives the lender back its descriptor; a caller's was duplicated, and from now on the step works on that. */
static void take_descriptor_back(errand_chain *chain, struct step *file, const struct file_run *run)
{
    file->facts &= (uint16_t)~FILE_LENT;
    file->lane = run->lane;
    if (!(file->facts & FILE_OWNED) && !run->borrowed)
        file_gained(chain, file, run->fd, file->facts);
    file->fd = run->fd;
}

void took_run(errand_chain *chain)
{
    struct file_run *run = chain->op.run;
    struct step *first = &chain->steps[run->calls[0].step];
    struct step *file = first->kind == ERRAND_STEP_OPEN ? first : chain_file(chain, first);
    chain->context->worker_runs++;
    if (run->buffer) {
        chain_buffer_free(chain);
        chain->buffer = run->buffer;
        chain->buffer_size = run->buffer_size;
        run->buffer = NULL;
        run->buffer_size = 0;
    }
    if (run->calls[0].call != CALL_OPEN)
        take_descriptor_back(chain, file, run);
    for (unsigned n = 0; n < run->done && (n == 0 || chain->state == CHAIN_RUNNING || run->calls[n].call == CALL_CLOSE);
         n++)
        took_call(chain, run, n);
    if (run->done < run->count && run->calls[run->done].call == CALL_CLOSE && run->fd < 0)
        file_gone(chain, file, 0); /* close failed, which closes all the same */
    if (run->done < run->count && chain->state == CHAIN_RUNNING) {
        chain->current = run->calls[run->done].step;
        struct step *failed = &chain->steps[chain->current];
        if (failed->kind == ERRAND_STEP_READ && run->moved > 0)
            took_file_bytes(chain, failed, run->moved, run->moved);
        step_failed(chain, run->error);
    }
    if (run->root && root_unused(run->root))
        list_append(&chain->context->unused_roots, &run->root->node);
    run_free(run, chain->context->buffers);
}

void chain_abandoned(errand_chain *chain, unsigned step)
{
    chain->op.in_flight = false;
    chain->current = (uint8_t)step;
    chain->context->worker_runs++;
    for (unsigned i = 0; i < chain->steps_count; i++) {
        struct step *file = &chain->steps[i];
        if (!(file->facts & FILE_LENT))
            continue;
        if (file->facts & FILE_OWNED)
            file_gone(chain, file, 0);
        file->facts = 0;
    }
}
