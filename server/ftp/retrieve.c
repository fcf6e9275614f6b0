/* SPDX-License-Identifier: MIT */
/* RETR, which is one chain: open, look, await or connect the data connection, send, close. And what is asked of a file
 * before it: SIZE, MDTM. */
#include "ascii.h"
#include "command.h"
#include "session.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { SMALL = 64 << 10 }; /* what a new connection's socket takes at once */

/* ------------------------------------------------------------------------------------------ RETR */

/* The call step: the data connection is there. */
static int send_file(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    int file = ERRAND_SLOT(task->step); /* with ERRAND_MORE its end goes in one segment with the connection's */
    int64_t bytes = (int64_t)task->stat.bytes - task->offset; /* as SIZE told it: less would be taken for whole */
    int step = errand_step_sendfile(chain, task->session->data.fd, file, task->offset, bytes, NULL, 0,
                                    ERRAND_MORE | ERRAND_EXACT);
    if (task->session->ascii)
        errand_step_filter(chain, step, ftp_ascii_send, task->more, 0);
    step = errand_step_close(chain, file);
    return step < 0 ? step : 0;
}

/* The call step: the file is open and known. */
static int begin(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    char words[64];
    if ((uint64_t)task->offset > task->stat.bytes) {
        ftp_reply(task->session, 554, "It is not as long as that.");
        return ftp_task_give_up(task, chain);
    }
    uint64_t bytes = task->stat.bytes - (uint64_t)task->offset;
    if (task->session->ascii) /* each line becomes longer */
        snprintf(words, sizeof words, "Its lines are coming.");
    else
        snprintf(words, sizeof words, "%" PRIu64 " bytes are coming.", bytes);
    return ftp_task_open_data(task, chain, bytes <= (task->session->ascii ? SMALL / 2 : SMALL), send_file, words);
}

void ftp_retr(struct ftp_session *session, char *argument)
{
    struct ftp_task *task =
        ftp_transfer_begin(session, argument, FTP_RIGHT_READ, sizeof(struct ftp_ascii), ftp_task_end_transfer);
    if (task == NULL)
        return;
    task->step = errand_step_open(task->chain, task->root, ftp_task_file(task), O_RDONLY, 0);
    errand_step_expect(task->chain, ERRAND_SLOT(task->step), ERRAND_REGULAR, &task->stat);
    errand_step_call(task->chain, begin, task);
    ftp_task_submit(task);
}

/* ------------------------------------------------------------------------------------------ looks */

static void sized(struct ftp_task *task, const struct errand_event *event)
{
    if (event->error == 0)
        ftp_reply(task->session, 213, "%" PRIu64, task->stat.bytes);
    else
        ftp_reply_error(task->session, event->error);
    ftp_task_end(task);
}

static void timed(struct ftp_task *task, const struct errand_event *event)
{
    time_t seconds = task->stat.modified_ns / ERRAND_SECOND - (task->stat.modified_ns % ERRAND_SECOND < 0);
    struct tm parts;
    char text[32];
    if (event->error == 0 && gmtime_r(&seconds, &parts) != NULL && strftime(text, sizeof text, "%Y%m%d%H%M%S", &parts))
        ftp_reply(task->session, 213, "%s", text);
    else
        ftp_reply_error(task->session, event->error);
    ftp_task_end(task);
}

static void look(struct ftp_session *session, const char *argument,
                 void (*ended)(struct ftp_task *, const struct errand_event *))
{
    struct ftp_task *task = ftp_task_begin(session, argument, FTP_RIGHT_READ, 0, ended);
    if (task == NULL)
        return;
    int step = errand_step_open(task->chain, task->root, ftp_task_file(task), O_PATH, 0);
    errand_step_expect(task->chain, ERRAND_SLOT(step), ERRAND_REGULAR, &task->stat);
    ftp_task_submit(task);
}

void ftp_size(struct ftp_session *session, char *argument)
{
    if (session->ascii) /* RFC 3659, 4: what would be sent; nobody knows without reading it */
        ftp_reply(session, 550, "SIZE means nothing where lines are converted; TYPE I first.");
    else
        look(session, argument, sized);
}

void ftp_mdtm(struct ftp_session *session, char *argument)
{
    look(session, argument, timed);
}
