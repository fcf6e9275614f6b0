/* SPDX-License-Identifier: MIT */
/* Basic authentication: a password's hash takes tens of milliseconds, so a worker thread computes it. */
#include "answer.h"
#include "users.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>

enum { FILES = 2 }; /* of users: of the path, and of a destination */

struct credentials {
    const struct users *users[FILES]; /* NULL: none */
    struct users_credentials said;
};

static int64_t check(void *context)
{
    const struct credentials *credentials = context;
    for (unsigned i = 0; i < FILES; i++)
        if (credentials->users[i] != NULL &&
            !users_check(credentials->users[i], credentials->said.name, credentials->said.password))
            return 0;
    return 1;
}

static int64_t now_of(const struct exchange *exchange)
{
    return errand_queue_now(exchange_shared(exchange)->worker->queue);
}

static bool is_known(const struct exchange *exchange)
{
    const struct credentials *credentials = exchange->credentials;
    const struct users_cache *logins = &exchange_shared(exchange)->logins;
    for (unsigned i = 0; i < FILES; i++)
        if (credentials->users[i] != NULL &&
            !users_cache_has(logins, credentials->users[i], &credentials->said, now_of(exchange)))
            return false;
    return true;
}

static void remember(struct exchange *exchange)
{
    const struct credentials *credentials = exchange->credentials;
    struct users_cache *logins = &exchange_shared(exchange)->logins;
    for (unsigned i = 0; i < FILES; i++)
        if (credentials->users[i] != NULL)
            users_cache_add(logins, credentials->users[i], &credentials->said, now_of(exchange));
}

/* The call step behind it. */
static int checked(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    struct credentials *credentials = exchange->credentials;
    bool good = errand_chain_result(chain, 0) == 1;
    if (good) {
        remember(exchange);
        record_user(&exchange->record, credentials->said.name, strlen(credentials->said.name));
    }
    login_free(exchange);
    return good ? exchange->append(chain, exchange) : answer_status(chain, exchange, 401);
}

int login_check(struct exchange *exchange, const char *field, size_t length)
{
    struct http_shared *shared = exchange_shared(exchange);
    struct credentials *credentials = malloc(sizeof *credentials);
    errand_chain *chain;
    if (credentials == NULL)
        return 503;
    exchange->credentials = credentials;
    credentials->users[0] = exchange->site->users[exchange->policy.users_rule];
    credentials->users[1] = exchange->other_users;
    if (length == 0 || !users_read_basic(field, length, &credentials->said)) {
        login_free(exchange);
        return 401;
    }
    if (is_known(exchange)) {
        record_user(&exchange->record, credentials->said.name, strlen(credentials->said.name));
        login_free(exchange);
        return 0;
    }
    if (errand_chain_new(shared->worker->queue, &chain) != 0)
        return 503;
    errand_step_work(chain, check, credentials);
    errand_step_call(chain, checked, exchange);
    return exchange_submit(exchange, chain) == 0 ? -1 : 503;
}

void login_free(struct exchange *exchange)
{
    if (exchange->credentials != NULL)
        explicit_bzero(exchange->credentials, sizeof *exchange->credentials);
    free(exchange->credentials);
    exchange->credentials = NULL;
}
