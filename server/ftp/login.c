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

enum { MAIL_MOST = 64 };

void ftp_login_forget(struct ftp_login *login)
{
    free(login->name);
    free(login->mail);
    *login = (struct ftp_login){.failures = login->failures, .host = login->host};
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
    return session->login.home == NULL;
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

void ftp_enter(struct ftp_session *session, const struct site *site, int root)
{
    session->login.site = site;
    session->login.root = root;
    session->login.good = true;
    ftp_reply(session, 230, "Logged in.");
}

static void enter_anonymous(struct ftp_session *session, const char *mail)
{
    const struct worker *worker = session->base.endpoint->worker;
    const struct site *first = worker->server->sites.list;
    const struct site *site = session->login.host != NULL ? session->login.host : first;
    session->login.mail = strndup(mail, MAIL_MOST); /* without memory: none */
    ftp_enter(session, site, worker->roots[site - first]);
}

void ftp_pass(struct ftp_session *session, char *argument)
{
    if (session->login.good || session->login.name == NULL)
        ftp_reply(session, 503, session->login.good ? "You are logged in." : "USER first.");
    else if (is_anonymous(session->login.name) && ftp_session_config(session)->anonymous)
        enter_anonymous(session, argument);
    else
        ftp_verify(session, argument);
}

/* RFC 7151. What came before it, but for the connection itself, is forgotten: the user may not be one of that host. */
void ftp_host(struct ftp_session *session, char *argument)
{
    const struct server *server = session->base.endpoint->worker->server;
    const struct config_host *host = config_find_host(server->config, argument, strlen(argument));
    if (session->login.good) {
        ftp_reply(session, 503, "You are logged in; REIN first.");
    } else if (host == NULL) {
        ftp_reply(session, 504, "There is no such host here.");
    } else {
        ftp_session_forget(session);
        session->login.host = &server->sites.list[host - server->config->hosts];
        ftp_reply(session, 220, "This is the host.");
    }
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
    session->login.host = NULL;
    session->facts_off = 0; /* USER leaves it: clients choose as soon as they have read FEAT's reply */
    ftp_reply(session, 220, "Ready for a new user.");
}

void ftp_quit(struct ftp_session *session, char *argument)
{
    (void)argument;
    ftp_session_end(session, 221, "Goodbye.");
}
