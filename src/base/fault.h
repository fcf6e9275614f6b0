/* SPDX-License-Identifier: MIT */
/*
 * The seam for tests (built with -Dfaults=true): every operation asks here before it is performed. Nothing outside the
 * kernel sees the entries of a ring, so faults have to be made on our side of it. In other builds it is nothing.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdint.h>

enum fault_place {
    FAULT_OP = 0,      /* + enum op_kind: on the queue's thread, both backends */
    FAULT_CALL = 64,   /* + enum file_call: on a worker; a read asks once for each pread(2) */
    FAULT_SETUP = 128, /* a resource is being made */
};

#ifdef ERRAND_FAULTS

/*
 * Returns 0: perform it, with *length bytes at most (it may be lowered, to no less than 1); or a negative errno:
 * it fails with that. A close is performed all the same and fails then. May be called on any thread.
 */
typedef int64_t (*fault_hook)(void *context, unsigned place, uint64_t *length);

struct fault {
    fault_hook hook;
    void *context;
};

extern struct fault errand_fault; /* set it before a queue is opened */

static inline int64_t fault_ask(unsigned place, uint64_t *length)
{
    return errand_fault.hook ? errand_fault.hook(errand_fault.context, place, length) : 0;
}

#else

static inline int64_t fault_ask(unsigned place, uint64_t *length)
{
    (void)place;
    (void)length;
    return 0;
}

#endif
#endif
