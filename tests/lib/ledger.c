/* SPDX-License-Identifier: MIT */
/* The ledger: memory that is freed while the kernel has it is noticed, though no sanitizer sees the kernel write. */
#include "support.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__)
enum { sanitized = 1 };
#elif defined(__has_feature)
enum { sanitized = __has_feature(address_sanitizer) };
#else
enum { sanitized = 0 };
#endif

enum mischief { BEHAVES, FREES, READS, FREES_WHAT_IS_SENT };

/* Returns the child's exit status. */
static int child(enum mischief mischief)
{
    fflush(NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = (pid_t)REQUIRE_CALL(fork());
    if (pid == 0) {
        int sockets[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO); /* the report is as it should be */
        make_pair(PAIR_UNIX, sockets);
        errand_queue *queue = open_queue(ERRAND_BACKEND_URING, NULL);
        errand_chain *chain = new_chain(queue);
        size_t size = mischief == FREES_WHAT_IS_SENT ? MIB : 4096;
        char *volatile buffer = calloc(1, size);
        if (mischief == FREES_WHAT_IS_SENT)
            errand_step_send(chain, sockets[0], buffer, size, 0);
        else
            errand_step_receive(chain, sockets[0], buffer, size, ERRAND_SOME);
        submit(chain, NULL, 0);
        no_event(queue); /* it is under way */
        if (mischief == FREES || mischief == FREES_WHAT_IS_SENT)
            free(buffer);
        if (mischief == READS && buffer[100] == 7)
            _exit(3);
        if (mischief == FREES_WHAT_IS_SENT)
            close(sockets[1]);
        else
            send(sockets[1], "data", 4, 0);
        next_event(queue);
        _exit(0);
    }
    int status;
    REQUIRE_CALL(waitpid(pid, &status, 0));
    while (wait(NULL) > 0) /* clang's report was written with the help of processes of its own */
        ;
    return status;
}

TEST(freed_or_touched_under_way)
{
    errand_queue *queue;
    if (!sanitized)
        SKIP("built without AddressSanitizer");
    if (errand_queue_open(&queue, &(struct errand_queue_options){.size = sizeof(struct errand_queue_options),
                                                                 .backend = ERRAND_BACKEND_URING}) < 0)
        SKIP("no io_uring");
    errand_queue_close(queue);
    CHECK_INT(child(BEHAVES), 0);
    CHECK(child(FREES) != 0);
    CHECK(child(READS) != 0);
    CHECK(child(FREES_WHAT_IS_SENT) != 0);
}
