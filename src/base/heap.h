/* SPDX-License-Identifier: MIT */
/* A heap of timers, the earliest first. It knows no clock: times are given to it. Nodes live in their owners. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdint.h>

#define HEAP_NEVER INT64_MAX

struct heap_node {
    int64_t due;
    uint32_t index; /* place in the heap + 1; 0: not in it */
    uint32_t kind;  /* the owner's: what it is embedded in */
};

struct heap {
    struct heap_node **nodes;
    uint32_t count, room;
};

void heap_close(struct heap *heap);

/* Sees to it that n nodes have room, so that heap_set() cannot fail. Returns 0, -ENOMEM. */
int heap_reserve(struct heap *heap, uint32_t n);

/* Puts the node in, or moves it, to be due then. */
void heap_set(struct heap *heap, struct heap_node *node, int64_t due);

/* Takes it out if it is in. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The earliest time, or HEAP_NEVER. */
static inline int64_t heap_due(const struct heap *heap)
{
    return heap->count ? heap->nodes[0]->due : HEAP_NEVER;
}

#endif
