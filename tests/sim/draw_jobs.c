/* SPDX-License-Identifier: MIT */
/* Submits the library's own jobs on one file, whose steps are known. */
#include "draw.h"

#include <errno.h>

static void steps_are(struct job *job, const uint8_t *kinds, unsigned count, bool syncs)
{
    for (unsigned i = 0; i < count; i++) {
        if (syncs && kinds[i] == ERRAND_STEP_CLOSE)
            job->kinds[job->steps++] = ERRAND_STEP_SYNC;
        job->kinds[job->steps++] = kinds[i];
    }
}

static int submit_load(struct job *job, int at, const char *path)
{
    static const uint8_t kinds[] = {ERRAND_STEP_OPEN, ERRAND_STEP_LOAD, ERRAND_STEP_CLOSE};
    struct errand_load_file load = {.size = sizeof load,
                                    .dir_fd = at,
                                    .path = path,
                                    .most = 100 + upto(job->world, 700000),
                                    .timeout_ns = job->due ? job->due - job->begun : 0,
                                    .user_data = job};
    steps_are(job, kinds, sizeof kinds, false);
    job->loads = true;
    return errand_load_file(job->world->queue, &load, &job->id);
}

static int submit_write(struct job *job, int at, const char *path)
{
    static const uint8_t kinds[] = {ERRAND_STEP_OPEN, ERRAND_STEP_WRITE, ERRAND_STEP_CLOSE};
    bool syncs = one_in(job->world, 2);
    struct errand_write_file write = {.size = sizeof write,
                                      .dir_fd = at,
                                      .mode = 0644,
                                      .path = path,
                                      .data = sim_pattern(job->world->sim, 0),
                                      .length = draw_length(job->world),
                                      .flags = (one_in(job->world, 3) ? ERRAND_NEW : 0) | (syncs ? ERRAND_SYNC : 0),
                                      .timeout_ns = job->due ? job->due - job->begun : 0,
                                      .user_data = job};
    steps_are(job, kinds, sizeof kinds, syncs);
    job->least = write.length;
    return errand_write_file(job->world->queue, &write, &job->id);
}

/* Nothing is sent or received yet on a socket of its own, so offset 0 fits. */
static int submit_receive(struct job *job, int at, const char *path)
{
    static const uint8_t kinds[] = {ERRAND_STEP_OPEN, ERRAND_STEP_RECEIVE_FILE, ERRAND_STEP_CLOSE};
    bool syncs = one_in(job->world, 2), exact = one_in(job->world, 4);
    struct errand_receive_file receive = {.size = sizeof receive,
                                          .dir_fd = at,
                                          .socket = job->own_socket,
                                          .mode = 0600,
                                          .flags = (exact ? ERRAND_EXACT : 0) | (syncs ? ERRAND_SYNC : 0),
                                          .path = path,
                                          .length = one_in(job->world, 2) ? ERRAND_TO_END : upto(job->world, 3000),
                                          .timeout_ns = job->due ? job->due - job->begun : 0,
                                          .user_data = job};
    steps_are(job, kinds, sizeof kinds, syncs);
    job->exact = exact;
    return errand_receive_file(job->world->queue, &receive, &job->id);
}

static int submit_send(struct job *job, int at, const char *path)
{
    static const uint8_t kinds[] = {ERRAND_STEP_OPEN, ERRAND_STEP_SENDFILE, ERRAND_STEP_CLOSE};
    uint32_t head = SIM_PERIOD * upto(job->world, 40); /* so that the file's offset 0 fits behind it */
    struct errand_send_file send = {.size = sizeof send,
                                    .dir_fd = at,
                                    .socket = job->own_socket,
                                    .path = path,
                                    .length = one_in(job->world, 2) ? ERRAND_TO_END : draw_length(job->world),
                                    .head = sim_pattern(job->world->sim, 0),
                                    .head_length = head,
                                    .timeout_ns = job->due ? job->due - job->begun : 0,
                                    .user_data = job};
    steps_are(job, kinds, sizeof kinds, false);
    job->least = head;
    return errand_send_file(job->world->queue, &send, &job->id);
}

bool draw_job(struct job *job)
{
    struct world *world = job->world;
    char path[PATH_SIZE];
    unsigned which = upto(world, 4);
    int at = draw_where(world, path, which == 1 || which == 2 ? CHANGING : STABLE), result;
    if (one_in(world, 8))
        job->due = job->begun + 1 + upto(world, 2000000);
    if (which >= 2 && (job->own_socket = sim_socket(world->sim, upto(world, 20000))) < 0)
        return false;
    job->live = true;
    world->live++;
    switch (which) {
    case 0: result = submit_load(job, at, path); break;
    case 1: result = submit_write(job, at, path); break;
    case 2: result = submit_receive(job, at, path); break;
    default: result = submit_send(job, at, path); break;
    }
    if (result < 0) {
        if (result != -EAGAIN)
            wrong(world, "a job is refused: %s", errand_error_name(result));
        world->totals->refused++;
        forget_job(job);
        return false;
    }
    world->totals->extras[JOB_CALLS]++;
    return true;
}
