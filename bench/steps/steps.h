/* SPDX-License-Identifier: MIT */
/* What bench-steps works on, and the list of what it measures (kinds.c). */
#ifndef BENCH_STEPS_H
#define BENCH_STEPS_H

#include <netinet/in.h>

#include "errand.h"

/* What one chain has for itself. */
struct place {
    int directory, root; /* the same: a descriptor, and a root of the queue's */
    int file, to;
    int sockets[2];
    int listener;
    struct sockaddr_in address;
    char name[16], other[16], link[16];
    struct errand_stat stat;
    char buffer[4096];
};

struct kind {
    const char *name;
    unsigned steps;                    /* in one of it */
    long (*bare)(struct place *place); /* -1: failed, see errno */
    void (*append)(errand_chain *chain, struct place *place);
};

/* The last one has no name. */
extern const struct kind kinds[];

_Noreturn void die(const char *what, int error);

#endif
