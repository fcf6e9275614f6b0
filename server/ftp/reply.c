/* SPDX-License-Identifier: MIT */
/* Replies: see reply.h. */
#include "reply.h"
#include "line.h"
#include "record.h"
#include "session.h"
#include "shared.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MOST = 1024 };

/* ------------------------------------------------------------------------------------------ sending */

static void output_ended(const struct errand_event *event)
{
    struct ftp_session *session = event->user_data;
    struct ftp_output *output = &session->output;
    output->chain = 0;
    record_output(&session->base.endpoint->worker->record, event->bytes);
    free(output->sending);
    output->sending = NULL;
    if (event->error == 0 && output->again)
        ftp_output_flush(session);
    if (event->error == 0 && session->base.state == CONNECTION_OPEN)
        ftp_session_settle(session, true);
    else if (event->error != 0 && event->error != -ECANCELED) /* that is our doing, or the queue's end */
        connection_close(&session->base);
    connection_let_go(&session->base);
}

void ftp_output_flush(struct ftp_session *session)
{
    struct ftp_output *output = &session->output;
    struct worker *worker = session->base.endpoint->worker;
    errand_chain *chain;
    output->again = output->chain != 0;
    if (output->again || output->length == 0 || session->base.state != CONNECTION_OPEN)
        return;
    int error = errand_chain_new(worker->queue, &chain);
    if (error == 0) {
        bool last = session->quits && session->task == NULL; /* the end of the connection goes with it */
        errand_step_send(chain, session->base.fd, output->bytes, output->length, last ? ERRAND_MORE : 0);
        struct errand_submit options = {.size = sizeof options,
                                        .user_data = session,
                                        .stall_ns = worker->server->config->limits.send_ns,
                                        .ended = output_ended};
        error = errand_submit(chain, &options, &output->chain);
    }
    if (error) {
        connection_close(&session->base);
        return;
    }
    connection_hold(&session->base);
    output->sending = output->bytes;
    output->bytes = NULL;
    output->length = output->room = 0;
}

void ftp_output_cancel(struct ftp_session *session)
{
    if (session->output.chain != 0)
        errand_cancel(session->base.endpoint->worker->queue, session->output.chain);
}

void ftp_output_free(struct ftp_output *output)
{
    free(output->bytes);
    free(output->sending);
    *output = (struct ftp_output){0};
}

/* ------------------------------------------------------------------------------------------ gathering */

void ftp_output_add(struct ftp_session *session, const char *bytes, size_t length)
{
    struct ftp_output *output = &session->output;
    if (output->room - output->length < length) {
        size_t room = output->length + length < 256 ? 256 : 2 * (output->length + length);
        char *larger = realloc(output->bytes, room);
        if (larger == NULL) {
            connection_close(&session->base); /* who misses a reply is out of step for good */
            return;
        }
        output->bytes = larger;
        output->room = (uint32_t)room;
    }
    memcpy(output->bytes + output->length, bytes, length);
    output->length += (uint32_t)length;
}

/* RFC 959, 4.2: the code and "-" before the first line, the code and " " before the last; between them each line begins
 * with a space, so that none looks like the last. */
void ftp_reply(struct ftp_session *session, int code, const char *format, ...)
{
    char text[LINE_MOST];
    va_list arguments;
    ftp_record_reply(session, code);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char start[6];
    bool first = true;
    for (char *at = text, *next; at != NULL; at = next) {
        next = strchr(at, '\n');
        if (next != NULL)
            *next++ = '\0';
        snprintf(start, sizeof start, "%03d%c", code % 1000, next == NULL ? ' ' : '-');
        if (first || next == NULL)
            ftp_output_add(session, start, 4);
        else
            ftp_output_add(session, " ", 1);
        ftp_output_add(session, at, strlen(at));
        ftp_output_add(session, "\r\n", 2);
        first = false;
    }
}

static void put_path(struct ftp_session *session, int code, const char *before, const char *path, const char *after)
{
    char out[2 * PATH_MAX], start[8];
    ftp_record_reply(session, code);
    int length = snprintf(start, sizeof start, "%03d ", code % 1000);
    ftp_output_add(session, start, (size_t)length);
    ftp_output_add(session, before, strlen(before));
    ftp_output_add(session, out, ftp_line_encode(out, path, *after == '"' ? FTP_LINE_QUOTED : FTP_LINE_REPLY));
    ftp_output_add(session, after, strlen(after));
}

void ftp_reply_path(struct ftp_session *session, int code, const char *path, const char *text)
{
    put_path(session, code, "\"", path, "\" ");
    ftp_output_add(session, text, strlen(text));
    ftp_output_add(session, "\r\n", 2);
}

void ftp_reply_name(struct ftp_session *session, int code, const char *text, const char *path)
{
    put_path(session, code, text, path, "\r\n");
}

void ftp_reply_error(struct ftp_session *session, int error)
{
    switch (-error) {
    case ENOENT: ftp_reply(session, 550, "No such file or directory."); break;
    case ENOTDIR: ftp_reply(session, 550, "Not a directory."); break;
    case EISDIR: ftp_reply(session, 550, "It is a directory."); break;
    case ESPIPE: ftp_reply(session, 550, "Not a plain file."); break;
    case EEXIST: ftp_reply(session, 550, "There is something of that name already."); break;
    case ENOTEMPTY: ftp_reply(session, 550, "The directory is not empty."); break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: ftp_reply(session, 552, "No room for it."); break;
    case ENAMETOOLONG: ftp_reply(session, 553, "The name is too long."); break;
    case EINVAL: ftp_reply(session, 553, "That name is not possible here."); break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN: ftp_reply(session, 450, "Too much is going on; try again later."); break;
    case ETIMEDOUT: ftp_reply(session, 451, "The file did not answer in time."); break;
    case ENODATA: ftp_reply(session, 451, "The file was made shorter meanwhile."); break;
    case EIO: ftp_reply(session, 451, "The file cannot be read or written."); break;
    default: ftp_reply(session, 550, "Permission denied."); break; /* EACCES, EPERM, EXDEV, ELOOP, EROFS, EBUSY ... */
    }
}
