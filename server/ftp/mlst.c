/* SPDX-License-Identifier: MIT */
/* MLST: facts of one file (RFC 3659, 7), and which facts are told. */
#include "command.h"
#include "line.h"
#include "row.h"
#include "session.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

static void looked(struct ftp_task *task, const struct errand_event *event)
{
    struct ftp_session *session = task->session;
    char row[FTP_ROW_MOST + 2 * PATH_MAX];
    struct entry entry = {0};
    if (event->error == 0) {
        entry_take(&entry, &task->stat);
        bool writable = ftp_may(session, task->path, FTP_RIGHT_WRITE);
        char *at = ftp_row_facts(row, FTP_FACTS & ~session->facts_off, &entry, NULL, writable);
        at += ftp_line_encode(at, task->path, FTP_LINE_REPLY);
        ftp_output_add(session, "250-Facts:\r\n ", 13);
        ftp_output_add(session, row, (size_t)(at - row));
        ftp_output_add(session, "\r\n250 End\r\n", 11);
    } else {
        ftp_reply_error(session, event->error);
    }
    ftp_task_end(task);
}

/* A symlink is followed, as by SIZE and MDTM: it is the file that can be fetched by this name that is asked about. */
void ftp_mlst(struct ftp_session *session, char *argument)
{
    struct ftp_task *task = ftp_task_begin(session, argument, FTP_RIGHT_READ, 0, looked);
    if (task == NULL)
        return;
    int step = errand_step_open(task->chain, task->root, ftp_task_file(task), O_PATH, 0);
    errand_step_stat(task->chain, ERRAND_SLOT(step), &task->stat);
    ftp_task_submit(task);
}

void ftp_choose_facts(struct ftp_session *session, char *argument)
{
    char text[FTP_FACT_NAMES];
    unsigned facts = ftp_row_choose(argument + strspn(argument, " "));
    session->facts_off = (uint8_t)(FTP_FACTS & ~facts);
    *ftp_row_names(text, facts, false) = '\0';
    ftp_reply(session, 200, "MLST OPTS%s%s", facts != 0 ? " " : "", text);
}
