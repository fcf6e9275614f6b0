/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked rings: a head is a link of its own; a link that is in no ring points at nothing. */
#ifndef SERVER_CACHE_LINKS_H
#define SERVER_CACHE_LINKS_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *next, *previous;
};

#define LINK_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void link_head(struct link *head)
{
    head->next = head->previous = head;
}

static inline bool link_none(const struct link *head)
{
    return head->next == head;
}

/* First in the ring. */
static inline void link_first(struct link *head, struct link *link)
{
    link->previous = head;
    link->next = head->next;
    head->next->previous = link;
    head->next = link;
}

static inline void link_last(struct link *head, struct link *link)
{
    link_first(head->previous, link);
}

/* Takes it out of its ring, if it is in one. */
static inline void link_out(struct link *link)
{
    if (link->next == NULL)
        return;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->next = link->previous = NULL;
}

/* Moves a whole ring to another head, which is empty or new. */
static inline void link_move_all(struct link *from, struct link *to)
{
    link_head(to);
    if (link_none(from))
        return;
    *to = *from;
    to->next->previous = to->previous->next = to;
    link_head(from);
}

#endif
