/* SPDX-License-Identifier: MIT */
/* The load generator's data connections. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a socket gives or takes at once; and one more round of the pattern, to begin anywhere in it. */
enum { PIECE = 1 << 20, PATTERN = 256 };

static unsigned char piece[PIECE + PATTERN], wanted[PIECE];

/* What is stored: each byte is its place in the file, modulo 256. */
void make_pattern(void)
{
    for (unsigned i = 0; options.store && i < sizeof piece; i++) {
        piece[i] = (unsigned char)i;
    }
}

void open_data(struct session *session, unsigned port)
{
    session->data = connect_to(port);
    poll_for(session->data, session->action == STORE ? EPOLLOUT : EPOLLIN, tag(session, true));
    if (!options.check || session->action != RETRIEVE) {
        return;
    }
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", options.check, session->path->name);
    session->file = open(path, O_RDONLY | O_CLOEXEC);
    if (session->file < 0) {
        die(path, errno);
    }
}

void close_data(struct session *session)
{
    if (session->data >= 0) {
        close(session->data);
    }
    if (session->file >= 0) {
        close(session->file);
    }
    session->data = session->file = -1;
}

static void end(struct session *session)
{
    close_data(session);
    session->ended = true;
    transfer_over(session);
}

static bool is_as_wanted(const struct session *session, size_t length)
{
    return pread(session->file, wanted, length, (off_t)session->moved) == (ssize_t)length &&
           memcmp(piece, wanted, length) == 0;
}

static void receive(struct session *session)
{
    ssize_t got = recv(session->data, piece, PIECE, session->file < 0 ? MSG_TRUNC : 0); /* that copies nothing */
    if (got > 0 && session->file >= 0 && !is_as_wanted(session, (size_t)got)) {
        give_up(session, &load.wrong_body, "wrong content");
    } else if (got > 0) {
        session->moved += (uint64_t)got;
    } else if (got == 0) {
        end(session);
    } else if (errno != EAGAIN) {
        give_up(session, &load.closed, strerror(errno));
    }
}

static void store(struct session *session)
{
    uint64_t left = session->path->bytes - session->moved;
    ssize_t sent = send(session->data, piece + session->moved % PATTERN, left < PIECE ? left : PIECE, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        give_up(session, &load.closed, strerror(errno));
        return;
    }
    session->moved += sent > 0 ? (uint64_t)sent : 0;
    if (session->moved == session->path->bytes) {
        end(session);
    }
}

void take_data_event(struct session *session)
{
    if (session->data < 0) {
        return;
    }
    if (session->action == STORE) {
        store(session);
    } else {
        receive(session);
    }
}
