/* SPDX-License-Identifier: MIT */
/* The source of arriving data: pieces, buffers that run out, the end of the stream; paused, resumed, stopped. */
#include "support.h"

#include <netinet/in.h>

TEST_EACH_BACKEND(receives)
{
    errand_queue *queue =
        open_queue(backend, &(struct errand_queue_options){.receive_size = 4096, .receive_buffers = 4});
    errand_source *source;
    int sockets[2], mark;
    size_t total = 300000, got = 0, sent = 0;
    unsigned char *data = malloc(total);
    pattern_fill(data, total, 3, 0);
    make_pair(PAIR_TCP, sockets);
    CHECK_INT(errand_source_receive(queue, sockets[0], &mark, &source), 0);
    no_event(queue);
    while (got < total) {
        while (sent < total) {
            ssize_t n = send(sockets[1], data + sent, total - sent, MSG_DONTWAIT);
            if (n <= 0)
                break;
            sent += (size_t)n;
        }
        struct errand_event event = next_event(queue);
        check_source_event(&event, ERRAND_EVENT_DATA, &mark);
        REQUIRE(event.bytes > 0 && event.bytes <= 4096 && got + event.bytes <= total);
        REQUIRE_INT(pattern_check(event.data, event.bytes, 3, got), event.bytes);
        got += event.bytes;
    }
    CHECK_INT(errand_source_pause(source), 0);
    CHECK_INT(send(sockets[1], "late", 4, 0), 4);
    no_event(queue);
    CHECK_INT(errand_source_resume(source), 0);
    struct errand_event event = next_event(queue);
    CHECK_INT(event.bytes, 4);
    CHECK_BYTES(event.data, "late", 4);
    shutdown(sockets[1], SHUT_WR);
    event = next_event(queue);
    check_source_event(&event, ERRAND_EVENT_DATA, &mark);
    CHECK_INT(event.bytes, 0);
    no_event(queue); /* the end is said once */
    CHECK_INT(errand_source_stop(source), 0);
    close(sockets[0]);
    close(sockets[1]);
    free(data);
    close_queue(queue);
}

TEST_EACH_BACKEND(receive_reports_a_reset)
{
    errand_queue *queue = open_queue(backend, NULL);
    errand_source *source;
    int sockets[2];
    make_pair(PAIR_TCP, sockets);
    CHECK_INT(errand_source_receive(queue, sockets[0], NULL, &source), 0);
    no_event(queue);
    setsockopt(sockets[1], SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(sockets[1]);
    struct errand_event event = next_event(queue);
    CHECK_INT(event.kind, ERRAND_EVENT_DATA);
    CHECK_INT(event.error, -ECONNRESET);
    no_event(queue);
    CHECK_INT(errand_source_stop(source), 0);
    close(sockets[0]);
    close_queue(queue);
}

/* Many connections share few buffers; each gets its own bytes; the pieces of one fetch do not overlap. */
TEST_EACH_BACKEND(receives_on_many)
{
    enum { count = 200, most = 16 };
    errand_queue *queue =
        open_queue(backend, &(struct errand_queue_options){.receive_size = 256, .receive_buffers = 8});
    errand_source *sources[count];
    int pairs[count][2];
    size_t got[count] = {0};
    unsigned char data[1000];
    for (uintptr_t i = 0; i < count; i++) {
        make_pair(PAIR_UNIX, pairs[i]);
        REQUIRE_INT(errand_source_receive(queue, pairs[i][0], (void *)i, &sources[i]), 0);
    }
    no_event(queue);
    for (unsigned i = 0; i < count; i++) {
        pattern_fill(data, sizeof data, i, 0);
        CHECK_INT(send(pairs[i][1], data, sizeof data, 0), sizeof data);
    }
    for (size_t total = 0; total < count * sizeof data;) {
        struct errand_event events[most];
        int n = errand_queue_wait(queue, events, most, 10 * ERRAND_SECOND);
        REQUIRE(n > 0);
        for (int j = 0; j < n; j++) {
            uintptr_t i = (uintptr_t)events[j].user_data;
            REQUIRE(events[j].kind == ERRAND_EVENT_DATA && !events[j].error && events[j].bytes && i < count);
            REQUIRE_INT(pattern_check(events[j].data, events[j].bytes, i, got[i]), events[j].bytes);
            got[i] += events[j].bytes;
            total += events[j].bytes;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK_INT(errand_source_stop(sources[i]), 0);
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    close_queue(queue);
}

/* Data that found no buffer free, and then: pause, resume and stop at every moment. */
TEST_EACH_BACKEND(receives_without_buffers)
{
    enum { count = 8 };
    for (unsigned turn = 0; turn < 4; turn++) {
        errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.receive_buffers = 1});
        errand_source *sources[count];
        int sockets[count][2];
        bool has[count] = {false};
        harness_at("turn %u", turn);
        for (uintptr_t i = 0; i < count; i++) {
            make_pair(PAIR_UNIX, sockets[i]);
            REQUIRE_INT(errand_source_receive(queue, sockets[i][0], (void *)i, &sources[i]), 0);
        }
        no_event(queue); /* they wait */
        for (unsigned i = 0; i < count; i++)
            CHECK_INT(send(sockets[i][1], "data", 4, 0), 4);
        for (unsigned i = 0; i < turn; i++)
            has[(uintptr_t)next_event(queue).user_data] = true;
        for (unsigned i = 0; i < count; i++) {
            CHECK_INT(errand_source_pause(sources[i]), 0);
            if (turn % 2)
                CHECK_INT(errand_source_resume(sources[i]), 0);
        }
        if (turn > 0) { /* nothing was lost */
            for (unsigned i = 0; i < count; i++)
                CHECK_INT(errand_source_resume(sources[i]), 0);
            for (unsigned i = turn; i < count; i++) {
                struct errand_event event = next_event(queue);
                CHECK_INT(event.bytes, 4);
                CHECK(!has[(uintptr_t)event.user_data]);
                has[(uintptr_t)event.user_data] = true;
            }
        }
        for (unsigned i = 0; i < count; i++) {
            CHECK_INT(errand_source_stop(sources[i]), 0);
            close(sockets[i][0]);
            close(sockets[i][1]);
        }
        close_queue(queue);
    }
}
