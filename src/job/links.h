/* SPDX-License-Identifier: MIT */
/* The names of files that have several: the first that is met is copied, the others become links to its copy. */
#ifndef JOB_LINKS_H
#define JOB_LINKS_H

#include "job/tree.h"

struct tree_link {
    struct tree_link *next; /* of the same hash */
    uint64_t device, inode;
    uint32_t left;            /* names not met yet: with the last the record goes */
    bool copied;              /* path is there, to be linked to */
    struct tree_items others; /* met while the first is being copied */
    char *path;               /* of the copy, below its top directory */
};

/* What a name is: the first, to be copied; one whose copy is there, at *path; or one that has to wait, once its chain
 * has ended. */
enum links_role { LINKS_FIRST, LINKS_COPIED, LINKS_WAITS };
enum links_role links_meet(struct tree_job *job, struct tree_item *item, const char **path);

/* The first was copied, or not: those that wait have their turn again. */
void links_copied(struct tree_job *job, struct tree_item *item, bool good);
/* One that has to wait does so now, if it still has to. */
void links_wait(struct tree_job *job, struct tree_item *item);
/* A name was linked. */
void links_used(struct tree_job *job, const struct tree_item *item);

/* Drops the items that wait; frees all. */
void links_stop(struct tree_job *job);
void links_free(struct tree_job *job);

#endif
