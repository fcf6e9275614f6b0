/* SPDX-License-Identifier: MIT */
/* What a test says about itself to the harness that runs it. */
#ifndef TESTS_REPORT_H
#define TESTS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

/* Shared with the child: what it says about itself, also when it dies. */
struct report {
    unsigned failures;
    bool body_ended; /* the test's function returned, skipped or gave up: what follows is the harness's own */
    bool skipped;
    bool shown;       /* its output is to be seen, though it passes */
    int64_t limit_ns; /* of CLOCK_MONOTONIC */
    char reason[256];
    char at[256];
};

extern struct report *harness_report;

int64_t harness_now(void);

#endif
