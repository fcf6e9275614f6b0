/* SPDX-License-Identifier: MIT */
/* Draws steps of peers, and the filters between them and files. */
#include "draw.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static int own_socket(struct job *job)
{
    if (job->own_socket < 0)
        job->own_socket = sim_socket(job->world->sim, upto(job->world, 4) * 700);
    return job->own_socket;
}

void draw_send(struct job *job, errand_chain *chain)
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

/* ---- filters */

static int filter(void *context, struct errand_pieces *pieces)
{
    struct filtering *f = context;
    struct world *world = f->job->world;
    check_now(f->job, "a filter is called");
    if (f->finished)
        wrong(world, "a filter is called that has put out all");
    if (pieces->in_length && memcmp(pieces->in, sim_pattern(world->sim, f->in), pieces->in_length) != 0)
        wrong(world, "wrong bytes come to a filter");
    if (one_in(world, world->calm ? 1024 : 64)) {
        f->job->own_error = true;
        return OWN_ERROR;
    }
    size_t take = pieces->in_length;
    if (take > 1 && one_in(world, 3))
        take = 1 + upto(world, (uint32_t)take);
    bool ends = pieces->end && take == pieces->in_length;
    f->owed += take * f->halves;
    uint64_t makes = f->owed / 2 > f->holds ? f->owed / 2 - (ends ? 0 : f->holds) : ends ? f->owed / 2 : 0;
    size_t made = makes < pieces->out_room ? (size_t)makes : pieces->out_room;
    memcpy(pieces->out, sim_pattern(world->sim, f->out), made);
    pieces->in += take;
    pieces->in_length -= take;
    pieces->out += made;
    pieces->out_room -= made;
    f->in += take;
    f->out += made;
    f->owed -= 2 * made;
    f->finished = ends && pieces->out_room > 0;
    return 0;
}

static int filter_here(void *context, struct errand_pieces *pieces)
{
    struct filtering *f = context;
    f->job->world->totals->extras[FILTERED_HERE]++;
    return filter(context, pieces);
}

static int filter_on_worker(void *context, struct errand_pieces *pieces)
{
    struct filtering *f = context;
    f->job->world->totals->extras[FILTERED_ON_WORKERS]++;
    return filter(context, pieces);
}

/* Perhaps: bytes that come as the pattern from `in` on go out as the pattern from `out` on. */
static void perhaps_filtered(struct job *job, errand_chain *chain, int step, uint64_t in, uint64_t out)
{
    struct world *world = job->world;
    if (step < 0 || job->filters_count == FILTERS || !one_in(world, 3))
        return;
    struct filtering *f = &job->filters[job->filters_count++];
    bool on_worker = one_in(world, 2);
    *f = (struct filtering){.job = job,
                            .in = in,
                            .out = out,
                            .holds = one_in(world, 3) ? upto(world, 300) : 0,
                            .step = (uint8_t)step,
                            .halves = (uint8_t)(1 + upto(world, 5)),
                            .sends = job->kinds[step] == ERRAND_STEP_SENDFILE};
    job->has_work |= on_worker; /* cancel and deadline wait for it */
    int result = errand_step_filter(chain, step, on_worker ? filter_on_worker : filter_here, f,
                                    on_worker ? ERRAND_ON_WORKER : 0);
    if (result < 0)
        wrong(world, "a filter is refused: %s", errand_error_name(result));
}

/* ---- steps */

void draw_sendfile(struct job *job, errand_chain *chain)
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
    int step = noted(job,
                     errand_step_sendfile(chain, job->own_socket, draw_file(job), offset, length,
                                          head ? sim_pattern(world->sim, job->sent) : NULL, head, flags),
                     ERRAND_STEP_SENDFILE);
    job->least += head;
    perhaps_filtered(job, chain, step, (uint64_t)offset, job->sent + head);
    job->own_sends = false; /* how far it came only the event will tell */
}

void draw_receive(struct job *job, errand_chain *chain)
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

void draw_receive_file(struct job *job, errand_chain *chain)
{
    struct world *world = job->world;
    if (!job->own_receives || own_socket(job) < 0)
        return;
    int64_t offset = (int64_t)(job->received % SIM_PERIOD) + SIM_PERIOD * (int64_t)upto(world, 8);
    unsigned flags = one_in(world, 6) ? ERRAND_EXACT : 0;
    job->exact |= flags == ERRAND_EXACT;
    int step = noted(job,
                     errand_step_receive_file(chain, job->own_socket, draw_file(job), offset,
                                              one_in(world, 2) ? ERRAND_TO_END : upto(world, 1000), flags),
                     ERRAND_STEP_RECEIVE_FILE);
    perhaps_filtered(job, chain, step, job->received, (uint64_t)offset);
    job->own_receives = false;
}

/* Accepts or connects, and says something there. */
void draw_connection(struct job *job, errand_chain *chain)
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

int draw_of_peers(struct job *job, errand_chain *chain, unsigned kind)
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
