/* SPDX-License-Identifier: MIT */
/* A run is back from its worker: its results become those of the steps, its files the chain's again. */
#include "chain/filter.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static void took_opened(errand_chain *chain, struct step *step, const struct file_run *run, const struct run_call *call)
{
    unsigned facts = 0;
    bool same_mount = run->lane == (step->root ? step->root->lane : 0);
    if (step->flags & STEP_ALTERNATIVES)
        step->choice = (uint16_t)(step->choice + call->choice);
    if (call->result < 0) { /* it was optional */
        step_done(chain, call->result);
        return;
    }
    if (step->root && step->root->open_inline && same_mount && opens_quietly(step))
        facts = FILE_INLINE | (step->root->read_inline ? FILE_READABLE : 0);
    step->lane = run->lane;
    file_gained(chain, step, run->files[call->file].fd, facts);
    step_done(chain, step->fd); /* -1: closed again in this run */
}

static void took_connected(errand_chain *chain, struct step *step, const struct file_run *run,
                           const struct run_call *call)
{
    if (call->result >= 0 && step->socket < 0)
        file_gained(chain, step, run->files[call->file].fd, FILE_SOCKET);
    step_done(chain, call->result < 0 ? call->result : step->socket < 0 ? step->fd : step->socket);
}

static void took_stat(errand_chain *chain, struct step *step, const struct file_run *run, const struct run_call *call)
{
    struct step *file = &chain->steps[run->files[call->file].step];
    const struct errand_stat *stat = call->value;
    if (call->result >= 0)
        learn(file, stat);
    if (step->kind != ERRAND_STEP_STAT)
        return; /* the library's own look */
    if (call->result >= 0 && step->stat)
        *step->stat = *stat;
    step_done(chain, call->result < 0 ? call->result : (int64_t)stat->bytes);
}

static void took_closed(errand_chain *chain, struct step *step, const struct file_run *run, const struct run_call *call)
{
    struct step *file = &chain->steps[run->files[call->file].step];
    if (file->kind == ERRAND_STEP_OPEN)
        note_seen(chain, file);
    if (file->facts & FILE_OWNED)
        file_gone(chain, file, 0);
    if (step->kind == ERRAND_STEP_CLOSE && chain->state == CHAIN_RUNNING)
        step_done(chain, call->result);
}

static void took_written(errand_chain *chain, struct step *step, size_t moved)
{
    if (step->kind == ERRAND_STEP_RECEIVE_FILE) {
        took_flushed(chain, step, moved);
        return;
    }
    step->result = (int64_t)(so_far(step) + moved);
    chain->moved += moved;
    if (so_far(step) < step->length)
        return;
    chain_buffer_free(chain);
    step_done(chain, step->result);
}

static void took_copied(errand_chain *chain, struct step *step, const struct run_call *call)
{
    if (call->result < 0) {
        step_done(chain, call->result);
        return;
    }
    step->result = (int64_t)so_far(step) + call->result;
    chain->moved += (uint64_t)call->result;
    bool whole = step->range >= 0 && step->result == step->range;
    if (call->ended && !whole && step->range >= 0 && (step->flags & ERRAND_EXACT))
        step_failed(chain, -ENODATA);
    else if (call->ended || whole)
        step_done(chain, step->result);
}

/* The caller's memory is filled on his own thread. */
static void took_value(errand_chain *chain, struct step *step, const struct run_call *call)
{
    void *out = step->kind == ERRAND_STEP_LIST_ATTRIBUTES ? step->buffer : step->value;
    if (call->result > 0 && call->length > 0)
        memcpy(out, call->value, (size_t)call->result);
    step_done(chain, call->result);
}

/* As the kernel writes them: see getdents(2). */
struct kernel_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

/* Returns 0, 1, ERRAND_PAUSE or the caller's error. */
static int tell_entries(errand_chain *chain, struct step *step, size_t bytes)
{
    int result = 0;
    bool pauses = false;
    int64_t told = (int64_t)so_far(step);
    chain->in_call = 1;
    chain->context->in_call++;
    for (size_t at = 0; result == 0 && at + offsetof(struct kernel_entry, name) < bytes;) {
        const struct kernel_entry *entry = (const void *)(chain->buffer + at);
        at += entry->length;
        if (is_dots(entry->name))
            continue;
        struct errand_entry what = {.name = entry->name, .inode = entry->inode, .type = entry->type};
        result = step->entry(chain, &what, step->context);
        told++;
        if (result == ERRAND_PAUSE) {
            pauses = true;
            result = 0;
        }
    }
    chain->context->in_call--;
    chain->in_call = 0;
    step->result = told;
    if (result == 0)
        result = chain->sticky;
    return result == 0 && pauses ? ERRAND_PAUSE : result;
}

static void took_list(errand_chain *chain, struct step *step, const struct run_call *call)
{
    if (call->result < 0) {
        step_done(chain, call->result);
        return;
    }
    int result = tell_entries(chain, step, (size_t)call->result);
    chain_buffer_free(chain);
    if (result < 0)
        step_failed(chain, result);
    else if (result == 1 || call->result == 0)
        step_done(chain, step->result);
    else if (result == ERRAND_PAUSE)
        step->flags |= STEP_PAUSED;
}

/* It could not be taken from its worker: a chain that was ended meanwhile ends here. */
static void took_worked(errand_chain *chain, struct step *step, const struct run_call *call)
{
    if (chain->stopped)
        step_failed(chain, chain->stopped);
    else if (step->flags & STEP_FILTERED)
        filter_took(chain, filter_of(chain, step), call->result);
    else
        step_done(chain, call->result);
}

/* A step that moves bytes failed: what was moved before that counts. */
static void took_part(errand_chain *chain, struct step *step, const struct file_run *run, const struct run_call *call)
{
    if (call->kind == ERRAND_STEP_WRITE) {
        chain->moved += run->moved;
    } else if (call->kind == ERRAND_STEP_READ && step->kind != ERRAND_STEP_SENDFILE && run->moved > 0) {
        memcpy((char *)step->buffer + so_far(step), chain->buffer, run->moved);
        chain->moved += run->moved;
    }
}

/* What was learnt of the chain's open files, by whichever slot or name, may be so no longer. */
static void unlearn(errand_chain *chain, unsigned kind)
{
    unsigned lost = 0, gained = 0;
    if (kind == ERRAND_STEP_WRITE || kind == ERRAND_STEP_COPY || kind == ERRAND_STEP_TRUNCATE ||
        kind == ERRAND_STEP_ALLOCATE)
        lost = FILE_KNOWN | FILE_COMPACT;
    else if (kind == ERRAND_STEP_UNLINK || kind == ERRAND_STEP_RENAME || kind == ERRAND_STEP_REPLACE)
        gained = FILE_UNLINKED;
    else
        return;
    for (unsigned i = 0; chain->files > 0 && i < chain->steps_count; i++)
        if (chain->steps[i].facts & FILE_OPEN)
            chain->steps[i].facts = (uint16_t)((chain->steps[i].facts & ~lost) | gained);
}

static void took_call(errand_chain *chain, struct file_run *run, const struct run_call *call)
{
    struct step *step = &chain->steps[call->step];
    unlearn(chain, call->kind);
    switch ((enum errand_step_kind)call->kind) {
    case ERRAND_STEP_WORK: took_worked(chain, step, call); return;
    case ERRAND_STEP_OPEN: took_opened(chain, step, run, call); return;
    case ERRAND_STEP_CONNECT: took_connected(chain, step, run, call); return;
    case ERRAND_STEP_STAT: took_stat(chain, step, run, call); return;
    case ERRAND_STEP_CLOSE: took_closed(chain, step, run, call); return;
    case ERRAND_STEP_READ:
    case ERRAND_STEP_WRITE:
        if (call->result < 0) { /* it was optional */
            took_part(chain, step, run, call);
            chain_buffer_free(chain);
            step_done(chain, call->result); /* even if the chain was stopped: the run went on behind it */
        } else if (call->kind == ERRAND_STEP_READ) {
            took_file_bytes(chain, step, run->moved, (size_t)call->length);
        } else {
            took_written(chain, step, run->moved);
        }
        return;
    case ERRAND_STEP_SENDFILE: took_pipe(chain, step, call); return;
    case ERRAND_STEP_COPY: took_copied(chain, step, call); return;
    case ERRAND_STEP_LIST: took_list(chain, step, call); return;
    case ERRAND_STEP_GET_ATTRIBUTE:
    case ERRAND_STEP_LIST_ATTRIBUTES:
    case ERRAND_STEP_READ_LINK: took_value(chain, step, call); return;
    default: step_done(chain, call->result); return;
    }
}

static void took_failure(errand_chain *chain, struct file_run *run)
{
    const struct run_call *call = &run->calls[run->done];
    struct step *step = &chain->steps[call->step];
    chain->current = call->step;
    took_part(chain, step, run, call);
    if (chain->state == CHAIN_RUNNING)
        step_failed(chain, run->error);
}

/* Gives the lender back his files; what the run opened comes with the results. */
static void take_files_back(errand_chain *chain, const struct file_run *run)
{
    for (unsigned i = 0; i < run->file_count; i++) {
        struct step *file = &chain->steps[run->files[i].step];
        if (run->files[i].borrowed || !(file->facts & FILE_LENT))
            continue;
        file->facts &= (uint16_t)~FILE_LENT;
        file->fd = run->files[i].fd;
    }
}

void took_run(errand_chain *chain)
{
    struct file_run *run = chain->op.run;
    chain->context->worker_runs++;
    if (run->buffer) {
        chain_buffer_free(chain);
        chain->buffer = run->buffer;
        chain->buffer_size = run->buffer_size;
        run->buffer = NULL;
        run->buffer_size = 0;
    }
    if (run->pipe) {
        chain->pipe = run->pipe;
        run->pipe = NULL;
    }
    take_files_back(chain, run);
    for (unsigned n = 0; n < run->done; n++)
        if (n == 0 || chain->state == CHAIN_RUNNING || run->calls[n].kind == ERRAND_STEP_CLOSE ||
            run->calls[n].kind == ERRAND_STEP_OPEN)
            took_call(chain, run, &run->calls[n]);
    if (run->done < run->count && run->error < 0) {
        const struct run_call *failed = &run->calls[run->done];
        struct step *file = &chain->steps[run->files[failed->file].step];
        if (failed->kind == ERRAND_STEP_CLOSE && run->files[failed->file].fd < 0 && (file->facts & FILE_OWNED))
            file_gone(chain, file, 0); /* which closes all the same */
        if (chain->state == CHAIN_RUNNING)
            took_failure(chain, run);
    }
    for (unsigned i = 0; i < run->place_count; i++)
        if (run->places[i].root && root_unused(run->places[i].root))
            list_append(&chain->context->unused_roots, &run->places[i].root->node);
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
