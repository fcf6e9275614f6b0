/* SPDX-License-Identifier: MIT */
/* Commands that need no file, or only a look at a directory. */
#include "command.h"
#include "hash.h"
#include "line.h"
#include "path.h"
#include "row.h"
#include "session.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void ftp_noop(struct ftp_session *session, char *argument)
{
    (void)argument;
    ftp_reply(session, 200, "Still here.");
}

void ftp_syst(struct ftp_session *session, char *argument)
{
    (void)argument;
    ftp_reply(session, 215, "UNIX Type: L8");
}

void ftp_feat(struct ftp_session *session, char *argument)
{
    char facts[FTP_FACT_NAMES], hashes[FTP_HASH_LIST];
    (void)argument;
    *ftp_row_names(facts, FTP_FACTS & ~session->facts_off, true) = '\0';
    ftp_hash_list(session, hashes);
    ftp_reply(session, 211,
              "Extensions:\nEPRT\nEPSV\nHASH %s\nHOST\nMDTM\nMFMT\nMLST %s\nREST STREAM\nSIZE\nTVFS\nUTF8\nEnd", hashes,
              facts);
}

void ftp_opts(struct ftp_session *session, char *argument)
{
    if (strncasecmp(argument, "UTF8", 4) == 0 && (argument[4] == '\0' || strcasecmp(argument + 4, " ON") == 0))
        ftp_reply(session, 200, "Names are UTF-8, always.");
    else if (strncasecmp(argument, "MLST", 4) == 0 && (argument[4] == '\0' || argument[4] == ' '))
        ftp_choose_facts(session, argument + 4);
    else if (strncasecmp(argument, "HASH", 4) == 0 && (argument[4] == '\0' || argument[4] == ' '))
        ftp_hash_choose(session, argument + 4 + (argument[4] == ' '));
    else
        ftp_reply(session, 501, "There is no such option.");
}

void ftp_help(struct ftp_session *session, char *argument)
{
    char text[900];
    if (*argument) {
        unsigned verb = 0;
        for (unsigned i = 0; i < 4 && argument[i]; i++)
            verb = verb << 8 | (unsigned char)(argument[i] & ~0x20);
        const struct ftp_command *command = strlen(argument) <= 4 ? ftp_command_find(verb) : NULL;
        if (command != NULL)
            ftp_reply(session, 214, "%s %s", command->name, command->usage);
        else
            ftp_reply(session, 502, "There is no such command.");
        return;
    }
    size_t used = (size_t)snprintf(text, sizeof text, "Commands:\n");
    ftp_command_list(text + used, (unsigned)(sizeof text - used - 8));
    used = strlen(text);
    snprintf(text + used, sizeof text - used, "\nEnd");
    ftp_reply(session, 214, "%s", text);
}

void ftp_type(struct ftp_session *session, char *argument)
{
    bool ascii = strcasecmp(argument, "A") == 0 || strcasecmp(argument, "A N") == 0;
    bool image = strcasecmp(argument, "I") == 0 || strcasecmp(argument, "L 8") == 0;
    if (ascii || image) {
        session->ascii = ascii;
        ftp_reply(session, 200, ascii ? "Lines are converted." : "Bytes are left alone.");
    } else {
        ftp_reply(session, 504, "Want TYPE A or TYPE I.");
    }
}

void ftp_mode(struct ftp_session *session, char *argument)
{
    bool good = strcasecmp(argument, "S") == 0;
    ftp_reply(session, good ? 200 : 504, good ? "A stream it is." : "Want MODE S.");
}

void ftp_stru(struct ftp_session *session, char *argument)
{
    bool good = strcasecmp(argument, "F") == 0;
    ftp_reply(session, good ? 200 : 504, good ? "Files it is." : "Want STRU F.");
}

void ftp_rest(struct ftp_session *session, char *argument)
{
    char *end;
    errno = 0;
    uintmax_t offset = strtoumax(argument, &end, 10);
    if (argument[0] < '0' || argument[0] > '9' || *end || errno != 0 || offset > INT64_MAX) {
        ftp_reply(session, 501, "Want REST OFFSET.");
        return;
    }
    if (offset > 0 && session->ascii) {
        ftp_reply(session, 504, "It would have to be counted in converted lines; TYPE I first.");
        return;
    }
    session->restart = (int64_t)offset;
    ftp_reply(session, 350, "The next transfer begins there.");
}

/* ------------------------------------------------------------------------------------------ the directory */

void ftp_pwd(struct ftp_session *session, char *argument)
{
    (void)argument;
    ftp_reply_path(session, 257, session->directory ? session->directory : "/", "is where you are.");
}

static void went(struct ftp_task *task, const struct errand_event *event)
{
    struct ftp_session *session = task->session;
    if (event->error == 0) {
        free(session->directory);
        session->directory = task->path[1] != '\0' ? task->path : NULL;
        if (session->directory != NULL)
            task->path = NULL;
        ftp_reply(session, 250, "Directory changed.");
    } else {
        ftp_reply_error(session, event->error);
    }
    ftp_task_end(task);
}

void ftp_cwd(struct ftp_session *session, char *argument)
{
    struct ftp_task *task = ftp_task_begin(session, argument, FTP_RIGHT_READ, 0, went);
    if (task == NULL)
        return;
    errand_step_open(task->chain, task->root, ftp_task_file(task), O_PATH | O_DIRECTORY, 0);
    ftp_task_submit(task);
}

void ftp_cdup(struct ftp_session *session, char *argument)
{
    static char up[] = "..";
    (void)argument;
    ftp_cwd(session, up);
}

/* ------------------------------------------------------------------------------------------ status */

void ftp_stat(struct ftp_session *session, char *argument)
{
    struct ftp_task *task = session->task;
    if (task == NULL && *argument) {
        ftp_list_on_control(session, argument);
        return;
    }
    if (task == NULL) {
        ftp_reply(session, 211, "errand %s\n%s%s\nTYPE %s, MODE S, STRU F\nNothing is under way.", errand_version(),
                  session->login.good ? "Logged in as " : "Not logged in",
                  session->login.good ? session->login.name : "", session->ascii ? "A" : "I");
        return;
    }
    struct errand_progress progress = {.size = sizeof progress};
    errand_chain_progress(ftp_session_queue(session), session->base.chain, &progress);
    ftp_reply(session, 213, "Under way: %" PRIu64 " bytes.", progress.bytes);
    ftp_output_flush(session);
}

void ftp_abor(struct ftp_session *session, char *argument)
{
    struct ftp_task *task = session->task;
    (void)argument;
    if (task == NULL) {
        ftp_data_close(session);
        ftp_reply(session, 226, "Nothing is under way.");
        return;
    }
    task->aborted = true;
    errand_cancel(ftp_session_queue(session), session->base.chain);
}
