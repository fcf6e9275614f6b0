/* SPDX-License-Identifier: MIT */
/* Draws steps of files. */
#include "draw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void draw_open(struct job *job, errand_chain *chain)
{
    static const int flags[] = {O_RDONLY, O_RDONLY,         O_RDONLY,   O_RDONLY,         O_RDONLY,
                                O_RDWR,   O_RDWR,           O_RDWR,     O_CREAT | O_RDWR, O_CREAT | O_EXCL | O_WRONLY,
                                O_PATH,   O_TRUNC | O_RDWR, O_NOFOLLOW, O_NOATIME,        O_TMPFILE | O_RDWR};
    struct world *world = job->world;
    char path[PATH_SIZE];
    int how = flags[upto(world, sizeof flags / sizeof *flags)];
    int at = draw_where(world, path, how & O_EXCL ? FREE : how & O_CREAT ? CHANGING : STABLE);
    bool temporary = (how & O_TMPFILE) == O_TMPFILE, like = (temporary || (how & O_CREAT)) && one_in(world, 3);
    const char *what = temporary ? "." : path;
    unsigned directory = world->drawn;
    int step = noted(job,
                     like ? errand_step_open_like(chain, at, what, how, draw_file(job))
                          : errand_step_open(chain, at, what, how, 0644),
                     ERRAND_STEP_OPEN);
    world->drawn = directory;
    note_file(job, step);
    perhaps_optional(job, chain, step);
}

void draw_open_directory(struct job *job, errand_chain *chain)
{
    int step = noted(
        job, errand_step_open(chain, job->world->roots[upto(job->world, SIM_DIRECTORIES + 2)], ".", O_DIRECTORY, 0),
        ERRAND_STEP_OPEN);
    if (step >= 0 && job->directories < 2)
        job->directory[job->directories++] = (uint8_t)step;
    perhaps_optional(job, chain, step);
}

void draw_open_first(struct job *job, errand_chain *chain)
{
    char text[4][PATH_SIZE];
    const char *paths[4];
    unsigned count = 1 + upto(job->world, 4);
    int at = 0;
    for (unsigned i = 0; i < count; i++, paths[i - 1] = text[i - 1])
        at = draw_where(job->world, text[i], one_in(job->world, 4) ? CHANGING : STABLE);
    int step = noted(job, errand_step_open_first(chain, at, paths, count, O_RDONLY), ERRAND_STEP_OPEN);
    note_file(job, step);
    perhaps_optional(job, chain, step);
}

void draw_stat(struct job *job, errand_chain *chain)
{
    struct part *part = one_in(job->world, 3) ? NULL : take_memory(job, sizeof(struct errand_stat), -1, true);
    struct errand_stat *out = part ? (struct errand_stat *)(void *)part->at : NULL;
    unsigned expected = one_in(job->world, 3) ? 1 + upto(job->world, 3) : 0;
    int file = draw_file(job);
    int step =
        noted(job, expected ? errand_step_expect(chain, file, expected, out) : errand_step_stat(chain, file, out),
              ERRAND_STEP_STAT);
    job->expects |= expected != 0;
    if (part && step >= 0) {
        part->step = (uint8_t)step;
        part->expected = (uint8_t)expected;
    }
    if (step >= 0 && job->results_count < 2)
        job->results[job->results_count++] = step;
    perhaps_optional(job, chain, step);
}

void draw_read(struct job *job, errand_chain *chain, int file)
{
    struct world *world = job->world;
    uint32_t length = draw_length(world);
    bool by_result = job->results_count && one_in(world, 4);
    int64_t offset = by_result ? draw_result(job) : one_in(world, 3) ? upto(world, 10000) : 0;
    struct part *part = take_memory(job, length, by_result ? -1 : (int)(offset % SIM_PERIOD), false);
    if (!part)
        return;
    unsigned flags = one_in(world, 6) ? ERRAND_EXACT : 0;
    job->exact |= flags != 0;
    perhaps_optional(job, chain,
                     noted(job, errand_step_read(chain, file, part->at, length, offset, flags), ERRAND_STEP_READ));
}

/* Open, read, close: what may go out as one segment. */
void draw_read_file(struct job *job, errand_chain *chain)
{
    char path[8];
    struct world *world = job->world;
    bool by_result = job->results_count && one_in(world, 2);
    snprintf(path, sizeof path, "n%u", upto(world, 8));
    int step =
        noted(job, errand_step_open(chain, world->roots[1 + upto(world, 3)], path, O_RDONLY, 0), ERRAND_STEP_OPEN);
    struct part *part = take_memory(job, one_in(world, 3) ? 100 : 1500, by_result ? -1 : 0, false);

    if (step < 0 || !part)
        return;
    noted(job, errand_step_read(chain, ERRAND_SLOT(step), part->at, part->length, by_result ? draw_result(job) : 0, 0),
          ERRAND_STEP_READ);
    noted(job, errand_step_close(chain, ERRAND_SLOT(step)), ERRAND_STEP_CLOSE);
}

void draw_close(struct job *job, errand_chain *chain)
{
    if (job->files == 0)
        return;
    unsigned of = job->file[upto(job->world, job->files)];
    job->bad_slot |= job->maybe[of];
    int step = noted(job, errand_step_close(chain, ERRAND_SLOT((int)of)), ERRAND_STEP_CLOSE);
    perhaps_optional(job, chain, step);
    job->maybe[of] = true;
    job->bad_slot |= job->hands_over;
    if (!one_in(job->world, 8)) /* rarely it is used again */
        job->files = 0;
}

void draw_hand_over(struct job *job, errand_chain *chain)
{
    if (job->hands_over || job->files == 0)
        return;
    unsigned of = job->file[upto(job->world, job->files)];
    job->bad_slot |= job->maybe[of];
    noted(job, errand_step_hand_over(chain, ERRAND_SLOT((int)of)), ERRAND_STEP_HAND_OVER);
    job->hands_over = true;
}

void draw_write(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    int64_t offset = one_in(world, 4) ? ERRAND_TO_END : upto(world, 5000);
    uint32_t length = draw_length(world);
    int step = noted(job,
                     errand_step_write(chain, draw_file(job),
                                       sim_pattern(world->sim, offset < 0 ? 0 : (uint64_t)offset), length, offset),
                     ERRAND_STEP_WRITE);
    bool before = step >= 0;
    perhaps_optional(job, chain, step);
    if (before && !job->maybe[step])
        job->least += length;
}

void draw_copy(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    int64_t from = upto(world, 3000), to = from + SIM_PERIOD * (int64_t)upto(world, 4);
    int64_t length = one_in(world, 3)                         ? ERRAND_TO_END
                     : job->results_count && one_in(world, 3) ? draw_result(job)
                                                              : draw_length(world);
    unsigned flags = one_in(world, 6) ? ERRAND_EXACT : one_in(world, 3) ? ERRAND_HOLES : 0;
    job->exact |= flags == ERRAND_EXACT;
    perhaps_optional(
        job, chain,
        noted(job, errand_step_copy(chain, draw_file(job), to, draw_file(job), from, length, flags), ERRAND_STEP_COPY));
}

void draw_load(struct job *job, errand_chain *chain)
{
    if (job->loads) /* one in a chain */
        return;
    job->loads = true;
    perhaps_optional(
        job, chain,
        noted(job, errand_step_load(chain, draw_file(job), 100 + upto(job->world, 700000)), ERRAND_STEP_LOAD));
}

/* What nobody else can come at is made like another file, and must be like it. */
static void draw_like(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    char path[PATH_SIZE];
    int from = draw_file(job), at = draw_where(world, path, STABLE);
    unsigned directory = world->drawn;
    struct part *first = take_memory(job, sizeof(struct errand_stat), -1, true);
    struct part *second = take_memory(job, sizeof(struct errand_stat), -1, true);
    if (!first || !second || job->like.to || job->steps + 4 > STEPS - 6)
        return;
    struct errand_stat *found = (struct errand_stat *)(void *)first->at, *made = (void *)second->at;
    first->step = (uint8_t)noted(job, errand_step_stat(chain, from, found), ERRAND_STEP_STAT);
    int to = noted(job,
                   one_in(world, 2) ? errand_step_open_like(chain, at, ".", O_TMPFILE | O_WRONLY, from)
                                    : errand_step_open(chain, at, ".", O_TMPFILE | O_WRONLY, 0640),
                   ERRAND_STEP_OPEN);
    noted(job, errand_step_copy_metadata(chain, ERRAND_SLOT(to), from, 15), ERRAND_STEP_COPY_METADATA);
    int last = noted(job, errand_step_stat(chain, ERRAND_SLOT(to), made), ERRAND_STEP_STAT);
    if (last < 0)
        return;
    second->step = (uint8_t)last;
    job->like = (struct likeness){found, made, (int8_t)last};
    world->drawn = directory;
    note_file(job, to);
}

void draw_metadata(struct job *job, errand_chain *chain)
{
    if (one_in(job->world, 2)) {
        draw_like(job, chain);
        return;
    }
    int to = draw_file(job);
    perhaps_optional(job, chain,
                     noted(job, errand_step_copy_metadata(chain, to, draw_file(job), 1 + upto(job->world, 15)),
                           ERRAND_STEP_COPY_METADATA));
}

/* Past the page cache: by a worker, into memory that is aligned. */
void draw_direct(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    char path[PATH_SIZE];
    int at = draw_where(world, path, STABLE);
    int64_t offset = 512 * (int64_t)upto(world, 12);
    struct part *part =
        take_memory(job, 512 * (1 + upto(world, one_in(world, 4) ? 600 : 3)), (int)(offset % SIM_PERIOD), false);
    if (!part)
        return;
    int step = noted(job, errand_step_open(chain, at, path, O_RDONLY | O_DIRECT, 0), ERRAND_STEP_OPEN);
    if (step < 0)
        return;
    noted(job, errand_step_read(chain, ERRAND_SLOT(step), part->at, part->length, offset, 0), ERRAND_STEP_READ);
    if (one_in(world, 2))
        noted(job, errand_step_close(chain, ERRAND_SLOT(step)), ERRAND_STEP_CLOSE);
    world->totals->extras[DIRECT_READS]++;
}

int draw_entry(errand_chain *chain, const struct errand_entry *what, void *context)
{
    struct job *job = context;
    (void)chain;
    check_now(job, "a list tells of an entry");
    if (what->name[0] != 'n')
        wrong(job->world, "a list tells of %s", what->name);
    unsigned lot = upto(job->world, job->world->calm ? 4096 : 256);
    if (lot == 0)
        job->own_error = true;
    if (lot < 6 && lot > 1 && job->may_pause) {
        job->world->totals->extras[PAUSES]++;
        return ERRAND_PAUSE;
    }
    return lot == 0 ? OWN_ERROR : lot == 1;
}

int64_t draw_work(void *context)
{
    struct job *job = context;
    check_now(job, "a function is called");
    if (!one_in(job->world, job->world->calm ? 256 : 16))
        return 5;
    job->own_error = true;
    return OWN_ERROR;
}

int draw_of_file(struct job *job, errand_chain *chain, unsigned kind)
{
    struct world *world = job->world;
    int file = draw_file(job);
    switch (kind) {
    case ERRAND_STEP_SYNC: return errand_step_sync(chain, file, upto(world, 2));
    case ERRAND_STEP_TRUNCATE:
        return errand_step_truncate(chain, file,
                                    job->results_count && one_in(world, 2) ? draw_result(job) : upto(world, 9000));
    case ERRAND_STEP_ALLOCATE: return errand_step_allocate(chain, file, 0, upto(world, 9000), 1 + upto(world, 9000));
    case ERRAND_STEP_CHMOD: return errand_step_chmod(chain, file, 0600);
    case ERRAND_STEP_CHOWN: return errand_step_chown(chain, file, 1, UINT32_MAX);
    case ERRAND_STEP_UTIMES: return errand_step_utimes(chain, file, ERRAND_TIME_NOW, 5);
    case ERRAND_STEP_GET_ATTRIBUTE: {
        struct part *part = take_memory(job, upto(world, 2) * 100, 0, false);
        return part ? errand_step_get_attribute(chain, file, "user.a", part->at, part->length) : -ENOMEM;
    }
    case ERRAND_STEP_SET_ATTRIBUTE:
        return errand_step_set_attribute(chain, file, "user.a", sim_pattern(world->sim, 0), upto(world, 90),
                                         (int)upto(world, 2));
    case ERRAND_STEP_LIST_ATTRIBUTES: {
        struct part *part = take_memory(job, 64, -1, true);
        return part ? errand_step_list_attributes(chain, file, (char *)part->at, part->length) : -ENOMEM;
    }
    default: return errand_step_remove_attribute(chain, file, "user.a");
    }
}
