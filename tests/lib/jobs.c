/* SPDX-License-Identifier: MIT */
/* The ready-made jobs: errand_send_file() and errand_read_file(). */
#include "support.h"

TEST_EACH_BACKEND(send_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    static const size_t sizes[] = {0, 1, 5000, 65537, 1 * MIB + 3};
    int root = add_root(queue, harness_directory(), 0), mark;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned variant = 0; variant < 8; variant++) {
            int sockets[2];
            bool hand_over = variant & 1, head = variant & 2, part = variant & 4;
            size_t size = sizes[i], offset = part ? size / 3 : 0, length = part ? size / 2 : size;
            harness_at("size %zu, variant %u", size, variant);
            make_file("file", size, i);
            make_pair(PAIR_TCP, sockets);
            struct peer peer = {.socket = sockets[1]};
            errand_id id = 0;
            struct errand_send_file job = {
                .size = sizeof job,
                .dir_fd = root,
                .socket = sockets[0],
                .path = "file",
                .offset = (int64_t)offset,
                .length = part ? (int64_t)length : ERRAND_TO_END,
                .head = head ? "head" : NULL,
                .head_length = head ? 4 : 0,
                .finish = hand_over ? ERRAND_HAND_OVER : ERRAND_CLOSE,
                .user_data = &mark,
            };
            CHECK_INT(errand_send_file(queue, &job, &id), 0);
            memset(&job, 0xFF, sizeof job); /* it was copied */
            struct errand_event event = next_event_with(queue, &peer);
            size_t before = head ? 4 : 0;
            CHECK_EVENT(event, 0, -1, before + length);
            CHECK(event.id == id && id);
            CHECK(event.user_data == &mark);
            CHECK_INT(event.fd >= 0, hand_over);
            if (event.fd >= 0) {
                char byte;
                CHECK_INT(pread(event.fd, &byte, 1, 0), size > 0);
                close(event.fd);
            }
            close(sockets[0]);
            peer_take_all(&peer);
            if (CHECK_INT(peer.length, before + length))
                CHECK_INT(pattern_check(peer.data + before, length, i, offset), length);
            peer_free(&peer);
        }
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(read_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    static unsigned char buffer[400000];
    static const size_t sizes[] = {0, 1, 4096, 70000, 390000};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file("file", sizes[i], i);
        for (unsigned variant = 0; variant < 8; variant++) {
            size_t offset = variant & 1 ? 100 : 0, there = sizes[i] > offset ? sizes[i] - offset : 0;
            size_t length = variant & 4 ? sizes[i] / 2 : sizeof buffer, expected = there < length ? there : length;
            harness_at("size %zu, variant %u", sizes[i], variant);
            memset(buffer, 0xEE, sizeof buffer);
            struct errand_read_file job = {
                .size = sizeof job,
                .dir_fd = variant & 2 ? root : AT_FDCWD,
                .path = variant & 2 ? "file" : path_of("file"),
                .buffer = buffer,
                .length = length,
                .offset = (int64_t)offset,
            };
            CHECK_INT(errand_read_file(queue, &job, NULL), 0);
            struct errand_event event = next_event(queue);
            CHECK_EVENT(event, 0, -1, expected);
            CHECK_INT(event.fd, -1);
            CHECK_INT(pattern_check(buffer, expected, i, offset), expected);
            CHECK(expected == sizeof buffer || buffer[expected] == 0xEE);
            job.finish = ERRAND_HAND_OVER;
            CHECK_INT(errand_read_file(queue, &job, NULL), 0);
            event = next_event(queue);
            CHECK_EVENT(event, 0, -1, expected);
            if (CHECK(event.fd >= 0))
                close(event.fd);
            job.flags = ERRAND_EXACT;
            CHECK_INT(errand_read_file(queue, &job, NULL), 0);
            event = next_event(queue);
            CHECK_INT(event.error, expected < length ? -ENODATA : 0);
            CHECK_INT(event.bytes, expected);
            CHECK_INT(event.fd >= 0, !event.error);
            if (event.fd >= 0)
                close(event.fd);
        }
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(errors_as_events)
{
    errand_queue *queue = open_queue(backend, NULL);
    int sockets[2];
    char buffer[10];
    make_pair(PAIR_UNIX, sockets);
    struct errand_send_file send = {
        .size = sizeof send, .dir_fd = AT_FDCWD, .socket = sockets[0], .path = path_of("absent"), .length = 10};
    CHECK_INT(errand_send_file(queue, &send, NULL), 0);
    struct errand_event event = next_event(queue);
    CHECK_INT(event.error, -ENOENT);
    CHECK_INT(event.step_kind, ERRAND_STEP_OPEN);
    send.path = harness_directory();
    CHECK_INT(errand_send_file(queue, &send, NULL), 0);
    event = next_event(queue);
    CHECK_INT(event.error, -EISDIR);
    CHECK_INT(event.step_kind, ERRAND_STEP_SENDFILE);
    struct errand_read_file read = {
        .size = sizeof read, .dir_fd = AT_FDCWD, .path = harness_directory(), .buffer = buffer, .length = 10};
    CHECK_INT(errand_read_file(queue, &read, NULL), 0);
    event = next_event(queue);
    CHECK_INT(event.error, -EISDIR);
    CHECK_INT(event.step_kind, ERRAND_STEP_READ);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

/* Hundreds at once, from a warm and from a cold cache, through one queue. */
TEST_EACH_BACKEND(many_at_once)
{
    errand_queue *queue = open_queue(backend, NULL);
    enum { files = 300 };
    static unsigned char buffers[files][9000];
    bool seen[files];
    int root = add_root(queue, harness_directory(), 0);
    char name[16];
    for (unsigned i = 0; i < files; i++) {
        snprintf(name, sizeof name, "f%u", i);
        make_file(name, 8000 + i, i);
    }
    for (unsigned turn = 0; turn < (long_runs() ? 200 : 10); turn++) {
        memset(seen, 0, sizeof seen);
        for (unsigned i = 0; i < files; i++) {
            snprintf(name, sizeof name, "f%u", i);
            if (turn % 3 == 2 && i % 7 == 0) {
                int file = open(path_of(name), O_RDONLY | O_CLOEXEC);
                fdatasync(file);
                posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
                close(file);
            }
            struct errand_read_file job = {.size = sizeof job,
                                           .dir_fd = i % 5 ? root : AT_FDCWD,
                                           .path = i % 5 ? name : path_of(name),
                                           .buffer = buffers[i],
                                           .length = sizeof buffers[i],
                                           .user_data = (void *)(uintptr_t)i};
            CHECK_INT(errand_read_file(queue, &job, NULL), 0);
        }
        for (unsigned i = 0; i < files; i++) {
            struct errand_event event = next_event(queue);
            uintptr_t which = (uintptr_t)event.user_data;
            CHECK_EVENT(event, 0, -1, 8000 + which);
            REQUIRE(which < files && !seen[which]);
            seen[which] = true;
            CHECK_INT(pattern_check(buffers[which], event.bytes, which, 0), event.bytes);
        }
        check_idle(queue);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}
