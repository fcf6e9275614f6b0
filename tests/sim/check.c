/* SPDX-License-Identifier: MIT */
/* Holds what came of a chain against what was promised. */
#include "campaign.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define SLACK (200 * ERRAND_MICROSECOND) /* in which a deadline or a cancel has its event */

bool was_given(const struct job *job, int error)
{
    unsigned number = (unsigned)-error;
    return number < 192 && (job->account.errors[number / 64] >> number % 64 & 1);
}

/* Whether an error was injected, or follows from what was drawn. */
static bool is_explained(const struct job *job, int error)
{
    if (error == -EAGAIN || error == -EINTR)
        return false; /* the library's own business */
    if (was_given(job, error))
        return true;
    switch (error) {
    case -ECANCELED: return job->cancelled;
    case -ETIMEDOUT: return job->due || job->stall;
    case -ENODATA: return job->exact;
    case -EFBIG: return job->loads;
    case -EISDIR:
    case -ESPIPE:
    case -EMLINK: return job->expects;
    case -EBADF:
    case -EINVAL: return job->bad_slot;
    case -ENOSPC: return job->sticky_error;
    case OWN_ERROR: return job->own_error;
    default: return false;
    }
}

void check_now(const struct job *job, const char *what)
{
    if (job->account.ended)
        wrong(job->world, "%s after its chain's event", what);
}

/* What was expected of a file is so, if the step that looked is over. */
static void check_expected(const struct job *job, int over)
{
    for (unsigned i = 0; i < job->parts_count; i++) {
        const struct part *part = &job->parts[i];
        if (!part->expected || part->step >= over || job->maybe[part->step] || job->drops)
            continue;
        struct errand_stat found;
        memcpy(&found, part->at, sizeof found);
        if (found.mode == UINT32_MAX) /* the run was taken from the chain, with what it had found */
            continue;
        if (((part->expected & ERRAND_REGULAR) && !S_ISREG(found.mode)) ||
            ((part->expected & ERRAND_ONE_LINK) && found.links > 1))
            wrong(job->world, "step %u is done, but the file is not what was expected: %o, %u links", part->step,
                  found.mode, found.links);
    }
}

static void check_like(const struct job *job, int over)
{
    const struct errand_stat *from = job->like.from, *to = job->like.to;
    if (!to || job->like.step >= over || to->mode == UINT32_MAX || from->mode == UINT32_MAX)
        return; /* UINT32_MAX: as above */
    if (((from->mode ^ to->mode) & 07777) || from->user != to->user || from->group != to->group ||
        from->modified_ns != to->modified_ns || from->accessed_ns != to->accessed_ns)
        wrong(job->world, "a file was made like another, and is not: %o %u %u, %o %u %u", from->mode, from->user,
              from->group, to->mode, to->user, to->group);
    job->world->totals->extras[LIKENESSES]++;
}

static void check_filters(const struct job *job, int over)
{
    for (unsigned i = 0; i < job->filters_count; i++) {
        const struct filtering *f = &job->filters[i];
        if (f->step >= over)
            continue;
        if (!f->finished || f->owed > 1)
            wrong(job->world, "step %u is done, but its filter has %llu bytes", f->step,
                  (unsigned long long)f->owed / 2);
        if (f->sends && sim_sent(job->world->sim, job->own_socket) != f->out)
            wrong(job->world, "a filter put out all until %llu, and %llu were sent", (unsigned long long)f->out,
                  (unsigned long long)sim_sent(job->world->sim, job->own_socket));
        job->world->totals->extras[FILTERED_TO_THE_END]++;
    }
}

/* The library's memory, lent until the next wait. */
static void check_loaded(const struct job *job, const struct errand_event *event)
{
    if (!event->data)
        return;
    if (event->error || !job->loads)
        wrong(job->world, "memory of the library's, and nobody asked");
    if (memcmp(event->data, sim_pattern(job->world->sim, 0), job->account.loaded) != 0)
        wrong(job->world, "wrong bytes are loaded");
    job->world->totals->extras[LOADS_READ]++;
}

static bool has_loaded(const struct job *job)
{
    for (unsigned i = 0; i < job->steps; i++)
        if (job->kinds[i] == ERRAND_STEP_LOAD && !job->maybe[i])
            return true;
    return false;
}

/* It moves no more than a piece ahead of its time; one more for each change of its rate. The highest one counts. */
static void check_rate(struct world *world, const struct job *job)
{
    uint64_t time = (uint64_t)(sim_now(world->sim) - job->begun);
    uint64_t piece = (job->rate / 16 + 1024) * (1 + job->rate_changes);
    if (job->rate && (double)job->account.peers > (double)job->rate * (double)time / 1e9 + (double)piece + 64)
        wrong(world, "%llu bytes in %llu ns, at %llu a second", (unsigned long long)job->account.peers,
              (unsigned long long)time, (unsigned long long)job->rate);
}

static void check_part(struct world *world, const struct part *part)
{
    uint32_t n = 0;
    if (part->length == 0)
        return;
    if (!part->other) {
        unsigned phase = part->phase >= 0 ? (unsigned)part->phase : part->at[0];
        if (part->at[0] != UNTOUCHED && part->at[0] != phase)
            wrong(world, "wrong bytes are read");
        const char *pattern = sim_pattern(world->sim, phase);
        if (part->at[part->length - 1] != UNTOUCHED) { /* the rule: all of it */
            n = part->length;
        } else {
            const unsigned char *end = memchr(part->at, UNTOUCHED, part->length);
            n = (uint32_t)(end - part->at);
        }
        if (memcmp(part->at, pattern, n) != 0)
            wrong(world, "wrong bytes are read, within %u", n);
        for (uint32_t i = n; i < part->length; i++)
            if (part->at[i] != UNTOUCHED)
                wrong(world, "bytes are read with a gap before them, at %u", i);
    }
    memset(part->at, UNTOUCHED, part->length);
}

void check_idle(struct job *job)
{
    struct world *world = job->world;
    for (unsigned i = 0; i < job->parts_count; i++) {
        const struct part *part = &job->parts[i];
        if (part->length > 0 && (part->at[0] != UNTOUCHED || memcmp(part->at, part->at + 1, part->length - 1) != 0) &&
            (part->at < world->memory->big[0] || part->at >= world->memory->big[BIG - 1] + BIG_SIZE))
            wrong(world, "the caller's memory is written to after the chain's event");
    }
}

void forget_job(struct job *job)
{
    struct world *world = job->world;
    for (unsigned i = 0; i < job->parts_count; i++)
        memset(job->parts[i].at, UNTOUCHED, job->parts[i].length);
    if (job->own_socket >= 0)
        sim_close(world->sim, job->own_socket);
    if (job->own_file >= 0)
        sim_close(world->sim, job->own_file);
    if (job->own_directory >= 0)
        sim_close(world->sim, job->own_directory);
    if (job->big >= 0)
        world->big_taken[job->big] = false;
    job->own_socket = job->own_file = job->own_directory = job->big = -1;
    job->account.ended = true;
    world->live -= job->live;
    job->live = false;
}

static void check_time(struct world *world, const struct job *job, int error)
{
    int64_t now = sim_now(world->sim);
    int64_t held = job->resumed_at; /* an await step that was told to stop has all the time it wants, until then */
    if (job->stopping)
        return;
    if (!job->has_work && job->due && now > job->due + SLACK && now > held + SLACK)
        wrong(world, "a deadline has passed %lld ns ago", (long long)(now - job->due));
    int64_t since = job->begun > job->account.progressed ? job->begun : job->account.progressed;
    if (!job->has_work && !job->waits && job->stall && now > since + job->stall + SLACK && now > held + SLACK)
        wrong(world, "nothing has moved for %lld ns", (long long)(now - since));
    if (!job->has_work && job->cancelled && now > job->cancelled_at + SLACK && now > held + SLACK)
        wrong(world, "it was cancelled %lld ns ago", (long long)(now - job->cancelled_at));
    if (error == -ETIMEDOUT && !was_given(job, error) && !(job->due && now >= job->due) &&
        !(job->stall && now >= job->begun + job->stall))
        wrong(world, "a deadline comes too early");
}

static void check_error(struct world *world, const struct job *job, const struct errand_event *event)
{
    if (event->error == 0) {
        if (event->step != -1 || event->step_kind != 0)
            wrong(world, "success, but at step %d", event->step);
        if (!job->drops && event->bytes < job->least)
            wrong(world, "success, but %llu bytes of at least %llu", (unsigned long long)event->bytes,
                  (unsigned long long)job->least);
        return;
    }
    if (!is_explained(job, event->error))
        wrong(world, "%s at step %d, %s: where does it come from?", errand_error_name(event->error), event->step,
              errand_step_name(event->step_kind));
    if (event->step < 0 || event->step >= job->steps || event->step_kind != job->kinds[event->step])
        wrong(world, "%s at step %d of %u, %s, which is none", errand_error_name(event->error), event->step, job->steps,
              errand_step_name(event->step_kind));
    if (job->account.last_step > event->step)
        wrong(world, "%s at step %d, %s, but step %u, %s, was performed", errand_error_name(event->error), event->step,
              errand_step_name(event->step_kind), job->account.last_step,
              errand_step_name(job->kinds[job->account.last_step]));
}

void check_event(struct world *world, const struct errand_event *event)
{
    struct job *job = event->user_data;
    world->looked_at = job;
    if (!job->live)
        wrong(world, "a second event for a chain");
    if (event->id != job->id)
        wrong(world, "the event of another chain");
    if (job->account.in_flight != 0)
        wrong(world, "an event, but %u operations are under way", job->account.in_flight);
    check_error(world, job, event);
    check_time(world, job, event->error);
    int over = event->error ? event->step : job->steps;
    check_tokens(world, job, event);
    check_expected(job, over);
    check_like(job, over);
    check_filters(job, over);
    check_rate(world, job);
    check_loaded(job, event);
    if (event->error == 0 && has_loaded(job) && !event->data)
        wrong(world, "nothing was loaded");
    if (event->fd >= 0) {
        if (event->error || !job->hands_over)
            wrong(world, "descriptor %d is handed over, and nobody asked", event->fd);
        sim_take(world->sim, event->fd);
        sim_close(world->sim, event->fd);
    } else if (event->error == 0 && job->hands_over && !job->drops) {
        wrong(world, "no descriptor is handed over");
    }
    for (unsigned i = 0; i < job->parts_count; i++)
        check_part(world, &job->parts[i]);
    note_coverage(world->totals, job, event);
    world->ended = event->id;
    world->looked_at = NULL;
    forget_job(job);
}

void check_times(struct world *world)
{
    for (unsigned i = 0; i < JOBS; i++)
        if (world->memory->jobs[i].live)
            check_time(world, &world->memory->jobs[i], 0);
}

void check_quiet(struct world *world)
{
    struct errand_stats stats = {.size = sizeof stats};
    errand_queue_stats(world->queue, &stats);
    if (stats.chains || stats.sources || stats.operations || stats.files_waiting || stats.stuck || stats.descriptors ||
        stats.threads || stats.transfer_bytes)
        wrong(
            world,
            "all is quiet, but %u chains, %u sources, %u operations, %u waiting, %u stuck, %u descriptors, %llu bytes",
            stats.chains, stats.sources, stats.operations, stats.files_waiting, stats.stuck, stats.descriptors,
            (unsigned long long)stats.transfer_bytes);
}
