/* SPDX-License-Identifier: MIT */
#include "job/links.h"

struct tree_links {
    size_t count, size; /* size: a power of two */
    struct tree_link **table;
};

static size_t slot_of(const struct tree_links *links, uint64_t device, uint64_t inode)
{
    uint64_t hash = (inode ^ device << 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 20) & (links->size - 1);
}

static void put(struct tree_links *links, struct tree_link *link)
{
    struct tree_link **slot = &links->table[slot_of(links, link->device, link->inode)];
    link->next = *slot;
    *slot = link;
}

static bool grow(struct tree_links *links)
{
    size_t before = links->size;
    struct tree_link **old = links->table;
    links->table = calloc(before ? before * 2 : 256, sizeof *links->table);
    if (!links->table) {
        links->table = old;
        return before > 0;
    }
    links->size = before ? before * 2 : 256;
    for (size_t i = 0; i < before; i++) {
        for (struct tree_link *link = old[i], *next; link; link = next) {
            next = link->next;
            put(links, link);
        }
    }
    free(old);
    return true;
}

static struct tree_link *find(struct tree_links *links, const struct errand_stat *stat)
{
    struct tree_link *link = links->size ? links->table[slot_of(links, stat->device, stat->inode)] : NULL;
    while (link && (link->device != stat->device || link->inode != stat->inode))
        link = link->next;
    return link;
}

static void take_out(struct tree_links *links, struct tree_link *link)
{
    struct tree_link **at = &links->table[slot_of(links, link->device, link->inode)];
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    links->count--;
    free(link->path);
    free(link);
}

static struct tree_link *add(struct tree_job *job, const struct errand_stat *stat)
{
    if (!job->links && !(job->links = calloc(1, sizeof *job->links)))
        return NULL;
    struct tree_links *links = job->links;
    if (links->count >= links->size && !grow(links))
        return NULL;
    struct tree_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->device = stat->device;
    link->inode = stat->inode;
    link->left = stat->links - 1;
    links->count++;
    put(links, link);
    return link;
}

enum links_role links_meet(struct tree_job *job, struct tree_item *item, const char **path)
{
    struct tree_link *link = job->links ? find(job->links, &item->stat) : NULL;
    if (!link) {
        item->link = add(job, &item->stat); /* without memory it is copied as if it were the only one */
        return LINKS_FIRST;
    }
    *path = link->path;
    item->waits = !link->copied;
    return link->copied ? LINKS_COPIED : LINKS_WAITS;
}

void links_wait(struct tree_job *job, struct tree_item *item)
{
    struct tree_link *link = job->links ? find(job->links, &item->stat) : NULL;
    item->waits = false;
    if (link && !link->copied)
        items_append(&link->others, item);
    else
        tree_again(item);
}

void links_copied(struct tree_job *job, struct tree_item *item, bool good)
{
    struct tree_link *link = item->link;
    char buffer[4096];
    item->link = NULL;
    const char *path = good ? tree_path(item, job->root_dir, buffer, sizeof buffer) : NULL;
    link->path = path ? strdup(path) : NULL;
    link->copied = link->path;
    struct tree_item *other;
    while ((other = items_take(&link->others)))
        tree_again(other);
    if (!link->copied)
        take_out(job->links, link);
}

void links_used(struct tree_job *job, const struct tree_item *item)
{
    struct tree_link *link = job->links ? find(job->links, &item->stat) : NULL;
    if (link && link->left > 0 && --link->left == 0)
        take_out(job->links, link);
}

void links_stop(struct tree_job *job)
{
    for (size_t i = 0; job->links && i < job->links->size; i++) {
        for (struct tree_link *link = job->links->table[i]; link; link = link->next) {
            struct tree_item *item;
            while ((item = items_take(&link->others)))
                tree_item_gone(item);
        }
    }
}

void links_free(struct tree_job *job)
{
    for (size_t i = 0; job->links && i < job->links->size; i++)
        while (job->links->table[i])
            take_out(job->links, job->links->table[i]);
    if (job->links)
        free(job->links->table);
    free(job->links);
}
