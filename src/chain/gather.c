/* SPDX-License-Identifier: MIT */
/*
 * A run: the current step, and the steps behind it that a worker can do along with it, with copies of all that they
 * need. It ends before a step that is not a file's, that needs the result of one of its own steps, or that has no room.
 */
#include "chain/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* The most that is copied before a chain's progress can be seen, and the worker be taken from it. */
#define COPY_PIECE ((int64_t)16 << 20)

#define LIST_PIECE ((int64_t)16 << 10)

struct gathering {
    errand_chain *chain;
    struct file_run *run;
    bool memory_is_out;
    bool ends; /* nothing may follow what was added last */
};

/* An open file as an operand of a run; false: the run ends before it. */
static bool use_file(struct gathering *g, int operand, unsigned step, uint8_t *index)
{
    struct file_run *run = g->run;
    bool borrowed = operand >= 0;
    unsigned opener = borrowed ? step : (unsigned)(ERRAND_SLOT(0) - operand);
    for (unsigned i = 0; i < run->file_count; i++) {
        const struct run_file *file = &run->files[i];
        if (file->borrowed != borrowed || (borrowed ? file->fd != operand : file->step != opener))
            continue;
        *index = (uint8_t)i;
        return !file->closes;
    }
    const struct step *slot = &g->chain->steps[opener];
    if (run->file_count == RUN_FILES || (!borrowed && !(slot->facts & FILE_OPEN)))
        return false;
    *index = run->file_count;
    run->files[run->file_count++] =
        (struct run_file){.fd = borrowed ? operand : slot->fd, .step = (uint8_t)opener, .borrowed = borrowed};
    return true;
}

/* Where a path begins. The chain holds the root; the run gets a reference of its own when it is complete. */
static bool use_place(struct gathering *g, struct root *root, int dir_fd, const char *path, uint8_t *index)
{
    struct file_run *run = g->run;
    bool absolute = *path == '/';
    for (unsigned i = 0; i < run->place_count; i++) {
        const struct run_place *place = &run->places[i];
        if (root ? place->root == root
                 : !place->root && place->dir_fd == dir_fd && (*place->first == '/') == absolute) {
            *index = (uint8_t)i;
            return true;
        }
    }
    if (run->place_count == RUN_PLACES)
        return false;
    *index = run->place_count;
    run->places[run->place_count++] =
        root ? (struct run_place){.root = root, .first = path}
             : (struct run_place){.dir_fd = dir_fd, .borrowed = dir_fd != AT_FDCWD, .first = path};
    return true;
}

static bool keep(struct gathering *g, const void *bytes, size_t size, void *out)
{
    void *copy = run_keep(g->run, bytes, size);
    g->memory_is_out = !copy;
    memcpy(out, &copy, sizeof copy);
    return copy != NULL;
}

static bool use_path(struct gathering *g, struct root *root, int dir_fd, const char *path, const char **copy,
                     uint8_t *place)
{
    return keep(g, path, strlen(path) + 1, copy) && use_place(g, root, dir_fd, *copy, place);
}

static bool add_open(struct gathering *g, const struct step *step, struct run_call *call, unsigned index)
{
    struct file_run *run = g->run;
    const char *end = step->path + strlen(step->path) + 1;
    unsigned left = step->flags & STEP_ALTERNATIVES ? step->left : 0;
    for (unsigned i = 0; i < left; i++)
        end += strlen(end) + 1;
    call->like = step->flags & STEP_LIKE;
    if (call->like && !use_file(g, step->to, index, &call->to))
        return false;
    if (run->file_count == RUN_FILES || !keep(g, step->path, (size_t)(end - step->path), &call->path) ||
        !use_place(g, step->root, step->file, call->path, &call->place))
        return false;
    call->choices = (uint8_t)(left + 1);
    call->flags = (uint32_t)step->open_flags;
    call->mode = step->mode;
    call->file = run->file_count;
    run->files[run->file_count++] = (struct run_file){.fd = -1, .step = (uint8_t)index};
    return true;
}

static bool add_read(struct gathering *g, const struct step *step, struct run_call *call)
{
    size_t left = step->length - so_far(step);
    if (g->run->wants_buffer || g->run->buffer)
        return false;
    g->run->wants_buffer = true;
    call->length = (int64_t)(left < BUFFER_LARGE ? left : BUFFER_LARGE);
    call->offset = step->offset + (int64_t)so_far(step);
    call->flags = step->flags & ERRAND_EXACT; /* the worker must not go on to the next step */
    g->ends = left > (size_t)call->length;
    return true;
}

/* The data is copied now, because the worker may outlive the caller's memory. */
static bool add_write(struct gathering *g, const struct step *step, struct run_call *call)
{
    errand_chain *chain = g->chain;
    size_t left = step->length - so_far(step), want = left < BUFFER_LARGE ? left : BUFFER_LARGE;
    if (g->run->wants_buffer || g->run->buffer)
        return false;
    if (!chain_buffer(chain, want)) {
        g->memory_is_out = true;
        return false;
    }
    size_t n = want < chain->buffer_size ? want : chain->buffer_size;
    memcpy(chain->buffer, (const char *)step->data + so_far(step), n);
    g->run->buffer = chain->buffer;
    g->run->buffer_size = chain->buffer_size;
    chain->buffer = NULL;
    call->length = (int64_t)n;
    call->offset = step->offset == ERRAND_TO_END ? ERRAND_TO_END : step->offset + (int64_t)so_far(step);
    g->ends = n < left;
    return true;
}

static bool add_copy(struct gathering *g, const struct step *step, struct run_call *call, unsigned index)
{
    int64_t done = (int64_t)so_far(step);
    bool to_end = step->range == ERRAND_TO_END;
    int64_t left = to_end ? INT64_MAX - step->offset - done : step->range - done;
    call->offset = step->offset + done;
    call->to_offset = step->to_offset + done;
    call->length = left < COPY_PIECE ? left : COPY_PIECE;
    call->whole = to_end;
    call->flags = step->flags & ERRAND_HOLES;
    g->ends = (step->flags & ERRAND_EXACT) || (!to_end && left > COPY_PIECE);
    return use_file(g, step->file, index, &call->file) && use_file(g, step->to, index, &call->to);
}

/* What the chain found when it looked at `from`. A look of this run's is found by the worker. */
static bool add_metadata(struct gathering *g, const struct step *step, struct run_call *call, unsigned index)
{
    const errand_chain *chain = g->chain;
    const struct errand_stat *found = NULL;
    for (unsigned i = 0; i < chain->current; i++)
        if (chain->steps[i].kind == ERRAND_STEP_STAT && chain->steps[i].file == step->file &&
            chain->steps[i].result >= 0 && chain->steps[i].stat)
            found = chain->steps[i].stat;
    call->flags = step->mode;
    return use_file(g, step->file, index, &call->file) && use_file(g, step->to, index, &call->to) &&
           (!found || keep(g, found, sizeof *found, &call->value));
}

static bool add_attribute(struct gathering *g, const struct step *step, struct run_call *call)
{
    bool sets = step->kind == ERRAND_STEP_SET_ATTRIBUTE;
    bool lists = step->kind == ERRAND_STEP_LIST_ATTRIBUTES;
    size_t size = lists ? step->length : step->size;
    call->length = (int64_t)size;
    call->flags = step->mode;
    return (lists || keep(g, step->path, strlen(step->path) + 1, &call->path)) &&
           (size == 0 || keep(g, sets ? step->value : NULL, size, &call->value));
}

static bool add_names(struct gathering *g, const struct step *step, struct run_call *call)
{
    call->mode = step->mode;
    call->flags = step->mode;
    call->offset = (int64_t)step->device;
    switch ((enum errand_step_kind)step->kind) {
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
        return use_path(g, step->root, step->file, step->path, &call->path, &call->place) &&
               use_path(g, step->to_root, step->to, step->to_path, &call->to_path, &call->to_place);
    case ERRAND_STEP_SYMLINK:
        return keep(g, step->path, strlen(step->path) + 1, &call->path) &&
               use_path(g, step->to_root, step->to, step->to_path, &call->to_path, &call->to_place);
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_REPLACE:
        return use_path(g, step->to_root, step->to, step->to_path, &call->to_path, &call->to_place);
    case ERRAND_STEP_READ_LINK:
        call->length = (int64_t)step->size;
        return use_path(g, step->root, step->file, step->path, &call->path, &call->place) &&
               keep(g, NULL, step->size, &call->value);
    default: return use_path(g, step->root, step->file, step->path, &call->path, &call->place);
    }
}

/* Only at the head of a run, as work. */
static bool add_connect(struct gathering *g, const struct step *step, struct run_call *call, unsigned index)
{
    struct file_run *run = g->run;
    const char *path = connect_path(step);
    if (!path || run->count > 0)
        return false;
    g->ends = true;
    if (step->socket >= 0 && !use_file(g, step->socket, index, &call->file))
        return false;
    if (step->socket < 0 && run->file_count == RUN_FILES)
        return false;
    if (step->socket < 0) {
        call->file = run->file_count;
        run->files[run->file_count++] = (struct run_file){.fd = -1, .step = (uint8_t)index};
    }
    return use_path(g, NULL, AT_FDCWD, path, &call->path, &call->place);
}

/* Only at the head of a run: what stands behind it would wait in the wrong lane. */
static bool add_work(struct gathering *g, const struct step *step, struct run_call *call)
{
    if (g->run->count > 0)
        return false;
    g->ends = true;
    g->run->lane = LANE_WORK;
    call->work = step->work;
    call->context = step->context;
    return true;
}

static bool takes_file(const struct step *step)
{
    switch ((enum errand_step_kind)step->kind) {
    case ERRAND_STEP_STAT:
    case ERRAND_STEP_READ:
    case ERRAND_STEP_CLOSE:
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
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_REPLACE: return true;
    default: return false;
    }
}

/* Fills in the call of a step; false: the run ends before it. */
static bool describe(struct gathering *g, struct step *step, struct run_call *call, unsigned index)
{
    if (takes_file(step) && !use_file(g, step->file, index, &call->file))
        return false;
    switch ((enum errand_step_kind)step->kind) {
    case ERRAND_STEP_OPEN: return add_open(g, step, call, index);
    case ERRAND_STEP_COPY_METADATA: return add_metadata(g, step, call, index);
    case ERRAND_STEP_STAT:
        call->flags = step->flags & (ERRAND_REGULAR | ERRAND_ONE_LINK);
        call->told = step->stat != NULL;
        return keep(g, NULL, sizeof(struct errand_stat), &call->value);
    case ERRAND_STEP_LOAD:
        call->kind = ERRAND_STEP_READ;
        if (!step->buffer || !add_read(g, step, call)) /* its size is not known yet */
            return false;
        call->fits = !g->ends; /* the worker must not go on to the next step */
        return true;
    case ERRAND_STEP_READ: return add_read(g, step, call);
    case ERRAND_STEP_WRITE: return add_write(g, step, call);
    case ERRAND_STEP_COPY: return add_copy(g, step, call, index);
    case ERRAND_STEP_WORK: return add_work(g, step, call);
    case ERRAND_STEP_CONNECT: return add_connect(g, step, call, index);
    case ERRAND_STEP_CLOSE:
        g->run->files[call->file].closes = true;
        return g->chain->hand_over != g->run->files[call->file].step; /* close_next() refuses */
    case ERRAND_STEP_LIST:
        if (g->run->wants_buffer || g->run->buffer)
            return false;
        g->run->wants_buffer = g->ends = true;
        call->length = LIST_PIECE;
        call->whole = step->result < 0; /* it begins: from the first entry on */
        return true;
    case ERRAND_STEP_SYNC: call->flags = step->flags; return true;
    case ERRAND_STEP_TRUNCATE: call->offset = step->offset; return true;
    case ERRAND_STEP_ALLOCATE:
        call->flags = (uint32_t)step->how;
        call->offset = step->offset;
        call->length = step->range;
        return true;
    case ERRAND_STEP_CHMOD: call->mode = step->mode; return true;
    case ERRAND_STEP_CHOWN:
        call->flags = step->lane;
        call->mode = step->mode;
        return true;
    case ERRAND_STEP_UTIMES:
        call->offset = step->offset;
        call->to_offset = step->to_offset;
        return true;
    case ERRAND_STEP_GET_ATTRIBUTE:
    case ERRAND_STEP_SET_ATTRIBUTE:
    case ERRAND_STEP_LIST_ATTRIBUTES:
    case ERRAND_STEP_REMOVE_ATTRIBUTE: return add_attribute(g, step, call);
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_REPLACE:
    case ERRAND_STEP_SYMLINK:
    case ERRAND_STEP_READ_LINK:
    case ERRAND_STEP_UNLINK:
    case ERRAND_STEP_MKDIR:
    case ERRAND_STEP_RMDIR:
    case ERRAND_STEP_MKNOD: return add_names(g, step, call);
    default: return false;
    }
}

/* Puts the call of a step into the run; false: the run ends before it. */
static bool add(struct gathering *g, unsigned index)
{
    struct file_run *run = g->run;
    struct step *step = &g->chain->steps[index];
    uint8_t files = run->file_count, places = run->place_count;
    if (run->count == RUN_CALLS || chain_resolve(g->chain, step) < 0)
        return false;
    struct run_call *call = run_next_call(run, step->kind, index);
    call->optional = step->flags & STEP_OPTIONAL;
    if (!describe(g, step, call, index)) {
        run->file_count = files;
        run->place_count = places;
        return false;
    }
    run->count++;
    return true;
}

/* After a worker's open we look at the file at once, to know whether what follows may be done inline. */
static void add_look(struct gathering *g)
{
    errand_chain *chain = g->chain;
    const struct step *open = &chain->steps[chain->current];
    unsigned next = chain->current + 1u;
    if (open->kind != ERRAND_STEP_OPEN || !open->root || !open->root->open_inline || !opens_quietly(open) ||
        next >= chain->steps_count || chain->steps[next].kind == ERRAND_STEP_STAT)
        return;
    struct run_call *call = run_next_call(g->run, ERRAND_STEP_STAT, chain->current);
    call->file = g->run->calls[0].file;
    call->optional = true; /* nobody asked for it */
    if (keep(g, NULL, sizeof(struct errand_stat), &call->value))
        g->run->count++;
    g->memory_is_out = false;
}

/* The run is complete: what it uses is lent to it. */
static enum chain_next hand(errand_chain *chain, struct file_run *run)
{
    for (unsigned i = 0; i < run->file_count; i++)
        if (!run->files[i].borrowed && run->files[i].fd >= 0)
            chain->steps[run->files[i].step].facts |= FILE_LENT;
    for (unsigned i = 0; i < run->place_count; i++)
        if (run->places[i].root)
            atomic_fetch_add_explicit(&run->places[i].root->references, 1, memory_order_relaxed);
    chain->op.kind = OP_FILES;
    chain->op.run = run;
    return CHAIN_DO;
}

static enum chain_next no_memory(errand_chain *chain, struct file_run *run)
{
    if (run)
        run_free(run, chain->context->buffers);
    step_failed(chain, -ENOMEM);
    return CHAIN_GO_ON;
}

/* Hands the current step, and the file steps that follow it, to a worker. */
enum chain_next plan_on_worker(errand_chain *chain)
{
    struct gathering g = {.chain = chain, .run = run_new()};
    if (!g.run || !add(&g, chain->current))
        return no_memory(chain, g.run);
    add_look(&g);
    for (unsigned i = chain->current + 1u; i < chain->steps_count && !g.ends && !g.memory_is_out; i++)
        if (!add(&g, i))
            break;
    return hand(chain, g.run);
}

static struct file_run *run_of_file(errand_chain *chain, unsigned kind, struct run_call **call)
{
    struct gathering g = {.chain = chain, .run = run_new()};
    if (!g.run)
        return NULL;
    const struct step *step = &chain->steps[chain->current];
    *call = run_next_call(g.run, kind, chain->current);
    (*call)->optional = step->flags & STEP_OPTIONAL;
    g.run->count++;
    use_file(&g, step->file, chain->current, &(*call)->file); /* the first file: there is room, and it is open */
    return g.run;
}

/* A piece of a file into the chain's buffer, behind its first `lead` bytes. */
enum chain_next plan_fill(errand_chain *chain, int64_t offset, size_t lead, size_t length)
{
    struct run_call *call;
    struct file_run *run = run_of_file(chain, ERRAND_STEP_READ, &call);
    if (!run)
        return no_memory(chain, NULL);
    run->wants_buffer = true;
    run->lead = lead;
    call->length = (int64_t)length;
    call->offset = offset;
    chain_buffer_free(chain);
    return hand(chain, run);
}

/* A piece of a file into the chain's pipe. */
enum chain_next plan_pipe(errand_chain *chain, int64_t offset, size_t length)
{
    struct run_call *call;
    struct file_run *run = run_of_file(chain, ERRAND_STEP_SENDFILE, &call);
    if (!run)
        return no_memory(chain, NULL);
    call->optional = true; /* there are other ways, and they say what is wrong with the file */
    call->length = (int64_t)length;
    call->offset = offset;
    run->pipe = chain->pipe;
    chain->pipe = NULL;
    return hand(chain, run);
}

/* What the chain's buffer holds into a file. */
enum chain_next plan_flush(errand_chain *chain, int64_t offset)
{
    struct run_call *call;
    struct file_run *run = run_of_file(chain, ERRAND_STEP_WRITE, &call);
    if (!run)
        return no_memory(chain, NULL);
    run->lead = chain->start;
    call->length = (int64_t)(chain->end - chain->start);
    call->offset = offset;
    run->buffer = chain->buffer;
    run->buffer_size = chain->buffer_size;
    chain->buffer = NULL;
    chain->start = chain->end = 0;
    return hand(chain, run);
}

/* A function of ours for the current step, which calls the caller's. */
enum chain_next plan_work(errand_chain *chain, errand_work work, void *context)
{
    struct file_run *run = run_new();
    if (!run)
        return no_memory(chain, NULL);
    struct run_call *call = run_next_call(run, ERRAND_STEP_WORK, chain->current);
    call->optional = true; /* its error is the filter's: see took_run.c */
    call->work = work;
    call->context = context;
    run->count++;
    run->lane = LANE_WORK;
    return hand(chain, run);
}

/* Looks at the file of the current step, for the library's own sake. */
enum chain_next plan_look(errand_chain *chain)
{
    struct run_call *call;
    struct file_run *run = run_of_file(chain, ERRAND_STEP_STAT, &call);
    if (!run || !(call->value = run_keep(run, NULL, sizeof(struct errand_stat))))
        return no_memory(chain, run);
    call->optional = false;
    return hand(chain, run);
}
