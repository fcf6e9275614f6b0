/* SPDX-License-Identifier: MIT */
/* Holds what came of a chain against what was promised. */
#include "campaign.h"

#include <errno.h>
#include <string.h>

#define SLACK (200 * ERRAND_MICROSECOND) /* in which a deadline or a cancel has its event */

static bool was_given(const struct job *job, int error)
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
    case -EBADF:
    case -EINVAL: return job->bad_slot;
    case -ENOSPC: return job->sticky_error;
    case OWN_ERROR: return job->own_error;
    default: return false;
    }
}

static enum column column_of(const struct job *job, int error)
{
    if (error == -ECANCELED)
        return CANCELLED;
    if (error == -ETIMEDOUT && !was_given(job, error))
        return TIMED_OUT;
    switch (-error) {
    case ENOENT:
    case EEXIST:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EXDEV:
    case ENOTEMPTY:
    case EBUSY:
    case EMLINK: return OF_NAMES;
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY: return OF_RIGHTS;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return OF_RESOURCES;
    case EIO:
    case ESTALE:
    case ENXIO:
    case ENODEV: return OF_DEVICES;
    case ECONNRESET:
    case EPIPE:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EPROTO:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENOTCONN:
    case EISCONN:
    case EADDRNOTAVAIL:
    case ETIMEDOUT: return OF_PEERS;
    default: return OF_ARGUMENTS;
    }
}

static void note_coverage(struct totals *totals, const struct job *job, const struct errand_event *event)
{
    unsigned done = event->error ? (unsigned)event->step : job->steps;
    totals->chains++;
    totals->steps += job->steps;
    totals->performed += done + (event->error != 0);
    for (unsigned i = 0; i < done; i++)
        totals->table[job->kinds[i]][COMPLETED]++;
    if (event->error)
        totals->table[event->step_kind][column_of(job, event->error)]++;
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
    if (!job->has_work && job->due && now > job->due + SLACK)
        wrong(world, "a deadline has passed %lld ns ago", (long long)(now - job->due));
    int64_t since = job->begun > job->account.progressed ? job->begun : job->account.progressed;
    if (!job->has_work && !job->waits && job->stall && now > since + job->stall + SLACK)
        wrong(world, "nothing has moved for %lld ns", (long long)(now - since));
    if (!job->has_work && job->cancelled && now > job->cancelled_at + SLACK)
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
    if (event->bytes != job->account.bytes)
        wrong(world, "the event (%s at %d) tells of %llu bytes, but there were %llu", errand_error_name(event->error),
              event->step, (unsigned long long)event->bytes, (unsigned long long)job->account.bytes);
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
