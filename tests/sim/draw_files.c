/* SPDX-License-Identifier: MIT */
/* Draws steps of files and of names. */
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
    int at = draw_where(world, path, how & O_CREAT);
    bool temporary = (how & O_TMPFILE) == O_TMPFILE;
    int step = noted(job, errand_step_open(chain, at, temporary ? "." : path, how, 0644), ERRAND_STEP_OPEN);
    if (step >= 0 && job->files < 4)
        job->file[job->files++] = (uint8_t)step;
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
        at = draw_where(job->world, text[i], one_in(job->world, 4));
    int step = noted(job, errand_step_open_first(chain, at, paths, count, O_RDONLY), ERRAND_STEP_OPEN);
    if (step >= 0 && job->files < 4)
        job->file[job->files++] = (uint8_t)step;
    perhaps_optional(job, chain, step);
}

void draw_stat(struct job *job, errand_chain *chain)
{
    struct part *part = one_in(job->world, 3) ? NULL : take_memory(job, sizeof(struct errand_stat), -1, true);
    int step = noted(job, errand_step_stat(chain, draw_file(job), part ? (struct errand_stat *)(void *)part->at : NULL),
                     ERRAND_STEP_STAT);
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

int draw_entry(errand_chain *chain, const struct errand_entry *what, void *context)
{
    struct job *job = context;
    (void)chain;
    if (what->name[0] != 'n')
        wrong(job->world, "a list tells of %s", what->name);
    unsigned lot = upto(job->world, job->world->calm ? 4096 : 256);
    if (lot == 0)
        job->own_error = true;
    return lot == 0 ? OWN_ERROR : lot == 1;
}

int64_t draw_work(void *context)
{
    struct job *job = context;
    if (job->account.ended)
        wrong(job->world, "a function is called after its chain's event");
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

int draw_of_names(struct job *job, errand_chain *chain, unsigned kind)
{
    struct world *world = job->world;
    char path[PATH_SIZE], other[PATH_SIZE];
    bool stable = kind == ERRAND_STEP_LINK || kind == ERRAND_STEP_READ_LINK;
    int at = draw_where(world, path, !stable || one_in(world, 4));
    int to = kind == ERRAND_STEP_RENAME && !one_in(world, 4) ? at : 0;
    if (kind == ERRAND_STEP_READ_LINK && !one_in(world, 4))
        memcpy(path, "n7", 3); /* which is one */
    if (kind == ERRAND_STEP_RENAME || kind == ERRAND_STEP_LINK) {
        int place = draw_where(world, other, true);
        to = to ? to : place;
    }
    switch (kind) {
    case ERRAND_STEP_RENAME: return errand_step_rename(chain, at, path, to, other, one_in(world, 4));
    case ERRAND_STEP_LINK: return errand_step_link(chain, at, path, to, other);
    case ERRAND_STEP_LINK_FILE: return errand_step_link_file(chain, draw_file(job), at, path);
    case ERRAND_STEP_SYMLINK: return errand_step_symlink(chain, "n7", at, path);
    case ERRAND_STEP_READ_LINK: {
        struct part *part = take_memory(job, 16, 0, false);
        return part ? errand_step_read_link(chain, at, path, (char *)part->at, 16) : -ENOMEM;
    }
    case ERRAND_STEP_UNLINK: return errand_step_unlink(chain, at, path);
    case ERRAND_STEP_MKDIR: return errand_step_mkdir(chain, at, path, 0755);
    case ERRAND_STEP_RMDIR: return errand_step_rmdir(chain, at, path);
    default: return errand_step_mknod(chain, at, path, S_IFREG | 0600, 0);
    }
}
