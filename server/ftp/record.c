/* SPDX-License-Identifier: MIT */
/* From a command to what is written down of it: see record.h. */
#include "record.h"
#include "line.h"
#include "path.h"
#include "session.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>

enum kind { DOWNLOAD = METRICS_DOWNLOAD, UPLOAD = METRICS_UPLOAD, LISTING = METRICS_LISTING, OTHER, SITE, LOGIN };

struct ftp_record {
    struct record_request request;
    enum kind kind;
    bool ascii; /* as it was when it began */
};

/* What is worth it. Who goes about, asks for sizes or sets up a transfer leaves no trace. */
static const struct {
    char name[5];
    uint8_t kind;
} worth[] = {
    {"RETR", DOWNLOAD}, {"STOR", UPLOAD}, {"STOU", UPLOAD}, {"APPE", UPLOAD}, {"LIST", LISTING}, {"NLST", LISTING},
    {"MLSD", LISTING},  {"DELE", OTHER},  {"MKD", OTHER},   {"XMKD", OTHER},  {"RMD", OTHER},    {"XRMD", OTHER},
    {"RNFR", OTHER},    {"RNTO", OTHER},  {"MFMT", OTHER},  {"HASH", OTHER},  {"SITE", SITE},    {"PASS", LOGIN},
};

static struct record *record_of(const struct ftp_session *session)
{
    return &session->base.endpoint->worker->record;
}

static errand_queue *queue_of(const struct ftp_session *session)
{
    return session->base.endpoint->worker->queue;
}

static struct access_text text_of(const char *text)
{
    return (struct access_text){text, text != NULL ? strlen(text) : 0};
}

/* ------------------------------------------------------------------------------------------ the beginning */

/* Options of LIST and NLST are no part of the name. */
static const char *skip_options(const char *argument)
{
    while (*argument == '-') {
        argument += strcspn(argument, " ");
        argument += strspn(argument, " ");
    }
    return argument;
}

/* The words of its line. A password is none of them. */
static void keep_texts(struct ftp_session *session, struct ftp_record *record, const char *name, const char *argument)
{
    struct record_texts texts = {.method = text_of(name),
                                 .version = {"FTP", 3},
                                 .user = text_of(session->login.name),
                                 .agent = text_of(session->login.mail)};
    char *path = NULL;
    if (record->kind == LISTING)
        argument = skip_options(argument);
    if (record->kind != LOGIN && record->kind != SITE && ftp_path_make(session->directory, argument, &path) == 0)
        argument = path;
    if (record->kind != LOGIN)
        texts.target = text_of(argument);
    record_keep(&record->request, &session->base, &texts);
    free(path);
}

void ftp_record_begin(struct ftp_session *session, unsigned verb, const char *name, const char *argument)
{
    unsigned i = 0;
    if (record_of(session)->metrics == NULL || session->record != NULL)
        return;
    while (i < sizeof worth / sizeof worth[0] && ftp_verb(worth[i].name) != verb)
        i++;
    struct ftp_record *record = i < sizeof worth / sizeof worth[0] ? calloc(1, sizeof *record) : NULL;
    if (record == NULL)
        return;
    record->request.open = true;
    record->kind = (enum kind)worth[i].kind;
    record->ascii = session->ascii;
    stage_begin(&record->request.times, errand_queue_now(queue_of(session)));
    if (record_has_log(record_of(session)))
        keep_texts(session, record, name, argument);
    session->record = record;
}

/* ------------------------------------------------------------------------------------------ meanwhile */

void ftp_record_reply(struct ftp_session *session, int code)
{
    if (session->record != NULL && session->record->request.status != 426) /* then 226 is ABOR's */
        session->record->request.status = (int16_t)code;
}

void ftp_record_stage(struct ftp_session *session, enum stage stage)
{
    if (session->record != NULL && session->record->request.times.at[stage] == 0)
        record_stage(&session->record->request, stage, queue_of(session));
}

static enum stage stage_of(const struct ftp_record *record, const struct errand_event *event)
{
    if (event->error == 0 || record->request.times.at[STAGE_DATA] != 0)
        return STAGE_SEND;
    switch (event->step_kind) {
    case ERRAND_STEP_OPEN: return STAGE_OPEN;
    case ERRAND_STEP_STAT: return STAGE_STAT;
    case ERRAND_STEP_AWAIT:
    case ERRAND_STEP_CONNECT: return STAGE_DATA;
    default: return STAGE_SEND;
    }
}

void ftp_record_chain(struct ftp_session *session, const struct errand_event *event)
{
    if (session->record != NULL)
        record_chain(record_of(session), &session->record->request, event, stage_of(session->record, event),
                     queue_of(session));
}

/* ------------------------------------------------------------------------------------------ the end */

static enum metrics_outcome outcome_of(int status)
{
    return status >= 200 && status < 300  ? METRICS_COMPLETE
           : status == 0 || status == 426 ? METRICS_BROKEN
           : status == 425                ? METRICS_UNCONNECTED
                                          : METRICS_REFUSED;
}

static void count(struct metrics *metrics, const struct ftp_record *record)
{
    const struct record_request *request = &record->request;
    if (record->kind == LOGIN && request->status == 230)
        counter_add(&metrics->ftp.logins, 1);
    else if (record->kind == LOGIN && (request->status == 530 || request->status == 421))
        counter_add(&metrics->ftp.logins_failed, 1);
    else if (record->kind <= LISTING)
        metrics_ftp_transfer(metrics, (enum metrics_transfer)record->kind, outcome_of(request->status), request->bytes,
                             &request->times);
}

/* What got as far as a data connection has a line in the log of transfers: of files, as other servers have it. */
static struct access_transfer transfer_of(const struct ftp_record *record, const struct ftp_session *session)
{
    const struct record_request *request = &record->request;
    struct access_transfer transfer = {0};
    bool moved = request->times.at[STAGE_DATA] != 0 && request->status != 425;
    if (moved && (record->kind == DOWNLOAD || record->kind == UPLOAD))
        transfer = (struct access_transfer){.direction = record->kind == DOWNLOAD ? 'o' : 'i',
                                            .ascii = record->ascii,
                                            .anonymous = ftp_is_anonymous(session),
                                            .complete = outcome_of(request->status) == METRICS_COMPLETE};
    return transfer;
}

void ftp_record_end(struct ftp_session *session, const char *path)
{
    struct ftp_record *record = session->record;
    if (record == NULL)
        return;
    session->record = NULL;
    if (record->request.texts != NULL && path != NULL && record->kind != SITE)
        record->request.texts->target = text_of(path);
    count(record_of(session)->metrics, record);
    struct access_transfer transfer = transfer_of(record, session);
    record_write(record_of(session), &record->request, &transfer);
    free(record);
}

void ftp_record_lost(struct ftp_session *session)
{
    if (session->record == NULL)
        return;
    session->record->request.status = 0;
    ftp_record_end(session, NULL);
}
