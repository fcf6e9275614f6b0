/* SPDX-License-Identifier: MIT */
/*
 * bench-chain: libuv's file requests, each begun in the callback of the one before. libuv performs them on its thread
 * pool; UV_THREADPOOL_SIZE in the environment sets its size (libuv's default: 4).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "chain.h"

struct flight {
    uv_fs_t request;
    uv_buf_t buffer;
    uv_file fd;
    uint32_t file;
};

static struct chain_bench bench;

static void begin(struct flight *flight);

static void closed(uv_fs_t *request)
{
    struct flight *flight = request->data;
    uv_fs_req_cleanup(request);
    begin(flight);
}

static void have_read(uv_fs_t *request)
{
    struct flight *flight = request->data;
    chain_check(&bench, flight->file, flight->buffer.base, request->result);
    uv_fs_req_cleanup(request);
    uv_fs_close(request->loop, request, flight->fd, closed);
}

static void opened(uv_fs_t *request)
{
    struct flight *flight = request->data;
    if (request->result < 0) {
        chain_die(bench.paths[flight->file], (int)-request->result);
    }
    flight->fd = (uv_file)request->result;
    uv_fs_req_cleanup(request);
    uv_fs_read(request->loop, request, flight->fd, &flight->buffer, 1, 0, have_read);
}

static void begin(struct flight *flight)
{
    flight->file = chain_next(&bench);
    if (flight->file != CHAIN_NONE) {
        uv_fs_open(uv_default_loop(), &flight->request, bench.paths[flight->file], O_RDONLY | O_CLOEXEC, 0, opened);
    }
}

int main(int argc, char **argv)
{
    static char variant[48];
    chain_setup(&bench, argc, argv);
    const char *threads = getenv("UV_THREADPOOL_SIZE");
    snprintf(variant, sizeof variant, "%.20s threads", threads ? threads : "4");
    bench.variant = variant;
    if (fchdir(bench.dir_fd) != 0) { /* uv_fs_open() takes no directory */
        chain_die("fchdir", 0);
    }
    struct flight *flights = calloc(bench.flight, sizeof *flights);
    char *memory = aligned_alloc(4096, (size_t)bench.flight * CHAIN_BYTES);
    if (!flights || !memory) {
        chain_die("memory", 0);
    }
    uv_loop_t *loop = uv_default_loop();
    chain_start(&bench);
    for (uint32_t i = 0; i < bench.flight; i++) {
        flights[i].buffer = uv_buf_init(memory + (size_t)i * CHAIN_BYTES, CHAIN_BYTES);
        flights[i].request.data = &flights[i];
        begin(&flights[i]);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    chain_report(&bench, "libuv");
    free(flights);
    free(memory);
}
