/* SPDX-License-Identifier: MIT */
/* What errand copy and errand remove share: options, the queue, progress on a terminal or as JSON, failures. */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <stdbool.h>

#include "errand.h"

struct cli_tree {
    const char *name, *verb; /* "errand copy", "copy" */
    const char *usage;
    bool json, quiet, stop, no_directory;
    enum errand_backend backend;
    unsigned workers, parallel;
    errand_queue *queue;
    struct errand_tree_progress progress;
    bool drawn;          /* a line of progress stands on the terminal */
    int64_t began, drew; /* drew: when */
};

/* Takes the options. Returns the index of the first argument behind them; or minus the exit code, minus 1. */
int cli_tree_options(struct cli_tree *tree, int argc, char **argv, const char *letters);

/* Opens the queue. Returns 0 or the exit code. */
int cli_tree_open(struct cli_tree *tree);

/* Waits for the job, which submit() has begun with this id; shows how it goes and went. Returns the exit code. */
int cli_tree_run(struct cli_tree *tree, int result, errand_id id, const char *path);

/* An errand_tree_failed: says what failed, why, and what may help. context: the struct cli_tree. */
int cli_tree_failed(const struct errand_tree_failure *failure, void *context);

#endif
