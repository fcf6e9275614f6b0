/* SPDX-License-Identifier: MIT */
/* What the errand_step_...() functions share: builder.c, builder_files.c, builder_names.c. */
#ifndef CHAIN_BUILDER_H
#define CHAIN_BUILDER_H

#include "chain/chain.h"

/* Notes the chain's first error. Returns the error. */
int builder_stick(errand_chain *chain, int error);

/* A step to be filled in, before submission or inside a call step; NULL: chain->sticky says why not. It is part of the
 * chain with builder_appended(), which returns its number. */
struct step *builder_append(errand_chain *chain, enum errand_step_kind kind, unsigned flags, unsigned known_flags);
int builder_appended(errand_chain *chain);

/* Takes the operand, a descriptor or the slot of a step before this one; false: it is neither. */
bool builder_file(errand_chain *chain, struct step *step, int file, bool own_only);

/* Whether it is a slot; a slot or a descriptor; an offset or a result of a step before this one. */
bool builder_slot(const errand_chain *chain, int operand);
bool builder_socket(const errand_chain *chain, int operand);
bool builder_offset(const errand_chain *chain, int64_t operand);

/* A copy that lives as long as the chain; NULL: chain->sticky says why not. */
const void *builder_keep(errand_chain *chain, const void *bytes, size_t size);
const char *builder_keep_path(errand_chain *chain, const char *path);

/* Finds the root that a path begins at, if it does at one. Returns 0 or what sticks. */
int builder_root(errand_chain *chain, int *dir_fd, const char *path, struct root **root);

/* Takes dir_fd and path; false: chain->sticky says why not. */
bool builder_path(errand_chain *chain, struct step *step, int dir_fd, const char *path);

#endif
