/* SPDX-License-Identifier: MIT */
/* A session: from bytes to commands, and what is waited for. */
#include "session.h"
#include "command.h"
#include "homes.h"
#include "line.h"
#include "ports.h"
#include "record.h"
#include "shared.h"
#include "task.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HELD_ENOUGH = 8 << 10 }; /* bytes that wait for a command under way: no more are read for now */

struct ftp_shared *ftp_session_shared(const struct ftp_session *session)
{
    return session->base.endpoint->shared;
}

const struct config_ftp *ftp_session_config(const struct ftp_session *session)
{
    return &session->base.endpoint->worker->server->config->ftp;
}

errand_queue *ftp_session_queue(const struct ftp_session *session)
{
    return session->base.endpoint->worker->queue;
}

void ftp_session_forget(struct ftp_session *session)
{
    ftp_data_close(session);
    ftp_home_leave(session);
    ftp_login_forget(&session->login);
    free(session->directory);
    free(session->rename_from);
    session->directory = session->rename_from = NULL;
    session->restart = 0;
    session->ascii = true;
    session->only_epsv = false;
    session->hash = 0;
}

void ftp_session_end(struct ftp_session *session, int code, const char *text)
{
    ftp_reply(session, code, "%s", text);
    session->quits = true;
}

/* ------------------------------------------------------------------------------------------ commands */

static void run_command(struct ftp_session *session, const struct ftp_command *command, unsigned verb, char *argument)
{
    ftp_record_begin(session, verb, command->name, argument);
    command->run(session, argument);
    if (session->task == NULL)
        ftp_record_end(session, NULL);
}

static void run_line(struct ftp_session *session, const struct ftp_line *line, const struct ftp_command *command,
                     unsigned verb, char *argument)
{
    if (line->length > FTP_LINE_MAX)
        ftp_reply(session, 500, "The line is too long.");
    else if (command == NULL)
        ftp_reply(session, 500, "There is no such command; HELP lists what there is.");
    else if (!session->login.good && !(command->flags & FTP_BEFORE_LOGIN))
        ftp_reply(session, 530, "Log in with USER and PASS first.");
    else if ((command->flags & FTP_ARGUMENT) && *argument == '\0')
        ftp_reply(session, 501, "Want %s %s.", command->name, command->usage);
    else
        run_command(session, command, verb, argument);
}

/* While a command is under way: does this line have to wait for its end? STAT waits until a transfer was said to begin,
 * so that nobody takes its reply for that. */
static bool has_to_wait(const struct ftp_session *session, const struct ftp_command *command)
{
    if (session->task == NULL)
        return false;
    if (!session->task->transfer || session->task->aborted)
        return true;
    return command == NULL || !(command->flags & FTP_IN_TRANSFER) || session->task->keeps ||
           (!session->task->begun && command->run != ftp_abor);
}

/* One command, if there is one and it may be begun. Returns how many bytes are done with. */
static size_t take_line(struct ftp_session *session, const char *data, size_t length)
{
    struct ftp_line line;
    size_t used = ftp_line_read(&line, data, length);
    if (used == 0) {
        if (length <= 2 * FTP_LINE_MAX)
            return 0;
        session->skips = true; /* whatever it will be, it is too long */
        return length;
    }
    if (session->skips) {
        session->skips = false;
        line.length = FTP_LINE_MAX + 1;
        line.text[0] = '\0';
    }
    char *argument;
    unsigned verb = ftp_line_split(&line, &argument); /* one that is too long has no text, and no verb */
    const struct ftp_command *command = verb != 0 ? ftp_command_find(verb) : NULL;
    if (has_to_wait(session, command))
        return 0;
    run_line(session, &line, command, verb, argument);
    return used;
}

static size_t take_lines(struct ftp_session *session, const char *data, size_t length)
{
    size_t used = 0;
    while (used < length && session->base.state == CONNECTION_OPEN && !session->quits &&
           session->output.length < FTP_REPLY_ENOUGH) {
        size_t taken = take_line(session, data + used, length - used);
        if (taken == 0)
            break;
        used += taken;
    }
    return used;
}

static bool hold(struct ftp_session *session, const char *data, size_t length)
{
    char *held = realloc(session->held, session->held_length + length);
    if (held == NULL)
        return false;
    memcpy(held + session->held_length, data, length);
    session->held = held;
    session->held_length += (uint32_t)length;
    return true;
}

static void drop_held(struct ftp_session *session)
{
    free(session->held);
    session->held = NULL;
    session->held_length = 0;
}

static void take_held(struct ftp_session *session)
{
    if (session->held == NULL)
        return;
    size_t used = take_lines(session, session->held, session->held_length);
    session->held_length -= (uint32_t)used;
    if (session->held_length == 0)
        drop_held(session);
    else if (used > 0)
        memmove(session->held, session->held + used, session->held_length);
}

/* ------------------------------------------------------------------------------------------ what is waited for */

static void wait_for_command(struct ftp_session *session)
{
    struct connection *connection = &session->base;
    if (session->login.good)
        connection_wait(connection, WAIT_SESSION);
    else if (connection->wait != WAIT_LOGIN)
        connection_wait(connection, WAIT_LOGIN);
}

/* All has been said. Had he sent more after QUIT, a close would reset the connection, and he might lose the reply. */
static void end(struct ftp_session *session)
{
    bool more = session->held != NULL;
    drop_held(session);
    if (!more) {
        connection_close(&session->base);
        return;
    }
    shutdown(session->base.fd, SHUT_WR);
    connection_linger(&session->base);
}

void ftp_session_settle(struct ftp_session *session, bool go_on)
{
    struct connection *connection = &session->base;
    if (go_on)
        take_held(session);
    if (connection->state != CONNECTION_OPEN)
        return;
    bool busy = session->task != NULL;
    if (!busy && !session->quits && connection->endpoint->worker->phase == WORKER_STOPS)
        ftp_session_end(session, 421, "The server ends.");
    if (!busy || !session->task->transfer) /* see ftp_task_open_data() */
        ftp_output_flush(session);
    if (connection->state != CONNECTION_OPEN)
        return;
    bool said = ftp_output_is_idle(&session->output);
    if ((busy || !said) && session->held_length >= HELD_ENOUGH)
        connection_pause(connection);
    else
        connection_resume(connection);
    if (!busy && said && (session->quits || connection->ended))
        end(session);
    else if (!busy && (said || (!session->login.good && !session->quits)))
        wait_for_command(session); /* the time to log in runs on while replies are on their way */
    else if (connection->wait != WAIT_BUSY)
        connection_wait(connection, WAIT_BUSY);
}

/* ------------------------------------------------------------------------------------------ the protocol */

static void on_opened(struct connection *connection)
{
    struct ftp_session *session = ftp_session_of(connection);
    int one = 1;
    setsockopt(connection->fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one); /* ABOR may come with urgent Telnet codes */
    session->data.fd = -1;
    session->ascii = true;
    const char *greeting = ftp_session_config(session)->greeting.bytes;
    ftp_reply(session, 220, "%s%s", greeting != NULL ? greeting : "errand ", greeting != NULL ? "" : errand_version());
    ftp_session_settle(session, false);
}

/* In these three a command may find the connection broken and close it: it is held, so that what they use is there to
 * their end. */
static void on_data(struct connection *connection, const char *data, size_t length)
{
    struct ftp_session *session = ftp_session_of(connection);
    if (session->quits)
        return;
    connection_hold(connection);
    size_t used = session->held == NULL ? take_lines(session, data, length) : 0;
    if (used < length && !hold(session, data + used, length - used))
        connection_close(connection);
    ftp_session_settle(session, used == 0);
    connection_let_go(connection);
}

static void on_ended(struct connection *connection)
{
    struct ftp_session *session = ftp_session_of(connection);
    connection_hold(connection);
    if (session->task != NULL && session->task->stores) /* RFC 959, 4.1.1: as ABOR does */
        errand_cancel(ftp_session_queue(session), connection->chain);
    ftp_session_settle(session, true);
    connection_let_go(connection);
}

static void on_chain(struct connection *connection, const struct errand_event *event)
{
    struct ftp_session *session = ftp_session_of(connection);
    assert(session->task != NULL);
    connection_hold(connection);
    ftp_record_chain(session, event);
    session->task->ended(session->task, event);
    ftp_session_settle(session, session->task == NULL);
    connection_let_go(connection);
}

static void on_stopped(struct connection *connection, const struct errand_event *event)
{
    ftp_record_chain(ftp_session_of(connection), event);
}

static void on_expired(struct connection *connection)
{
    struct ftp_session *session = ftp_session_of(connection);
    bool drains = connection->endpoint->worker->phase == WORKER_DRAINS;
    ftp_session_end(session, 421,
                    !session->login.good ? "Nobody logged in."
                    : drains             ? "The server was renewed; connect again."
                                         : "Nothing was heard for too long.");
    ftp_session_settle(session, false);
}

static void on_stop(struct connection *connection)
{
    struct ftp_session *session = ftp_session_of(connection);
    ftp_session_end(session, 421, "The server ends.");
    ftp_session_settle(session, false);
}

static void on_cancel(struct connection *connection)
{
    ftp_output_cancel(ftp_session_of(connection));
}

static void on_release(struct connection *connection)
{
    struct ftp_session *session = ftp_session_of(connection);
    ftp_record_lost(session);
    if (session->task != NULL)
        ftp_task_end(session->task);
    ftp_session_forget(session);
    ftp_output_free(&session->output);
    drop_held(session);
}

const struct protocol ftp_protocol = {
    .name = "ftp",
    .connection_size = sizeof(struct ftp_session),
    .crowded = "421 Too many connections of your address.\r\n",
    .opened = on_opened,
    .data = on_data,
    .ended = on_ended,
    .chain = on_chain,
    .stopped = on_stopped,
    .expired = on_expired,
    .stop = on_stop,
    .cancel = on_cancel,
    .release = on_release,
};

struct ftp_shared *ftp_shared_open(struct worker *worker)
{
    struct ftp_shared *shared = calloc(1, sizeof *shared);
    if (shared == NULL)
        return NULL;
    shared->worker = worker;
    shared->ports = ftp_ports_open(worker);
    shared->homes = ftp_homes_open(worker);
    if (shared->ports != NULL && shared->homes != NULL && users_cache_open(&shared->logins))
        return shared;
    ftp_shared_close(shared);
    return NULL;
}

void ftp_shared_close(struct ftp_shared *shared)
{
    if (shared == NULL)
        return;
    ftp_ports_close(shared->ports);
    ftp_homes_close(shared->homes);
    explicit_bzero(&shared->logins, sizeof shared->logins);
    free(shared);
}
