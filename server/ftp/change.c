/* SPDX-License-Identifier: MIT */
/* Changes of names: DELE, MKD, RMD, RNFR and RNTO. They are told when the disk keeps them. */
#include "command.h"
#include "files/place.h"
#include "session.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DIRECTORY_MODE = 0777 };

static void changed(struct ftp_task *task, const struct errand_event *event)
{
    if (event->error == 0)
        ftp_reply(task->session, 250, "Done.");
    else
        ftp_reply_error(task->session, event->error);
    ftp_task_end(task);
}

static void made(struct ftp_task *task, const struct errand_event *event)
{
    if (event->error == 0)
        ftp_reply_path(task->session, 257, task->path, "was made.");
    else
        ftp_reply_error(task->session, event->error);
    ftp_task_end(task);
}

/* One that is not about the home itself: that stays, whoever may write in it. */
static struct ftp_task *begin(struct ftp_session *session, const char *argument, size_t more_size,
                              void (*ended)(struct ftp_task *, const struct errand_event *))
{
    struct ftp_task *task = ftp_task_begin(session, argument, FTP_RIGHT_WRITE, more_size, ended);
    if (task == NULL || task->path[1] != '\0')
        return task;
    ftp_reply_error(session, -EBUSY);
    ftp_task_end(task);
    return NULL;
}

void ftp_dele(struct ftp_session *session, char *argument)
{
    struct ftp_task *task = begin(session, argument, 0, changed);
    if (task == NULL)
        return;
    errand_step_unlink(task->chain, task->root, ftp_task_file(task));
    place_sync(task->chain, task->root, ftp_task_file(task));
    ftp_task_submit(task);
}

void ftp_mkd(struct ftp_session *session, char *argument)
{
    struct ftp_task *task = begin(session, argument, 0, made);
    if (task == NULL)
        return;
    errand_step_mkdir(task->chain, task->root, ftp_task_file(task), DIRECTORY_MODE);
    place_sync(task->chain, task->root, ftp_task_file(task));
    ftp_task_submit(task);
}

void ftp_rmd(struct ftp_session *session, char *argument)
{
    struct ftp_task *task = begin(session, argument, 0, changed);
    if (task == NULL)
        return;
    errand_step_rmdir(task->chain, task->root, ftp_task_file(task));
    place_sync(task->chain, task->root, ftp_task_file(task));
    ftp_task_submit(task);
}

/* ------------------------------------------------------------------------------------------ renaming */

static void found(struct ftp_task *task, const struct errand_event *event)
{
    struct ftp_session *session = task->session;
    if (event->error == 0) {
        session->rename_from = task->path;
        task->path = NULL;
        ftp_reply(session, 350, "It is there; RNTO says its new name.");
    } else {
        ftp_reply_error(session, event->error);
    }
    ftp_task_end(task);
}

void ftp_rnfr(struct ftp_session *session, char *argument)
{
    free(session->rename_from);
    session->rename_from = NULL;
    struct ftp_task *task = begin(session, argument, 0, found);
    if (task == NULL)
        return;
    errand_step_open(task->chain, task->root, ftp_task_file(task), O_PATH | O_NOFOLLOW, 0);
    ftp_task_submit(task);
}

struct renaming {
    char *from; /* as task->path */
};

static void release(struct ftp_task *task)
{
    struct renaming *renaming = task->more;
    free(renaming->from);
}

/* The call step: it is known what is to be renamed. The content of a file that others made may not be on the disk yet:
 * it has to be before it takes the place of one that is. */
static int rename_it(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    const struct renaming *renaming = task->more;
    const char *from = renaming->from + 1, *to = ftp_task_file(task);
    if (S_ISDIR(task->stat.mode) && !ftp_may_move(task->session, renaming->from, task->path))
        return -EPERM;
    if (S_ISREG(task->stat.mode)) {
        int step = errand_step_open(chain, task->root, from, O_RDONLY | O_NOFOLLOW, 0);
        errand_step_optional(chain, step);
        errand_step_optional(chain, errand_step_sync(chain, ERRAND_SLOT(step), 0));
    }
    errand_step_rename(chain, task->root, from, task->root, to, 0);
    int step = place_sync(chain, task->root, to);
    if (place_directory(from) != place_directory(to) || memcmp(from, to, place_directory(to)) != 0)
        step = place_sync(chain, task->root, from);
    return step < 0 ? step : 0;
}

void ftp_rnto(struct ftp_session *session, char *argument)
{
    char *from = session->rename_from;
    if (from == NULL) {
        ftp_reply(session, 503, "RNFR first.");
        return;
    }
    session->rename_from = NULL;
    struct ftp_task *task = begin(session, argument, sizeof(struct renaming), changed);
    if (task == NULL) {
        free(from);
        return;
    }
    struct renaming *renaming = task->more;
    renaming->from = from;
    task->release = release;
    int step = errand_step_open(task->chain, task->root, from + 1, O_PATH | O_NOFOLLOW, 0);
    errand_step_stat(task->chain, ERRAND_SLOT(step), &task->stat);
    errand_step_call(task->chain, rename_it, task);
    ftp_task_submit(task);
}
