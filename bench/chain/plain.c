/* SPDX-License-Identifier: MIT */
/*
 * bench-chain: plain system calls, one after the other on one thread, which costs the least CPU that they can.
 * Variants: "openat" (openat, pread, close) and "beneath" (openat2 with RESOLVE_BENEATH in its place).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chain.h"

int main(int argc, char **argv)
{
    static char buffer[CHAIN_BYTES] __attribute__((aligned(4096)));
    struct chain_bench bench;
    chain_setup(&bench, argc, argv);
    bool beneath = strcmp(bench.variant, "beneath") == 0;
    if (!beneath) {
        bench.variant = "openat";
    }
    chain_start(&bench);
    for (uint32_t file; (file = chain_next(&bench)) != CHAIN_NONE;) {
        int fd;
        if (beneath) {
            struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
            fd = (int)syscall(SYS_openat2, bench.dir_fd, bench.paths[file], &how, sizeof how);
        } else {
            fd = openat(bench.dir_fd, bench.paths[file], O_RDONLY | O_CLOEXEC);
        }
        if (fd < 0) {
            chain_die(bench.paths[file], errno);
        }
        chain_check(&bench, file, buffer, pread(fd, buffer, CHAIN_BYTES, 0));
        close(fd);
    }
    chain_report(&bench, "plain");
}
