/* SPDX-License-Identifier: MIT */
/*
 * PASS of a user with a password, which is one chain: a worker thread computes the hash, unless he was found good a
 * moment ago; then his home is opened, if he is the first to be in it, or time passes before he is told that he is not
 * let in. Names that are not there take as long as others.
 */
#include "accounts.h"
#include "gate.h"
#include "homes.h"
#include "log.h"
#include "operation/pam.h"
#include "peers.h"
#include "record/format.h"
#include "session.h"
#include "shared.h"
#include "task.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { FAILURES_MOST = 3 }; /* of a session */

#define FAILURE_DELAY ERRAND_SECOND /* before the answer to the first; twice as long before the next */

struct attempt {
    const struct users *users; /* NULL: there are none */
    int pam;                   /* -1: users of this system do not come in */
    struct pam_question question;
    struct pam_answer answer;
    struct address address;
    bool whole; /* it fits into these, else they are empty: nobody has no name */
    bool known; /* he was found good a moment ago */
    bool wrong;
};

static struct ftp_accounts *accounts_of(const struct ftp_session *session)
{
    return &session->base.endpoint->worker->server->accounts;
}

enum { WRONG, IN_THE_FILE, OF_THE_SYSTEM };

static int64_t check(void *context)
{
    struct attempt *attempt = context;
    const struct users_credentials *said = &attempt->question.said;
    if (attempt->users != NULL && users_check(attempt->users, said->name, said->password))
        return IN_THE_FILE;
    if (attempt->pam < 0 || !attempt->whole || (attempt->users != NULL && users_find(attempt->users, said->name)))
        return WRONG;
    pam_ask(attempt->pam, &attempt->question, &attempt->answer);
    return attempt->answer.good ? OF_THE_SYSTEM : WRONG;
}

/* ------------------------------------------------------------------------------------------ the answer */

static void refuse(struct ftp_session *session)
{
    ftp_login_forget(&session->login);
    if (++session->login.failures >= FAILURES_MOST)
        ftp_session_end(session, 421, "Too many failures.");
    else
        ftp_reply(session, 530, "Login incorrect.");
}

static void ended(struct ftp_task *task, const struct errand_event *event)
{
    struct ftp_session *session = task->session;
    const struct attempt *attempt = task->more;
    struct ftp_home *home = session->login.home;
    int error = event->error;
    if (error == 0 && event->fd >= 0)
        error = ftp_home_opened(session, event->fd);
    if (attempt->wrong) {
        refuse(session);
    } else if (error == -EUSERS) {
        ftp_reply(session, 530, "You are logged in too often; end another session first.");
    } else if (error) {
        log_error("cannot open the home of %s: %s", attempt->question.said.name, errand_error_name(error));
        ftp_reply(session, 530, "Your home cannot be opened.");
    } else {
        ftp_enter(session, &accounts_of(session)->homes[ftp_home_is_writable(home)], ftp_home_root(home));
    }
    if (!session->login.good)
        ftp_home_leave(session);
    ftp_task_end(task);
}

/* Has the session join the home, which has to be opened beneath the directory if nobody is there yet. */
static int enter_home(errand_chain *chain, struct ftp_session *session, const struct user *user, int directory,
                      const char *path)
{
    int error = ftp_home_join(session, user);
    if (error || ftp_home_is_open(session->login.home))
        return error;
    int step = errand_step_open(chain, directory, path, O_PATH | O_DIRECTORY, 0);
    return step < 0 ? step : errand_step_hand_over(chain, ERRAND_SLOT(step));
}

/* Only what is beneath LocalHome= is served: the rest of the path is opened there. */
static int enter_local(errand_chain *chain, struct ftp_session *session, const char *home)
{
    const struct config_ftp *config = ftp_session_config(session);
    const struct user user = {.number = (unsigned)USERS_LOCAL, .writable = config->local_writable};
    size_t length = strlen(config->local_home);
    while (length > 0 && config->local_home[length - 1] == '/')
        length--;
    if (strncmp(home, config->local_home, length) != 0 || home[length] != '/')
        return -EXDEV;
    home += length + strspn(home + length, "/");
    return *home == '\0' ? -EXDEV : enter_home(chain, session, &user, ftp_homes_local(session), home);
}

/* The call step: it is known whether the password is his. */
static int judge(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct ftp_session *session = task->session;
    struct attempt *attempt = task->more;
    int64_t who = attempt->known ? IN_THE_FILE : errand_chain_result(chain, 0);
    attempt->wrong = who != IN_THE_FILE && who != OF_THE_SYSTEM;
    if (attempt->wrong) {
        int step = errand_step_sleep(chain, FAILURE_DELAY << session->login.failures);
        return step < 0 ? step : 0;
    }
    if (!attempt->known)
        peers_guessed_right(accounts_of(session)->guesses, &attempt->address);
    if (who == OF_THE_SYSTEM)
        return enter_local(chain, session, attempt->answer.home);
    users_cache_add(&ftp_session_shared(session)->logins, attempt->users, &attempt->question.said,
                    errand_queue_now(ftp_session_queue(session)));
    const struct user *user = users_find(attempt->users, attempt->question.said.name);
    return enter_home(chain, session, user, AT_FDCWD, user->home);
}

/* ------------------------------------------------------------------------------------------ the question */

static void forget_password(struct ftp_task *task)
{
    explicit_bzero(task->more, sizeof(struct attempt));
}

static void fill_in(struct ftp_session *session, struct attempt *attempt, const char *password)
{
    const char *name = session->login.name;
    attempt->users = accounts_of(session)->users;
    attempt->pam = accounts_of(session)->pam;
    attempt->address = gate_address(&session->base);
    if (address_is_known(&attempt->address))
        *access_address(attempt->question.from, attempt->address.bytes) = '\0';
    attempt->whole = strlen(name) < USERS_NAME_SPACE && strlen(password) < USERS_PASSWORD_SPACE;
    if (attempt->whole) {
        memcpy(attempt->question.said.name, name, strlen(name));
        memcpy(attempt->question.said.password, password, strlen(password));
    }
    attempt->known = attempt->users != NULL && attempt->whole &&
                     users_cache_has(&ftp_session_shared(session)->logins, attempt->users, &attempt->question.said,
                                     errand_queue_now(ftp_session_queue(session)));
}

/* Of who has guessed too often already nothing more is looked at. */
static bool may_guess(const struct ftp_session *session, const struct attempt *attempt)
{
    uint32_t most = ftp_session_config(session)->failures_per_address;
    return attempt->known || most == 0 || !address_is_known(&attempt->address) ||
           peers_guess(accounts_of(session)->guesses, &attempt->address, most,
                       errand_queue_now(ftp_session_queue(session)));
}

void ftp_verify(struct ftp_session *session, const char *password)
{
    struct ftp_task *task = ftp_task_begin_bare(session, sizeof(struct attempt), ended);
    if (task == NULL)
        return;
    struct attempt *attempt = task->more;
    task->release = forget_password;
    fill_in(session, attempt, password);
    if (!may_guess(session, attempt)) {
        ftp_session_end(session, 421, "Too many failures of your address; come back later.");
        ftp_task_end(task);
        return;
    }
    if (!attempt->known)
        errand_step_work(task->chain, check, attempt);
    errand_step_call(task->chain, judge, task);
    struct connection_limits none = {0}; /* a hash, and the wait behind it, take what they take */
    int error = connection_submit(&session->base, task->chain, &none);
    task->chain = NULL;
    if (error) {
        ftp_reply_error(session, error);
        ftp_task_end(task);
    }
}
