/* SPDX-License-Identifier: MIT */
/* What is kept with a file: MFMT (draft-somers-ftp-mfxx), and SITE's commands, which are no standard's but usual. */
#include "command.h"
#include "session.h"
#include "task.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { TIME_DIGITS = 14, MODE_MOST = 0777 }; /* nobody becomes somebody else by FTP */

/* What is told when it is done, before the file's path or alone. */
struct setting {
    int code;
    bool names;
    char words[48];
};

static void set(struct ftp_task *task, const struct errand_event *event)
{
    const struct setting *setting = task->more;
    if (event->error != 0)
        ftp_reply_error(task->session, event->error);
    else if (setting->names)
        ftp_reply_name(task->session, setting->code, setting->words, task->path);
    else
        ftp_reply(task->session, setting->code, "%s", setting->words);
    ftp_task_end(task);
}

/* ------------------------------------------------------------------------------------------ times */

static unsigned two_digits(const char *at)
{
    return (unsigned)(at[0] - '0') * 10 + (unsigned)(at[1] - '0');
}

/* "YYYYMMDDHHMM", in UTC, with "SS" if `digits` says so. False: it is no time. */
static bool read_time(const char *text, size_t digits, int64_t *ns)
{
    if (strspn(text, "0123456789") < digits)
        return false;
    struct tm parts = {.tm_year = (int)(two_digits(text) * 100 + two_digits(text + 2)) - 1900,
                       .tm_mon = (int)two_digits(text + 4) - 1,
                       .tm_mday = (int)two_digits(text + 6),
                       .tm_hour = (int)two_digits(text + 8),
                       .tm_min = (int)two_digits(text + 10),
                       .tm_sec = digits == TIME_DIGITS ? (int)two_digits(text + 12) : 0};
    struct tm wanted = parts;
    time_t seconds = timegm(&parts); /* brings what is no date, as the 31st of February, to another */
    if (parts.tm_mon != wanted.tm_mon || parts.tm_mday != wanted.tm_mday || parts.tm_hour != wanted.tm_hour ||
        parts.tm_min != wanted.tm_min || seconds <= -INT64_MAX / ERRAND_SECOND || seconds >= INT64_MAX / ERRAND_SECOND)
        return false;
    *ns = (int64_t)seconds * ERRAND_SECOND;
    return true;
}

static void begin_times(struct ftp_session *session, const char *file, int64_t accessed, int64_t modified,
                        const struct setting *setting)
{
    struct ftp_task *task = ftp_task_begin(session, file, FTP_RIGHT_WRITE, sizeof *setting, set);
    if (task == NULL)
        return;
    *(struct setting *)task->more = *setting;
    int step = errand_step_open(task->chain, task->root, ftp_task_file(task), O_PATH, 0);
    errand_step_utimes(task->chain, ERRAND_SLOT(step), accessed, modified);
    ftp_task_submit(task);
}

/* "20020717210715 file"; parts of a second may follow, and are passed over. */
void ftp_mfmt(struct ftp_session *session, char *argument)
{
    int64_t modified;
    char *file = strchr(argument, ' ');
    size_t length = file != NULL ? (size_t)(file - argument) : 0;
    bool good = length == TIME_DIGITS || (length > TIME_DIGITS + 1 && argument[TIME_DIGITS] == '.' &&
                                          strspn(argument + TIME_DIGITS + 1, "0123456789") == length - TIME_DIGITS - 1);
    if (!good || file[1] == '\0' || !read_time(argument, TIME_DIGITS, &modified)) {
        ftp_reply(session, 501, "Want MFMT YYYYMMDDHHMMSS FILE.");
        return;
    }
    struct setting setting = {.code = 213, .names = true};
    snprintf(setting.words, sizeof setting.words, "Modify=%.*s; ", TIME_DIGITS, argument);
    begin_times(session, file + 1, ERRAND_TIME_KEEP, modified, &setting);
}

/* Takes a time of 14 digits off the end, and the space before it. */
static bool take_last_time(char *text, int64_t *ns)
{
    char *space = strrchr(text, ' ');
    if (space == NULL || strlen(space + 1) != TIME_DIGITS || !read_time(space + 1, TIME_DIGITS, ns))
        return false;
    *space = '\0';
    return true;
}

/* "FILE ACCESSED MODIFIED CREATED UTC", or "YYYYMMDDHHMM[SS] FILE". */
static void set_times(struct ftp_session *session, char *argument)
{
    int64_t accessed = ERRAND_TIME_KEEP, modified = 0, created;
    size_t length = strlen(argument), digits = strspn(argument, "0123456789");
    bool good = false;
    if (length > 4 && strcasecmp(argument + length - 4, " UTC") == 0) {
        argument[length - 4] = '\0';
        good = take_last_time(argument, &created) && take_last_time(argument, &modified) &&
               take_last_time(argument, &accessed);
    } else if ((digits == TIME_DIGITS || digits == TIME_DIGITS - 2) && argument[digits] == ' ') {
        good = read_time(argument, digits, &modified);
        argument += digits + 1;
    }
    if (!good || *argument == '\0') {
        ftp_reply(session, 501, "Want SITE UTIME YYYYMMDDHHMMSS FILE, or FILE ACCESSED MODIFIED CREATED UTC.");
        return;
    }
    begin_times(session, argument, accessed, modified, &(struct setting){.code = 200, .words = "Times are set."});
}

/* ------------------------------------------------------------------------------------------ SITE */

/* "644 FILE" */
static void set_mode(struct ftp_session *session, char *argument)
{
    char *file;
    unsigned long mode = strtoul(argument, &file, 8);
    if (argument[0] < '0' || argument[0] > '7' || file[0] != ' ' || file[1] == '\0' || mode > MODE_MOST) {
        ftp_reply(session, 501, "Want SITE CHMOD MODE FILE, with a mode from 0 to 777.");
        return;
    }
    struct ftp_task *task = ftp_task_begin(session, file + 1, FTP_RIGHT_WRITE, sizeof(struct setting), set);
    if (task == NULL)
        return;
    *(struct setting *)task->more = (struct setting){.code = 200, .words = "The mode is set."};
    int step = errand_step_open(task->chain, task->root, ftp_task_file(task), O_RDONLY, 0);
    errand_step_chmod(task->chain, ERRAND_SLOT(step), (unsigned)mode);
    errand_step_sync(task->chain, ERRAND_SLOT(step), 0);
    ftp_task_submit(task);
}

static void help(struct ftp_session *session, char *argument)
{
    (void)argument;
    ftp_reply(session, 214,
              "Commands:\nSITE HELP\nSITE CHMOD MODE FILE\nSITE UTIME YYYYMMDDHHMMSS FILE\n"
              "SITE UTIME FILE ACCESSED MODIFIED CREATED UTC\nEnd");
}

void ftp_site(struct ftp_session *session, char *argument)
{
    static const struct {
        const char *name;
        void (*run)(struct ftp_session *, char *argument);
    } commands[] = {{"HELP", help}, {"CHMOD", set_mode}, {"UTIME", set_times}};
    size_t length = strcspn(argument, " ");
    for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strlen(commands[i].name) == length && strncasecmp(commands[i].name, argument, length) == 0) {
            commands[i].run(session, argument + length + (argument[length] == ' '));
            return;
        }
    }
    ftp_reply(session, 504, "There is no such command of SITE; SITE HELP lists what there is.");
}
