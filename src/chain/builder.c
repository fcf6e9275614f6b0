/* SPDX-License-Identifier: MIT */
/* Describing a chain: the errand_step_...() functions append to its table of steps. Here: what they share, the steps of
 * sockets, and those of time and of the caller's own. */
#include "chain/builder.h"
#include "chain/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A path that did not fit into the chain's record. */
struct long_path {
    struct long_path *next;
    _Alignas(max_align_t) char path[];
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
    filters_free(chain);
    free(chain->loaded);
    for (uint64_t left = chain->rooted; left; left &= left - 1)
        leave_root(chain, chain->steps[__builtin_ctzll(left)].root);
    for (uint64_t left = chain->to_rooted; left; left &= left - 1)
        leave_root(chain, chain->steps[__builtin_ctzll(left)].to_root);
    while (chain->long_paths) {
        struct long_path *path = chain->long_paths;
        chain->long_paths = path->next;
        free(path);
    }
}

int builder_stick(errand_chain *chain, int error)
{
    if (chain->sticky == 0)
        chain->sticky = error;
    return error;
}

/* Steps are appended before submission, and inside a call step. */
struct step *builder_append(errand_chain *chain, enum errand_step_kind kind, unsigned flags, unsigned known_flags)
{
    if (chain->state != CHAIN_DESCRIBED && !chain->in_call) {
        builder_stick(chain, -EPERM);
        return NULL;
    }
    if (flags & ~known_flags) {
        builder_stick(chain, -EINVAL);
        return NULL;
    }
    if (chain->steps_count >= chain->context->steps_limit) {
        builder_stick(chain, -ENOSPC);
        return NULL;
    }
    struct step *step = &chain->steps[chain->steps_count];
    *step = (struct step){.kind = (uint8_t)kind, .flags = (uint8_t)flags, .fd = -1, .result = -EINPROGRESS};
    return step;
}

int builder_appended(errand_chain *chain)
{
    return chain->steps_count++;
}

static bool makes_descriptor(const struct step *step)
{
    return step->kind == ERRAND_STEP_OPEN || step->kind == ERRAND_STEP_ACCEPT ||
           (step->kind == ERRAND_STEP_CONNECT && step->socket < 0);
}

bool builder_slot(const errand_chain *chain, int operand)
{
    int maker = ERRAND_SLOT(0) - operand;
    return maker >= 0 && maker < chain->steps_count && makes_descriptor(&chain->steps[maker]);
}

bool builder_socket(const errand_chain *chain, int operand)
{
    return operand >= 0 || builder_slot(chain, operand);
}

bool builder_offset(const errand_chain *chain, int64_t operand)
{
    return operand >= 0 || operand < INT64_MIN + chain->steps_count;
}

/* Checks the operand: a descriptor, or the slot of a step before this one. */
bool builder_file(errand_chain *chain, struct step *step, int file, bool own_only)
{
    step->file = file;
    if (file >= 0 && !own_only) {
        step->fd = file;
        step->facts = FILE_OPEN;
        return true;
    }
    return builder_slot(chain, file);
}

const void *builder_keep(errand_chain *chain, const void *bytes, size_t size)
{
    char *copy;
    if (size <= sizeof chain->paths - chain->paths_used) {
        copy = chain->paths + chain->paths_used;
        chain->paths_used += (uint16_t)size;
    } else {
        struct long_path *long_path = malloc(sizeof *long_path + size);
        if (!long_path) {
            builder_stick(chain, -ENOMEM);
            return NULL;
        }
        long_path->next = chain->long_paths;
        chain->long_paths = long_path;
        copy = long_path->path;
    }
    return memcpy(copy, bytes, size);
}

const char *builder_keep_path(errand_chain *chain, const char *path)
{
    size_t size = strnlen(path, PATH_MAX) + 1;
    if (size > PATH_MAX) {
        builder_stick(chain, -ENAMETOOLONG);
        return NULL;
    }
    return builder_keep(chain, path, size);
}

int builder_root(errand_chain *chain, int *dir_fd, const char *path, struct root **root)
{
    *root = NULL;
    if (!path || (*dir_fd < 0 && *dir_fd != AT_FDCWD && !is_root_handle(*dir_fd)))
        return builder_stick(chain, -EINVAL);
    if (!is_root_handle(*dir_fd))
        return 0;
    struct root **entry = root_find(chain->context->roots, *dir_fd);
    if (!entry)
        return builder_stick(chain, -EBADF);
    *root = *entry;
    if (!(*root)->resolve && *path == '/') { /* nothing to do with the root, and NO_XDEV does not hold it back */
        *root = NULL;
        *dir_fd = AT_FDCWD;
    }
    return 0;
}

bool builder_path(errand_chain *chain, struct step *step, int dir_fd, const char *path)
{
    struct root *root;
    const char *copy = builder_root(chain, &dir_fd, path, &root) == 0 ? builder_keep_path(chain, path) : NULL;
    if (!copy)
        return false;
    step->path = copy;
    step->root = root;
    step->file = dir_fd;
    if (root) {
        root_use(root);
        chain->rooted |= UINT64_C(1) << chain->steps_count;
    }
    return true;
}

int errand_step_send(errand_chain *chain, int socket, const void *data, size_t length, unsigned flags)
{
    struct step *step = builder_append(chain, ERRAND_STEP_SEND, flags, ERRAND_MORE);
    if (!step)
        return chain->sticky;
    if (!builder_socket(chain, socket) || (!data && length) || length > INT64_MAX)
        return builder_stick(chain, -EINVAL);
    step->socket = socket;
    step->data = data;
    step->length = length;
    return builder_appended(chain);
}

int errand_step_receive(errand_chain *chain, int socket, void *buffer, size_t length, unsigned flags)
{
    struct step *step = builder_append(chain, ERRAND_STEP_RECEIVE, flags, ERRAND_EXACT | ERRAND_SOME);
    if (!step)
        return chain->sticky;
    if (!builder_socket(chain, socket) || (!buffer && length) || length > INT64_MAX)
        return builder_stick(chain, -EINVAL);
    step->socket = socket;
    step->buffer = buffer;
    step->length = length;
    return builder_appended(chain);
}

int errand_step_shutdown(errand_chain *chain, int socket, int how)
{
    struct step *step = builder_append(chain, ERRAND_STEP_SHUTDOWN, 0, 0);
    if (!step)
        return chain->sticky;
    if (!builder_socket(chain, socket) || how < SHUT_RD || how > SHUT_RDWR)
        return builder_stick(chain, -EINVAL);
    step->socket = socket;
    step->how = how;
    return builder_appended(chain);
}

int errand_step_call(errand_chain *chain, errand_call function, void *context)
{
    struct step *step = builder_append(chain, ERRAND_STEP_CALL, 0, 0);
    if (!step)
        return chain->sticky;
    if (!function)
        return builder_stick(chain, -EINVAL);
    step->function = function;
    step->context = context;
    return builder_appended(chain);
}

int errand_step_accept(errand_chain *chain, int listener)
{
    struct step *step = builder_append(chain, ERRAND_STEP_ACCEPT, 0, 0);
    if (!step)
        return chain->sticky;
    if (listener < 0)
        return builder_stick(chain, -EINVAL);
    step->socket = listener;
    return builder_appended(chain);
}

int errand_step_connect(errand_chain *chain, int socket, const void *address, size_t address_length)
{
    struct step *step = builder_append(chain, ERRAND_STEP_CONNECT, 0, 0);
    if (!step)
        return chain->sticky;
    if (socket < -1 || !address || address_length < sizeof(sa_family_t) ||
        address_length > sizeof(struct sockaddr_storage))
        return builder_stick(chain, -EINVAL);
    char text[sizeof(struct sockaddr_storage) + 1] = {0}; /* a socket's path need not end with a NUL */
    memcpy(text, address, address_length);
    if (!(step->data = builder_keep(chain, text, address_length + 1)))
        return chain->sticky;
    step->socket = socket;
    step->length = address_length;
    return builder_appended(chain);
}

int errand_step_poll(errand_chain *chain, int fd, unsigned events)
{
    struct step *step = builder_append(chain, ERRAND_STEP_POLL, 0, 0);
    if (!step)
        return chain->sticky;
    if (fd < 0 || events == 0 || events > INT16_MAX)
        return builder_stick(chain, -EINVAL);
    step->socket = fd;
    step->how = events;
    return builder_appended(chain);
}

int errand_step_sleep(errand_chain *chain, int64_t ns)
{
    struct step *step = builder_append(chain, ERRAND_STEP_SLEEP, 0, 0);
    if (!step)
        return chain->sticky;
    if (ns < 0)
        return builder_stick(chain, -EINVAL);
    step->offset = ns;
    return builder_appended(chain);
}

int errand_step_work(errand_chain *chain, errand_work function, void *context)
{
    struct step *step = builder_append(chain, ERRAND_STEP_WORK, 0, 0);
    if (!step)
        return chain->sticky;
    if (!function)
        return builder_stick(chain, -EINVAL);
    step->work = function;
    step->context = context;
    return builder_appended(chain);
}

int errand_step_await(errand_chain *chain, errand_call stop, void *context)
{
    struct step *step = builder_append(chain, ERRAND_STEP_AWAIT, 0, 0);
    if (!step)
        return chain->sticky;
    step->function = stop;
    step->context = context;
    return builder_appended(chain);
}

int errand_step_optional(errand_chain *chain, int step)
{
    if (!chain || step < 0 || step >= chain->steps_count || (chain->in_call && step <= chain->current))
        return -EINVAL;
    chain->steps[step].flags |= STEP_OPTIONAL;
    return 0;
}

void *errand_chain_memory(errand_chain *chain, size_t size)
{
    struct long_path *memory = chain && size < SIZE_MAX / 2 ? calloc(1, sizeof *memory + size) : NULL;
    if (!memory)
        return NULL;
    memory->next = chain->long_paths;
    chain->long_paths = memory;
    return memory->path;
}

int errand_chain_drop_following(errand_chain *chain)
{
    if (!chain->in_call)
        return -EPERM;
    while (chain->steps_count > chain->current + 1u) {
        uint64_t bit = UINT64_C(1) << --chain->steps_count;
        if (chain->rooted & bit)
            leave_root(chain, chain->steps[chain->steps_count].root);
        if (chain->to_rooted & bit)
            leave_root(chain, chain->steps[chain->steps_count].to_root);
        chain->rooted &= ~bit;
        chain->to_rooted &= ~bit;
    }
    return 0;
}

int64_t errand_chain_result(const errand_chain *chain, int step)
{
    return step >= 0 && step < chain->steps_count ? chain->steps[step].result : -EINVAL;
}

int errand_chain_choice(const errand_chain *chain, int step)
{
    if (step < 0 || step >= chain->steps_count || !(chain->steps[step].flags & STEP_ALTERNATIVES) ||
        chain->steps[step].kind != ERRAND_STEP_OPEN)
        return -EINVAL;
    return chain->steps[step].result == -EINPROGRESS ? -EINPROGRESS : chain->steps[step].choice;
}
