/* SPDX-License-Identifier: MIT */
/* The steps of sockets: send, receive, sendfile, shutdown; what they move, count, and say at the end. */
#include "support.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>

TEST_EACH_BACKEND(send_and_receive)
{
    errand_queue *queue = open_queue(backend, NULL);
    for (int kind = PAIR_UNIX; kind <= PAIR_TCP; kind++) {
        int sockets[2];
        char buffer[32] = "";
        make_pair(kind, sockets);
        errand_chain *chain = new_chain(queue);
        CHECK_INT(errand_step_send(chain, sockets[0], "question", 8, 0), 0);
        CHECK_INT(errand_step_receive(chain, sockets[0], buffer, 6, ERRAND_EXACT), 1);
        submit(chain, NULL, 0);
        no_event(queue);
        CHECK_INT(recv(sockets[1], buffer + 16, 16, 0), 8);
        CHECK_STR(buffer + 16, "question");
        CHECK_INT(send(sockets[1], "ans", 3, 0), 3);
        no_event(queue);
        CHECK_INT(send(sockets[1], "wer!", 4, 0), 4);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 14);
        CHECK_STR(buffer, "answer");
        CHECK_INT(recv(sockets[0], buffer, 16, MSG_DONTWAIT), 1); /* not a byte more than was asked for */
        close(sockets[0]);
        close(sockets[1]);
    }
    close_queue(queue);
}

TEST_EACH_BACKEND(receive_flags)
{
    static const struct {
        unsigned flags;
        size_t there;
        bool end;
        int error;
        size_t bytes;
    } cases[] = {
        {0, 10, true, 0, 10},
        {0, 20, false, 0, 20},
        {0, 0, true, 0, 0},
        {ERRAND_SOME, 3, false, 0, 3},
        {ERRAND_SOME, 0, true, 0, 0},
        {ERRAND_SOME, 30, false, 0, 20},
        {ERRAND_EXACT, 20, true, 0, 20},
        {ERRAND_EXACT, 19, true, -ENODATA, 19},
        {ERRAND_EXACT, 0, true, -ENODATA, 0},
    };
    errand_queue *queue = open_queue(backend, NULL);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        int sockets[2];
        unsigned char buffer[20], data[30];
        harness_at("case %u", i);
        pattern_fill(data, sizeof data, i, 0);
        make_pair(i % 2 ? PAIR_TCP : PAIR_UNIX, sockets);
        errand_chain *chain = new_chain(queue);
        errand_step_receive(chain, sockets[0], buffer, sizeof buffer, cases[i].flags);
        submit(chain, NULL, 0);
        no_event(queue);
        if (cases[i].there)
            CHECK_INT(send(sockets[1], data, cases[i].there, 0), cases[i].there);
        if (cases[i].end)
            shutdown(sockets[1], SHUT_WR);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, cases[i].error, cases[i].error ? 0 : -1, cases[i].bytes);
        CHECK_INT(pattern_check(buffer, cases[i].bytes, i, 0), cases[i].bytes);
        close(sockets[0]);
        close(sockets[1]);
    }
    close_queue(queue);
}

/* More than the socket holds, to a peer that takes it in small pieces. */
TEST_EACH_BACKEND(send_big_to_slow_reader)
{
    errand_queue *queue = open_queue(backend, NULL);
    size_t length = 3 * MIB + 11;
    unsigned char *data = malloc(length);
    pattern_fill(data, length, 5, 0);
    for (int kind = PAIR_UNIX; kind <= PAIR_TCP; kind++) {
        int sockets[2];
        make_pair(kind, sockets);
        struct peer peer = {.socket = sockets[1], .most = 50000};
        errand_chain *chain = new_chain(queue);
        errand_step_send(chain, sockets[0], data, length, 0);
        errand_step_shutdown(chain, sockets[0], SHUT_WR);
        submit(chain, NULL, 0);
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_EVENT(event, 0, -1, length);
        peer_take_all(&peer);
        CHECK_INT(peer.length, length);
        CHECK_INT(pattern_check(peer.data, peer.length, 5, 0), length);
        peer_free(&peer);
        close(sockets[0]);
    }
    free(data);
    close_queue(queue);
}

static void sendfile_once(errand_queue *queue, int root, const char *name, size_t size, size_t head_length,
                          int64_t offset, int64_t length, enum pair_kind kind, size_t most)
{
    int sockets[2];
    unsigned char *head = malloc(head_length + 1);
    size_t left = (uint64_t)offset < size ? size - (size_t)offset : 0;
    size_t body = length == ERRAND_TO_END || (size_t)length > left ? left : (size_t)length;
    harness_at("size %zu, head %zu, offset %lld, length %lld, %s, reader %zu", size, head_length, (long long)offset,
               (long long)length, kind ? "TCP" : "UNIX", most);
    pattern_fill(head, head_length, 1000, 0);
    make_pair(kind, sockets);
    struct peer peer = {.socket = sockets[1], .most = most};
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, root, name, O_RDONLY, 0);
    errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), offset, length, head_length ? head : NULL, head_length, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    errand_step_shutdown(chain, sockets[0], SHUT_WR);
    submit(chain, NULL, 0);
    struct errand_event event = next_event_with(queue, &peer);
    CHECK_EVENT(event, 0, -1, head_length + body);
    peer_take_all(&peer);
    if (CHECK_INT(peer.length, head_length + body)) {
        CHECK_INT(pattern_check(peer.data, head_length, 1000, 0), head_length);
        CHECK_INT(pattern_check(peer.data + head_length, body, size, (uint64_t)offset), body);
    }
    peer_free(&peer);
    close(sockets[0]);
    free(head);
}

/* Head and file together at, below and above every size at which something changes inside. */
TEST_EACH_BACKEND(sendfile_at_boundaries)
{
    static const size_t edges[] = {0, 4096, 16384, 65536, 262144, 2 * MIB};
    static const size_t heads[] = {0, 1, 200, 4096, 16000, 100000};
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned i = 0; i < sizeof edges / sizeof *edges; i++) {
        for (int around = -1; around <= 1; around++) {
            if (!edges[i] && around < 0)
                continue;
            size_t size = edges[i] + (size_t)around;
            char name[32];
            snprintf(name, sizeof name, "f%zu", size);
            make_file(name, size, size);
            for (unsigned j = 0; j < sizeof heads / sizeof *heads && !harness_failures(); j++) {
                sendfile_once(queue, root, name, size, heads[j], 0, ERRAND_TO_END, (i + j) % 2, 0);
                /* A file so long that head and file together make up the edge. */
                if (heads[j] && size > heads[j])
                    sendfile_once(queue, root, name, size, heads[j], 0, (int64_t)(size - heads[j]), (i + j + 1) % 2, 0);
            }
            REQUIRE_CALL(unlink(path_of(name)));
        }
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(sendfile_ranges)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    static const int64_t offsets[] = {0, 1, 4095, 4096, 99999, 100000, 100001, INT64_C(1) << 40};
    static const int64_t lengths[] = {0, 1, 4096, 50000, 100000, 200000, ERRAND_TO_END};
    make_file("file", 100000, 100000);
    for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++)
        for (unsigned j = 0; j < sizeof lengths / sizeof *lengths; j++)
            sendfile_once(queue, root, "file", 100000, j % 2 ? 100 : 0, offsets[i], lengths[j], (i + j) % 2, 0);
    errand_root_remove(queue, root);
    close_queue(queue);
}

TEST_EACH_BACKEND(sendfile_big_to_slow_reader)
{
    errand_queue *queue = open_queue(backend, NULL);
    int root = add_root(queue, harness_directory(), 0);
    make_file("big", 9 * MIB + 13, 9 * MIB + 13);
    sendfile_once(queue, root, "big", 9 * MIB + 13, 300, 0, ERRAND_TO_END, PAIR_TCP, 60000);
    sendfile_once(queue, root, "big", 9 * MIB + 13, 300, 0, ERRAND_TO_END, PAIR_UNIX, 60000);
    /* From a cold cache too: what was shown to be resident is not. */
    for (int kind = PAIR_UNIX; kind <= PAIR_TCP; kind++) {
        int file = open(path_of("big"), O_RDONLY | O_CLOEXEC);
        fdatasync(file);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        close(file);
        sendfile_once(queue, root, "big", 9 * MIB + 13, 0, 5, ERRAND_TO_END, kind, 0);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* From a descriptor of the caller's whose file offset must stay where it is. */
TEST_EACH_BACKEND(sendfile_callers_file)
{
    errand_queue *queue = open_queue(backend, NULL);
    int sockets[2];
    make_pair(PAIR_TCP, sockets);
    int file = open(make_file("file", 300000, 7), O_RDONLY | O_CLOEXEC);
    lseek(file, 77, SEEK_SET);
    struct peer peer = {.socket = sockets[1]};
    errand_chain *chain = new_chain(queue);
    errand_step_sendfile(chain, sockets[0], file, 1000, 200000, NULL, 0, ERRAND_EXACT);
    submit(chain, NULL, 0);
    struct errand_event event = next_event_with(queue, &peer);
    CHECK_EVENT(event, 0, -1, 200000);
    close(sockets[0]);
    peer_take_all(&peer);
    CHECK_INT(peer.length, 200000);
    CHECK_INT(pattern_check(peer.data, peer.length, 7, 1000), 200000);
    CHECK_INT(lseek(file, 0, SEEK_CUR), 77);
    peer_free(&peer);
    close(file);
    close_queue(queue);
}

TEST_EACH_BACKEND(sendfile_exact)
{
    errand_queue *queue = open_queue(backend, NULL);
    static const size_t sizes[] = {0, 999, 70000, 700000};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int sockets[2];
        harness_at("size %zu", sizes[i]);
        make_pair(PAIR_TCP, sockets);
        const char *path = make_file("file", sizes[i], 7);
        struct peer peer = {.socket = sockets[1]};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
        errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, (int64_t)sizes[i] + 1, "head", 4, ERRAND_EXACT);
        submit(chain, NULL, 0);
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_EVENT(event, -ENODATA, 1, 4 + sizes[i]);
        close(sockets[0]);
        peer_take_all(&peer);
        CHECK_INT(peer.length, event.bytes);
        peer_free(&peer);
    }
    close_queue(queue);
}

/* Steps that say that more follows arrive whole and in order. */
TEST_EACH_BACKEND(more_follows)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("file", 5000, 7);
    int sockets[2];
    make_pair(PAIR_TCP, sockets);
    struct peer peer = {.socket = sockets[1]};
    errand_chain *chain = new_chain(queue);
    errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
    errand_step_send(chain, sockets[0], "a", 1, ERRAND_MORE);
    errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, 2000, "b", 1, ERRAND_MORE);
    errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 2000, 3000, NULL, 0, ERRAND_MORE);
    errand_step_send(chain, sockets[0], "c", 1, 0);
    submit(chain, NULL, 0);
    struct errand_event event = next_event_with(queue, &peer);
    CHECK_EVENT(event, 0, -1, 5003);
    close(sockets[0]);
    peer_take_all(&peer);
    if (CHECK_INT(peer.length, 5003)) {
        CHECK_BYTES(peer.data, "ab", 2);
        CHECK_INT(pattern_check(peer.data + 2, 5000, 7, 0), 5000);
        CHECK_BYTES(peer.data + 5002, "c", 1);
    }
    peer_free(&peer);
    close_queue(queue);
}

TEST_EACH_BACKEND(shut_down)
{
    errand_queue *queue = open_queue(backend, NULL);
    int sockets[2];
    char byte;
    make_pair(PAIR_TCP, sockets);
    errand_chain *chain = new_chain(queue);
    errand_step_shutdown(chain, sockets[0], SHUT_WR);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 0);
    fcntl(sockets[1], F_SETFL, 0);
    CHECK_INT(recv(sockets[1], &byte, 1, 0), 0);
    /* What cannot be shut down says so. */
    int lone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    chain = new_chain(queue);
    errand_step_shutdown(chain, lone, SHUT_RDWR);
    submit(chain, NULL, 0);
    event = next_event(queue);
    CHECK_EVENT(event, -ENOTCONN, 0, 0);
    close(lone);
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}

/* The peer goes away in the middle: an error with the count of what was accepted, and never SIGPIPE, which is at its
 * default here. */
TEST_EACH_BACKEND(peer_goes_away)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("big", 20 * MIB, 7);
    unsigned char *data = calloc(1, 4 * MIB);
    signal(SIGPIPE, SIG_DFL);
    for (unsigned i = 0; i < 8; i++) {
        int sockets[2];
        bool file = i % 2, early = i / 2 % 2;
        harness_at("%s, gone %s, %s", file ? "sendfile" : "send", early ? "before" : "in the middle",
                   i / 4 ? "TCP" : "UNIX");
        make_pair(i / 4 ? PAIR_TCP : PAIR_UNIX, sockets);
        if (early)
            close(sockets[1]);
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
        if (file)
            errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, ERRAND_TO_END, "head", 4, 0);
        else
            errand_step_send(chain, sockets[0], data, 4 * MIB, 0);
        errand_step_send(chain, sockets[0], data, 4 * MIB, 0);
        submit(chain, NULL, 0);
        if (!early) {
            no_event(queue);
            CHECK(recv(sockets[1], data, 1000, MSG_DONTWAIT) != 0);
            close(sockets[1]);
        }
        struct errand_event event = next_event(queue);
        CHECK(event.error == -EPIPE || event.error == -ECONNRESET);
        CHECK(event.step == 1 || (event.step == 2 && i / 4));
        CHECK(event.bytes < 20 * MIB);
        CHECK_INT(event.fd, -1);
        close(sockets[0]);
    }
    free(data);
    close_queue(queue);
}

TEST_EACH_BACKEND(not_a_socket)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("file", 100, 7);
    char buffer[10];
    int file = open(path, O_RDWR | O_CLOEXEC);
    for (unsigned i = 0; i < 6; i++) {
        harness_at("case %u", i);
        int socket = i % 2 ? file : 9999;
        errand_chain *chain = new_chain(queue);
        if (i / 2 == 0)
            errand_step_send(chain, socket, "x", 1, 0);
        else if (i / 2 == 1)
            errand_step_receive(chain, socket, buffer, 10, 0);
        else
            errand_step_sendfile(chain, socket, file, 0, 10, "x", 1, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, i % 2 ? -ENOTSOCK : -EBADF, 0, 0);
    }
    close(file);
    close_queue(queue);
}

static bool all_sent(void *context)
{
    int unsent = -1;
    return ioctl(*(int *)context, SIOCOUTQNSD, &unsent) == 0 && unsent == 0;
}

/* Bytes are held back in the socket (MSG_MORE) only for bytes that come: here the range ends behind the file. */
TEST_EACH_BACKEND(last_bytes_are_not_held_back)
{
    errand_queue *queue = open_queue(backend, NULL);
    make_file("file", 5000, 7);
    make_file("empty", 0, 7);
    int root = add_root(queue, harness_directory(), 0);
    for (unsigned turn = 0; turn < 8; turn++) {
        bool empty = turn & 1, to_end = turn & 2, looked = turn & 4;
        harness_at("%s, %s, %s", empty ? "empty" : "file", to_end ? "to its end" : "10000", looked ? "stat" : "");
        int sockets[2], on = 1;
        make_pair(PAIR_TCP, sockets);
        setsockopt(sockets[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer peer = {.socket = sockets[1]};
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, looked ? AT_FDCWD : root,
                         looked  ? path_of(empty ? "empty" : "file")
                         : empty ? "empty"
                                 : "file",
                         O_RDONLY, 0);
        if (looked)
            errand_step_stat(chain, ERRAND_SLOT(0), NULL);
        errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), 0, to_end ? ERRAND_TO_END : 10000, "head", 4, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event_with(queue, &peer);
        CHECK_EVENT(event, 0, -1, empty ? 4 : 5004);
        CHECK(harness_eventually(all_sent, &sockets[0], 100)); /* held back ones stay for 200 ms */
        close(sockets[0]);
        peer_take_all(&peer);
        CHECK_INT(peer.length, empty ? 4 : 5004);
        peer_free(&peer);
    }
    errand_root_remove(queue, root);
    close_queue(queue);
}

/* From where no file reaches to its end there is nothing, not an error. */
TEST_EACH_BACKEND(sendfile_from_far_away)
{
    errand_queue *queue = open_queue(backend, NULL);
    const char *path = make_file("file", 5000, 7);
    int sockets[2];
    make_pair(PAIR_UNIX, sockets);
    for (unsigned turn = 0; turn < 2; turn++) {
        errand_chain *chain = new_chain(queue);
        errand_step_open(chain, AT_FDCWD, path, O_RDONLY, 0);
        errand_step_sendfile(chain, sockets[0], ERRAND_SLOT(0), INT64_MAX - (turn ? 10 : 0), ERRAND_TO_END, "head", 4,
                             0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(queue);
        CHECK_EVENT(event, 0, -1, 4);
    }
    close(sockets[0]);
    close(sockets[1]);
    close_queue(queue);
}
