/* SPDX-License-Identifier: MIT */
/* When a request passed which point. What notes it is inline: a store of a time that the queue knows already. */
#ifndef SERVER_RECORD_STAGES_H
#define SERVER_RECORD_STAGES_H

#include <stdint.h>

/* A stage ends where its name is noted; it began where the one before it that was noted ended. One that nobody notes
 * (a stat that goes with its open) is part of the next that somebody does. */
enum stage {
    STAGE_WAIT, /* from the complete head to a chain's submission */
    STAGE_OPEN, /* until the file is open, and looked at unless that is noted itself */
    STAGE_STAT,
    STAGE_DATA, /* of FTP: until the data connection is there */
    STAGE_SEND, /* reading and sending, until all is out or has failed; of FTP's uploads: receiving, until it is kept */
    STAGES
};

struct stage_times {
    int64_t began;      /* ns, on the queue's clock */
    int64_t at[STAGES]; /* 0: not passed */
};

/* "wait", "open" ... */
static inline const char *stage_name(enum stage stage)
{
    return &"wait\0open\0stat\0data\0send"[5 * stage];
}

static inline void stage_begin(struct stage_times *times, int64_t now)
{
    *times = (struct stage_times){.began = now};
}

static inline void stage_passed(struct stage_times *times, enum stage stage, int64_t now)
{
    times->at[stage] = now;
}

/* How long it took, in ns; -1: it was not passed. */
static inline int64_t stage_length(const struct stage_times *times, enum stage stage)
{
    if (times->at[stage] == 0)
        return -1;
    int64_t from = times->began;
    for (unsigned i = 0; i < (unsigned)stage; i++)
        if (times->at[i] > from)
            from = times->at[i];
    return times->at[stage] > from ? times->at[stage] - from : 0;
}

/* From the beginning to the last point that was noted. */
static inline int64_t stage_total(const struct stage_times *times)
{
    int64_t last = times->began;
    for (unsigned i = 0; i < STAGES; i++)
        if (times->at[i] > last)
            last = times->at[i];
    return last - times->began;
}

#endif
