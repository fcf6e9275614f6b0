/* SPDX-License-Identifier: MIT */
/* Homes, and rates: see homes.h. */
#include "homes.h"
#include "accounts.h"
#include "closing.h"
#include "policy.h"
#include "session.h"
#include "shared.h"
#include "task.h"
#include "users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ftp_home {
    const struct user *user;
    struct user own;       /* if he is of this system: then each session has a home for itself */
    struct link busy;      /* among those with transfers that share a rate */
    struct link transfers; /* these: login.transfer of their sessions */
    unsigned sessions, moving;
    int root;
    bool open;
};

struct ftp_homes {
    struct worker *worker;
    struct ftp_home **list; /* by the user's number; NULL: he is not logged in */
    struct link busy;
    int local; /* the root of LocalHome= */
};

struct ftp_homes *ftp_homes_open(struct worker *worker)
{
    const struct users *users = worker->server->accounts.users;
    struct ftp_homes *homes = calloc(1, sizeof *homes);
    if (homes == NULL)
        return NULL;
    homes->worker = worker;
    link_head(&homes->busy);
    homes->list = calloc(users != NULL ? users_count(users) : 1, sizeof *homes->list);
    int local = worker->server->accounts.local;
    int error = local < 0 ? 0 : errand_root_add(worker->queue, local, 0, &homes->local);
    if (homes->list != NULL && error == 0)
        return homes;
    free(homes->list);
    free(homes);
    return NULL;
}

/* No session is left. */
void ftp_homes_close(struct ftp_homes *homes)
{
    if (homes != NULL)
        free(homes->list);
    free(homes);
}

static struct ftp_homes *homes_of(const struct ftp_session *session)
{
    return ftp_session_shared(session)->homes;
}

static bool is_local(const struct user *user)
{
    return user->number == (unsigned)USERS_LOCAL;
}

static struct ftp_account *account_of(const struct ftp_session *session)
{
    return &session->base.endpoint->worker->server->accounts.list[session->login.home->user->number];
}

/* ------------------------------------------------------------------------------------------ coming and going */

static struct ftp_home *find_or_make(struct ftp_homes *homes, const struct user *user)
{
    struct ftp_home *home = is_local(user) ? NULL : homes->list[user->number];
    if (home != NULL || (home = calloc(1, sizeof *home)) == NULL)
        return home;
    link_head(&home->transfers);
    home->user = user;
    if (is_local(user)) {
        home->own = (struct user){.number = user->number, .writable = user->writable};
        home->user = &home->own;
    } else {
        homes->list[user->number] = home;
    }
    return home;
}

int ftp_home_join(struct ftp_session *session, const struct user *user)
{
    struct ftp_home *home = find_or_make(homes_of(session), user);
    if (home == NULL)
        return -ENOMEM;
    uint32_t most = user->sessions != 0 ? user->sessions : ftp_session_config(session)->sessions_per_user;
    session->login.home = home;
    home->sessions++;
    if (is_local(user) || atomic_fetch_add(&account_of(session)->sessions, 1) < most || most == 0)
        return 0;
    ftp_home_leave(session);
    return -EUSERS;
}

bool ftp_home_is_open(const struct ftp_home *home)
{
    return home->open;
}

int ftp_home_opened(struct ftp_session *session, int directory)
{
    struct ftp_home *home = session->login.home;
    int error = 0;
    if (!home->open) /* two may have opened it at once */
        error = errand_root_add(ftp_session_queue(session), directory, 0, &home->root);
    home->open = error == 0;
    close_on_worker(ftp_session_queue(session), directory);
    return error;
}

int ftp_home_root(const struct ftp_home *home)
{
    return home->root;
}

bool ftp_home_is_writable(const struct ftp_home *home)
{
    return home->user->writable;
}

int ftp_homes_local(const struct ftp_session *session)
{
    return homes_of(session)->local;
}

void ftp_home_leave(struct ftp_session *session)
{
    struct ftp_home *home = session->login.home;
    if (home == NULL)
        return;
    if (!is_local(home->user))
        atomic_fetch_sub(&account_of(session)->sessions, 1);
    session->login.home = NULL;
    if (--home->sessions > 0)
        return;
    if (!is_local(home->user))
        homes_of(session)->list[home->user->number] = NULL;
    if (home->open && ftp_session_queue(session) != NULL) /* else all went with the queue */
        errand_root_remove(ftp_session_queue(session), home->root);
    free(home);
}

/* ------------------------------------------------------------------------------------------ rates */

/* The least of what limits there are. */
static uint64_t least(uint64_t one, uint64_t other)
{
    return one == 0 || (other != 0 && other < one) ? other : one;
}

uint64_t ftp_rate(const struct ftp_session *session)
{
    const struct ftp_home *home = session->login.home;
    const char *path = session->task->path;
    struct policy policy;
    policy_of(session->login.site->config, path, strlen(path), &policy);
    uint64_t rate = least(session->base.endpoint->worker->server->config->limits.rate, policy.rate);
    if (home == NULL || home->user->rate == 0)
        return rate;
    unsigned transfers = atomic_load(&account_of(session)->transfers);
    uint64_t share = transfers > 1 ? home->user->rate / transfers : home->user->rate;
    return least(rate, share > 0 ? share : 1);
}

static void share(const struct ftp_home *home)
{
    for (const struct link *at = home->transfers.next; at != &home->transfers; at = at->next) {
        const struct ftp_session *session = LINK_OF(at, struct ftp_session, login.transfer);
        if (session->base.chain != 0)
            errand_set_rate(ftp_session_queue(session), session->base.chain, ftp_rate(session));
    }
}

void ftp_rates_changed(struct ftp_homes *homes)
{
    for (const struct link *at = homes->busy.next; at != &homes->busy; at = at->next)
        share(LINK_OF(at, struct ftp_home, busy));
}

/* One more of them, or one less. */
static void count_transfer(struct ftp_session *session, int change)
{
    struct ftp_home *home = session->login.home;
    struct worker *worker = session->base.endpoint->worker;
    unsigned all = atomic_fetch_add(&account_of(session)->transfers, (unsigned)change) + (unsigned)change;
    home->moving += (unsigned)change;
    if (worker->queue == NULL)
        return;
    share(home);
    if (all > home->moving)
        server_tell_rates(worker);
}

void ftp_rate_begin(struct ftp_session *session)
{
    struct ftp_home *home = session->login.home;
    if (home == NULL || home->user->rate == 0)
        return;
    if (link_none(&home->transfers))
        link_last(&homes_of(session)->busy, &home->busy);
    link_last(&home->transfers, &session->login.transfer);
    count_transfer(session, 1);
}

void ftp_rate_end(struct ftp_session *session)
{
    struct ftp_home *home = session->login.home;
    if (home == NULL || home->user->rate == 0)
        return;
    link_out(&session->login.transfer);
    if (link_none(&home->transfers))
        link_out(&home->busy);
    count_transfer(session, -1);
}
