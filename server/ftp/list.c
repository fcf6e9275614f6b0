/* SPDX-License-Identifier: MIT */
/*
 * LIST, NLST, MLSD, and STAT of a path. What is named is taken for a directory first, as it nearly always is one; if it
 * turns out to be a file that one is looked at, and if there is nothing of the name and it is a pattern, it is looked
 * for in its directory. A listing is some chains in succession: each awaits a batch of entries (files/entries.h), and
 * sends a piece; the data connection lives over them. So what is held does not grow with the directory, and who reads
 * slowly stops the reading.
 *
 * A name that is not there is 550: RFC 959 has 450 for LIST, which asks clients to try again, and they do. A pattern
 * that fits nothing is an empty list: it names no file that could be missing.
 */
#include "command.h"
#include "homes.h"
#include "line.h"
#include "match.h"
#include "path.h"
#include "row.h"
#include "session.h"
#include "task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PIECE = 24 << 10, /* bytes that are sent at once; */
    /* and the line that reaches it: what was said, and a name, each byte as two. (What a symlink says is less.) */
    LINE_MOST = FTP_ROW_MOST + 2 * (FTP_LINE_MAX + NAME_MAX),
};

enum kind { LONG, NAMES, FACTS };

struct list {
    struct ftp_task *task;
    struct entries *entries;
    struct entry one;    /* of a file */
    char *child;         /* path of the directory, with a slash behind it, and room for a name */
    size_t child_length; /* without the name */
    char *said;          /* what the client named; without the pattern, if it is one */
    char *pattern;       /* NULL: all */
    char *bytes;         /* the piece */
    size_t length;
    size_t shown; /* how far the batch has been written */
    int64_t paid; /* what was sent is within the rate from then on */
    int64_t now;
    uint8_t kind;               /* enum kind */
    bool control;               /* goes out over the control connection */
    bool all, by_time, reverse; /* -a, -t, -r */
    bool file, begun, over;
};

/* ------------------------------------------------------------------------------------------- names */

/* A name's path. */
static const char *child_path(struct list *list, const char *name, bool directory)
{
    char *end = stpcpy(list->child + list->child_length, name);
    if (directory)
        *end++ = '/'; /* that is how rules speak of them */
    *end = '\0';
    return list->child;
}

/* Names that begin with a dot are listed if the user sees them at all, and asked for: all, or by a pattern with a dot.
 * MLSD lists for programs, and has no -a. */
static bool is_shown(void *user, const struct errand_entry *what)
{
    struct list *list = user;
    const char *name = what->name;
    bool dots = list->all || list->kind == FACTS || (list->pattern != NULL && *list->pattern == '.');
    if (strncmp(name, ERRAND_TEMPORARY, sizeof ERRAND_TEMPORARY - 1) == 0 || (*name == '.' && !dots) ||
        strlen(name) > NAME_MAX || (list->pattern != NULL && !ftp_match(list->pattern, name)))
        return false;
    return ftp_may(list->task->session, child_path(list, name, what->type == DT_DIR), FTP_RIGHT_READ);
}

struct order {
    const char *names;
    const struct list *list;
};

static int compare(const void *left, const void *right, void *context)
{
    const struct entry *one = left, *other = right;
    const struct order *order = context;
    int result = 0;
    if (order->list->by_time) /* the latest first */
        result = (one->modified < other->modified) - (one->modified > other->modified);
    if (result == 0)
        result = strcmp(order->names + one->name, order->names + other->name);
    return order->list->reverse ? -result : result;
}

/* ------------------------------------------------------------------------------------------- lines */

/* NLST's names are such that they can be used: with what was said before them. */
static char *write_said(const struct list *list, char *at)
{
    size_t length = strlen(list->said);
    if (length == 0 || strcmp(list->said, ".") == 0)
        return at;
    at += ftp_line_encode(at, list->said, FTP_LINE_DATA);
    if (list->said[length - 1] != '/')
        *at++ = '/';
    return at;
}

static char *write_line(struct list *list, char *at, const struct entry *entry, const char *name, const char *target)
{
    struct ftp_session *session = list->task->session;
    enum ftp_line_form form = list->control ? FTP_LINE_REPLY : FTP_LINE_DATA;
    if (list->control)
        *at++ = ' '; /* RFC 959, 4.2: so that no line looks like the last */
    if (list->kind == LONG) {
        at = ftp_row_long(at, entry, list->now);
    } else if (list->kind == FACTS) {
        bool writable = ftp_may(session, child_path(list, name, entry->type == DT_DIR), FTP_RIGHT_WRITE);
        at = ftp_row_facts(at, FTP_FACTS & ~session->facts_off, entry, target, writable);
    } else if (!list->file) {
        at = write_said(list, at);
    }
    at += ftp_line_encode(at, name, form);
    if (list->kind == LONG && target != NULL) {
        at = mempcpy(at, " -> ", 4);
        at += ftp_line_encode(at, target, form);
    }
    return mempcpy(at, "\r\n", 2);
}

/* Fills the piece with what is known. A batch that was written makes way for the next. */
static void write_piece(struct list *list)
{
    struct entries *entries = list->entries;
    char *at = list->bytes;
    if (!list->begun && entries->listed && entries->count > 1)
        qsort_r(entries->list, entries->count, sizeof *entries->list, compare,
                &(struct order){.names = entries->names, .list = list});
    while (list->shown < entries->count && at - list->bytes < PIECE) {
        const struct entry *entry = &entries->list[list->shown++];
        const char *target = entry->target != 0 ? entries->names + entry->target : NULL;
        if (!entry->gone)
            at = write_line(list, at, entry, entries->names + entry->name, target);
    }
    list->length = (size_t)(at - list->bytes);
    if (list->shown < entries->count)
        return;
    list->over = entries->listed;
    list->shown = 0;
    if (!list->over)
        entries_next(entries);
}

/* ------------------------------------------------------------------------------------------- sending */

/* The call step: the data connection is there. */
static int send_piece(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct list *list = task->more;
    list->paid = connection_paid(&task->session->base, list->paid, list->length, ftp_rate(task->session));
    int step = list->length > 0 ? errand_step_send(chain, task->session->data.fd, list->bytes, list->length, 0) : 0;
    return step < 0 ? step : 0;
}

/* There is a piece. Over the control connection nothing follows the first: it has to have an end. */
static int put_out(errand_chain *chain, struct ftp_task *task)
{
    struct list *list = task->more;
    struct ftp_session *session = task->session;
    bool first = !list->begun;
    list->begun = true;
    if (list->control) {
        ftp_output_add(session, "213-Status:\r\n", 13);
        ftp_output_add(session, list->bytes, list->length);
        ftp_reply(session, 213, list->over ? "End" : "There is more; LIST tells all of it.");
        list->over = true;
        return 0;
    }
    return first ? ftp_task_open_data(task, chain, list->over, send_piece, "The list is coming.")
                 : send_piece(chain, task);
}

/* The call step: the file is known. */
static int put_file(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct list *list = task->more;
    entry_take(&list->one, &task->stat);
    const char *name = list->kind == NAMES ? list->said : strrchr(task->path, '/') + 1;
    list->length = (size_t)(write_line(list, list->bytes, &list->one, name, NULL) - list->bytes);
    list->over = true;
    return put_out(chain, task);
}

/* The call step: there may be a batch. */
static int put_entries(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct list *list = task->more;
    if (list->entries->error != 0)
        return list->entries->error;
    if (!entries_are_ready(list->entries))
        return 0; /* another chain awaits it */
    write_piece(list);
    return list->length > 0 || list->over ? put_out(chain, task) : 0;
}

/* ------------------------------------------------------------------------------------------- its course */

static int read_entries(struct list *list)
{
    struct ftp_task *task = list->task;
    size_t length = strlen(task->path);
    char *child = realloc(list->child, length + NAME_MAX + 3);
    if (child == NULL)
        return -ENOMEM;
    list->child = child;
    list->child_length = (size_t)(stpcpy(child, task->path) - child);
    if (length > 1)
        child[list->child_length++] = '/';
    child[list->child_length] = '\0';
    if (!ftp_may(task->session, child, FTP_RIGHT_READ))
        return -EACCES;
    struct entries_options options = {.connection = &task->session->base,
                                      .root = task->root,
                                      .path = ftp_task_file(task),
                                      .looks = list->kind != NAMES || list->by_time,
                                      .targets = list->kind != NAMES,
                                      .shows = is_shown,
                                      .user = list};
    return entries_open(&list->entries, &options);
}

static void stop_reading(struct list *list)
{
    entries_release(list->entries);
    list->entries = NULL;
}

/* Appends what sends a piece of the directory, when there is one. */
static int append_piece(struct list *list)
{
    struct ftp_task *task = list->task;
    int64_t early = list->paid - errand_queue_now(ftp_session_queue(task->session));
    if (early > 0)
        errand_step_sleep(task->chain, early);
    int error = entries_await(list->entries, task->chain);
    int step = error ? error : errand_step_call(task->chain, put_entries, task);
    return step < 0 ? step : 0;
}

/* No directory: what else? */
static int append_file(struct list *list)
{
    struct ftp_task *task = list->task;
    stop_reading(list);
    list->file = true;
    int open = errand_step_open(task->chain, task->root, ftp_task_file(task), O_PATH, 0);
    errand_step_stat(task->chain, ERRAND_SLOT(open), &task->stat);
    int step = errand_step_call(task->chain, put_file, task);
    return step < 0 ? step : 0;
}

/* Nothing of the name: it is a pattern, and what stands before it is the directory. */
static int append_pattern(struct list *list)
{
    char *path = list->task->path, *name = strrchr(path, '/'), *said = strrchr(list->said, '/');
    stop_reading(list);
    list->pattern = strdup(name + 1);
    if (list->pattern == NULL)
        return -ENOMEM;
    name[name == path] = '\0';
    *(said != NULL ? said + 1 : list->said) = '\0';
    int error = read_entries(list);
    return error ? error : append_piece(list);
}

static bool may_be_pattern(const struct list *list)
{
    return list->kind != FACTS && list->pattern == NULL && ftp_match_is_pattern(strrchr(list->task->path, '/') + 1);
}

/* Its last chain has ended. */
static void finish(struct ftp_task *task, const struct errand_event *event)
{
    struct list *list = task->more;
    if (event->error == -ENOTDIR && list->kind == FACTS && !list->begun && !task->aborted) {
        ftp_reply(task->session, 501, "Not a directory; MLST tells of it.");
        task->replied = true;
    }
    if (task->transfer) {
        ftp_task_end_transfer(task, event);
        return;
    }
    if (event->error != 0)
        ftp_reply_error(task->session, event->error);
    ftp_task_end(task);
}

static void ended(struct ftp_task *task, const struct errand_event *event)
{
    struct list *list = task->more;
    bool tries = !task->aborted && !list->begun && !list->file;
    int (*append)(struct list *) = NULL;
    if (event->error == 0 && !task->aborted && !list->over)
        append = append_piece;
    else if (event->error == -ENOTDIR && tries && list->kind != FACTS)
        append = append_file;
    else if (event->error == -ENOENT && tries && may_be_pattern(list))
        append = append_pattern;
    if (append == NULL) {
        bool late = event->error == 0 && !list->over; /* ABOR, when a chain had ended and the next was to follow */
        finish(task, late ? &(struct errand_event){.error = -ECANCELED} : event);
        return;
    }
    int error = ftp_task_next(task);
    if (error == 0)
        error = append(list);
    if (error)
        finish(task, &(struct errand_event){.error = error});
    else
        ftp_task_submit(task);
}

static void release(struct ftp_task *task)
{
    struct list *list = task->more;
    entries_release(list->entries);
    free(list->child);
    free(list->said);
    free(list->pattern);
    free(list->bytes);
}

/* ------------------------------------------------------------------------------------------- commands */

/* As vsftpd has them: a word that begins with "-" are options; -l of NLST makes it a LIST. Of others, -R among them, is
 * made nothing. Returns what follows. */
static char *take_options(struct list *list, char *argument)
{
    while (*argument == '-') {
        size_t length = strcspn(argument, " ");
        for (size_t i = 1; i < length; i++) {
            list->all = list->all || argument[i] == 'a' || argument[i] == 'A';
            list->by_time = list->by_time || argument[i] == 't';
            list->reverse = list->reverse || argument[i] == 'r';
            if (argument[i] == 'l')
                list->kind = LONG;
        }
        argument += length + strspn(argument + length, " ");
    }
    return argument;
}

/* asked: by the options; its kind, and where it goes. */
static void begin(struct ftp_session *session, const char *argument, const struct list *asked)
{
    struct ftp_task *task =
        (asked->control ? ftp_task_begin : ftp_transfer_begin)(session, argument, FTP_RIGHT_READ, sizeof *asked, ended);
    if (task == NULL)
        return;
    struct list *list = task->more;
    *list = *asked;
    list->task = task;
    list->now = time(NULL);
    task->release = release;
    list->said = strdup(argument);
    list->bytes = malloc(PIECE + LINE_MOST);
    int error = list->said == NULL || list->bytes == NULL ? -ENOMEM : read_entries(list);
    if (error == 0)
        error = append_piece(list);
    if (error)
        finish(task, &(struct errand_event){.error = error});
    else
        ftp_task_submit(task);
}

void ftp_list(struct ftp_session *session, char *argument)
{
    struct list asked = {.kind = LONG};
    begin(session, take_options(&asked, argument), &asked);
}

void ftp_nlst(struct ftp_session *session, char *argument)
{
    struct list asked = {.kind = NAMES};
    begin(session, take_options(&asked, argument), &asked);
}

void ftp_mlsd(struct ftp_session *session, char *argument)
{
    begin(session, argument, &(struct list){.kind = FACTS});
}

/* STAT of a path. */
void ftp_list_on_control(struct ftp_session *session, char *argument)
{
    struct list asked = {.kind = LONG, .control = true};
    begin(session, take_options(&asked, argument), &asked);
}
