/* SPDX-License-Identifier: MIT */
/* The tree of watched directories: how it grows, and what an event takes away. */
#include "watch.h"
#include "closing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPAQUE_NS  (10 * ERRAND_SECOND) /* then what could not be watched is tried again */
#define OPENING_NS (5 * ERRAND_SECOND)

/* IN_CLOSE_WRITE besides IN_MODIFY: the last that is heard of a writer through mmap. */
#define CHANGES                                                                                                        \
    (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |   \
     IN_MOVE_SELF | IN_ONLYDIR)
#define ITSELF (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)

/* A watch of inotify, by its number: one inode. */
struct watched {
    struct watched *next;
    int number;
    bool busy;               /* an event of it is being taken in: it is not freed meanwhile */
    struct link directories; /* by `same` */
};

int watch_open(struct watch *watch, void *user_data)
{
    size_t size = 64;
    while (size < watch->most)
        size *= 2;
    watch->mask = size - 1;
    link_head(&watch->idle);
    watch->buckets = calloc(size, sizeof *watch->buckets);
    watch->numbers = calloc(size, sizeof *watch->numbers);
    if (watch->buckets == NULL || watch->numbers == NULL) {
        free(watch->buckets);
        free(watch->numbers);
        return -ENOMEM;
    }
    store_charge(watch->store, (int64_t)(2 * size * sizeof *watch->buckets));
    int error = errand_source_watch(watch->queue, user_data, &watch->source);
    if (error) {
        free(watch->buckets);
        free(watch->numbers);
    }
    return error;
}

/* ------------------------------------------------------------------------------------- directories */

static struct directory *find_directory(const struct watch *watch, uint64_t hash, uint32_t host, const char *path,
                                        size_t length)
{
    struct directory *directory = watch->buckets[hash & watch->mask];
    while (directory != NULL && (directory->hash != hash || directory->host != host || directory->length != length ||
                                 memcmp(directory->path, path, length) != 0))
        directory = directory->next;
    return directory;
}

static void hold(struct directory *directory)
{
    if (directory->holds++ == 0)
        link_out(&directory->idle);
}

static void let_go(struct directory *directory)
{
    if (--directory->holds == 0 && directory->state != DIRECTORY_GONE)
        link_first(&directory->watch->idle, &directory->idle);
}

static void free_directory(struct directory *directory)
{
    store_charge(directory->watch->store, -(int64_t)store_weight(directory));
    directory->watch->count--;
    free(directory);
}

static void end_watched(struct watch *watch, struct watched *watched)
{
    struct watched **at = &watch->numbers[(unsigned)watched->number & watch->mask];
    while (*at != watched)
        at = &(*at)->next;
    *at = watched->next;
    if (!watch->stopped)
        errand_source_watch_remove(watch->source, watched->number); /* -EINVAL: it has ended by itself */
    store_charge(watch->store, -(int64_t)store_weight(watched));
    free(watched);
}

/* Takes it off its inotify watch; the last one ends that. */
static void unwatch(struct directory *directory)
{
    struct watched *watched = directory->watched;
    if (watched == NULL)
        return;
    directory->watched = NULL;
    link_out(&directory->same);
    if (link_none(&watched->directories) && !watched->busy)
        end_watched(directory->watch, watched);
}

/* Takes it out of the tree. It is freed at once, or by its chain. Nothing holds it but those who wait for that. */
static void remove_directory(struct directory *directory)
{
    struct watch *watch = directory->watch;
    struct directory **at = &watch->buckets[directory->hash & watch->mask];
    while (*at != directory)
        at = &(*at)->next;
    *at = directory->next;
    unwatch(directory);
    link_out(&directory->sibling);
    link_out(&directory->idle);
    if (directory->parent != NULL)
        let_go(directory->parent);
    directory->parent = NULL;
    if (directory->state == DIRECTORY_OPENING)
        directory->state = DIRECTORY_GONE;
    else
        free_directory(directory);
}

void watch_forget(struct directory *directory)
{
    while (!link_none(&directory->children)) /* at most WATCH_DEPTH deep */
        watch_forget(LINK_OF(directory->children.next, struct directory, sibling));
    while (!link_none(&directory->entries))
        store_drop(directory->watch->store, LINK_OF(directory->entries.next, struct cache_entry, sibling));
    if (directory->state == DIRECTORY_WATCHED) {
        while (!link_none(&directory->users)) {
            struct watch_user *user = LINK_OF(directory->users.next, struct watch_user, link);
            user->lost = true;
            watch_leave(user);
        }
    }
    remove_directory(directory);
}

void watch_forget_all(struct watch *watch)
{
    for (size_t i = 0; i <= watch->mask; i++)
        while (watch->buckets[i] != NULL)
            watch_forget(watch->buckets[i]);
}

static struct directory *new_directory(struct watch *watch, struct directory *parent, uint64_t hash, uint32_t host,
                                       const char *path, size_t length)
{
    if (parent != NULL)
        hold(parent); /* so it is not the one that makes room */
    if (watch->count >= watch->most && !link_none(&watch->idle))
        remove_directory(LINK_OF(watch->idle.previous, struct directory, idle));
    struct directory *directory = watch->count < watch->most ? malloc(sizeof *directory + length + 1) : NULL;
    if (directory == NULL) {
        if (parent != NULL)
            let_go(parent);
        return NULL;
    }
    *directory =
        (struct directory){.watch = watch, .parent = parent, .hash = hash, .host = host, .length = (uint32_t)length};
    memcpy(directory->path, path, length);
    directory->path[length] = '\0';
    link_head(&directory->children);
    link_head(&directory->entries);
    link_head(&directory->users);
    directory->next = watch->buckets[hash & watch->mask];
    watch->buckets[hash & watch->mask] = directory;
    if (parent != NULL)
        link_first(&parent->children, &directory->sibling);
    link_first(&watch->idle, &directory->idle);
    watch->count++;
    store_charge(watch->store, (int64_t)store_weight(directory));
    return directory;
}

/* -------------------------------------------------------------------------------- opening and watching */

static int join_watched(struct directory *directory, int number)
{
    struct watch *watch = directory->watch;
    struct watched **bucket = &watch->numbers[(unsigned)number & watch->mask], *watched = *bucket;
    while (watched != NULL && watched->number != number)
        watched = watched->next;
    if (watched == NULL) {
        watched = malloc(sizeof *watched);
        if (watched == NULL) {
            errand_source_watch_remove(watch->source, number);
            return -ENOMEM;
        }
        *watched = (struct watched){.next = *bucket, .number = number};
        link_head(&watched->directories);
        *bucket = watched;
        store_charge(watch->store, (int64_t)store_weight(watched));
    }
    directory->watched = watched;
    link_first(&watched->directories, &directory->same);
    return 0;
}

/* The directory is open: watches it, unless it was lost meanwhile. */
static int start_watching(struct directory *directory, int fd)
{
    struct watch *watch = directory->watch;
    int result = -EAGAIN;
    if (directory->state == DIRECTORY_OPENING && !watch->stopped) {
        result = errand_source_watch_add(watch->source, fd, CHANGES);
        if (result > 0)
            result = join_watched(directory, result);
    }
    struct stat about;
    /* A filesystem that can be watched is local: looking at an open file there does not wait. */
    if (result == 0 && fstat(fd, &about) == 0 && about.st_nlink > 0)
        close(fd);
    else
        close_on_worker(watch->queue, fd);
    return result;
}

static int advance(struct watch *watch, struct watch_user *user);

/* Tells everybody who waited for this directory; those who want one below it go on. */
static void tell_users(struct watch *watch, struct link *users, int result)
{
    while (!link_none(users)) {
        struct watch_user *user = LINK_OF(users->next, struct watch_user, link);
        watch_leave(user);
        int now = result < 0 ? result : watch->stopped ? -ECANCELED : advance(watch, user);
        if (now != 0)
            user->ready(user, now < 0 ? now : 0);
    }
}

/* An error that says nothing lasting of the directory, or that no event would end. */
static bool is_passing(int error)
{
    switch (-error) {
    case ENOENT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case ECANCELED: return true;
    default: return false;
    }
}

/* Those who waited hold the directory one by one until they are told; it is held for this function besides. */
static void opened(const struct errand_event *event)
{
    struct directory *directory = event->user_data;
    struct watch *watch = directory->watch;
    struct link users;
    watch->opening--;
    hold(directory);
    int result = event->error ? event->error : start_watching(directory, event->fd);
    link_move_all(&directory->users, &users);
    if (directory->state == DIRECTORY_GONE) {
        result = -EAGAIN;
    } else if (result == 0) {
        directory->state = DIRECTORY_WATCHED;
    } else if (is_passing(result)) {
        remove_directory(directory);
    } else {
        directory->state = DIRECTORY_OPAQUE;
        directory->since_ns = errand_queue_now(watch->queue);
        result = -EOPNOTSUPP;
    }
    tell_users(watch, &users, result);
    let_go(directory);
    if (directory->state == DIRECTORY_GONE)
        free_directory(directory);
}

static int start_opening(struct directory *directory)
{
    struct watch *watch = directory->watch;
    errand_chain *chain;
    int error = errand_chain_new(watch->queue, &chain);
    if (error)
        return error;
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    int step =
        errand_step_open(chain, watch->roots[directory->host], directory->length ? directory->path : ".", flags, 0);
    errand_step_hand_over(chain, ERRAND_SLOT(step));
    struct errand_submit options = {
        .size = sizeof options, .user_data = directory, .timeout_ns = OPENING_NS, .ended = opened};
    error = errand_submit(chain, &options, NULL);
    if (error == 0)
        watch->opening++;
    return error;
}

/* ---------------------------------------------------------------------------------------------- users */

static void stand(struct directory *directory, struct watch_user *user)
{
    hold(directory);
    user->directory = directory;
    link_last(&directory->users, &user->link);
}

void watch_leave(struct watch_user *user)
{
    if (user->directory == NULL)
        return;
    link_out(&user->link);
    let_go(user->directory);
    user->directory = NULL;
}

/* What a directory that is in the tree means for who wants it or one below: 1: go on; 0: wait; or an error. */
static int look_at(struct directory *directory)
{
    if (directory->state == DIRECTORY_OPENING)
        return 0;
    return directory->state == DIRECTORY_WATCHED ? 1 : -EOPNOTSUPP;
}

/* Goes from the root down to the first that is not watched yet. */
static int advance(struct watch *watch, struct watch_user *user)
{
    struct directory *parent = NULL, *directory;
    uint32_t length = 0;
    for (unsigned depth = 0; depth < WATCH_DEPTH; depth++) {
        uint64_t hash = store_hash(watch->store, user->host, user->path, length);
        directory = find_directory(watch, hash, user->host, user->path, length);
        if (directory != NULL && directory->state == DIRECTORY_OPAQUE &&
            errand_queue_now(watch->queue) - directory->since_ns >= OPAQUE_NS) {
            watch_forget(directory);
            directory = NULL;
        }
        if (directory == NULL) {
            directory = new_directory(watch, parent, hash, user->host, user->path, length);
            if (directory == NULL)
                return -EOPNOTSUPP;
            int error = start_opening(directory);
            if (error) {
                directory->state = DIRECTORY_OPAQUE; /* no chain has it */
                remove_directory(directory);
                return error;
            }
        }
        int result = look_at(directory);
        if (result < 0)
            return result;
        if (result == 0 || length == user->length) {
            stand(directory, user);
            return result;
        }
        parent = directory;
        if (length > 0)
            length++; /* the slash */
        while (length < user->length && user->path[length] != '/')
            length++;
    }
    return -EOPNOTSUPP;
}

int watch_want(struct watch *watch, struct watch_user *user)
{
    user->directory = NULL;
    user->lost = false;
    uint64_t hash = store_hash(watch->store, user->host, user->path, user->length);
    struct directory *directory = find_directory(watch, hash, user->host, user->path, user->length);
    if (directory == NULL || directory->state != DIRECTORY_WATCHED)
        return advance(watch, user);
    stand(directory, user); /* and so all above it are watched */
    return 1;
}

void watch_entry(struct directory *directory, struct cache_entry *entry)
{
    hold(directory);
    entry->directory = directory;
    link_first(&directory->entries, &entry->sibling);
}

void watch_entry_gone(struct cache_entry *entry)
{
    link_out(&entry->sibling);
    let_go(entry->directory);
    entry->directory = NULL;
}

/* ---------------------------------------------------------------------------------------------- events */

/* Something happened to a name in the directory. */
static void name_changed(struct directory *directory, const char *name)
{
    struct watch *watch = directory->watch;
    char path[PATH_MAX + NAME_MAX + 2];
    size_t length = directory->length, more = strlen(name);
    if (length + more + 1 > sizeof path)
        return; /* nothing as long is cached */
    memcpy(path, directory->path, length);
    if (length > 0)
        path[length++] = '/';
    memcpy(path + length, name, more);
    length += more;
    uint64_t hash = store_hash(watch->store, directory->host, path, length);
    struct directory *below = find_directory(watch, hash, directory->host, path, length);
    uint32_t host = directory->host;
    if (below != NULL)
        watch_forget(below);
    watch->changed(watch->context, host, path, length);
}

void watch_take(struct watch *watch, const struct inotify_event *change)
{
    watch->changes++;
    if (change->mask & IN_Q_OVERFLOW) {
        watch->overflows++;
        watch_forget_all(watch);
        return;
    }
    struct watched *watched = watch->numbers[(unsigned)change->wd & watch->mask];
    while (watched != NULL && watched->number != change->wd)
        watched = watched->next;
    if (watched == NULL)
        return;                                                /* of a watch that was ended */
    bool itself = change->len == 0 || (change->mask & ITSELF); /* its permissions count as well */
    /* What is done for one directory may end others of the same watch: each is taken back from a ring of their own. */
    struct link same;
    watched->busy = true;
    link_move_all(&watched->directories, &same);
    while (!link_none(&same)) {
        struct directory *directory = LINK_OF(same.next, struct directory, same);
        link_out(&directory->same);
        link_last(&watched->directories, &directory->same);
        if (itself)
            watch_forget(directory);
        else
            name_changed(directory, change->name);
    }
    watched->busy = false;
    if (link_none(&watched->directories))
        end_watched(watch, watched);
}

/* ------------------------------------------------------------------------------------------------- end */

void watch_stop(struct watch *watch)
{
    watch_forget_all(watch);
    watch->stopped = true;
}

void watch_close(struct watch *watch)
{
    watch_forget_all(watch);
    free(watch->buckets);
    free(watch->numbers);
}
