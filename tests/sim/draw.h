/* SPDX-License-Identifier: MIT */
/* What draws chains, shared by its two files: draw.c (what all steps need, peers, call steps), draw_files.c (files and
 * names). */
#ifndef SIM_DRAW_H
#define SIM_DRAW_H

#include "campaign.h"

#define PATH_SIZE    200
#define STABLE_NAMES 40 /* the others are those that come and go */

/* Fills in a path. Returns where it begins. */
int draw_where(struct world *world, char *text, bool changing);
int noted(struct job *job, int step, unsigned kind);
void perhaps_optional(struct job *job, errand_chain *chain, int step);
int draw_file(struct job *job);
int draw_directory(struct job *job);
struct part *take_memory(struct job *job, uint32_t length, int phase, bool other);
uint32_t draw_length(struct world *world);
int64_t draw_result(struct job *job);

/* ---- draw_files.c */
void draw_open(struct job *job, errand_chain *chain);
void draw_open_directory(struct job *job, errand_chain *chain);
void draw_open_first(struct job *job, errand_chain *chain);
void draw_stat(struct job *job, errand_chain *chain);
void draw_read(struct job *job, errand_chain *chain, int file);
void draw_read_file(struct job *job, errand_chain *chain);
void draw_close(struct job *job, errand_chain *chain);
void draw_hand_over(struct job *job, errand_chain *chain);
void draw_write(struct job *job, errand_chain *chain);
void draw_copy(struct job *job, errand_chain *chain);
int draw_entry(errand_chain *chain, const struct errand_entry *what, void *context);
int64_t draw_work(void *context);
int draw_of_file(struct job *job, errand_chain *chain, unsigned kind);
int draw_of_names(struct job *job, errand_chain *chain, unsigned kind);

#endif
