/* SPDX-License-Identifier: MIT */
/*
 * What the tests of durability kill: replaces PATH again and again, with contents that tell their number, and says
 * "kept N" when the event says that number N is on the disk.
 *
 *     replacer PATH [TIMES]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errand.h"

enum { LINES = 2000, LINE = 10 };

int main(int argc, char **argv)
{
    static char text[LINES * LINE + 1];
    errand_queue *queue;
    unsigned long times = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    if (argc < 2 || errand_queue_open(&queue, NULL) != 0)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned long number = 1; number <= times; number++) {
        for (unsigned i = 0; i < LINES; i++)
            snprintf(text + i * LINE, LINE + 1, "%09lu\n", number);
        struct errand_replace_file job = {.size = sizeof job,
                                          .dir_fd = AT_FDCWD,
                                          .mode = 0644,
                                          .path = argv[1],
                                          .data = text,
                                          .length = LINES * LINE,
                                          .timeout_ns = 20 * ERRAND_SECOND};
        struct errand_event event;
        int result = errand_replace_file(queue, &job, NULL);
        if (result == 0 && errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) == 1)
            result = event.error;
        if (result != 0) {
            printf("failed %s\n", errand_error_name(result));
            break;
        }
        printf("kept %lu\n", number);
    }
    return errand_queue_close(queue) == 0 ? 0 : 1;
}
