/* SPDX-License-Identifier: MIT */
/* The lanes and workers of a simulated world: what worker/pool.c and run.c do in the real one, in virtual time. */
#include "backend/sim/world.h"

#include <errno.h>
#include <stdlib.h>

static struct lane *find_lane(struct sim *sim, uint32_t key)
{
    struct lane *idle = NULL;
    for (uint32_t i = 0; i < LANES; i++) {
        struct lane *lane = &sim->lanes[(key + i) % LANES];
        bool busy = lane->active || lane->count;
        if (busy && lane->key == key)
            return lane;
        if (!busy && !idle)
            idle = lane;
    }
    if (!idle)
        return &sim->lanes[key % LANES];
    idle->key = key;
    return idle;
}

/* How long a call takes, and whether its device hangs meanwhile. */
static int64_t due_of_call(struct sim *sim, const struct file_run *run)
{
    unsigned device = run->lane == LANE_WORK ? 1 : (run->lane - 1) % SIM_DIRECTORIES;
    if (run->lane != LANE_WORK && device != 1 && chance(sim, sim->options.hang_chance)) {
        bool for_ever = chance(sim, 16384);
        sim->hangs_until[device] = for_ever ? HEAP_NEVER / 4 : sim->now + (int64_t)below(sim, 200 * ERRAND_MILLISECOND);
    }
    int64_t from = sim->hangs_until[device] > sim->now ? sim->hangs_until[device] : sim->now;
    return from + 1000 + (int64_t)below(sim, device > 4 ? 400000 : 20000);
}

/* What cannot be duplicated is an errno from then on: the first call that needs it fails. */
static void begin(struct sim *sim, struct file_run *run)
{
    if (run->begun)
        return;
    run->begun = true;
    for (unsigned i = 0; i < run->file_count; i++)
        if (run->files[i].borrowed)
            run->files[i].fd = fd_duplicate(sim, run->files[i].fd);
    for (unsigned i = 0; i < run->place_count; i++)
        if (run->places[i].borrowed)
            run->places[i].dir_fd = fd_duplicate(sim, run->places[i].dir_fd);
}

static void grant_buffer(struct sim *sim, struct file_run *run)
{
    if (!run->wants_buffer || run->buffer_size)
        return;
    for (unsigned i = 0; i < run->count; i++) {
        struct run_call *call = &run->calls[i];
        if (call->kind != ERRAND_STEP_READ && call->kind != ERRAND_STEP_LIST)
            continue;
        run->buffer_size = sim->buffers ? buffer_grant(sim->buffers, run->lead + (size_t)call->length) : BUFFER_SMALL;
        if ((size_t)call->length <= run->buffer_size - run->lead)
            return;
        call->length = (int64_t)(run->buffer_size - run->lead);
        call->fits = false;
        run->count = (uint8_t)(i + 1);
    }
}

static void start(struct sim *sim, struct lane *lane, struct file_run *run)
{
    run->state = RUN_RUNNING;
    begin(sim, run);
    grant_buffer(sim, run);
    lane->active++;
    sim->waiting--;
    sim->running++;
    struct pending *pending = pend(sim, due_of_call(sim, run));
    pending->run = run;
    pending->lane = lane;
}

/* Has those begin that may: a lane's first worker may exceed the bound. */
static void start_what_may(struct sim *sim)
{
    struct list *node = sim->ready.next;
    while (node != &sim->ready) {
        struct lane *lane = container_of(node, struct lane, ready);
        node = node->next;
        while (lane->count > 0 && lane->active < sim->lane_workers &&
               (lane->active == 0 || sim->running < sim->workers)) {
            struct file_run *run = container_of(list_take(&lane->waiting), struct file_run, node);
            lane->count--;
            start(sim, lane, run);
        }
        if (lane->count == 0)
            list_remove(&lane->ready);
    }
}

void run_enqueue(struct sim *sim, struct file_run *run)
{
    struct lane *lane = find_lane(sim, run->lane);
    run->state = RUN_WAITING;
    run->waits = lane;
    list_append(&lane->waiting, &run->node);
    if (lane->count++ == 0)
        list_append(&sim->ready, &lane->ready);
    sim->waiting++;
    start_what_may(sim);
}

static void drop_places(struct sim *sim, struct file_run *run)
{
    for (unsigned i = 0; i < run->place_count; i++) {
        struct run_place *place = &run->places[i];
        if (place->borrowed && run->begun && place->dir_fd >= 0)
            fd_close(sim, place->dir_fd);
        place->borrowed = false;
        if (place->root && root_unused(place->root)) {
            fd_close(sim, place->root->fd);
            free(place->root);
        }
        place->root = NULL;
    }
}

static void drop_files(struct sim *sim, struct file_run *run, bool own)
{
    for (unsigned i = 0; i < run->file_count; i++) {
        struct run_file *file = &run->files[i];
        if (file->fd < 0 || !(file->borrowed ? run->begun : own))
            continue;
        fd_close(sim, file->fd);
        file->fd = -1;
    }
}

static void discard(struct sim *sim, struct file_run *run)
{
    size_t granted = run->buffer_size;
    bool has_pipe = run->pipe;
    drop_files(sim, run, true);
    drop_places(sim, run);
    run_free(run, NULL);
    sim->stuck--;
    if (sim->buffers)
        buffer_return(sim->buffers, granted);
    if (sim->buffers && has_pipe)
        pipe_return(&sim->buffers->pipes);
}

/* What its chain will say of it. */
static void tell_account(struct file_run *run)
{
    struct sim_account *account = account_of(run->op);
    const struct errand_chain *chain = container_of(run->op, struct errand_chain, op);
    if (!account)
        return;
    for (unsigned i = 0; i < run->count && i <= run->done; i++) {
        const struct run_call *call = &run->calls[i];
        bool failed = i == run->done;
        if (failed ? run->error < 0 : call->result < 0)
            note_error(account, failed ? run->error : call->result);
        if (failed && run->error == 0)
            break;
        unsigned of = chain->steps[call->step].kind;
        if (call->kind != ERRAND_STEP_CLOSE)
            account->last_step = call->step;
        if (call->kind == ERRAND_STEP_WRITE || (call->kind == ERRAND_STEP_READ && of != ERRAND_STEP_SENDFILE))
            account->bytes += run->moved; /* with an error, too */
        if (call->kind == ERRAND_STEP_READ && of == ERRAND_STEP_LOAD)
            account->loaded += run->moved;
        if (call->kind == ERRAND_STEP_COPY && !failed && call->result > 0)
            account->bytes += (uint64_t)call->result;
    }
}

static void end(struct sim *sim, struct lane *lane, struct file_run *run)
{
    bool crosses = run->crossed && run->done < run->count && run->error == 0 && !run->abandoned;
    lane->active--;
    sim->running--;
    if (!run->op) {
        discard(sim, run);
    } else if (crosses) {
        run_enqueue(sim, run);
    } else {
        run->state = RUN_DONE;
        tell_account(run);
        give_back(sim, run->op);
    }
    start_what_may(sim);
}

/* The lane of what a path leads to beyond a mount. Returns whether it is another. */
static bool crosses(struct sim *sim, struct file_run *run)
{
    const struct run_place *place = &run->places[run->crossing.place];
    struct found found;
    run->crossed = true;
    int fd = place->root ? place->root->fd : place->dir_fd;
    path_find(sim, fd, run->crossing.path, false, false, &found);
    uint32_t lane = found.directory + 1;
    if (lane == run->lane)
        return false;
    run->lane = lane;
    return true;
}

/* Performs the call that is under way. Returns whether the run goes on. */
static bool perform(struct sim *sim, struct file_run *run, bool *crossed)
{
    struct run_call *call = &run->calls[run->done];
    int64_t result = call_perform(sim, run, call);
    if (result == LEADS_ELSEWHERE) {
        *crossed = crosses(sim, run);
        return !*crossed;
    }
    run->crossed = false;
    call->result = result;
    if (result < 0 && !call->optional) {
        run->error = (int)result;
        return false;
    }
    run->done++;
    bool piece =
        call->kind == ERRAND_STEP_COPY && result >= 0 && !call->ended && (call->whole || result < call->length);
    return !piece && run->done < run->count;
}

void run_goes_on(struct sim *sim, struct pending *pending)
{
    struct file_run *run = pending->run;
    struct lane *lane = pending->lane;
    bool crossed = false;
    while (run->error == 0 && perform(sim, run, &crossed) && !run->abandoned) {
        if (chance(sim, 16384)) { /* what follows takes its time, too */
            heap_set(&sim->heap, &pending->timer, due_of_call(sim, run));
            return;
        }
    }
    unpend(sim, pending);
    if (!crossed) {
        run->crossed = false;
        drop_files(sim, run, false);
        drop_places(sim, run);
    }
    end(sim, lane, run);
}

enum pool_recall run_recall(struct sim *sim, struct file_run *run, unsigned *step)
{
    struct sim_account *account = account_of(run->op);
    enum pool_recall result = RECALL_DONE;
    if (run->state == RUN_WAITING) {
        list_remove(&run->node);
        if (--run->waits->count == 0)
            list_remove(&run->waits->ready);
        sim->waiting--;
        tell_account(run); /* it may have come here from another lane */
        result = RECALL_YOURS;
    } else if (run->state == RUN_RUNNING && run->lane != LANE_WORK) {
        unsigned done = run->done;
        *step = run->calls[done < run->count ? done : run->count - 1u].step;
        run->op = NULL;
        run->abandoned = true;
        sim->stuck++;
        result = RECALL_ABANDONED;
    }
    if (account && result != RECALL_DONE)
        account->in_flight--;
    return result;
}
