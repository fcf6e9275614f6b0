/* SPDX-License-Identifier: MIT */
#ifndef CHAIN_FILTER_H
#define CHAIN_FILTER_H

#include "chain/chain.h"

struct filter {
    struct filter *next;
    uint8_t step;
    bool on_worker;
    bool puts_out; /* the chain's buffer holds what it made, not what it is to take */
    bool finished; /* it has put out all, the end included */
    errand_filter function;
    void *context;
    char *raw; /* a transfer buffer: what it has yet to take lies from start to end */
    size_t raw_size, start, end;
    struct errand_pieces pieces;
};

struct filter *filter_of(const errand_chain *chain, const struct step *step);

/* What the chain's buffer holds, `length` bytes, is for the filter. */
void filter_feed(errand_chain *chain, struct filter *filter, size_t length);

/* Whether it has something to do before more is fed; ended: nothing more will come. */
static inline bool filter_is_busy(const struct filter *filter, bool ended)
{
    return filter->start < filter->end || (ended && !filter->finished);
}

/* Has it fill the chain's buffer, from start to end: here, or on a worker. */
enum chain_next filter_next(errand_chain *chain, struct filter *filter, bool ended);
void filter_took(errand_chain *chain, struct filter *filter, int64_t result);

void filters_free(errand_chain *chain);

#endif
