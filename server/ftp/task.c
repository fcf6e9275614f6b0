/* SPDX-License-Identifier: MIT */
/* Tasks: see task.h. */
#include "task.h"
#include "files/place.h"
#include "homes.h"
#include "path.h"
#include "record.h"
#include "shared.h"

#include <errno.h>
#include <stdlib.h>

static void free_task(struct ftp_task *task)
{
    if (task->release != NULL)
        task->release(task);
    free(task->more);
    free(task->path);
    free(task);
}

struct ftp_task *ftp_task_begin_bare(struct ftp_session *session, size_t more_size,
                                     void (*ended)(struct ftp_task *, const struct errand_event *))
{
    struct ftp_task *task = calloc(1, sizeof *task);
    if (task != NULL && more_size > 0)
        task->more = calloc(1, more_size);
    int error = task == NULL || (more_size > 0 && task->more == NULL)
                    ? -ENOMEM
                    : errand_chain_new(ftp_session_queue(session), &task->chain);
    if (error) {
        if (task != NULL)
            free(task->more);
        free(task);
        ftp_reply_error(session, error);
        return NULL;
    }
    task->session = session;
    task->ended = ended;
    session->task = task;
    return task;
}

struct ftp_task *ftp_task_begin(struct ftp_session *session, const char *argument, enum ftp_right right,
                                size_t more_size, void (*ended)(struct ftp_task *, const struct errand_event *))
{
    char *path;
    int error = ftp_path_make(session->directory, argument, &path);
    if (error) {
        ftp_reply_error(session, error);
        return NULL;
    }
    if (!ftp_may(session, path, right)) {
        free(path);
        ftp_reply(session, 550, "Permission denied.");
        return NULL;
    }
    struct ftp_task *task = ftp_task_begin_bare(session, more_size, ended);
    if (task == NULL) {
        free(path);
        return NULL;
    }
    task->path = path;
    task->root = session->login.root;
    task->stall_ns = session->base.endpoint->worker->server->config->limits.send_ns;
    if (right == FTP_RIGHT_WRITE && task->stall_ns < PLACE_SYNC_NS)
        task->stall_ns = PLACE_SYNC_NS;
    return task;
}

struct ftp_task *ftp_transfer_begin(struct ftp_session *session, const char *argument, enum ftp_right right,
                                    size_t more_size, void (*ended)(struct ftp_task *, const struct errand_event *))
{
    int64_t offset = session->restart;
    session->restart = 0;
    if (offset > 0 && session->ascii) { /* TYPE A came after REST */
        ftp_reply(session, 504, "Where lines are converted it can only begin at the beginning.");
        return NULL;
    }
    if (session->data.mode == FTP_DATA_NONE) {
        ftp_reply(session, 425, "Say how to make a data connection: EPSV, PASV, EPRT or PORT.");
        return NULL;
    }
    struct ftp_task *task = ftp_task_begin(session, argument, right, more_size, ended);
    if (task == NULL) {
        ftp_data_close(session);
        return NULL;
    }
    task->transfer = true;
    task->offset = offset;
    ftp_rate_begin(session);
    return task;
}

const char *ftp_task_file(const struct ftp_task *task)
{
    return ftp_path_file(task->path);
}

void ftp_task_submit(struct ftp_task *task)
{
    struct ftp_session *session = task->session;
    struct connection_limits own = {.stall_ns = task->stall_ns,
                                    .bytes_per_second = task->transfer ? ftp_rate(session) : 0};
    ftp_record_stage(session, STAGE_WAIT);
    int error = connection_submit(&session->base, task->chain, &own);
    task->chain = NULL;
    if (error) {
        ftp_reply_error(session, error);
        ftp_task_end(task);
    }
}

int ftp_task_next(struct ftp_task *task)
{
    return errand_chain_new(ftp_session_queue(task->session), &task->chain);
}

int ftp_task_give_up(struct ftp_task *task, errand_chain *chain)
{
    task->replied = true;
    return errand_chain_drop_following(chain);
}

void ftp_task_end(struct ftp_task *task)
{
    struct ftp_session *session = task->session;
    if (task->chain != NULL)
        errand_chain_drop(task->chain);
    if (task->transfer) {
        ftp_rate_end(session);
        ftp_data_close(session);
    }
    session->task = NULL;
    ftp_record_end(session, task->path);
    free_task(task);
}

/* ------------------------------------------------------------------------------------------ transfers */

static int data_is_there(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    ftp_record_stage(task->session, STAGE_DATA);
    return task->go_on(chain, task);
}

int ftp_task_open_data(struct ftp_task *task, errand_chain *chain, bool small, errand_call go_on, const char *words)
{
    struct ftp_session *session = task->session;
    ftp_reply(session, 150, "%s", words);
    task->begun = true;
    if (!small || session->data.fd < 0) /* a client may connect only when he has read it */
        ftp_output_flush(session);
    int error = ftp_data_append(chain, session, &task->awaits);
    task->go_on = go_on;
    ftp_record_stage(session, STAGE_OPEN);
    int step = error ? error : errand_step_call(chain, data_is_there, task);
    return step < 0 ? step : 0;
}

static bool is_of_data(const struct ftp_task *task, const struct errand_event *event)
{
    return task->awaits || event->step_kind == ERRAND_STEP_CONNECT ||
           (event->step_kind == ERRAND_STEP_CALL && event->error == -ENOTCONN); /* ports.c lost it meanwhile */
}

static bool is_of_peer(int error)
{
    return error == -EPIPE || error == -ECONNRESET || error == -ENOTCONN || error == -ETIMEDOUT ||
           error == -EHOSTUNREACH || error == -ENETUNREACH;
}

void ftp_task_end_transfer(struct ftp_task *task, const struct errand_event *event)
{
    struct ftp_session *session = task->session;
    bool moves = event->step_kind == ERRAND_STEP_SENDFILE || event->step_kind == ERRAND_STEP_RECEIVE_FILE ||
                 event->step_kind == ERRAND_STEP_SEND || event->step_kind == ERRAND_STEP_RECEIVE;
    ftp_data_close(session); /* first: whoever reads 226 has all of it */
    if (task->replied) {
    } else if (task->aborted && !(task->keeps && event->error == 0)) { /* a list may end well between two pieces */
        ftp_reply(session, 426, "Transfer aborted.");
    } else if (event->error == 0) {
        ftp_reply(session, 226, "Transfer complete.");
    } else if (is_of_data(task, event)) {
        ftp_reply(session, 425, "No data connection.");
    } else if (moves && is_of_peer(event->error)) {
        ftp_reply(session, 426, "Data connection broken; transfer aborted.");
    } else {
        ftp_reply_error(session, event->error);
    }
    if (task->aborted) /* ABOR's own: RFC 959, 4.1.3 */
        ftp_reply(session, 226, "Abort successful.");
    ftp_task_end(task);
}
