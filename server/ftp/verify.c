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
#include "peers.h"
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
    struct users_credentials said;
    struct address address;
    bool whole; /* it fits into these, else they are empty: nobody has no name */
    bool known; /* he was found good a moment ago */
    bool wrong;
};

static struct ftp_accounts *accounts_of(const struct ftp_session *session)
{
    return &session->base.endpoint->worker->server->accounts;
}

static int64_t check(void *context)
{
    const struct attempt *attempt = context;
    return attempt->users != NULL && users_check(attempt->users, attempt->said.name, attempt->said.password);
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
        log_error("cannot open the home of %s: %s", attempt->said.name, errand_error_name(error));
        ftp_reply(session, 530, "Your home cannot be opened.");
    } else {
        const struct user *user = users_find(attempt->users, attempt->said.name);
        ftp_enter(session, &accounts_of(session)->homes[user->writable], ftp_home_root(home));
    }
    if (!session->login.good)
        ftp_home_leave(session);
    ftp_task_end(task);
}

/* The call step: it is known whether the password is his. */
static int judge(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct ftp_session *session = task->session;
    struct attempt *attempt = task->more;
    errand_queue *queue = ftp_session_queue(session);
    attempt->wrong = !attempt->known && errand_chain_result(chain, 0) != 1;
    if (attempt->wrong) {
        int step = errand_step_sleep(chain, FAILURE_DELAY << session->login.failures);
        return step < 0 ? step : 0;
    }
    if (!attempt->known)
        peers_guessed_right(accounts_of(session)->guesses, &attempt->address);
    users_cache_add(&ftp_session_shared(session)->logins, attempt->users, &attempt->said, errand_queue_now(queue));
    const struct user *user = users_find(attempt->users, attempt->said.name);
    int error = ftp_home_join(session, user);
    if (error || ftp_home_is_open(session->login.home))
        return error;
    int step = errand_step_open(chain, AT_FDCWD, user->home, O_PATH | O_DIRECTORY, 0);
    return step < 0 ? step : errand_step_hand_over(chain, ERRAND_SLOT(step));
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
    attempt->address = gate_address(&session->base);
    attempt->whole = strlen(name) < USERS_NAME_SPACE && strlen(password) < USERS_PASSWORD_SPACE;
    if (attempt->whole) {
        memcpy(attempt->said.name, name, strlen(name));
        memcpy(attempt->said.password, password, strlen(password));
    }
    attempt->known = attempt->users != NULL && attempt->whole &&
                     users_cache_has(&ftp_session_shared(session)->logins, attempt->users, &attempt->said,
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
