/* SPDX-License-Identifier: MIT */
/* All workers' figures, as a scraper and as the status page want them. */
#ifndef SERVER_RECORD_FIGURES_H
#define SERVER_RECORD_FIGURES_H

#include "metrics.h"
#include "out.h"

struct figures {
    struct metrics_sum sum;
    const char *version, *backend;
    unsigned workers;
    double uptime; /* seconds */
    bool stopping;
};

/* Prometheus's text format, version 0.0.4. */
void figures_prometheus(struct out *out, const struct figures *figures);

/* One JSON object: what page.html shows. */
void figures_json(struct out *out, const struct figures *figures);

#endif
