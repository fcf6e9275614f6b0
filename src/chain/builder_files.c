/* SPDX-License-Identifier: MIT */
/* Describing a chain: the steps of open files. */
#include "chain/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define ALTERNATIVES_LIMIT 16
#define LOAD_LIMIT         ((size_t)1 << 30)
#define ATTRIBUTE_LIMIT    65536 /* as the kernel's XATTR_SIZE_MAX, XATTR_LIST_MAX */

static unsigned open_flags_of(int flags)
{
    return (unsigned)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK)); /* together: -EINVAL */
}

/* An offset and a length or ERRAND_TO_END, or results. */
static bool is_range(const errand_chain *chain, int64_t offset, int64_t length)
{
    return builder_offset(chain, offset) && (length == ERRAND_TO_END || builder_offset(chain, length)) &&
           (offset < 0 || length < 0 || length <= INT64_MAX - offset);
}

int errand_step_open(errand_chain *chain, int dir_fd, const char *path, int flags, unsigned mode)
{
    struct step *step = builder_append(chain, ERRAND_STEP_OPEN, 0, 0);
    if (!step)
        return chain->sticky;
    if (mode & ~07777u)
        return builder_stick(chain, -EINVAL);
    if (!builder_path(chain, step, dir_fd, path))
        return chain->sticky;
    step->open_flags = open_flags_of(flags);
    step->mode = mode;
    return builder_appended(chain);
}

/* One behind the other: that is what a worker gets, too. */
static const char *keep_paths(errand_chain *chain, const char *const *paths, unsigned count)
{
    size_t sizes[ALTERNATIVES_LIMIT], sum = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!paths[i]) {
            builder_stick(chain, -EINVAL);
            return NULL;
        }
        sizes[i] = strnlen(paths[i], PATH_MAX) + 1;
        sum += sizes[i];
        if (sizes[i] > PATH_MAX) {
            builder_stick(chain, -ENAMETOOLONG);
            return NULL;
        }
    }
    char *all = malloc(sum), *at = all;
    if (!all) {
        builder_stick(chain, -ENOMEM);
        return NULL;
    }
    for (unsigned i = 0; i < count; at += sizes[i++])
        memcpy(at, paths[i], sizes[i]);
    const char *kept = builder_keep(chain, all, sum);
    free(all);
    return kept;
}

int errand_step_open_first(errand_chain *chain, int dir_fd, const char *const *paths, unsigned count, int flags)
{
    struct step *step = builder_append(chain, ERRAND_STEP_OPEN, 0, 0);
    if (!step)
        return chain->sticky;
    if (!paths || count == 0 || count > ALTERNATIVES_LIMIT || (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
        return builder_stick(chain, -EINVAL);
    const char *kept = keep_paths(chain, paths, count);
    if (!kept || !builder_path(chain, step, dir_fd, ""))
        return chain->sticky;
    step->path = kept;
    step->flags |= STEP_ALTERNATIVES;
    step->left = (uint16_t)(count - 1);
    step->choice = 0;
    step->open_flags = open_flags_of(flags);
    return builder_appended(chain);
}

int errand_step_open_like(errand_chain *chain, int dir_fd, const char *path, int flags, int like)
{
    if (!builder_socket(chain, like))
        return builder_stick(chain, -EINVAL);
    int index = errand_step_open(chain, dir_fd, path, flags, 0);
    if (index >= 0) {
        chain->steps[index].to = like;
        chain->steps[index].flags |= STEP_LIKE;
    }
    return index;
}

int errand_step_expect(errand_chain *chain, int file, unsigned expected, struct errand_stat *out)
{
    struct step *step = builder_append(chain, ERRAND_STEP_STAT, expected, ERRAND_REGULAR | ERRAND_ONE_LINK);
    if (!step)
        return chain->sticky;
    if (!builder_file(chain, step, file, false))
        return builder_stick(chain, -EINVAL);
    step->stat = out;
    return builder_appended(chain);
}

int errand_step_stat(errand_chain *chain, int file, struct errand_stat *out)
{
    return errand_step_expect(chain, file, 0, out);
}

/* A read right after its open may become one segment with it, if the path was seen before: the record is fetched. */
static void note_path(errand_chain *chain, const struct step *read)
{
    struct step *open = (struct step *)read - 1;
    if (!chain->context->read_files || chain->steps_count == 0 || read->file != ERRAND_SLOT(chain->steps_count - 1) ||
        !open->root || (open->flags & STEP_ALTERNATIVES))
        return;
    open->path_hash = seen_hash((uint64_t)open->file, open->path);
    seen_prefetch(chain->context->seen, open->path_hash);
}

int errand_step_read(errand_chain *chain, int file, void *buffer, size_t length, int64_t offset, unsigned flags)
{
    struct step *step = builder_append(chain, ERRAND_STEP_READ, flags, ERRAND_EXACT);
    if (!step)
        return chain->sticky;
    if (!builder_file(chain, step, file, false) || (!buffer && length) || !builder_offset(chain, offset) ||
        length > (uint64_t)(INT64_MAX - (offset > 0 ? offset : 0)))
        return builder_stick(chain, -EINVAL);
    step->buffer = buffer;
    step->length = length;
    step->offset = offset;
    note_path(chain, step);
    return builder_appended(chain);
}

int errand_step_load(errand_chain *chain, int file, size_t most)
{
    struct step *step = builder_append(chain, ERRAND_STEP_LOAD, 0, 0);
    if (!step)
        return chain->sticky;
    for (unsigned i = 0; i < chain->steps_count; i++)
        if (chain->steps[i].kind == ERRAND_STEP_LOAD)
            return builder_stick(chain, -EINVAL);
    if (!builder_file(chain, step, file, false) || most > LOAD_LIMIT)
        return builder_stick(chain, -EINVAL);
    step->range = (int64_t)most;
    return builder_appended(chain);
}

int errand_step_close(errand_chain *chain, int file)
{
    struct step *step = builder_append(chain, ERRAND_STEP_CLOSE, 0, 0);
    if (!step)
        return chain->sticky;
    return builder_file(chain, step, file, true) ? builder_appended(chain) : builder_stick(chain, -EINVAL);
}

int errand_step_sendfile(errand_chain *chain, int socket, int file, int64_t offset, int64_t length, const void *head,
                         size_t head_length, unsigned flags)
{
    struct step *step = builder_append(chain, ERRAND_STEP_SENDFILE, flags, ERRAND_EXACT | ERRAND_MORE);
    if (!step)
        return chain->sticky;
    if (!builder_socket(chain, socket) || !builder_file(chain, step, file, false) || !is_range(chain, offset, length) ||
        (!head && head_length) || head_length > UINT32_MAX)
        return builder_stick(chain, -EINVAL);
    step->socket = socket;
    step->data = head;
    step->length = head_length;
    step->offset = offset;
    step->range = length;
    return builder_appended(chain);
}

int errand_step_hand_over(errand_chain *chain, int file)
{
    struct step *step = builder_append(chain, ERRAND_STEP_HAND_OVER, 0, 0);
    if (!step)
        return chain->sticky;
    for (unsigned i = 0; i < chain->steps_count; i++)
        if (chain->steps[i].kind == ERRAND_STEP_HAND_OVER)
            return builder_stick(chain, -EINVAL);
    return builder_file(chain, step, file, true) ? builder_appended(chain) : builder_stick(chain, -EINVAL);
}

/* A step that has one file and needs nothing but numbers. */
static struct step *append_of_file(errand_chain *chain, enum errand_step_kind kind, int file, unsigned flags,
                                   unsigned known_flags)
{
    struct step *step = builder_append(chain, kind, flags, known_flags);
    if (!step || builder_file(chain, step, file, false))
        return step;
    builder_stick(chain, -EINVAL);
    return NULL;
}

int errand_step_write(errand_chain *chain, int file, const void *data, size_t length, int64_t offset)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_WRITE, file, 0, 0);
    if (!step)
        return chain->sticky;
    if ((!data && length) || (offset != ERRAND_TO_END && !builder_offset(chain, offset)) ||
        length > (uint64_t)(INT64_MAX - (offset > 0 ? offset : 0)))
        return builder_stick(chain, -EINVAL);
    step->data = data;
    step->length = length;
    step->offset = offset;
    return builder_appended(chain);
}

int errand_step_sync(errand_chain *chain, int file, unsigned flags)
{
    return append_of_file(chain, ERRAND_STEP_SYNC, file, flags, ERRAND_DATA_ONLY) ? builder_appended(chain)
                                                                                  : chain->sticky;
}

int errand_step_truncate(errand_chain *chain, int file, int64_t length)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_TRUNCATE, file, 0, 0);
    if (!step)
        return chain->sticky;
    if (!builder_offset(chain, length))
        return builder_stick(chain, -EINVAL);
    step->offset = length;
    return builder_appended(chain);
}

int errand_step_allocate(errand_chain *chain, int file, int mode, int64_t offset, int64_t length)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_ALLOCATE, file, 0, 0);
    if (!step)
        return chain->sticky;
    if (mode < 0 || length == ERRAND_TO_END || !is_range(chain, offset, length))
        return builder_stick(chain, -EINVAL);
    step->how = mode;
    step->offset = offset;
    step->range = length;
    return builder_appended(chain);
}

int errand_step_copy(errand_chain *chain, int to, int64_t to_offset, int from, int64_t from_offset, int64_t length,
                     unsigned flags)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_COPY, from, flags, ERRAND_EXACT | ERRAND_HOLES);
    if (!step)
        return chain->sticky;
    if (!builder_socket(chain, to) || !is_range(chain, to_offset, length) || !is_range(chain, from_offset, length))
        return builder_stick(chain, -EINVAL);
    step->to = to;
    step->to_offset = to_offset;
    step->offset = from_offset;
    step->range = length;
    return builder_appended(chain);
}

int errand_step_copy_metadata(errand_chain *chain, int to, int from, unsigned flags)
{
    unsigned known = ERRAND_OWNER | ERRAND_MODE | ERRAND_TIMES | ERRAND_ATTRIBUTES;
    struct step *step = append_of_file(chain, ERRAND_STEP_COPY_METADATA, from, 0, 0);
    if (!step)
        return chain->sticky;
    if (!builder_socket(chain, to) || (flags & ~known))
        return builder_stick(chain, -EINVAL);
    step->to = to;
    step->mode = flags;
    return builder_appended(chain);
}

int errand_step_receive_file(errand_chain *chain, int socket, int file, int64_t offset, int64_t length, unsigned flags)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_RECEIVE_FILE, file, flags, ERRAND_EXACT);
    if (!step)
        return chain->sticky;
    if (!builder_socket(chain, socket) || !is_range(chain, offset, length))
        return builder_stick(chain, -EINVAL);
    step->socket = socket;
    step->offset = offset;
    step->range = length;
    return builder_appended(chain);
}

int errand_step_chmod(errand_chain *chain, int file, unsigned mode)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_CHMOD, file, 0, 0);
    if (!step)
        return chain->sticky;
    if (mode & ~07777u)
        return builder_stick(chain, -EINVAL);
    step->mode = mode;
    return builder_appended(chain);
}

int errand_step_chown(errand_chain *chain, int file, uint32_t user, uint32_t group)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_CHOWN, file, 0, 0);
    if (!step)
        return chain->sticky;
    step->lane = user;
    step->mode = group;
    return builder_appended(chain);
}

int errand_step_utimes(errand_chain *chain, int file, int64_t accessed_ns, int64_t modified_ns)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_UTIMES, file, 0, 0);
    if (!step)
        return chain->sticky;
    step->offset = accessed_ns;
    step->to_offset = modified_ns;
    return builder_appended(chain);
}

static bool keep_name(errand_chain *chain, struct step *step, const char *name)
{
    if (!name || strnlen(name, 256) > 255) {
        builder_stick(chain, name ? -ERANGE : -EINVAL);
        return false;
    }
    return (step->path = builder_keep(chain, name, strlen(name) + 1));
}

int errand_step_get_attribute(errand_chain *chain, int file, const char *name, void *value, size_t size)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_GET_ATTRIBUTE, file, 0, 0);
    if (!step || !keep_name(chain, step, name))
        return chain->sticky;
    if (!value && size)
        return builder_stick(chain, -EINVAL);
    step->value = value;
    step->size = size < ATTRIBUTE_LIMIT ? size : ATTRIBUTE_LIMIT;
    return builder_appended(chain);
}

int errand_step_set_attribute(errand_chain *chain, int file, const char *name, const void *value, size_t size,
                              int flags)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_SET_ATTRIBUTE, file, 0, 0);
    if (!step || !keep_name(chain, step, name))
        return chain->sticky;
    if ((!value && size) || size > ATTRIBUTE_LIMIT || flags < 0)
        return builder_stick(chain, size > ATTRIBUTE_LIMIT ? -E2BIG : -EINVAL);
    step->value = NULL;
    if (size > 0 && !(step->value = (void *)builder_keep(chain, value, size)))
        return chain->sticky;
    step->size = size;
    step->mode = (uint32_t)flags;
    return builder_appended(chain);
}

int errand_step_list_attributes(errand_chain *chain, int file, char *names, size_t size)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_LIST_ATTRIBUTES, file, 0, 0);
    if (!step)
        return chain->sticky;
    if (!names && size)
        return builder_stick(chain, -EINVAL);
    step->buffer = names;
    step->length = size < ATTRIBUTE_LIMIT ? size : ATTRIBUTE_LIMIT;
    return builder_appended(chain);
}

int errand_step_remove_attribute(errand_chain *chain, int file, const char *name)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_REMOVE_ATTRIBUTE, file, 0, 0);
    if (!step || !keep_name(chain, step, name))
        return chain->sticky;
    step->size = 0;
    return builder_appended(chain);
}

int errand_step_list(errand_chain *chain, int file, errand_list entry, void *context)
{
    struct step *step = append_of_file(chain, ERRAND_STEP_LIST, file, 0, 0);
    if (!step)
        return chain->sticky;
    if (!entry)
        return builder_stick(chain, -EINVAL);
    step->entry = entry;
    step->context = context;
    return builder_appended(chain);
}
