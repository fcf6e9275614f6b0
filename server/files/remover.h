/* SPDX-License-Identifier: MIT */
/*
 * Takes away for good what nobody sees any more, after its request was answered: trees that were deleted or replaced,
 * the temporary names of what was not finished. A few at a time, so that many do not take all chains; what the end of
 * the server leaves is for the next start's sweep.
 */
#ifndef SERVER_FILES_REMOVER_H
#define SERVER_FILES_REMOVER_H

#include "errand.h"

#include <stdbool.h>

struct removal;
struct worker;

struct remover {
    struct worker *worker;
    struct removal *first, *last; /* waiting */
    unsigned running;
};

/* Removes what the path names, a file or a tree, if there is anything; takes the path, which was allocated. */
void remover_add(struct remover *remover, int root, char *path);

/* Has it nothing to do? A worker that ends waits for that, as for its connections. */
bool remover_is_idle(const struct remover *remover);

/* Forgets what waits, when the queue is closed. */
void remover_close(struct remover *remover);

#endif
