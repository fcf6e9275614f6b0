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

static void put_name(char *text, unsigned name)
{
    *text++ = 'n'; /* snprintf() would cost as much as the chain */
    if (name >= 10)
        *text++ = (char)('0' + name / 10);
    *text++ = (char)('0' + name % 10);
    *text = 0;
}

static int draw_place(struct world *world)
{
    unsigned which = upto(world, 16);
    return which < 11 ? world->roots[upto(world, SIM_DIRECTORIES)] : world->directories[upto(world, SIM_DIRECTORIES)];
}

int draw_where(struct world *world, char *text, bool changing)
{
    static const char dots[] = "./././././././././././././././././././././././././././././././././././././././.";
    unsigned name = changing ? STABLE_NAMES + upto(world, SIM_NAMES - STABLE_NAMES) : upto(world, STABLE_NAMES);
    unsigned directory = 1 + upto(world, SIM_DIRECTORIES - 1), how = upto(world, 64);
    int top = how % 2 ? world->directories[0] : how % 4 ? AT_FDCWD : world->roots[0];
    if (how == 0)
        snprintf(text, PATH_SIZE, "../d%u/n%u", directory, name); /* leads out of a root that confines */
    else if (how == 1)
        snprintf(text, PATH_SIZE, "%s/%s/n%u", dots, dots, name); /* too long for the chain's record */
    else if (how == 2)
        snprintf(text, PATH_SIZE, one_in(world, 2) ? "n%u/x" : "x%u", name);
    else if (how < 12)
        snprintf(text, PATH_SIZE, how == 3 ? "/d%u/n%u" : "d%u/n%u", directory, name);
    else
        put_name(text, name);
    if (how >= 4 && how < 8)
        return world->roots[SIM_DIRECTORIES + how % 2];
    return how >= 3 && how < 12 ? top : draw_place(world);
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
        unsigned step = job->file[upto(world, job->files)];
        job->bad_slot |= job->maybe[step];
        return ERRAND_SLOT((int)step);
    }
    if (job->own_file < 0 && one_in(world, 3))
        job->own_file = sim_file(world->sim, 1 + upto(world, SIM_DIRECTORIES - 1), upto(world, STABLE_NAMES));
    return job->own_file >= 0 ? job->own_file : world->files[upto(world, OWN_FILES)];
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

/* ---- peers */

static int own_socket(struct job *job)
{
    if (job->own_socket < 0)
        job->own_socket = sim_socket(job->world->sim, upto(job->world, 4) * 700);
    return job->own_socket;
}

static void draw_send(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    if (!job->own_sends || own_socket(job) < 0)
        return;
    uint32_t length = draw_length(world);
    noted(job,
          errand_step_send(chain, job->own_socket, sim_pattern(world->sim, job->sent), length,
                           one_in(world, 3) ? ERRAND_MORE : 0),
          ERRAND_STEP_SEND);
    job->sent += length;
    job->least += length;
}

static void draw_sendfile(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    if (!job->own_sends || own_socket(job) < 0)
        return;
    uint32_t head = one_in(world, 2) ? draw_length(world) : 0;
    int64_t offset = (int64_t)((job->sent + head) % SIM_PERIOD) + SIM_PERIOD * (int64_t)upto(world, 8);
    unsigned how = upto(world, 8);
    int64_t length = how == 0 && job->results_count ? draw_result(job) : how < 4 ? ERRAND_TO_END : draw_length(world);
    unsigned flags = one_in(world, 6) ? ERRAND_EXACT : one_in(world, 4) ? ERRAND_MORE : 0;
    job->exact |= flags == ERRAND_EXACT;
    noted(job,
          errand_step_sendfile(chain, job->own_socket, draw_file(job), offset, length,
                               head ? sim_pattern(world->sim, job->sent) : NULL, head, flags),
          ERRAND_STEP_SENDFILE);
    job->least += head;
    job->own_sends = false; /* how far it came only the event will tell */
}

static void draw_receive(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    if (own_socket(job) < 0)
        return;
    uint32_t length = upto(world, 500);
    struct part *part = take_memory(job, length, job->own_receives ? (int)(job->received % SIM_PERIOD) : -1, false);
    if (!part)
        return;
    unsigned flags = one_in(world, 4) ? ERRAND_SOME : one_in(world, 6) ? ERRAND_EXACT : 0;
    job->exact |= flags == ERRAND_EXACT;
    noted(job, errand_step_receive(chain, job->own_socket, part->at, length, flags), ERRAND_STEP_RECEIVE);
    job->received += length;
    job->own_receives = job->own_receives && flags != ERRAND_SOME;
}

static void draw_receive_file(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    if (!job->own_receives || own_socket(job) < 0)
        return;
    int64_t offset = (int64_t)(job->received % SIM_PERIOD) + SIM_PERIOD * (int64_t)upto(world, 8);
    unsigned flags = one_in(world, 6) ? ERRAND_EXACT : 0;
    job->exact |= flags == ERRAND_EXACT;
    noted(job,
          errand_step_receive_file(chain, job->own_socket, draw_file(job), offset,
                                   one_in(world, 2) ? ERRAND_TO_END : upto(world, 1000), flags),
          ERRAND_STEP_RECEIVE_FILE);
    job->own_receives = false;
}

/* Accepts or connects, and says something there. */
static void draw_connection(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    struct sockaddr_in address = {.sin_family = AF_INET};
    int step = one_in(world, 2)
                   ? noted(job, errand_step_accept(chain, world->listener), ERRAND_STEP_ACCEPT)
                   : noted(job, errand_step_connect(chain, -1, &address, sizeof address), ERRAND_STEP_CONNECT);
    if (step < 0 || !one_in(world, 2))
        return;
    int send =
        noted(job, errand_step_send(chain, ERRAND_SLOT(step), sim_pattern(world->sim, 0), 77, 0), ERRAND_STEP_SEND);
    if (send >= 0)
        job->least += 77;
    if (one_in(world, 3)) {
        noted(job, errand_step_close(chain, ERRAND_SLOT(step)), ERRAND_STEP_CLOSE);
    } else if (one_in(world, 3) && !job->hands_over) {
        noted(job, errand_step_hand_over(chain, ERRAND_SLOT(step)), ERRAND_STEP_HAND_OVER);
        job->hands_over = true;
    }
}

static int draw_of_peers(struct job *job, errand_chain *chain, unsigned kind)
{
    struct world *world = job->world;
    struct sockaddr_in address = {.sin_family = AF_INET};
    bool fresh = job->own_socket < 0;
    if (fresh && kind == ERRAND_STEP_CONNECT)
        job->own_socket = sim_socket(world->sim, 0);
    if (own_socket(job) < 0 || (kind == ERRAND_STEP_CONNECT && !fresh && !one_in(world, 6)))
        return -EMFILE;
    switch (kind) {
    case ERRAND_STEP_SHUTDOWN: job->own_sends = false; return errand_step_shutdown(chain, job->own_socket, SHUT_WR);
    case ERRAND_STEP_CONNECT: return errand_step_connect(chain, job->own_socket, &address, sizeof address);
    default: return errand_step_poll(chain, job->own_socket, one_in(world, 2) ? POLLIN : POLLOUT);
    }
}

/* ---- call steps */

static void draw_steps(struct job *job, errand_chain *chain, unsigned count);

/* What is left of what it knew, when the steps behind `last` are dropped. */
static void forget_following(struct job *job, int last)
{
    job->drops = true;
    job->steps = (uint8_t)(last + 1);
    job->own_sends = job->own_receives = false;
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
    if (job->account.ended)
        wrong(world, "a call step runs after its chain's event");
    while (step < job->steps && errand_chain_result(chain, step) != -EINPROGRESS)
        step++;
    if (step == job->steps || job->kinds[step] != ERRAND_STEP_CALL)
        wrong(world, "a call step runs, but step %d, %s, has no result", step, errand_step_name(job->kinds[step]));
    switch (upto(world, 20)) {
    case 0:
        errand_chain_drop_following(chain);
        forget_following(job, step);
        if (one_in(world, 2))
            draw_steps(job, chain, 1 + upto(world, 4));
        return 0;
    case 1:
    case 2: draw_steps(job, chain, 1 + upto(world, 3)); return 0;
    case 3: job->own_error = !world->calm; return world->calm ? 0 : OWN_ERROR;
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
        draw_steps(job, chain, 4 + upto(world, 6));
    if (one_in(world, 6) && job->files > 0)
        draw_hand_over(job, chain);
    if (job->steps == 0)
        noted(job, errand_step_call(chain, call, job), ERRAND_STEP_CALL);
}
