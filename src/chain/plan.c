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

bool opens_quietly(const struct step *open)
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
    if ((open->flags & STEP_ALTERNATIVES) || ((open->flags | read->flags | close->flags) & STEP_OPTIONAL))
        return false;
    if (read->offset < 0)
        return false; /* a result, not yet put in its place */
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
        seen_holds(context->seen, step->path_hash, context->now) && chain_resolve(chain, step + 1) == 0) {
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

void plan_close(errand_chain *chain, struct step *file)
{
    struct op *op = &chain->op;
    op->fd = file->fd;
    if (file_closes_inline(file)) {
        op->kind = OP_CLOSE;
        return;
    }
    struct file_run *run = run_close(file->fd, file->lane, (unsigned)(file - chain->steps));
    if (run) {
        file->facts |= FILE_LENT;
        op->kind = OP_FILES;
        op->run = run;
        return;
    }
    op->kind = OP_CLOSE; /* without memory a close that may wait is better than none */
}

static bool uses(const struct step *step, int slot)
{
    return step->file == slot || step->socket == slot; /* `to` too: it is where the socket is */
}

bool chain_file_is_spent(const errand_chain *chain, unsigned opener, unsigned from)
{
    if (chain->hand_over == (int)opener)
        return false;
    for (unsigned i = from; i < chain->steps_count; i++) {
        const struct step *step = &chain->steps[i];
        bool calls = step->kind == ERRAND_STEP_CALL || step->kind == ERRAND_STEP_LIST;
        if (calls || uses(step, ERRAND_SLOT((int)opener)))
            return step->kind == ERRAND_STEP_CLOSE;
    }
    return true;
}

bool next_alternative(struct step *open, int error)
{
    if (!(open->flags & STEP_ALTERNATIVES) || open->left == 0 || error == -EMFILE || error == -ENFILE ||
        error == -ENOMEM)
        return false;
    open->left--;
    open->choice++;
    open->path += strlen(open->path) + 1;
    return true;
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
