/* SPDX-License-Identifier: MIT */
/*
 * Files that come in. 226 is said when the disk keeps them.
 *
 * STOR and STOU: a chain opens a temporary file (files/temporary.h), awaits or connects the data connection, and
 * receives up to its end. A second one syncs the file, gives it its name, in the place of what has it, and syncs the
 * directory. So there is the old file or the new one, whatever happens; when the data connection is reset or stalls,
 * at ABOR, or without the client, there is nothing new. A stream's orderly end is the only sign of the file's (RFC 959,
 * 3.4.1), and that comes from a client that is killed, too: but then the control connection ends as well, which is
 * looked at before the name is given. (If its end comes later than a sync takes, nobody can know: a client's kernel
 * that ends the data connection first and then pauses has sent what looks like a whole file.)
 *
 * APPE, and STOR after REST, go on with a file where it is, and what arrived stays when it ends early: to send the rest
 * is what they are for. So they cannot be atomic: others see the file grow. After REST it is cut at that place first,
 * so that its size says at any time where to go on.
 */
#include "ascii.h"
#include "command.h"
#include "files/place.h"
#include "files/room.h"
#include "files/temporary.h"
#include "session.h"
#include "shared.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { FILE_MODE = 0666, WORDS = 64 };

struct store {
    struct temporary temporary; /* of a file that stays where it is: only what opens it */
    struct ftp_ascii ascii;
    int look, room; /* steps; room: -1: nobody asked */
    int extra;      /* this one looks for a byte too many; 0: any number may come */
    char byte;      /* it */
    bool in_place, appends;
    char words[WORDS]; /* of the 150 */
};

static struct store *store_of(const struct ftp_task *task)
{
    return task->more;
}

static const struct config_host *host_of(const struct ftp_task *task)
{
    return task->session->login.site->config;
}

/* The file may become so long; ERRAND_TO_END: as it will. */
static int64_t most_of(const struct ftp_task *task)
{
    uint64_t most = host_of(task)->upload_max;
    return most > 0 && most <= INT64_MAX ? (int64_t)most : ERRAND_TO_END;
}

/* ------------------------------------------------------------------------------------------ the second chain */

/* Of a kept file. */
static void kept(struct ftp_task *task, const struct errand_event *event)
{
    if (event->error == 0)
        temporary_named(&store_of(task)->temporary);
    ftp_task_end_transfer(task, event);
}

/* Has the client shut the control connection down? Perhaps we have not read so far. */
static bool is_alone(const struct ftp_session *session)
{
    struct pollfd control = {.fd = session->base.fd, .events = POLLRDHUP};
    return session->base.ended || (poll(&control, 1, 0) > 0 && control.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* The call step: all is on the disk. */
static int name(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    if (is_alone(task->session))
        return -ECONNABORTED;
    temporary_name(chain, &store_of(task)->temporary, ftp_task_file(task), false);
    int step = place_sync(chain, task->root, ftp_task_file(task));
    return step < 0 ? step : 0;
}

static void keep(struct ftp_task *task)
{
    struct store *store = store_of(task);
    int error = ftp_task_next(task);
    if (error) {
        ftp_reply_error(task->session, error);
        ftp_task_end(task);
        return;
    }
    task->ended = kept;
    task->keeps = true;
    task->stall_ns = PLACE_SYNC_NS;
    errand_step_sync(task->chain, store->temporary.fd, 0);
    if (store->in_place)
        place_sync(task->chain, task->root, ftp_task_file(task)); /* it may be new */
    else
        errand_step_call(task->chain, name, task);
    ftp_task_submit(task);
}

/* ------------------------------------------------------------------------------------------ the first chain */

static void came(struct ftp_task *task, const struct errand_event *event)
{
    struct errand_event end = *event;
    if (event->fd >= 0)
        store_of(task)->temporary.fd = event->fd;
    if (task->aborted) /* perhaps when all had come, but was not kept */
        end.error = -ECANCELED;
    if (end.error != 0 || task->replied)
        ftp_task_end_transfer(task, &end);
    else
        keep(task);
}

/* The call step: the stream has ended, or as much came as may. */
static int received(errand_chain *chain, void *context)
{
    struct store *store = store_of(context);
    if (store->extra > 0 && errand_chain_result(chain, store->extra) > 0)
        return -EFBIG;
    int step = errand_step_hand_over(chain, ERRAND_SLOT(store->temporary.step));
    return step < 0 ? step : 0;
}

/* The call step: the data connection is there. */
static int receive(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct store *store = store_of(task);
    int64_t most = most_of(task), length = most >= 0 ? most - task->offset : ERRAND_TO_END;
    int socket = task->session->data.fd, file = ERRAND_SLOT(store->temporary.step);
    if (store->in_place && !store->appends)
        errand_step_truncate(chain, file, task->offset);
    int step = errand_step_receive_file(chain, socket, file, task->offset, length, 0);
    if (task->session->ascii)
        errand_step_filter(chain, step, ftp_ascii_receive, &store->ascii, 0);
    if (most >= 0)
        store->extra = errand_step_receive(chain, socket, &store->byte, 1, 0);
    step = errand_step_call(chain, received, task);
    return step < 0 ? step : 0;
}

/* The call step: there is room, as far as anybody knows. */
static int begin(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct store *store = store_of(task);
    if (room_lacks(chain, store->room))
        return -ENOSPC;
    return ftp_task_open_data(task, chain, false, receive, store->words);
}

/* The call step: the file is open. */
static int ask_for_room(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct store *store = store_of(task);
    uint64_t space = host_of(task)->upload_space;
    if (temporary_wants_lock(&store->temporary))
        temporary_lock(chain, &store->temporary);
    store->room = -1;
    if (space == 0)
        return begin(chain, task);
    store->room = store->in_place ? room_ask_beside(chain, task->root, ftp_task_file(task), 0, space)
                                  : room_ask(chain, ERRAND_SLOT(store->temporary.step), 0, space);
    int step = errand_step_call(chain, begin, task);
    return step < 0 ? step : 0;
}

/* The call step: what is at the path is known, and whether a temporary file could be opened. */
static int looked(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct store *store = store_of(task);
    int64_t found = errand_chain_result(chain, store->look);
    if (found < 0 && found != -ENOENT)
        return (int)found;
    if (found >= 0 && !S_ISREG(task->stat.mode))
        return S_ISDIR(task->stat.mode) ? -EISDIR : -ESPIPE;
    int error = temporary_opened(chain, &store->temporary, ftp_task_file(task));
    int step = error != 0 ? error : errand_step_call(chain, ask_for_room, task);
    return step < 0 ? step : 0;
}

/* The call step: the file that stays where it is is open and known. */
static int opened(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    int64_t most = most_of(task);
    if (store_of(task)->appends)
        task->offset = (int64_t)task->stat.bytes;
    if ((uint64_t)task->offset > task->stat.bytes) {
        ftp_reply(task->session, 554, "It is not as long as that.");
        return ftp_task_give_up(task, chain);
    }
    return most >= 0 && task->offset >= most ? -EFBIG : ask_for_room(chain, task);
}

/* ------------------------------------------------------------------------------------------ commands */

static void release(struct ftp_task *task)
{
    temporary_drop(&store_of(task)->temporary, &task->session->base.endpoint->worker->remover);
}

static void store_at(struct ftp_task *task)
{
    struct store *store = store_of(task);
    store->look = errand_step_open(task->chain, task->root, ftp_task_file(task), O_PATH, 0);
    errand_step_optional(task->chain, store->look);
    errand_step_optional(task->chain, errand_step_stat(task->chain, ERRAND_SLOT(store->look), &task->stat));
    temporary_open(task->chain, &store->temporary, task->root, ftp_task_file(task));
    errand_step_call(task->chain, looked, task);
}

static void store_in_place(struct ftp_task *task)
{
    struct store *store = store_of(task);
    int flags = O_WRONLY | (store->appends ? O_CREAT : 0);
    store->temporary.step = errand_step_open(task->chain, task->root, ftp_task_file(task), flags, FILE_MODE);
    errand_step_expect(task->chain, ERRAND_SLOT(store->temporary.step), ERRAND_REGULAR, &task->stat);
    errand_step_call(task->chain, opened, task);
}

static void begin_store(struct ftp_session *session, const char *argument, bool appends, const char *words)
{
    struct ftp_task *task = ftp_transfer_begin(session, argument, FTP_RIGHT_WRITE, sizeof(struct store), came);
    if (task == NULL)
        return;
    struct store *store = store_of(task);
    task->release = release;
    task->stores = true;
    task->stall_ns = session->base.endpoint->worker->server->config->limits.body_ns;
    store->temporary.fd = -1;
    store->appends = appends;
    store->in_place = appends || task->offset > 0;
    snprintf(store->words, sizeof store->words, "%s", words);
    if (store->in_place)
        store_in_place(task);
    else
        store_at(task);
    ftp_task_submit(task);
}

void ftp_stor(struct ftp_session *session, char *argument)
{
    begin_store(session, argument, false, "Send it.");
}

void ftp_appe(struct ftp_session *session, char *argument)
{
    begin_store(session, argument, true, "Send what is to be added.");
}

/* RFC 1123, 4.1.2.9. The name is told before the file has it, so chance makes it unique. */
void ftp_stou(struct ftp_session *session, char *argument)
{
    uint64_t number;
    char words[WORDS];
    (void)argument;
    session->restart = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        ftp_reply_error(session, -EAGAIN);
        return;
    }
    snprintf(words, sizeof words, "FILE: stou.%016" PRIx64, number);
    begin_store(session, words + 6, false, words);
}

/* ------------------------------------------------------------------------------------------ ALLO */

static int tell_room(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    if (room_lacks(chain, task->step))
        return -ENOSPC;
    task->replied = true;
    if (room_is_there(chain, task->step))
        ftp_reply(task->session, 200, "There is room.");
    else
        ftp_reply(task->session, 202, "Nobody can tell.");
    return 0;
}

static void told(struct ftp_task *task, const struct errand_event *event)
{
    if (!task->replied)
        ftp_reply_error(task->session, event->error);
    ftp_task_end(task);
}

/* Nothing is kept for the client: it is asked whether there is room now, in his directory. */
void ftp_allo(struct ftp_session *session, char *argument)
{
    char *end;
    errno = 0;
    uintmax_t bytes = strtoumax(argument, &end, 10);
    if (argument[0] < '0' || argument[0] > '9' || (*end != '\0' && *end != ' ') || errno != 0) { /* "BYTES R RECORD" */
        ftp_reply(session, 501, "Want ALLO BYTES.");
        return;
    }
    struct ftp_task *task = ftp_task_begin(session, "any", FTP_RIGHT_WRITE, 0, told);
    if (task == NULL)
        return;
    const struct config_host *host = host_of(task);
    if (host->upload_max > 0 && bytes > host->upload_max) {
        ftp_reply_error(session, -EFBIG);
        ftp_task_end(task);
        return;
    }
    task->step = room_ask_beside(task->chain, task->root, ftp_task_file(task), bytes, host->upload_space);
    errand_step_call(task->chain, tell_room, task);
    ftp_task_submit(task);
}
