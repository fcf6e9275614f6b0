/* SPDX-License-Identifier: MIT */
/*
 * A bounded table of records of one size. Its address space is reserved at once and touched only as far as it was
 * ever used: the record freed last is the one taken next. A record's handle holds its generation, so that the handle
 * of a record that was freed finds nothing.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab {
    char *records;
    uint32_t *generations; /* odd while taken */
    uint32_t *next_free;
    uint32_t limit, touched, used, first_free;
    size_t record_size;
};

/* Returns 0, -ENOMEM. */
int slab_open(struct slab *slab, uint32_t limit, size_t record_size);
void slab_close(struct slab *slab);

/* A record with undefined contents (zero when never used), or NULL when all are taken. */
void *slab_take(struct slab *slab);
void slab_free(struct slab *slab, void *record);

/* Never 0. */
uint64_t slab_handle(const struct slab *slab, const void *record);
void *slab_find(const struct slab *slab, uint64_t handle);

/* The index-th record, taken or not; whether it is taken. For walking over all. */
void *slab_at(const struct slab *slab, uint32_t index);
int slab_is_taken(const struct slab *slab, uint32_t index);

#endif
