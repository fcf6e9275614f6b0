/* SPDX-License-Identifier: MIT */
/* Draws chains: steps of every kind, whose operands mostly make sense. */
#include "draw.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void put_name(char *text, unsigned name)
{
    *text++ = 'n'; /* snprintf() would cost as much as the chain */
    if (name >= 10)
        *text++ = (char)('0' + name / 10);
    *text++ = (char)('0' + name % 10);
    *text = 0;
}

/* A name in the directory. What is free or taken now is so, as a rule, when the step's turn comes. */
static unsigned draw_name(struct world *world, unsigned directory, enum wanted wanted)
{
    unsigned name = wanted == A_SYMLINK ? 7 + 16 * upto(world, 2) : upto(world, STABLE_NAMES);
    if (wanted == STABLE && sim_kind(world->sim, directory, name) == 0 && !one_in(world, 8))
        name = 0;
    if (wanted == STABLE || wanted == A_SYMLINK)
        return name;
    for (unsigned tries = 0; tries < 12; tries++) {
        name = STABLE_NAMES + upto(world, SIM_NAMES - STABLE_NAMES);
        unsigned kind = sim_kind(world->sim, directory, name);
        if (wanted == CHANGING || (wanted == FREE && kind == 0) || (wanted == A_DIRECTORY && kind == S_IFDIR) ||
            (wanted == A_FILE && kind != 0 && kind != S_IFDIR))
            break;
    }
    return name;
}

int draw_where_in(struct world *world, char *text, enum wanted wanted, unsigned directory)
{
    static const char dots[] = "./././././././././././././././././././././././././././././././././././././././.";
    unsigned name = draw_name(world, directory, wanted), how = upto(world, 64);
    if ((how == 0 || how == 2) && !one_in(world, 3)) /* which lead nowhere */
        how = 64;
    if (world->crossing && one_in(world, 2))
        how = 4 + upto(world, 8);
    int top = how % 2 ? world->directories[0] : how % 4 ? AT_FDCWD : world->roots[0];
    int place = upto(world, 16) < 11 ? world->roots[directory] : world->directories[directory];
    if (how == 0)
        snprintf(text, PATH_SIZE, "../d%u/n%u", 1 + directory % 7, name); /* leads out of a root that confines */
    else if (how == 1)
        snprintf(text, PATH_SIZE, "%s/%s/n%u", dots, dots, name); /* too long for the chain's record */
    else if (how == 2)
        snprintf(text, PATH_SIZE, one_in(world, 2) ? "n%u/x" : "x%u", name);
    else if (how < 12 && directory > 0)
        snprintf(text, PATH_SIZE, how == 3 ? "/d%u/n%u" : "d%u/n%u", directory, name);
    else
        put_name(text, name);
    if (how >= 4 && how < 8 && directory > 0) /* one of these may not leave its mount */
        return world->roots[SIM_DIRECTORIES + how % 2];
    return how >= 3 && how < 12 && directory > 0 ? top : place;
}

int draw_where(struct world *world, char *text, enum wanted wanted)
{
    world->drawn = upto(world, SIM_DIRECTORIES);
    return draw_where_in(world, text, wanted, world->drawn);
}

void note_file(struct job *job, int step)
{
    if (step < 0 || job->files == FILES)
        return;
    job->file_in[job->files] = (uint8_t)job->world->drawn;
    job->file[job->files++] = (uint8_t)step;
}

/* Notes a step that was appended. Returns its number. */
int noted(struct job *job, int step, unsigned kind)
{
    if (step < 0) {
        job->sticky_error = true; /* too many steps: the rest is refused as well */
        return -1;
    }
    job->kinds[step] = (uint8_t)kind;
    job->maybe[step] = false;
    job->steps = (uint8_t)(step + 1);
    return step;
}

void perhaps_optional(struct job *job, errand_chain *chain, int step)
{
    bool makes = step >= 0 && job->kinds[step] == ERRAND_STEP_OPEN;
    if (step >= 0 && (job->world->calm && !makes ? !one_in(job->world, 8) : one_in(job->world, makes ? 12 : 3))) {
        errand_step_optional(chain, step);
        job->maybe[step] = true;
    }
}

/* An open file: one of the chain's, or the test's. */
int draw_file(struct job *job)
{
    struct world *world = job->world;
    if (job->files > 0 && !one_in(world, 6)) {
        unsigned at = upto(world, job->files), step = job->file[at];
        world->drawn = job->file_in[at];
        job->bad_slot |= job->maybe[step];
        return ERRAND_SLOT((int)step);
    }
    if (job->own_file < 0 && one_in(world, 3)) {
        job->own_file_in = (uint8_t)(1 + upto(world, SIM_DIRECTORIES - 1));
        job->own_file = sim_file(world->sim, job->own_file_in, upto(world, STABLE_NAMES));
    }
    unsigned at = upto(world, OWN_FILES);
    world->drawn = job->own_file >= 0 ? job->own_file_in : at % SIM_DIRECTORIES;
    return job->own_file >= 0 ? job->own_file : world->files[at];
}

int draw_directory(struct job *job)
{
    if (job->directories > 0 && !one_in(job->world, 4)) {
        unsigned step = job->directory[upto(job->world, job->directories)];
        job->bad_slot |= job->maybe[step];
        return ERRAND_SLOT((int)step);
    }
    if (job->own_directory < 0)
        job->own_directory = sim_directory(job->world->sim, upto(job->world, SIM_DIRECTORIES));
    return job->own_directory >= 0 ? job->own_directory : job->world->directories[0];
}

struct part *take_memory(struct job *job, uint32_t length, int phase, bool other)
{
    struct world *world = job->world;
    if (job->parts_count == STEPS)
        return NULL;
    struct part *part = &job->parts[job->parts_count];
    *part = (struct part){.length = length, .phase = (int16_t)phase, .other = other};
    if (length <= MEMORY - job->used) {
        part->at = job->memory + job->used;
        job->used += (length + 7) & ~7u;
    } else if (job->big < 0 && length <= BIG_SIZE) {
        for (int i = 0; i < BIG && job->big < 0; i++)
            if (!world->big_taken[i])
                job->big = i;
        if (job->big < 0)
            return NULL;
        world->big_taken[job->big] = true;
        part->at = world->memory->big[job->big];
    } else {
        return NULL;
    }
    job->parts_count++;
    return part;
}

uint32_t draw_length(struct world *world)
{
    unsigned how = upto(world, 64);
    if (how == 0)
        return upto(world, 600000);
    if (how < 4)
        return upto(world, 70000);
    return how == 5 ? 0 : upto(world, 600);
}

int64_t draw_result(struct job *job)
{
    return job->results_count ? ERRAND_RESULT(job->results[upto(job->world, job->results_count)]) : 0;
}

/* ---- call steps */

static void draw_steps(struct job *job, errand_chain *chain, unsigned count);

/* What is left of what it knew, when the steps behind `last` are dropped. */
static void forget_following(struct job *job, int last)
{
    job->drops = true;
    job->steps = (uint8_t)(last + 1);
    job->own_sends = job->own_receives = false;
    if (job->like.step > last)
        job->like = (struct likeness){.step = -1};
    while (job->filters_count > 0 && job->filters[job->filters_count - 1].step > last)
        job->filters_count--;
    while (job->files > 0 && job->file[job->files - 1] > last)
        job->files--;
    while (job->directories > 0 && job->directory[job->directories - 1] > last)
        job->directories--;
    while (job->results_count > 0 && job->results[job->results_count - 1] > last)
        job->results_count--;
}

static int call(errand_chain *chain, void *context)
{
    struct job *job = context;
    struct world *world = job->world;
    int step = 0;
    check_now(job, "a call step runs");
    while (step < job->steps && errand_chain_result(chain, step) != -EINPROGRESS)
        step++;
    if (step == job->steps || job->kinds[step] != ERRAND_STEP_CALL)
        wrong(world, "a call step runs, but step %d, %s, has no result", step, errand_step_name(job->kinds[step]));
    check_results(job, chain, step);
    switch (upto(world, 20)) {
    case 0:
        errand_chain_drop_following(chain);
        forget_following(job, step);
        if (one_in(world, 2))
            draw_steps(job, chain, 1 + upto(world, 4));
        return 0;
    case 1:
    case 2: draw_steps(job, chain, 1 + upto(world, 3)); return 0;
    case 3: job->own_error |= !world->calm; return world->calm ? 0 : OWN_ERROR;
    case 4: {
        struct job *other = &world->memory->jobs[upto(world, JOBS)];
        if (other->live && !other->cancelled) {
            other->cancelled = true;
            other->cancelled_at = sim_now(world->sim);
            errand_cancel(world->queue, other->id);
        }
        return 0;
    }
    default: return 0;
    }
}

/* ---- all of them */

static void draw_one(struct job *job, errand_chain *chain, unsigned kind)
{
    struct world *world = job->world;
    switch (kind) {
    case ERRAND_STEP_OPEN:
        if (one_in(world, 6))
            draw_open_first(job, chain);
        else
            draw_open(job, chain);
        return;
    case ERRAND_STEP_STAT: draw_stat(job, chain); return;
    case ERRAND_STEP_READ:
        if (one_in(world, 4))
            draw_read_file(job, chain);
        else if (one_in(world, 6))
            draw_direct(job, chain);
        else
            draw_read(job, chain, draw_file(job));
        return;
    case ERRAND_STEP_CLOSE: draw_close(job, chain); return;
    case ERRAND_STEP_SEND: draw_send(job, chain); return;
    case ERRAND_STEP_RECEIVE: draw_receive(job, chain); return;
    case ERRAND_STEP_SENDFILE: draw_sendfile(job, chain); return;
    case ERRAND_STEP_RECEIVE_FILE: draw_receive_file(job, chain); return;
    case ERRAND_STEP_HAND_OVER: draw_hand_over(job, chain); return;
    case ERRAND_STEP_WRITE: draw_write(job, chain); return;
    case ERRAND_STEP_COPY: draw_copy(job, chain); return;
    case ERRAND_STEP_LOAD: draw_load(job, chain); return;
    case ERRAND_STEP_COPY_METADATA: draw_metadata(job, chain); return;
    case ERRAND_STEP_AWAIT:
        job->never_resumed |= one_in(world, 64);
        perhaps_optional(job, chain,
                         noted(job, errand_step_await(chain, one_in(world, 2) ? draw_stop : NULL, job), kind));
        return;
    case ERRAND_STEP_ACCEPT: draw_connection(job, chain); return;
    case ERRAND_STEP_CALL: noted(job, errand_step_call(chain, call, job), kind); return;
    case ERRAND_STEP_SLEEP:
        job->waits = true;
        noted(job, errand_step_sleep(chain, upto(world, 1000000)), kind);
        return;
    case ERRAND_STEP_WORK:
        job->has_work = true;
        perhaps_optional(job, chain, noted(job, errand_step_work(chain, draw_work, job), kind));
        return;
    case ERRAND_STEP_LIST:
        job->may_pause |= one_in(world, 4) && job->tokens_count == 0;
        if (job->directories == 0 && one_in(world, 2))
            draw_open_directory(job, chain);
        perhaps_optional(job, chain, noted(job, errand_step_list(chain, draw_directory(job), draw_entry, job), kind));
        return;
    case ERRAND_STEP_SHUTDOWN:
    case ERRAND_STEP_CONNECT:
    case ERRAND_STEP_POLL: {
        int step = draw_of_peers(job, chain, kind);
        if (step >= 0 || step == -ENOSPC)
            perhaps_optional(job, chain, noted(job, step, kind));
        return;
    }
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_LINK:
    case ERRAND_STEP_LINK_FILE:
    case ERRAND_STEP_REPLACE:
    case ERRAND_STEP_SYMLINK:
    case ERRAND_STEP_READ_LINK:
    case ERRAND_STEP_UNLINK:
    case ERRAND_STEP_MKDIR:
    case ERRAND_STEP_RMDIR:
    case ERRAND_STEP_MKNOD: {
        int step = draw_of_names(job, chain, kind);
        if (step != -ENOMEM)
            perhaps_optional(job, chain, noted(job, step, kind));
        return;
    }
    default: {
        int step = draw_of_file(job, chain, kind);
        if (step != -ENOMEM)
            perhaps_optional(job, chain, noted(job, step, kind));
    }
    }
}

static void draw_steps(struct job *job, errand_chain *chain, unsigned count)
{
    unsigned end = job->steps + count;
    for (unsigned tries = 0; job->steps < end && tries < 2 * count && !job->sticky_error; tries++) {
        if (job->files == 0 && one_in(job->world, 2))
            draw_one(job, chain, ERRAND_STEP_OPEN);
        else if (job->world->crossing && one_in(job->world, 2))
            draw_one(job, chain, one_in(job->world, 2) ? ERRAND_STEP_READ_LINK : ERRAND_STEP_RENAME);
        else if (one_in(job->world, 10)) /* or soon no name would be free */
            draw_one(job, chain, one_in(job->world, 4) ? ERRAND_STEP_RMDIR : ERRAND_STEP_UNLINK);
        else
            draw_one(job, chain, 1 + upto(job->world, KINDS - 1));
    }
}

void draw_chain(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    unsigned sort = upto(world, 8);
    if (sort == 0)
        draw_read_file(job, chain);
    if (sort != 0 || one_in(world, 4))
        draw_steps(job, chain, 5 + upto(world, 9));
    if (one_in(world, 6) && job->files > 0)
        draw_hand_over(job, chain);
    if (job->steps == 0)
        noted(job, errand_step_call(chain, call, job), ERRAND_STEP_CALL);
}
