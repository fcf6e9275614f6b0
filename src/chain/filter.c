/* SPDX-License-Identifier: MIT */
/*
 * A filter stands between a file and a socket: what was read (or received) is moved out of the transfer buffer, and the
 * filter fills a fresh one from it, as often as it takes.
 */
#include "chain/filter.h"

#include <errno.h>
#include <stdlib.h>

struct filter *filter_of(const errand_chain *chain, const struct step *step)
{
    unsigned index = (unsigned)(step - chain->steps);
    struct filter *filter = chain->filters;
    while (filter && filter->step != index)
        filter = filter->next;
    return filter;
}

int errand_step_filter(errand_chain *chain, int index, errand_filter function, void *context, unsigned flags)
{
    if (!chain || !function || (flags & ~ERRAND_ON_WORKER) || index < 0 || index >= chain->steps_count ||
        (chain->in_call && index <= chain->current))
        return -EINVAL;
    struct step *step = &chain->steps[index];
    if ((step->kind != ERRAND_STEP_SENDFILE && step->kind != ERRAND_STEP_RECEIVE_FILE) || (step->flags & STEP_FILTERED))
        return -EINVAL;
    struct filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return -ENOMEM;
    *filter = (struct filter){.next = chain->filters,
                              .step = (uint8_t)index,
                              .on_worker = flags & ERRAND_ON_WORKER,
                              .function = function,
                              .context = context};
    chain->filters = filter;
    step->flags |= STEP_FILTERED;
    return 0;
}

static void free_raw(errand_chain *chain, struct filter *filter)
{
    if (filter->raw)
        buffer_free(chain->context->buffers, filter->raw, filter->raw_size);
    filter->raw = NULL;
    filter->start = filter->end = 0;
}

void filters_free(errand_chain *chain)
{
    while (chain->filters) {
        struct filter *filter = chain->filters;
        chain->filters = filter->next;
        free_raw(chain, filter);
        free(filter);
    }
}

void filter_feed(errand_chain *chain, struct filter *filter, size_t length)
{
    free_raw(chain, filter);
    filter->raw = chain->buffer;
    filter->raw_size = chain->buffer_size;
    filter->end = length;
    chain->buffer = NULL;
    chain->start = chain->end = 0;
}

static int64_t call_filter(void *context)
{
    struct filter *filter = context;
    return filter->function(filter->context, &filter->pieces);
}

void filter_took(errand_chain *chain, struct filter *filter, int64_t result)
{
    const struct errand_pieces *pieces = &filter->pieces;
    size_t had = filter->end - filter->start;
    if (result == 0 && (pieces->in_length > had || pieces->out_room > chain->buffer_size))
        result = -EINVAL;
    size_t made = result == 0 ? chain->buffer_size - pieces->out_room : 0;
    if (result == 0 && made == 0 && pieces->in_length == had && had > 0)
        result = -EINVAL; /* it neither takes nor makes anything, and never will */
    if (result < 0) {
        step_failed(chain, (int)result);
        return;
    }
    filter->start = filter->end - pieces->in_length;
    filter->finished = pieces->end && pieces->in_length == 0 && pieces->out_room > 0;
    chain->start = 0;
    chain->end = made;
    filter->puts_out = made > 0;
    if (filter->start == filter->end)
        free_raw(chain, filter);
}

enum chain_next filter_next(errand_chain *chain, struct filter *filter, bool ended)
{
    if (!chain_buffer(chain, BUFFER_MIDDLE)) {
        step_failed(chain, -ENOMEM);
        return CHAIN_GO_ON;
    }
    filter->pieces = (struct errand_pieces){.in = filter->raw ? filter->raw + filter->start : "",
                                            .in_length = filter->end - filter->start,
                                            .out = chain->buffer,
                                            .out_room = chain->buffer_size,
                                            .end = ended};
    if (filter->on_worker)
        return plan_work(chain, call_filter, filter);
    chain->context->in_call++;
    filter_took(chain, filter, call_filter(filter));
    chain->context->in_call--;
    return CHAIN_GO_ON;
}
