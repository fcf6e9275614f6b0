/* SPDX-License-Identifier: MIT */
/* What the sources have in common: see queue/queue.h for the record, source.c for making, pausing and stopping. */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "queue/queue.h"

/* A source of this type, idle; -EAGAIN, -EPERM, -EINVAL. */
int source_new(errand_queue *queue, const struct source_type *type, void *user_data, errand_source **out);

/* Likewise, on a descriptor of the caller's, which must be a listener, or a connection; -EBADF, -EINVAL. */
int source_new_on(errand_queue *queue, const struct source_type *type, int fd, bool listener, void *user_data,
                  errand_source **out);

/* Gives its operation to the backend. */
void source_arm(errand_source *source, enum op_kind kind);

/* For types that have a descriptor of their own, `fd`, and read it when it is readable: asks to be told so once. Their
 * event() reads, and asks again when there was nothing. */
void source_arm_poll(errand_source *source);
void source_poll_took(errand_source *source);
void source_poll_resume(errand_source *source);
/* Last in making one: gives it the descriptor and arms it. A negative errno instead of one: frees the source, and its
 * `extra`. Returns 0 or that errno. */
int source_own(errand_source **out, int fd);
/* First in their event(): whether it could not be asked for; then that is the event, and the source is paused. */
bool source_poll_failed(errand_source *source, struct errand_event *event);

/* For what a type need not do. */
void source_does_nothing(errand_source *source);

#endif
