/* SPDX-License-Identifier: MIT */
/* Describing a chain: the errand_step_...() functions append to its table of steps. */
#include "chain/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A path that did not fit into the chain's record. */
struct long_path {
    struct long_path *next;
    char path[];
};

void chain_init(errand_chain *chain, struct chain_context *context)
{
    memset(chain, 0, offsetof(struct errand_chain, paths)); /* steps and paths are written before they are read */
    chain->context = context;
    chain->state = CHAIN_DESCRIBED;
    chain->failed_step = chain->hand_over = -1;
    chain->timer.kind = OWNER_CHAIN;
}

static void leave_root(errand_chain *chain, struct root *root)
{
    if (root_leave(root))
        list_append(&chain->context->unused_roots, &root->node);
}

void chain_release(errand_chain *chain)
{
    for (uint64_t left = chain->rooted; left; left &= left - 1)
        leave_root(chain, chain->steps[__builtin_ctzll(left)].root);
    while (chain->long_paths) {
        struct long_path *path = chain->long_paths;
        chain->long_paths = path->next;
        free(path);
    }
}

static int stick(errand_chain *chain, int error)
{
    if (chain->sticky == 0)
        chain->sticky = error;
    return error;
}

/* Steps are appended before submission, and inside a call step. */
static struct step *append(errand_chain *chain, enum errand_step_kind kind, unsigned flags, unsigned known_flags)
{
    if (chain->state != CHAIN_DESCRIBED && !chain->in_call) {
        stick(chain, -EPERM);
        return NULL;
    }
    if (flags & ~known_flags) {
        stick(chain, -EINVAL);
        return NULL;
    }
    if (chain->steps_count >= chain->context->steps_limit) {
        stick(chain, -ENOSPC);
        return NULL;
    }
    struct step *step = &chain->steps[chain->steps_count];
    *step = (struct step){.kind = (uint8_t)kind, .flags = (uint8_t)flags, .fd = -1, .result = -EINPROGRESS};
    return step;
}

static int appended(errand_chain *chain)
{
    return chain->steps_count++;
}

/* Checks the operand: a descriptor, or the slot of an open step before this one. */
static bool takes_file(errand_chain *chain, struct step *step, int file, bool own_only)
{
    step->file = file;
    if (file >= 0 && !own_only) {
        step->fd = file;
        step->facts = FILE_OPEN;
        return true;
    }
    int opener = ERRAND_SLOT(0) - file;
    return opener >= 0 && opener < chain->steps_count && chain->steps[opener].kind == ERRAND_STEP_OPEN;
}

static const char *keep_path(errand_chain *chain, const char *path)
{
    size_t size = strnlen(path, PATH_MAX) + 1;
    if (size > PATH_MAX) {
        stick(chain, -ENAMETOOLONG);
        return NULL;
    }
    char *copy;
    if (size <= sizeof chain->paths - chain->paths_used) {
        copy = chain->paths + chain->paths_used;
        chain->paths_used += (uint16_t)size;
    } else {
        struct long_path *long_path = malloc(sizeof *long_path + size);
        if (!long_path) {
            stick(chain, -ENOMEM);
            return NULL;
        }
        long_path->next = chain->long_paths;
        chain->long_paths = long_path;
        copy = long_path->path;
    }
    return memcpy(copy, path, size);
}

int errand_step_open(errand_chain *chain, int dir_fd, const char *path, int flags, unsigned mode)
{
    struct step *step = append(chain, ERRAND_STEP_OPEN, 0, 0);
    if (!step)
        return chain->sticky;
    if (!path || (mode & ~07777u) || (dir_fd < 0 && dir_fd != AT_FDCWD && !is_root_handle(dir_fd)))
        return stick(chain, -EINVAL);
    struct root *root = NULL;
    if (is_root_handle(dir_fd) && !(root = root_find(chain->context->roots, dir_fd)))
        return stick(chain, -EBADF);
    if (root && !root->resolve && *path == '/') { /* nothing to do with the root, and NO_XDEV does not hold it back */
        root = NULL;
        dir_fd = AT_FDCWD;
    }
    if (!(step->path = keep_path(chain, path)))
        return chain->sticky;
    step->root = root;
    if (root) {
        root_use(root);
        chain->rooted |= UINT64_C(1) << chain->steps_count;
    }
    step->file = dir_fd;
    step->open_flags = (unsigned)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK)); /* together: -EINVAL */
    step->mode = mode;
    return appended(chain);
}

int errand_step_stat(errand_chain *chain, int file, struct errand_stat *out)
{
    struct step *step = append(chain, ERRAND_STEP_STAT, 0, 0);
    if (!step)
        return chain->sticky;
    if (!takes_file(chain, step, file, false))
        return stick(chain, -EINVAL);
    step->stat = out;
    return appended(chain);
}

/* A read right after its open may become one segment with it, if the path was seen before: the record is fetched. */
static void note_path(errand_chain *chain, const struct step *read)
{
    struct step *open = (struct step *)read - 1;
    if (!chain->context->read_files || chain->steps_count == 0 || read->file != ERRAND_SLOT(chain->steps_count - 1) ||
        !open->root)
        return;
    open->path_hash = seen_hash((uint64_t)open->file, open->path);
    seen_prefetch(chain->context->seen, open->path_hash);
}

int errand_step_read(errand_chain *chain, int file, void *buffer, size_t length, int64_t offset, unsigned flags)
{
    struct step *step = append(chain, ERRAND_STEP_READ, flags, ERRAND_EXACT);
    if (!step)
        return chain->sticky;
    if (!takes_file(chain, step, file, false) || (!buffer && length) || offset < 0 ||
        length > (uint64_t)(INT64_MAX - offset))
        return stick(chain, -EINVAL);
    step->buffer = buffer;
    step->length = length;
    step->offset = offset;
    note_path(chain, step);
    return appended(chain);
}

int errand_step_close(errand_chain *chain, int file)
{
    struct step *step = append(chain, ERRAND_STEP_CLOSE, 0, 0);
    if (!step)
        return chain->sticky;
    return takes_file(chain, step, file, true) ? appended(chain) : stick(chain, -EINVAL);
}

int errand_step_send(errand_chain *chain, int socket, const void *data, size_t length, unsigned flags)
{
    struct step *step = append(chain, ERRAND_STEP_SEND, flags, ERRAND_MORE);
    if (!step)
        return chain->sticky;
    if (socket < 0 || (!data && length) || length > INT64_MAX)
        return stick(chain, -EINVAL);
    step->socket = socket;
    step->data = data;
    step->length = length;
    return appended(chain);
}

int errand_step_receive(errand_chain *chain, int socket, void *buffer, size_t length, unsigned flags)
{
    struct step *step = append(chain, ERRAND_STEP_RECEIVE, flags, ERRAND_EXACT | ERRAND_SOME);
    if (!step)
        return chain->sticky;
    if (socket < 0 || (!buffer && length) || length > INT64_MAX)
        return stick(chain, -EINVAL);
    step->socket = socket;
    step->buffer = buffer;
    step->length = length;
    return appended(chain);
}

int errand_step_sendfile(errand_chain *chain, int socket, int file, int64_t offset, int64_t length, const void *head,
                         size_t head_length, unsigned flags)
{
    struct step *step = append(chain, ERRAND_STEP_SENDFILE, flags, ERRAND_EXACT | ERRAND_MORE);
    if (!step)
        return chain->sticky;
    if (socket < 0 || !takes_file(chain, step, file, false) || offset < 0 || length < ERRAND_TO_END ||
        (length > 0 && length > INT64_MAX - offset) || (!head && head_length) || head_length > UINT32_MAX)
        return stick(chain, -EINVAL);
    step->socket = socket;
    step->data = head;
    step->length = head_length;
    step->offset = offset;
    step->range = length;
    return appended(chain);
}

int errand_step_shutdown(errand_chain *chain, int socket, int how)
{
    struct step *step = append(chain, ERRAND_STEP_SHUTDOWN, 0, 0);
    if (!step)
        return chain->sticky;
    if (socket < 0 || how < SHUT_RD || how > SHUT_RDWR)
        return stick(chain, -EINVAL);
    step->socket = socket;
    step->how = how;
    return appended(chain);
}

int errand_step_call(errand_chain *chain, errand_call function, void *context)
{
    struct step *step = append(chain, ERRAND_STEP_CALL, 0, 0);
    if (!step)
        return chain->sticky;
    if (!function)
        return stick(chain, -EINVAL);
    step->function = function;
    step->context = context;
    return appended(chain);
}

int errand_step_hand_over(errand_chain *chain, int file)
{
    struct step *step = append(chain, ERRAND_STEP_HAND_OVER, 0, 0);
    if (!step)
        return chain->sticky;
    for (unsigned i = 0; i < chain->steps_count; i++)
        if (chain->steps[i].kind == ERRAND_STEP_HAND_OVER)
            return stick(chain, -EINVAL);
    return takes_file(chain, step, file, true) ? appended(chain) : stick(chain, -EINVAL);
}

int errand_chain_drop_following(errand_chain *chain)
{
    if (!chain->in_call)
        return -EPERM;
    while (chain->steps_count > chain->current + 1u) {
        uint64_t bit = UINT64_C(1) << --chain->steps_count;
        if (chain->rooted & bit)
            leave_root(chain, chain->steps[chain->steps_count].root);
        chain->rooted &= ~bit;
    }
    return 0;
}

int64_t errand_chain_result(const errand_chain *chain, int step)
{
    return step >= 0 && step < chain->steps_count ? chain->steps[step].result : -EINVAL;
}
