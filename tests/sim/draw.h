/* SPDX-License-Identifier: MIT */
/* What draws chains, shared by its files: draw.c (what all steps need, call steps), draw_files.c (files), draw_names.c,
 * draw_peers.c (peers, and filters), draw_jobs.c (the library's own jobs). */
#ifndef SIM_DRAW_H
#define SIM_DRAW_H

#include "campaign.h"

#define PATH_SIZE    200
#define STABLE_NAMES 40 /* the others are those that come and go */

/* What is to have the name now: as a rule, since others make and remove names meanwhile. */
enum wanted {
    STABLE,   /* one that stays */
    CHANGING, /* one that comes and goes */
    FREE,     /* nothing */
    A_FILE,   /* what is no directory */
    A_DIRECTORY,
    A_SYMLINK, /* one that stays */
};

/* Fills in a path, of a directory of its choice (world->drawn) or of this one. Returns where it begins. */
int draw_where(struct world *world, char *text, enum wanted wanted);
int draw_where_in(struct world *world, char *text, enum wanted wanted, unsigned directory);
/* The step opens a file, in the directory world->drawn. */
void note_file(struct job *job, int step);
int noted(struct job *job, int step, unsigned kind);
void perhaps_optional(struct job *job, errand_chain *chain, int step);
/* Its directory is world->drawn, unless a symlink leads on. */
int draw_file(struct job *job);
int draw_directory(struct job *job);
struct part *take_memory(struct job *job, uint32_t length, int phase, bool other);
uint32_t draw_length(struct world *world);
int64_t draw_result(struct job *job);

/* ---- draw_peers.c */
void draw_send(struct job *job, errand_chain *chain);
void draw_sendfile(struct job *job, errand_chain *chain);
void draw_receive(struct job *job, errand_chain *chain);
void draw_receive_file(struct job *job, errand_chain *chain);
void draw_connection(struct job *job, errand_chain *chain);
int draw_of_peers(struct job *job, errand_chain *chain, unsigned kind);

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
void draw_load(struct job *job, errand_chain *chain);
void draw_metadata(struct job *job, errand_chain *chain);
void draw_direct(struct job *job, errand_chain *chain);
int draw_entry(errand_chain *chain, const struct errand_entry *what, void *context);
int64_t draw_work(void *context);
int draw_of_file(struct job *job, errand_chain *chain, unsigned kind);

/* ---- draw_names.c */
int draw_of_names(struct job *job, errand_chain *chain, unsigned kind);

#endif
