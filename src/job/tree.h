/* SPDX-License-Identifier: MIT */
/*
 * What the jobs on whole trees share. A job is many chains: one that stays for the caller's event and awaits the
 * others, one for each directory under way, which lists it and stays, with its descriptors, until its contents are
 * done, and one for each file. All but the first tell their ends to functions here, all on the queue's thread.
 *
 * Bounds: LISTS directories being read or with files waiting, each with what two pieces of its listing named; beyond
 * these only their ancestors stay open. A directory's listing pauses while enough of it waits.
 */
#ifndef JOB_TREE_H
#define JOB_TREE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sized.h"
#include "errand.h"

struct tree_job;
struct tree_dir;

/* An entry of a directory: waiting, or under way. */
struct tree_item {
    struct tree_item *next, *prev; /* among those that wait, or those under way */
    struct tree_job *job;
    struct tree_dir *dir; /* where it lies */
    errand_id id;
    uint64_t inode; /* as the listing said */
    uint8_t type;   /* DT_..., DT_UNKNOWN: to be looked at */
    bool slow;      /* copy: not as one run; see copy_tree.c */
    bool waits;     /* copy: for another name of the same file to be copied */
    bool linked;    /* copy: it became a link */
    bool quiet;     /* copy: it was opened with job->quiet */
    uint8_t tries;
    struct tree_item *batch; /* remove: others, which go in the same chain */
    int result;              /* remove: what became of it */
    struct tree_link *link;  /* copy: it is the first of its names to be copied */
    char *target;            /* copy: of a symlink */
    struct errand_stat stat;
    char name[];
};

struct tree_items {
    struct tree_item *first, *last;
};

struct tree_dir {
    struct tree_dir *next, *prev; /* in job->dirs */
    struct tree_dir *next_files;  /* in job->with_files */
    struct tree_dir *next_dirs;   /* in job->with_dirs */
    struct tree_job *job;
    struct tree_dir *parent; /* NULL: none, it is where the job's own path begins */
    struct tree_item *item;  /* as it lies in its parent */
    errand_id id;
    int from, to; /* its descriptors, once they are there; else -1 */
    int to_step;  /* which opened `to`; -1: none. Step 0 opens `from` */
    int list_step;
    bool listed, paused; /* its listing is over; waits to be resumed */
    bool in_entry, busy, failed, in_files, in_dirs;
    bool done;         /* with its contents */
    bool ended;        /* its chain, before its contents: the queue is being closed */
    uint32_t children; /* under way */
    uint32_t waiting;  /* items in the two: */
    struct tree_items files, dirs;
    struct errand_stat stat;
};

enum tree_verdict { TREE_REPORT, TREE_QUIET, TREE_AGAIN };

/* What distinguishes the jobs. */
struct tree_kind {
    /* Begins the chain of an item; of a directory. They return 0, or a negative errno: no chain was begun. */
    int (*start_item)(struct tree_item *item);
    int (*start_dir)(struct tree_dir *dir);
    /* The chain of an item ended. */
    void (*item_ended)(struct tree_item *item, const struct errand_event *event);
    /* What is to come of the failure of a directory. */
    enum tree_verdict (*dir_failed)(struct tree_dir *dir, const struct errand_event *event);
    /* The job stops: items that wait for others are dropped; ends: what is held is freed. */
    void (*stop)(struct tree_job *job);
    void (*free)(struct tree_job *job);
    uint32_t batch; /* items of a chain, at most */
};

struct tree_job {
    const struct tree_kind *kind;
    errand_queue *queue;
    errand_id id;
    errand_tree_failed failed;
    void *context;
    struct errand_tree_progress *progress, own_progress;
    struct tree_dir top;   /* where the path given begins */
    struct tree_dir *dirs; /* open, or being opened */
    struct tree_dir *with_files, *with_files_last, *with_dirs;
    struct tree_items running, again; /* again: to be begun before others; they count as children already */
    uint32_t in_flight, limit;
    uint32_t chains; /* under way: of items and directories */
    uint32_t busy;   /* directories that are being listed, or have files waiting */
    int error;       /* the first */
    bool stopping, pumping;
    /* copy_tree.c */
    bool sync;
    struct tree_links *links;
    int quiet;                  /* O_NOATIME, while that is permitted */
    char *to;                   /* the path given for the copy */
    int root;                   /* of the copy, for hard links; 0: none */
    struct tree_dir *root_dir;  /* the copy's top directory */
    struct errand_stat to_stat; /* and what it is */
};

/* tree.c */
int tree_begin(struct tree_job *job, errand_queue *queue, const char *path, const struct errand_submit *options,
               errand_id *id);
/* Goes on: begins what can be begun. */
void tree_pump(struct tree_job *job);
/* A failure: reports it, stops the job if that is wanted. item: what it is about. */
void tree_report(struct tree_job *job, const struct tree_item *item, int error, unsigned step_kind);
void tree_stop(struct tree_job *job, int error);

/* tree_walk.c: a chain of the job's is submitted; it tells its end. */
int tree_submit_item(struct tree_item *item, errand_chain *chain);
int tree_submit_dir(struct tree_dir *dir, errand_chain *chain);
/* Steps of a directory's chain: list what step 0 opened, and wait for what it contains. */
void tree_list_steps(struct tree_dir *dir, errand_chain *chain);
/* Puts an item where it waits for its turn; again: it has had one, and is among its directory's children. */
void tree_wait(struct tree_item *item);
void tree_again(struct tree_item *item);
/* It turned out to be a directory. */
void tree_is_dir(struct tree_item *item);
/* An item is done with; frees it. */
void tree_item_gone(struct tree_item *item);
/* One child less. */
void tree_child_gone(struct tree_dir *dir);
void tree_check_dir(struct tree_dir *dir);
/* The path of an item below `above`, from the end of a buffer backwards; NULL: there is no room. */
const char *tree_path(const struct tree_item *item, const struct tree_dir *above, char *buffer, size_t size);

static inline void items_append(struct tree_items *items, struct tree_item *item)
{
    item->next = NULL;
    item->prev = items->last;
    *(items->last ? &items->last->next : &items->first) = item;
    items->last = item;
}

static inline void items_remove(struct tree_items *items, struct tree_item *item)
{
    *(item->prev ? &item->prev->next : &items->first) = item->next;
    *(item->next ? &item->next->prev : &items->last) = item->prev;
    item->next = item->prev = NULL;
}

static inline struct tree_item *items_take(struct tree_items *items)
{
    struct tree_item *item = items->first;
    if (item)
        items_remove(items, item);
    return item;
}

#endif
