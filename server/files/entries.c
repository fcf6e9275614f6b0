/* SPDX-License-Identifier: MIT */
/* How a directory is read: see the picture in entries.h. */
#include "entries.h"
#include "connection.h"
#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A batch ends with one of these bounds, or with what was read together with what reached it: some hundred names. */
enum {
    BATCH_ENTRIES = 2000,
    BATCH_NAMES = 96 << 10,
    BATCH_TEXTS = 2 * BATCH_NAMES,       /* names, and what symlinks say, as far as there is room for it */
    LOOK_STEPS = WORKER_CHAIN_STEPS - 1, /* of one chain, of which a call is the last */
    LOOK_ENTRIES = LOOK_STEPS / 3,       /* open, stat, close each; of symlinks, one step more */
    LOOKS_ALL = 32,                      /* of all readers of a worker; but each may have one */
    LOOKS = 8,                           /* chains at once */
    TARGET_MOST = 512,                   /* what a symlink says, if it is less than this */
};

struct look {
    struct entries *entries;
    errand_id id; /* 0: none */
    size_t first;
    unsigned count;
    int opens[LOOK_ENTRIES], stats[LOOK_ENTRIES], links[LOOK_ENTRIES]; /* their steps; a link's: -1: none */
    struct errand_stat found[LOOK_ENTRIES];
    char *targets[LOOK_ENTRIES]; /* in the chain's memory */
};

void entry_take(struct entry *entry, const struct errand_stat *stat)
{
    entry->known = true;
    entry->type = (uint8_t)IFTODT(stat->mode);
    entry->mode = stat->mode;
    entry->links = stat->links;
    entry->user = stat->user;
    entry->group = stat->group;
    entry->size = stat->bytes;
    entry->device = stat->device;
    entry->inode = stat->inode;
    entry->modified = stat->modified_ns / ERRAND_SECOND - (stat->modified_ns % ERRAND_SECOND < 0);
}

/* ------------------------------------------------------------------------------------------- its life */

static void free_entries(struct entries *entries)
{
    free(entries->list);
    free(entries->names);
    free(entries->looks);
    free(entries);
}

static bool is_known(const struct entries *entries)
{
    return entries->looked == entries->count && entries->looking == 0;
}

bool entries_are_ready(const struct entries *entries)
{
    return entries->error != 0 || ((entries->paused || entries->listed) && is_known(entries));
}

static void look_on(struct entries *entries);

/* After anything happened to it. May free it. */
static void advance(struct entries *entries)
{
    if (entries->options.connection == NULL) {
        if (entries->looking == 0 && entries->chain == 0)
            free_entries(entries);
        else if (entries->looking == 0) /* last, because looks begin in its directory */
            errand_cancel(entries->queue, entries->chain);
        return;
    }
    if (entries->error == 0)
        look_on(entries);
    if (entries->listed && is_known(entries) && entries->chain != 0 && !entries->released) {
        entries->released = true;
        errand_resume(entries->queue, entries->chain, 0, 0);
    }
    if (entries->awaited && entries_are_ready(entries)) {
        entries->awaited = false;
        errand_resume(entries->queue, entries->options.connection->chain, 0, 0);
    }
}

void entries_release(struct entries *entries)
{
    if (entries == NULL)
        return;
    entries->options.connection = NULL;
    for (unsigned i = 0; i < LOOKS; i++)
        if (entries->looks[i].id != 0)
            errand_cancel(entries->queue, entries->looks[i].id);
    advance(entries);
}

int entries_await(struct entries *entries, errand_chain *chain)
{
    entries->awaited = !entries_are_ready(entries);
    int step = entries->awaited ? errand_step_await(chain, NULL, NULL) : 0;
    return step < 0 ? step : 0;
}

void entries_next(struct entries *entries)
{
    entries->count = entries->looked = entries->names_length = 0;
    entries->paused = false;
    errand_resume(entries->queue, entries->chain, 0, 0);
}

/* ------------------------------------------------------------------------------------------- room */

static bool make_room_for_entry(struct entries *entries)
{
    if (entries->count < entries->room)
        return true;
    size_t room = entries->room < BATCH_ENTRIES ? 2 * entries->room + 32 : entries->room + 512;
    struct entry *list = reallocarray(entries->list, room, sizeof *list);
    if (list == NULL)
        return false;
    entries->list = list;
    entries->room = room;
    return true;
}

static bool make_room_for_text(struct entries *entries, size_t length)
{
    if (entries->names_room - entries->names_length < length) {
        size_t room = entries->names_room < BATCH_NAMES / 2 ? 2 * entries->names_room : entries->names_room + 16384;
        room += length + 512;
        char *names = realloc(entries->names, room);
        if (names == NULL)
            return false;
        entries->names = names;
        entries->names_room = room;
    }
    return true;
}

/* Returns where it begins. There is room for it. */
static uint32_t put_text(struct entries *entries, const char *text, size_t length)
{
    uint32_t at = (uint32_t)entries->names_length;
    memcpy(entries->names + at, text, length);
    entries->names[at + length] = '\0';
    entries->names_length += length + 1;
    return at;
}

/* ------------------------------------------------------------------------------------------- looks */

static void take_target(struct entries *entries, struct entry *entry, const char *target, int64_t length)
{
    if (length > 0 && length < TARGET_MOST && entries->names_length + (size_t)length < BATCH_TEXTS &&
        make_room_for_text(entries, (size_t)length + 1))
        entry->target = put_text(entries, target, (size_t)length);
}

/* The call step of a look. */
static int looked(errand_chain *chain, void *context)
{
    struct look *look = context;
    for (unsigned i = 0; i < look->count; i++) {
        struct entry *entry = &look->entries->list[look->first + i];
        entry->gone = errand_chain_result(chain, look->opens[i]) == -ENOENT;
        if (errand_chain_result(chain, look->stats[i]) >= 0)
            entry_take(entry, &look->found[i]);
        if (look->links[i] >= 0 && entry->known)
            take_target(look->entries, entry, look->targets[i], errand_chain_result(chain, look->links[i]));
    }
    return 0;
}

static void look_ended(const struct errand_event *event)
{
    struct look *look = event->user_data;
    struct entries *entries = look->entries;
    look->id = 0;
    entries->looking--;
    --*entries->all_looks;
    if (event->error == -ECANCELED && entries->error == 0) /* by us, or the queue is being closed */
        entries->error = -ECANCELED;
    advance(entries);
}

static bool has_target(const struct entries *entries, const struct entry *entry)
{
    return entries->options.targets && entry->type == DT_LNK;
}

/* How many of the next entries one chain has steps for. */
static unsigned as_many_as_fit(const struct entries *entries)
{
    unsigned count = 0, steps = 0;
    for (size_t at = entries->looked; at < entries->count; at++, count++) {
        steps += 3 + has_target(entries, &entries->list[at]);
        if (steps > LOOK_STEPS)
            break;
    }
    return count;
}

static bool begin_look(struct look *look)
{
    struct entries *entries = look->entries;
    errand_chain *chain;
    if (errand_chain_new(entries->queue, &chain) != 0)
        return false;
    look->first = entries->looked;
    look->count = as_many_as_fit(entries);
    for (unsigned i = 0; i < look->count; i++) {
        const struct entry *entry = &entries->list[look->first + i];
        const char *name = entries->names + entry->name;
        look->opens[i] = errand_step_open(chain, entries->dir, name, O_PATH | O_NOFOLLOW, 0);
        errand_step_optional(chain, look->opens[i]);
        look->stats[i] = errand_step_stat(chain, ERRAND_SLOT(look->opens[i]), &look->found[i]);
        errand_step_optional(chain, look->stats[i]);
        errand_step_optional(chain, errand_step_close(chain, ERRAND_SLOT(look->opens[i])));
        look->links[i] = -1;
        if (has_target(entries, entry) && (look->targets[i] = errand_chain_memory(chain, TARGET_MOST)) != NULL) {
            look->links[i] = errand_step_read_link(chain, entries->dir, name, look->targets[i], TARGET_MOST);
            errand_step_optional(chain, look->links[i]);
        }
    }
    errand_step_call(chain, looked, look);
    struct errand_submit options = {
        .size = sizeof options, .user_data = look, .ended = look_ended, .flags = ERRAND_UNHURRIED};
    if (errand_submit(chain, &options, &look->id) != 0)
        return false;
    entries->looking++;
    ++*entries->all_looks;
    entries->looked += look->count;
    return true;
}

/* Begins as many looks as may be under way. What no chain is to be had for stays unknown; it is listed all the same. */
static void look_on(struct entries *entries)
{
    bool all = entries->paused || entries->listed;
    if (!entries->options.looks)
        entries->looked = entries->count;
    for (unsigned i = 0; i < LOOKS && entries->looked < entries->count; i++) {
        bool enough = entries->looking > 0 && *entries->all_looks >= LOOKS_ALL;
        if (enough || (entries->count - entries->looked < LOOK_ENTRIES && !all))
            return;
        struct look *look = &entries->looks[i];
        look->entries = entries;
        if (look->id == 0 && !begin_look(look)) {
            if (entries->looking > 0)
                return; /* the end of one gives another try */
            entries->looked = entries->count;
        }
    }
}

/* ------------------------------------------------------------------------------------------- names */

static int on_entry(errand_chain *chain, const struct errand_entry *what, void *context)
{
    struct entries *entries = context;
    if (entries->options.connection == NULL || entries->error != 0)
        return 1;
    if (!entries->options.shows(entries->options.user, what))
        return entries->paused ? ERRAND_PAUSE : 0;
    size_t length = strlen(what->name);
    if (!make_room_for_entry(entries) || !make_room_for_text(entries, length + 1))
        return -ENOMEM;
    entries->dir = (int)errand_chain_result(chain, 0);
    entries->list[entries->count++] =
        (struct entry){.name = put_text(entries, what->name, length), .length = (uint16_t)length, .type = what->type};
    entries->paused = entries->count >= BATCH_ENTRIES || entries->names_length >= BATCH_NAMES;
    advance(entries);
    return entries->paused ? ERRAND_PAUSE : 0;
}

static int on_listed(errand_chain *chain, void *context)
{
    struct entries *entries = context;
    (void)chain;
    entries->listed = true;
    entries->paused = false;
    advance(entries);
    return 0;
}

static void list_ended(const struct errand_event *event)
{
    struct entries *entries = event->user_data;
    entries->chain = 0;
    if (entries->error == 0)
        entries->error = event->error;
    advance(entries);
}

static int begin_list(struct entries *entries)
{
    errand_chain *chain;
    int error = errand_chain_new(entries->queue, &chain);
    if (error)
        return error;
    int dir = errand_step_open(chain, entries->options.root, entries->options.path, O_RDONLY | O_DIRECTORY, 0);
    errand_step_list(chain, ERRAND_SLOT(dir), on_entry, entries);
    errand_step_call(chain, on_listed, entries);
    errand_step_await(chain, NULL, NULL); /* its descriptor is where looks begin */
    struct errand_submit options = {.size = sizeof options, .user_data = entries, .ended = list_ended};
    return errand_submit(chain, &options, &entries->chain);
}

int entries_open(struct entries **out, const struct entries_options *options)
{
    struct worker *worker = options->connection->endpoint->worker;
    struct entries *entries = calloc(1, sizeof *entries);
    if (entries == NULL || (entries->looks = calloc(LOOKS, sizeof *entries->looks)) == NULL) {
        free(entries);
        return -ENOMEM;
    }
    entries->options = *options;
    entries->queue = worker->queue;
    entries->all_looks = &worker->looks;
    int error = begin_list(entries);
    if (error) {
        free_entries(entries);
        return error;
    }
    entries->options.path = NULL; /* copied when it was submitted */
    *out = entries;
    return 0;
}
