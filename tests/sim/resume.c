/* SPDX-License-Identifier: MIT */
/* Chains that wait until the test lets them go on: await steps, list steps that paused. */
#include "campaign.h"

#include <errno.h>

/* How many await steps there are before this one: each of them took a token. */
static unsigned awaits_before(const struct job *job, int step)
{
    unsigned count = 0;
    for (int i = 0; i < step && i < job->steps; i++)
        count += job->kinds[i] == ERRAND_STEP_AWAIT;
    return count;
}

/* Whether it was right to take or refuse it. Which list steps have used one the model does not know. */
static void check_taken(struct job *job, bool taken)
{
    struct world *world = job->world;
    struct errand_progress progress = {.size = sizeof progress};
    int result = errand_chain_progress(world->queue, job->id, &progress);
    if (result < 0)
        wrong(world, "a chain under way is not known");
    unsigned used = awaits_before(job, progress.step);
    if (progress.step < 0 || job->may_pause)
        return;
    if (taken ? used != job->tokens_count : used >= job->tokens_count)
        wrong(world, "a chain is resumed for the %u. time, %u were used, and that was %s", job->tokens_count + 1u, used,
              taken ? "taken" : "refused");
}

void resume_job(struct job *job)
{
    struct world *world = job->world;
    bool awaits = awaits_before(job, job->steps) > 0;
    if (!job->live || job->tokens_count == TOKENS || !(awaits || job->may_pause))
        return;
    struct token token = {.result = upto(world, 1000), .bytes = job->may_pause ? 0 : upto(world, 1000)};
    if (one_in(world, world->calm ? 128 : 16))
        token.result = OWN_ERROR;
    int result = errand_resume(world->queue, job->id, token.result, token.bytes);
    if (result < 0 && result != -EALREADY)
        wrong(world, "a chain under way is not resumed: %s", errand_error_name(result));
    check_taken(job, result == 0);
    world->totals->extras[result == 0 ? RESUMES : RESUMES_TOO_SOON]++;
    if (result < 0)
        return;
    job->own_error |= token.result < 0;
    job->tokens[job->tokens_count++] = token;
    job->stopping = false;
    job->resumed_at = sim_now(world->sim);
}

/* An await step is told to stop: it goes on when the test says so, perhaps at once. */
int draw_stop(errand_chain *chain, void *context)
{
    struct job *job = context;
    struct world *world = job->world;
    int step = 0;
    check_now(job, "an await step is told to stop");
    while (step < job->steps && errand_chain_result(chain, step) != -EINPROGRESS)
        step++;
    if (step == job->steps || job->kinds[step] != ERRAND_STEP_AWAIT)
        wrong(world, "an await step is told to stop, but step %d has no result", step);
    if (!job->cancelled && !job->due && !job->stall && !world->closing)
        wrong(world, "an await step is told to stop, and nobody has cancelled the chain");
    if (job->stops[step]++)
        wrong(world, "an await step is told to stop twice");
    world->totals->extras[STOPS]++;
    job->stopping = true;
    if (one_in(world, 3))
        resume_job(job);
    return one_in(world, 8) ? OWN_ERROR : 0; /* which means nothing */
}

/* In a call step: what await steps came to have. */
void check_results(const struct job *job, const errand_chain *chain, int now)
{
    unsigned used = 0;
    for (int i = 0; i < now && !job->may_pause; i++) {
        if (job->kinds[i] != ERRAND_STEP_AWAIT)
            continue;
        if (used == job->tokens_count)
            wrong(job->world, "await step %d is over, and nobody has resumed the chain", i);
        if (errand_chain_result(chain, i) != job->tokens[used].result)
            wrong(job->world, "await step %d has another's result", i);
        used++;
    }
}

/* The bytes of the tokens that were used, and whether there were so many. */
void check_tokens(struct world *world, const struct job *job, const struct errand_event *event)
{
    int over = event->error ? event->step : job->steps;
    unsigned used = awaits_before(job, over);
    uint64_t bytes = job->account.bytes;
    if (used > job->tokens_count)
        wrong(world, "%u await steps are over, but the chain was resumed %u times", used, job->tokens_count);
    for (unsigned i = 0; i < used; i++)
        bytes += job->tokens[i].bytes;
    bool here = event->error && event->step_kind == ERRAND_STEP_AWAIT && used < job->tokens_count;
    if (event->bytes != bytes && !(here && event->bytes == bytes + job->tokens[used].bytes))
        wrong(world, "the event (%s at %d) tells of %llu bytes, but there were %llu", errand_error_name(event->error),
              event->step, (unsigned long long)event->bytes, (unsigned long long)bytes);
}
