/* SPDX-License-Identifier: MIT */
#include "base/slab.h"

#include <errno.h>
#include <sys/mman.h>

#define NONE UINT32_MAX

static void *reserve(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int slab_open(struct slab *slab, uint32_t limit, size_t record_size)
{
    record_size = (record_size + 63) & ~(size_t)63; /* cache lines are not shared */
    *slab = (struct slab){.limit = limit, .first_free = NONE, .record_size = record_size};
    slab->records = reserve(limit * record_size);
    slab->generations = reserve(limit * sizeof(uint32_t));
    slab->next_free = reserve(limit * sizeof(uint32_t));
    if (slab->records && slab->generations && slab->next_free)
        return 0;
    slab_close(slab);
    return -ENOMEM;
}

void slab_close(struct slab *slab)
{
    if (slab->records)
        munmap(slab->records, slab->limit * slab->record_size);
    if (slab->generations)
        munmap(slab->generations, slab->limit * sizeof(uint32_t));
    if (slab->next_free)
        munmap(slab->next_free, slab->limit * sizeof(uint32_t));
    *slab = (struct slab){0};
}

static uint32_t index_of(const struct slab *slab, const void *record)
{
    return (uint32_t)((size_t)((const char *)record - slab->records) / slab->record_size);
}

void *slab_take(struct slab *slab)
{
    uint32_t index = slab->first_free;
    if (index != NONE)
        slab->first_free = slab->next_free[index];
    else if (slab->touched < slab->limit)
        index = slab->touched++;
    else
        return NULL;
    slab->generations[index]++;
    slab->used++;
    return slab->records + index * slab->record_size;
}

void slab_free(struct slab *slab, void *record)
{
    uint32_t index = index_of(slab, record);
    slab->generations[index]++;
    slab->next_free[index] = slab->first_free;
    slab->first_free = index;
    slab->used--;
}

uint64_t slab_handle(const struct slab *slab, const void *record)
{
    uint32_t index = index_of(slab, record);
    return (uint64_t)slab->generations[index] << 32 | index;
}

void *slab_find(const struct slab *slab, uint64_t handle)
{
    uint32_t index = (uint32_t)handle, generation = (uint32_t)(handle >> 32);
    if (index >= slab->touched || slab->generations[index] != generation || !slab_is_taken(slab, index))
        return NULL;
    return slab_at(slab, index);
}

void *slab_at(const struct slab *slab, uint32_t index)
{
    return slab->records + index * slab->record_size;
}

int slab_is_taken(const struct slab *slab, uint32_t index)
{
    return index < slab->touched && (slab->generations[index] & 1);
}
