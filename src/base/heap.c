/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>

/* Four children a node: half the depth of a binary heap, and siblings share a cache line. */
#define FAN 4

static void place(struct heap *heap, uint32_t at, struct heap_node *node)
{
    heap->nodes[at] = node;
    node->index = at + 1;
}

static void sift_up(struct heap *heap, uint32_t at, struct heap_node *node)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / FAN;
        if (heap->nodes[parent]->due <= node->due)
            break;
        place(heap, at, heap->nodes[parent]);
        at = parent;
    }
    place(heap, at, node);
}

static void sift_down(struct heap *heap, uint32_t at, struct heap_node *node)
{
    for (;;) {
        uint32_t first = at * FAN + 1, least = first;
        if (first >= heap->count)
            break;
        for (uint32_t child = first + 1; child < first + FAN && child < heap->count; child++)
            if (heap->nodes[child]->due < heap->nodes[least]->due)
                least = child;
        if (heap->nodes[least]->due >= node->due)
            break;
        place(heap, at, heap->nodes[least]);
        at = least;
    }
    place(heap, at, node);
}

void heap_close(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){0};
}

int heap_reserve(struct heap *heap, uint32_t n)
{
    if (n <= heap->room)
        return 0;
    uint32_t room = heap->room ? heap->room : 64;
    while (room < n)
        room *= 2;
    struct heap_node **nodes = realloc(heap->nodes, room * sizeof *nodes);
    if (!nodes)
        return -ENOMEM;
    heap->nodes = nodes;
    heap->room = room;
    return 0;
}

void heap_set(struct heap *heap, struct heap_node *node, int64_t due)
{
    if (node->index == 0) {
        node->due = due;
        sift_up(heap, heap->count++, node);
        return;
    }
    int64_t before = node->due;
    node->due = due;
    if (due < before)
        sift_up(heap, node->index - 1, node);
    else
        sift_down(heap, node->index - 1, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->index == 0)
        return;
    uint32_t at = node->index - 1;
    struct heap_node *last = heap->nodes[--heap->count];
    node->index = 0;
    if (last == node)
        return;
    if (at > 0 && heap->nodes[(at - 1) / FAN]->due > last->due)
        sift_up(heap, at, last);
    else
        sift_down(heap, at, last);
}
