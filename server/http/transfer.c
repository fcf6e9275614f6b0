/* SPDX-License-Identifier: MIT */
/* MOVE and COPY: see transfer.h. */
#include "transfer.h"
#include "bytes.h"
#include "change.h"
#include "path.h"
#include "files/place.h"
#include "files/temporary.h"
#include "upload.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum {
    COPIES = 8,   /* of collections, at once for a worker: each takes many chains and descriptors */
    PARALLEL = 8, /* files of each */
    DIRECTORY_MODE = 0777,
    WORK_MODE = 0700,
};

enum transfer_stage {
    JUDGING,
    MAKING,  /* a directory of ours */
    LOCKING, /* it */
    COPYING,
    PLACING,
};

struct transfer {
    struct policy policy;    /* of the destination */
    struct errand_stat stat; /* of what stands there */
    struct temporary work;   /* COPY of a collection: what it is made in */
    char *made;              /* what it is called there */
    uint8_t stage;
    bool only_new, shallow, exists, directory, counted;
    int look, name;     /* steps of the chain under way */
    size_t path_length; /* of what is behind the slash */
    char path[];        /* of the destination, with a slash before it */
};

const char *transfer_path(const struct transfer *transfer)
{
    return transfer->path + 1;
}

bool transfer_only_new(const struct transfer *transfer)
{
    return transfer->only_new;
}

/* ---------------------------------------------------------------------------------------- from the request */

/*
 * Destination: an absolute path, or a URL of this server: of the same authority as the request's, since what else this
 * server is called is not known here. Takes off what stands before the path. Returns 0 or a status.
 */
static int take_authority(const struct http_request *request, const char *head, const char **url, size_t *length)
{
    const char *text = *url;
    size_t scheme = *length > 7 && http_same_word(text, "http://", 7)    ? 7
                    : *length > 8 && http_same_word(text, "https://", 8) ? 8
                                                                         : 0;
    if (*length > 0 && *text == '/')
        return 0;
    if (scheme == 0)
        return 400;
    const char *slash = memchr(text + scheme, '/', *length - scheme);
    size_t end = slash != NULL ? (size_t)(slash - text) : *length;
    const struct http_span *host = &request->host;
    if (end - scheme != host->length || strncasecmp(text + scheme, head + host->at, host->length) != 0)
        return 502;
    *url += end;
    *length -= end;
    return 0;
}

/* Is one path the other, or beneath it? Both begin with a slash and have none at their end. */
static bool is_within(const char *path, size_t length, const char *above, size_t above_length)
{
    return length >= above_length && memcmp(path, above, above_length) == 0 &&
           (length == above_length || path[above_length] == '/');
}

static int read_destination(struct exchange *exchange, const struct http_request *request, const char *head)
{
    const char *url = head + request->destination.at;
    size_t length = request->destination.at != 0 ? request->destination.length : 0;
    int status = take_authority(request, head, &url, &length);
    if (status != 0)
        return status;
    if (!http_is_target(url, length) || memchr(url, '?', length) != NULL)
        return 400;
    struct transfer *transfer = exchange->transfer = calloc(1, sizeof *transfer + length + 4);
    if (transfer == NULL)
        return 503;
    transfer->work.fd = -1;
    transfer->path[0] = '/';
    bool hidden;
    int size = path_from_url(url, length, transfer->path + 1, &transfer->directory, &hidden);
    if (size < 0)
        return size == -404 ? 403 : -size;
    transfer->path_length = (size_t)size;
    if (exchange->directory && !transfer->directory) { /* a collection's URL ends with a slash, said or not */
        transfer->path[++transfer->path_length] = '/';
        transfer->directory = true;
    }
    const struct policy *policy = &transfer->policy;
    policy_of(exchange->site->config, transfer->path, transfer->path_length + 1, &transfer->policy);
    if (!policy->writable) /* 405 says that no method changes anything here */
        return exchange->policy.writable ? 403 : 405;
    return (hidden && !policy->hidden) || policy->deny || policy->redirect != NULL ? 403 : 0;
}

/* A collection goes as a whole or not at all; and no copy shows what was hidden. */
static int check_trees(const struct exchange *exchange)
{
    const struct transfer *transfer = exchange->transfer;
    const struct config_host *host = exchange->site->config;
    if (transfer->policy.hidden && !exchange->policy.hidden)
        return 403;
    bool mixed = policy_is_mixed(host, exchange->path - 1, exchange->path_length + 1, &exchange->policy) ||
                 policy_is_mixed(host, transfer->path, transfer->path_length + 1, &transfer->policy);
    return mixed ? 403 : 0;
}

/* Whoever asks must be let in at both ends. */
static void ask_for_users(struct exchange *exchange)
{
    const struct policy *policy = &exchange->transfer->policy;
    if (policy->users == NULL || policy->users == exchange->policy.users)
        return;
    if (exchange->policy.users != NULL) {
        exchange->other_users = exchange->site->users[policy->users_rule];
        return;
    }
    exchange->policy.users = policy->users;
    exchange->policy.users_rule = policy->users_rule;
}

int transfer_prepare(struct exchange *exchange, const struct http_request *request, const char *head)
{
    int status = read_destination(exchange, request, head);
    if (status != 0)
        return status;
    struct transfer *transfer = exchange->transfer;
    bool moves = request->method == HTTP_MOVE;
    if (request->flags & HTTP_DEPTH_OTHER || (moves && request->flags & HTTP_DEPTH_ZERO))
        return 400;
    transfer->only_new = request->flags & HTTP_OVERWRITE_NOT;
    transfer->shallow = request->flags & HTTP_DEPTH_ZERO;
    if (!exchange->directory && transfer->directory)
        return transfer->path_length == 0 ? 403 : 409;
    status = exchange->directory ? check_trees(exchange) : 0;
    if (status != 0)
        return status;
    ask_for_users(exchange);
    change_trim(exchange);
    if (transfer->directory && transfer->path_length > 0)
        transfer->path[transfer->path_length--] = '\0';
    const char *from = exchange->path - 1, *to = transfer->path;
    size_t from_length = exchange->path_length + 1, to_length = transfer->path_length + 1;
    bool root = exchange->path_length == 0 || transfer->path_length == 0;
    return root || is_within(from, from_length, to, to_length) || is_within(to, to_length, from, from_length) ? 403 : 0;
}

/* ---------------------------------------------------------------------------------------------- the judgement */

int transfer_look(errand_chain *chain, struct exchange *exchange)
{
    struct transfer *transfer = exchange->transfer;
    return change_look(chain, exchange, transfer_path(transfer), O_PATH | O_NOFOLLOW, &transfer->stat);
}

int transfer_judge(struct exchange *exchange, int64_t found)
{
    struct transfer *transfer = exchange->transfer;
    const struct errand_stat *from = &exchange->stat, *to = &transfer->stat;
    transfer->exists = found >= 0 && to->mode != 0;
    if (found < 0 && found != -ENOENT)
        return change_status_of((int)found);
    if (!transfer->exists)
        return 0;
    if (to->inode == from->inode && to->device == from->device) {
        /* Another spelling of one name? Of two names of a file rename(2) would take none away. */
        if (exchange->method == HTTP_COPY || (from->links > 1 && !S_ISDIR(from->mode)))
            return 403;
        transfer->exists = transfer->only_new = false;
        return 0;
    }
    if (transfer->only_new)
        return 412;
    if (S_ISDIR(to->mode) != exchange->directory)
        return 409; /* a file in the place of a whole collection is no one's wish */
    return S_ISDIR(to->mode) || S_ISREG(to->mode) || S_ISLNK(to->mode) ? 0 : 403;
}

/* The call step: what is at both ends is known. If there is nothing to object to, the chain ends. */
static int judge(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    uint32_t mode = exchange->stat.mode;
    int64_t found = errand_chain_result(chain, exchange->file_step);
    int status = found == -ENOENT || found == -ENOTDIR ? 404 : change_judge(exchange, found);
    if (status == 0 && S_ISDIR(mode) != exchange->directory)
        status = 409;
    bool may = S_ISDIR(mode) || S_ISREG(mode) || (S_ISLNK(mode) && exchange->method == HTTP_MOVE);
    if (status == 0 && !may)
        status = 403;
    if (status == 0)
        status = transfer_judge(exchange, errand_chain_result(chain, exchange->transfer->look));
    return status == 0 ? 0 : answer_status(chain, exchange, status);
}

int transfer_append(errand_chain *chain, struct exchange *exchange)
{
    int flags = exchange->method == HTTP_MOVE ? O_PATH | O_NOFOLLOW : O_PATH; /* a copy is of what GET shows */
    exchange->file_step = (int16_t)change_look(chain, exchange, exchange->path, flags, &exchange->stat);
    exchange->transfer->look = transfer_look(chain, exchange);
    int step = errand_step_call(chain, judge, exchange);
    return step < 0 ? step : 0;
}

/* -------------------------------------------------------------------------------------------- to its place */

static int kept(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    return answer_changed(chain, exchange, exchange->transfer->exists ? 204 : 201, NULL, 0);
}

static int status_of_rename(const struct transfer *transfer, int error)
{
    switch (-error) {
    case EEXIST: return transfer->only_new ? 412 : 409;
    case EXDEV: return 502;                           /* another filesystem: RFC 4918, 9.9.4 */
    case EINVAL: return transfer->exists ? 409 : 403; /* cannot exchange; would be within itself */
    default: return change_status_of(error);
    }
}

static bool same_directory(const char *one, const char *other)
{
    size_t length = place_directory(one);
    return length == place_directory(other) && memcmp(one, other, length) == 0;
}

static int append_rename(errand_chain *chain, struct exchange *exchange);

/* The call step: it has its name, or not. */
static int placed(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    struct transfer *transfer = exchange->transfer;
    int root = exchange_root(exchange);
    int64_t result = errand_chain_result(chain, transfer->name);
    if (result == -EINVAL && transfer->only_new && !transfer->exists) {
        transfer->only_new = false; /* it cannot refuse to replace, NFS for one; the look came just before */
        return append_rename(chain, exchange);
    }
    if (result < 0)
        return answer_status(chain, exchange, status_of_rename(transfer, (int)result));
    bool moves = exchange->method == HTTP_MOVE;
    if (moves && exchange->rubbish != NULL) /* what was replaced stands where the other was */
        errand_step_rename(chain, root, exchange->path, root, exchange->rubbish, 0);
    place_sync(chain, exchange_root(exchange), transfer_path(transfer));
    if (moves && !same_directory(exchange->path, transfer_path(transfer)))
        place_sync(chain, exchange_root(exchange), exchange->path);
    int step = errand_step_call(chain, kept, exchange);
    return step < 0 ? step : 0;
}

static int append_rename(errand_chain *chain, struct exchange *exchange)
{
    struct transfer *transfer = exchange->transfer;
    int root = exchange_root(exchange);
    bool swaps = transfer->exists && exchange->directory;
    unsigned flags = swaps ? RENAME_EXCHANGE : transfer->only_new ? RENAME_NOREPLACE : 0;
    const char *from = exchange->method == HTTP_MOVE ? exchange->path : transfer->made;
    transfer->name = errand_step_rename(chain, root, from, root, transfer_path(transfer), flags);
    errand_step_optional(chain, transfer->name);
    int step = errand_step_call(chain, placed, exchange);
    return step < 0 ? step : 0;
}

static int append_place(errand_chain *chain, struct exchange *exchange)
{
    bool moves = exchange->method == HTTP_MOVE;
    if (moves && S_ISREG(exchange->stat.mode)) { /* who wrote it may not have synced it, and it may replace what was */
        int file = errand_step_open(chain, exchange_root(exchange), exchange->path, O_RDONLY | O_NOFOLLOW, 0);
        errand_step_optional(chain, file);
        errand_step_optional(chain, errand_step_sync(chain, ERRAND_SLOT(file), 0));
    }
    if (moves && exchange->directory && exchange->transfer->exists &&
        (exchange->rubbish = temporary_path(exchange->path)) == NULL)
        return -ENOMEM;
    return append_rename(chain, exchange);
}

/* ------------------------------------------------------------------------------------- copies of collections */

static int append_work(errand_chain *chain, struct exchange *exchange)
{
    struct transfer *transfer = exchange->transfer;
    int root = exchange_root(exchange);
    char *path = temporary_path(transfer_path(transfer));
    size_t length = path != NULL ? strlen(path) : 0;
    transfer->work.path = path;
    transfer->work.root = root;
    if (path == NULL || (transfer->made = malloc(length + 3)) == NULL)
        return -ENOMEM;
    memcpy(transfer->made, path, length);
    memcpy(transfer->made + length, "/c", 3);
    errand_step_mkdir(chain, root, path, WORK_MODE);
    int open = errand_step_open(chain, root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    int step = errand_step_hand_over(chain, ERRAND_SLOT(open));
    return step < 0 ? step : 0;
}

static int append_lock(errand_chain *chain, struct exchange *exchange)
{
    struct transfer *transfer = exchange->transfer;
    temporary_lock(chain, &transfer->work);
    if (transfer->shallow)
        errand_step_mkdir(chain, exchange_root(exchange), transfer->made, DIRECTORY_MODE);
    return 0;
}

/* The job's event comes as that of a chain of the connection would, which it stands for: it is cancelled like one. */
static void copy_tree(struct exchange *exchange)
{
    struct transfer *transfer = exchange->transfer;
    struct connection *connection = &exchange->http->base;
    int root = exchange_root(exchange);
    char *from = malloc(exchange->path_length + 3); /* "/.": what a symlink leads to */
    int error = -ENOMEM;
    if (from != NULL) {
        memcpy(from, exchange->path, exchange->path_length);
        memcpy(from + exchange->path_length, "/.", 3);
        struct errand_copy_tree job = {.size = sizeof job,
                                       .from_dir_fd = root,
                                       .to_dir_fd = root,
                                       .from = from,
                                       .to = transfer->made,
                                       .parallel = PARALLEL,
                                       .flags = ERRAND_SYNC,
                                       .user_data = connection};
        error = errand_copy_tree(exchange_shared(exchange)->worker->queue, &job, &connection->chain);
        free(from);
    }
    if (error != 0)
        answer_alone(exchange, answer_status_of(error));
}

static void begin_copy(struct exchange *exchange)
{
    struct http_shared *shared = exchange_shared(exchange);
    if (shared->copies >= COPIES) {
        answer_alone(exchange, 503);
        return;
    }
    shared->copies++;
    exchange->transfer->counted = true;
    exchange->transfer->stage = MAKING;
    exchange_run(exchange, append_work);
}

void transfer_go_on(struct exchange *exchange, const struct errand_event *event)
{
    struct transfer *transfer = exchange->transfer;
    bool moves = exchange->method == HTTP_MOVE;
    if (transfer->stage == JUDGING && !moves && !exchange->directory) {
        if (upload_prepare_copy(exchange) == 0)
            exchange_run(exchange, upload_append);
        else
            answer_alone(exchange, 503);
    } else if (transfer->stage == JUDGING && !moves) {
        begin_copy(exchange);
    } else if (transfer->stage == MAKING) {
        transfer->stage = LOCKING;
        transfer->work.fd = event->fd;
        exchange_run(exchange, append_lock);
    } else if (transfer->stage == LOCKING && !transfer->shallow) {
        transfer->stage = COPYING;
        copy_tree(exchange);
    } else {
        transfer->stage = PLACING;
        exchange_run(exchange, append_place);
    }
}

void transfer_free(struct exchange *exchange)
{
    struct transfer *transfer = exchange->transfer;
    if (transfer == NULL)
        return;
    temporary_drop(&transfer->work, &exchange_shared(exchange)->worker->remover);
    exchange_shared(exchange)->copies -= transfer->counted;
    free(transfer->made);
    free(transfer);
    exchange->transfer = NULL;
}
