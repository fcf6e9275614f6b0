/* SPDX-License-Identifier: MIT */
/* What the sources have in common: see queue/queue.h for the record, source.c for making, pausing and stopping. */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "queue/queue.h"

/* A source of this type, idle; -EAGAIN, -EPERM, -EINVAL. */
int source_new(errand_queue *queue, const struct source_type *type, void *user_data, errand_source **out);

/* Gives its operation to the backend. */
void source_arm(errand_source *source, enum op_kind kind);

/* A descriptor that can be waited on (not a plain file, which is always ready). Returns 0 or -EBADF, -EINVAL. */
int source_check_socket(int fd);

/* For what a type need not do. */
void source_does_nothing(errand_source *source);

#endif
