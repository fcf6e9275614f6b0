/* SPDX-License-Identifier: MIT */
/* Logging in: see login.h; and the commands for it. */
#include "login.h"
#include "command.h"
#include "policy.h"
#include "session.h"
#include "shared.h"
#include "task.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FAILURES_MOST = 3, MAIL_MOST = 64 };

#define FAILURE_DELAY ERRAND_SECOND

void ftp_login_forget(struct ftp_login *login)
{
    free(login->name);
    free(login->mail);
    *login = (struct ftp_login){.failures = login->failures};
}

/* Does a name in it begin with a dot, and is not meant for everybody (RFC 8615)? */
static bool is_hidden(const char *path)
{
    static const char known[] = "/.well-known";
    for (const char *at = strstr(path, "/."); at != NULL; at = strstr(at + 1, "/."))
        if (strncmp(at, known, sizeof known - 1) != 0 || (at[sizeof known - 1] && at[sizeof known - 1] != '/'))
            return true;
    return false;
}

bool ftp_may(const struct ftp_session *session, const char *path, enum ftp_right right)
{
    struct policy policy;
    policy_of(session->login.site->config, path, strlen(path), &policy);
    if (policy.deny || policy.users != NULL || (is_hidden(path) && !policy.hidden))
        return false;
    return right == FTP_RIGHT_READ || policy.writable;
}

bool ftp_shows(const struct ftp_session *session, const char *path)
{
    struct policy policy;
    policy_of(session->login.site->config, path, strlen(path), &policy);
    return policy.hidden;
}

/* What is said of a directory, by a path with a slash at its end. Is the same said of all that is beneath? */
static bool is_one(const struct config_host *host, const char *path, struct policy *policy)
{
    char directory[PATH_MAX + 2];
    int length = snprintf(directory, sizeof directory, "%s/", path);
    policy_of(host, directory, (size_t)length, policy);
    return !policy_is_mixed(host, directory, (size_t)length, policy);
}

bool ftp_may_move(const struct ftp_session *session, const char *from, const char *to)
{
    const struct config_host *host = session->login.site->config;
    struct policy before, after;
    return is_one(host, from, &before) && is_one(host, to, &after) && (before.hidden || !after.hidden);
}

/* ------------------------------------------------------------------------------------------ commands */

static bool is_anonymous(const char *name)
{
    return strcasecmp(name, "anonymous") == 0 || strcasecmp(name, "ftp") == 0;
}

bool ftp_is_anonymous(const struct ftp_session *session)
{
    return session->login.name != NULL && is_anonymous(session->login.name);
}

void ftp_user(struct ftp_session *session, char *argument)
{
    ftp_session_forget(session);
    session->login.name = strdup(argument);
    if (session->login.name == NULL)
        ftp_session_end(session, 421, "Out of memory.");
    else if (is_anonymous(argument) && ftp_session_config(session)->anonymous)
        ftp_reply(session, 331, "Anonymous: any password will do, your mail address is customary.");
    else
        ftp_reply(session, 331, "Password, please.");
}

static void enter(struct ftp_session *session)
{
    struct worker *worker = session->base.endpoint->worker;
    session->login.site = &worker->server->sites.list[0];
    session->login.root = worker->roots[0];
    session->login.good = true;
    ftp_reply(session, 230, "Logged in.");
}

static void failed(struct ftp_session *session, const struct errand_event *event)
{
    (void)event;
    ftp_login_forget(&session->login);
    if (++session->login.failures >= FAILURES_MOST)
        ftp_session_end(session, 421, "Too many failures.");
    else
        ftp_reply(session, 530, "Login incorrect.");
}

void ftp_pass(struct ftp_session *session, char *argument)
{
    if (session->login.good || session->login.name == NULL)
        ftp_reply(session, 503, session->login.good ? "You are logged in." : "USER first.");
    else if (is_anonymous(session->login.name) && ftp_session_config(session)->anonymous)
        enter(session), session->login.mail = strndup(argument, MAIL_MOST); /* without memory: none */
    else
        failed(session, NULL);
}

void ftp_acct(struct ftp_session *session, char *argument)
{
    (void)argument;
    ftp_reply(session, 202, "There are no accounts here.");
}

void ftp_rein(struct ftp_session *session, char *argument)
{
    (void)argument;
    ftp_session_forget(session);
    session->facts_off = 0; /* USER leaves it: clients choose as soon as they have read FEAT's reply */
    ftp_reply(session, 220, "Ready for a new user.");
}

void ftp_quit(struct ftp_session *session, char *argument)
{
    (void)argument;
    ftp_session_end(session, 221, "Goodbye.");
}
