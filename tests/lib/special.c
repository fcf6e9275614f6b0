/* SPDX-License-Identifier: MIT */
/* Files that are not like most: directories, FIFOs, places, those that say little of themselves or strange things. */
#include "support.h"

/* Kinds of files that cannot be read at an offset say so at once. */
TEST_EACH_BACKEND(special_files)
{
    errand_queue *queue = open_queue(backend, NULL);
    char buffer[16];
    REQUIRE_CALL(mkdir(path_of("directory"), 0755));
    REQUIRE_CALL(mkfifo(path_of("fifo"), 0644));
    int root = add_root(queue, harness_directory(), 0);
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    for (unsigned turn = 0; turn < 6; turn++) {
        bool send = turn % 3 == 1, looked = turn % 3 == 2;
        const char *name = turn < 3 ? "directory" : "fifo";
        harness_at("%s, %s", name, send ? "sendfile" : looked ? "stat and read" : "read");
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, root, name, O_RDONLY, 0);
        if (looked)
            errand_step_stat(chain, ERRAND_SLOT(0), NULL);
        if (send)
            errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
        else
            errand_step_read(chain, ERRAND_SLOT(0), buffer, sizeof buffer, 0, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, turn < 3 ? -EISDIR : -ESPIPE, looked ? 2 : 1, 0);
    }
    close(sockets[0]);
    close(sockets[1]);
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* Nobody opens the other end of the FIFO: neither end may wait for it. */
TEST_EACH_BACKEND(fifo_without_its_other_end)
{
    errand_queue *queue = open_queue(backend, NULL);
    REQUIRE_CALL(mkfifo(path_of("fifo"), 0644));
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path_of("fifo"), O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), NULL);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path_of("fifo"), O_WRONLY, 0);
    submit(chain, NULL, 0);
    event = next_event(queue);
    CHECK_EVENT(event, -ENXIO, 0, 0);
    close_queue(queue);
}

TEST_EACH_BACKEND(opens_as_a_place_only)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("one", 100, 1);
    int root = add_root(queue, harness_directory(), 0);
    struct errand_stat stat = {0};
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, root, "one", O_PATH, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), &stat);
    errand_step_hand_over(chain, ERRAND_SLOT(0));
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    CHECK_INT(stat.bytes, 100);
    char byte;
    CHECK(read(event.fd, &byte, 1) < 0 && errno == EBADF);
    close(event.fd);
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* A filesystem may have later times than 64 bits of nanoseconds. */
TEST_EACH_BACKEND(times_far_away)
{
    errand_queue *queue = open_queue(backend, NULL);
    int fd = (int)REQUIRE_CALL(open(make_file("one", 1, 1), O_RDWR));
    struct timespec times[2] = {{.tv_sec = 13600000000}, {.tv_sec = 13600000000}};
    REQUIRE_CALL(futimens(fd, times));
    struct stat expected;
    REQUIRE_CALL(fstat(fd, &expected));
    struct errand_stat stat = {0};
    errand_chain *chain = new_chain(queue);
    errand_step_stat(chain, fd, &stat);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    bool fits = expected.st_mtim.tv_sec < INT64_MAX / ERRAND_SECOND; /* not every filesystem can tell it */
    CHECK_INT(stat.modified_ns, fits ? expected.st_mtim.tv_sec * ERRAND_SECOND : INT64_MAX);
    close(fd);
    close_queue(queue);
}

/* Of a file that says it is empty and is not. */
TEST_EACH_BACKEND(size_untold)
{
    errand_queue *queue = open_queue(backend, NULL);
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    struct peer peer = {.socket = sockets[1]};
    errand_chain *chain = new_chain(queue);
    struct errand_stat stat;
    errand_step_open(chain, AT_FDCWD, "/proc/self/status", O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), &stat);
    errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, NULL, 0, 0);
    submit(chain, NULL, 0);
    struct errand_event event = next_event_with(queue, &peer);
    CHECK_INT(event.error, 0);
    CHECK_INT(stat.bytes, 0);
    CHECK(event.bytes > 100);
    close(sockets[0]);
    peer_take_all(&peer);
    CHECK_INT(peer.length, event.bytes);
    peer_free(&peer);
    close_queue(queue);
}

/* O_DIRECT asks for aligned memory, which is the library's own: the caller's need not be. */
TEST_EACH_BACKEND(direct)
{
    enum { size = 3 * 4096 + 100, room = 16384 };
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    make_file("file", size, 9);
    unsigned char *memory = malloc(room + 1), *data = memory + 1;
    int fd = open(path_of("file"), O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        SKIP("this filesystem has no O_DIRECT");
    close(fd);
    for (unsigned rooted = 0; rooted < 2; rooted++) {
        int dir_fd = rooted ? root : AT_FDCWD;
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, dir_fd, rooted ? "file" : path_of("file"), O_RDONLY | O_DIRECT, 0);
        errand_step_read(chain, ERRAND_SLOT(0), data, room, 0, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, size);
        CHECK_INT(pattern_check(data, size, 9, 0), size);
        pattern_fill(data, 8192, 10, 0);
        chain = new_chain(queue);
        errand_step_open(chain, dir_fd, rooted ? "new" : path_of("new"), O_RDWR | O_CREAT | O_DIRECT, 0600);
        errand_step_write(chain, ERRAND_SLOT(0), data, 8192, 4096);
        submit(chain, NULL, 0);
        event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 8192);
        errand_step_open(chain = new_chain(queue), AT_FDCWD, path_of("new"), O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(0), data, room, 4096, 0);
        submit(chain, NULL, 0);
        event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 8192);
        CHECK_INT(pattern_check(data, 8192, 10, 0), 8192);
    }
    free(memory);
    errand_root_remove(queue, root);
    close_queue(queue);
}
