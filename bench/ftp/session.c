/* SPDX-License-Identifier: MIT */
/* The load generator's control connections: what is said, and whether the replies are what they should be. */
#include "load.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t random_below(uint32_t limit)
{
    load.random ^= load.random << 13, load.random ^= load.random >> 7, load.random ^= load.random << 17;
    return (uint32_t)((load.random >> 32) * limit >> 32);
}

/* Its commands are short and nothing else waits in the socket, so it takes them whole. */
static void say(struct session *session, enum state state, const char *verb, const char *argument)
{
    char text[4200];
    int length = snprintf(text, sizeof text, "%s%s%s\r\n", verb, *argument ? " " : "", argument);
    session->state = state;
    if (send(session->fd, text, (size_t)length, MSG_NOSIGNAL) != length) {
        give_up(session, &load.closed, "cannot send");
    }
}

void take_time(const struct session *session, int64_t now)
{
    histogram_add(&load.times, now - session->due_ns);
    if (options.trace) {
        fprintf(options.trace, "%.4f %.4f\n", (double)session->due_ns / 1e9, (double)(now - session->due_ns) / 1e6);
    }
}

/* Ends a session that did not go as it should, and shows the first of them. */
void give_up(struct session *session, uint64_t *counter, const char *what)
{
    if (load.wrong_code + load.wrong_length + load.wrong_body + load.closed == 0) {
        fprintf(stderr, "ftp-load: session %u, state %d, path %s: %s\n", session->number, session->state,
                session->path ? session->path->name : "none", what);
    }
    ++*counter;
    close_data(session);
    close(session->fd);
    session->fd = -1;
    load.busy -= session->state != IDLE;
    session->state = GONE;
}

/* One more session, or transfer of a kept one, is complete. */
static void finish(struct session *session)
{
    load.last_ns = now_ns();
    take_time(session, load.last_ns);
    session->finished++;
    load.busy--;
}

/* ----------------------------------------------------------------------------------------- sessions */

void open_session(struct session *session, int64_t due_ns)
{
    session->fd = connect_to(ntohs(options.address.sin_port));
    session->state = GREETING;
    session->length = 0;
    session->due_ns = due_ns;
    session->asked += !options.keep;
    load.busy++;
    poll_for(session->fd, EPOLLIN, tag(session, false));
}

static void closed(struct session *session)
{
    close(session->fd);
    session->fd = -1;
    session->state = GONE;
    finish(session);
    if (may_begin(session)) {
        open_session(session, load.last_ns);
    }
}

/* A kept session goes on with its next transfer; with a rate, if one is due. */
static void go_on(struct session *session)
{
    session->state = IDLE;
    if (!may_begin(session)) {
        return;
    }
    if (options.rate == 0) {
        begin_transfer(session, now_ns());
    } else if (session->waiting > 0) {
        session->waiting--;
        begin_transfer(session, session->due_ns + period_ns());
    }
}

static void entered(struct session *session)
{
    load.entered += load.entered < options.sessions; /* each the first time: later ones come one by one */
    load.busy--;
    session->state = IDLE;
    if (!options.keep || (load.warming && options.warm)) {
        begin_transfer(session, session->due_ns);
    } else {
        go_on(session);
    }
}

/* ----------------------------------------------------------------------------------------- transfers */

/* Which path: with --each the next of its own. The number is of what was asked before. */
static const struct path *choose(const struct session *session, uint32_t asked)
{
    uint32_t index =
        options.each ? (session->number * options.each + asked) % options.path_count : random_below(options.path_count);
    return &options.paths[index];
}

static void begin_action(struct session *session, enum action action)
{
    session->action = action;
    session->moved = 0;
    session->said = session->ended = false;
    say(session, PASSIVE, "EPSV", "");
}

void begin_transfer(struct session *session, int64_t due_ns)
{
    session->path = choose(session, options.keep ? session->asked : session->asked - 1);
    session->asked += options.keep;
    session->due_ns = due_ns;
    load.busy++;
    begin_action(session, options.store ? STORE : options.list ? LIST : RETRIEVE);
}

static void ask(struct session *session)
{
    char name[4096];
    const char *path = session->path->name, *last = strrchr(path, '/');
    switch (session->action) {
    case RETRIEVE: say(session, BEGINNING, "RETR", path); break;
    case LIST:
        snprintf(name, sizeof name, "%.*s", last && last > path ? (int)(last - path) : 1, last ? path : ".");
        say(session, BEGINNING, "LIST", name);
        break;
    case STORE:
        snprintf(name, sizeof name, "incoming/%u-%u", session->number, session->asked);
        say(session, BEGINNING, "STOR", name);
        break;
    }
}

/* After the reply and the data's end, whichever came last. */
void transfer_over(struct session *session)
{
    if (!session->said || !session->ended) {
        return;
    }
    if (session->action == LIST ? session->moved == 0 : session->moved != session->path->bytes) {
        give_up(session, &load.wrong_length, "wrong length");
        return;
    }
    load.transfers++;
    load.bytes += session->moved;
    if (session->action == LIST) {
        begin_action(session, RETRIEVE);
    } else if (options.keep) {
        finish(session);
        go_on(session);
    } else {
        say(session, QUITTING, "QUIT", "");
    }
}

/* ------------------------------------------------------------------------------------------- replies */

/* "Entering Extended Passive Mode (|||PORT|)" */
static void take_port(struct session *session, const char *text)
{
    const char *bars = strstr(text, "(|||");
    unsigned long port = bars ? strtoul(bars + 4, NULL, 10) : 0;
    if (port == 0 || port > UINT16_MAX) {
        give_up(session, &load.wrong_code, text);
        return;
    }
    open_data(session, (unsigned)port);
    ask(session);
}

static bool expected(const struct session *session, int code)
{
    switch (session->state) {
    case GREETING: return code == 220;
    case USER: return code == 331 || code == 230;
    case PASSWORD: return code == 230;
    case TYPE: return code == 200;
    case PASSIVE: return code == 229;
    case BEGINNING: return code == 150 || code == 125;
    case MOVING: return code == 226 || code == 250;
    case QUITTING: return code == 221;
    default: return false;
    }
}

/* A whole reply, or its last line; text: "CODE WORDS". */
static void take_reply(struct session *session, const char *text)
{
    int code = (int)strtol(text, NULL, 10);
    if (session->state == BEGINNING && session->action != RETRIEVE && code >= 500 && code <= 504) {
        load.refused = true;
        return;
    }
    if (!expected(session, code)) {
        give_up(session, &load.wrong_code, text);
        return;
    }
    switch (session->state) {
    case GREETING: say(session, USER, "USER", "anonymous"); break;
    case USER: say(session, PASSWORD, "PASS", "bench@"); break;
    case PASSWORD: say(session, TYPE, "TYPE", "I"); break;
    case TYPE: entered(session); break;
    case PASSIVE: take_port(session, text); break;
    case BEGINNING: session->state = MOVING; break;
    case MOVING: session->said = true, transfer_over(session); break;
    case QUITTING: session->state = CLOSING; break;
    default: break;
    }
}

static void take_lines(struct session *session)
{
    char *at = session->line, *end = at + session->length, *eol;
    while (session->fd >= 0 && (eol = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        *eol = '\0';
        if (eol - at > 4 && isdigit((unsigned char)at[0]) && isdigit((unsigned char)at[2]) && at[3] == ' ') {
            take_reply(session, at);
        }
        at = eol + 1;
    }
    session->length = (unsigned)(end - at);
    memmove(session->line, at, session->length);
    if (session->fd >= 0 && session->length == sizeof session->line) {
        give_up(session, &load.wrong_code, "a line without an end");
    }
}

/* While all are to be had, who was closed without a word comes again. */
static bool comes_again(struct session *session)
{
    if (!load.warming || session->state != GREETING || load.turned_away == options.sessions) {
        return false;
    }
    load.turned_away++;
    load.busy--;
    close(session->fd);
    open_session(session, now_ns());
    return true;
}

void take_control_event(struct session *session)
{
    if (session->fd < 0) {
        return;
    }
    ssize_t got = recv(session->fd, session->line + session->length, sizeof session->line - session->length, 0);
    if (got > 0) {
        session->length += (unsigned)got;
        take_lines(session);
    } else if (got == 0 && session->state == CLOSING) {
        closed(session);
    } else if ((got == 0 || errno != EAGAIN) && !comes_again(session)) {
        give_up(session, &load.closed, got == 0 ? "closed" : strerror(errno));
    }
}
