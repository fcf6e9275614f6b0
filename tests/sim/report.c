/* SPDX-License-Identifier: MIT */
/* What was covered: which steps, and with which ends. */
#include "campaign.h"

#include <errno.h>
#include <stdio.h>

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

void note_coverage(struct totals *totals, const struct job *job, const struct errand_event *event)
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

static void print_table(const struct totals *totals)
{
    static const char *const columns[] = {"completed", "names",     "rights",    "resources", "devices",
                                          "peers",     "arguments", "cancelled", "timed out"};
    printf("# %-18s", "step");
    for (unsigned i = 0; i < COLUMNS; i++)
        printf("%11s", columns[i]);
    printf("\n");
    for (unsigned kind = 1; kind < KINDS; kind++) {
        printf("# %-18s", errand_step_name(kind));
        for (unsigned i = 0; i < COLUMNS; i++)
            printf("%11llu", (unsigned long long)totals->table[kind][i]);
        printf("\n");
    }
}

static void print_extras(const struct totals *totals)
{
    static const char *const names[EXTRAS] = {
        [FILTERED_HERE] = "calls of filters",
        [FILTERED_ON_WORKERS] = "on workers",
        [FILTERED_TO_THE_END] = "of which came to the end",
        [RATES] = "chains with a rate",
        [RATE_CHANGES] = "changes of it",
        [RESUMES] = "resumed",
        [RESUMES_TOO_SOON] = "were resumed already",
        [STOPS] = "told to stop",
        [PAUSES] = "lists paused",
        [DIRECT_READS] = "direct reads",
        [LIKENESSES] = "files made like others",
        [LOADS_READ] = "loads",
        [JOB_CALLS] = "jobs of the library",
    };
    printf("# besides:");
    for (unsigned i = 0; i < EXTRAS; i++)
        printf("%s %llu %s", i ? "," : "", (unsigned long long)totals->extras[i], names[i]);
    printf("\n");
}

void print_report(const struct totals *totals, uint64_t seed, double seconds)
{
    static const struct {
        uint8_t kind;
        const char *name;
    } sources[] = {{ERRAND_EVENT_TIMER, "timer"},   {ERRAND_EVENT_ACCEPT, "accept"},   {ERRAND_EVENT_DATA, "data"},
                   {ERRAND_EVENT_SIGNAL, "signal"}, {ERRAND_EVENT_MESSAGE, "message"}, {ERRAND_EVENT_READY, "ready"}};
    print_table(totals);
    print_extras(totals);
    printf("# sources:");
    for (unsigned i = 0; i < sizeof sources / sizeof *sources; i++)
        printf(" %llu %s,", (unsigned long long)totals->events[sources[i].kind], sources[i].name);
    printf(" events; %llu times no chain was to be had\n", (unsigned long long)totals->refused);
    printf("# %llu chains of %.1f steps (%.1f were performed), %llu faults, %llu worlds, seed %llu\n",
           (unsigned long long)totals->chains, (double)totals->steps / (double)totals->chains,
           (double)totals->performed / (double)totals->chains, (unsigned long long)totals->faults,
           (unsigned long long)totals->worlds, (unsigned long long)seed);
    printf("# %.1f s, %.0f chains/s\n", seconds, (double)totals->chains / seconds);
}
