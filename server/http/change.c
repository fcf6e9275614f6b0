/* SPDX-License-Identifier: MIT */
/* Changes without a body: see change.h. */
#include "change.h"
#include "files/place.h"
#include "files/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { DIRECTORY_MODE = 0777 };

int change_look(errand_chain *chain, struct exchange *exchange, const char *path, int flags, struct errand_stat *stat)
{
    stat->mode = 0;
    int step = errand_step_open(chain, exchange_root(exchange), path, flags, 0);
    errand_step_optional(chain, step);
    errand_step_optional(chain, errand_step_stat(chain, ERRAND_SLOT(step), stat));
    return step;
}

int change_status_of(int error)
{
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case ENOTEMPTY:
    case EBUSY: /* where something is mounted */
    case EISDIR: return 409;
    case EEXIST: return 405;
    case EXDEV:  /* a symlink that leads out of the root */
    case ENOSYS: /* seccomp: a device in a collection */
    case ELOOP: return 403;
    default: return answer_status_of(error);
    }
}

int change_judge(struct exchange *exchange, int64_t found)
{
    const struct errand_stat *stat = &exchange->stat;
    char tag[HTTP_TAG_SPACE];
    bool exists = found >= 0 && stat->mode != 0;
    if (found < 0 && found != -ENOENT)
        return change_status_of((int)found);
    if (exists && exchange->method == HTTP_PUT && !S_ISREG(stat->mode))
        return S_ISDIR(stat->mode) ? 405 : 403;
    if (!exchange->conditional)
        return 0;
    struct http_current current = {
        .exists = exists,
        .tag = tag,
        .tag_length = exists ? http_tag_write(tag, stat->modified_ns, stat->bytes, stat->inode) : 0,
        .modified = stat->modified_ns / ERRAND_SECOND - (stat->modified_ns % ERRAND_SECOND < 0),
        .now = exchange_clock(exchange)->seconds};
    return http_conditions_judge(&exchange->conditions, exchange->method, &current).status;
}

static int changed(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    return answer_changed(chain, exchange, exchange->method == HTTP_MKCOL ? 201 : 204, NULL, 0);
}

static int append_rest(errand_chain *chain, struct exchange *exchange)
{
    place_sync(chain, exchange_root(exchange), exchange->path);
    int step = errand_step_call(chain, changed, exchange);
    return step < 0 ? step : 0;
}

/*
 * The call step: what is to be removed is known. A directory goes only by its URL with a slash, and as a whole: it gets
 * a name of ours, which nobody sees, and is removed when this exchange ends.
 */
static int looked(errand_chain *chain, void *context)
{
    struct exchange *exchange = context;
    int root = exchange_root(exchange);
    int64_t found = errand_chain_result(chain, exchange->file_step);
    int status = found == -ENOENT || found == -ENOTDIR ? 404 : change_judge(exchange, found);
    if (status == 0 && S_ISDIR(exchange->stat.mode) != exchange->directory)
        status = 409;
    if (status != 0)
        return answer_status(chain, exchange, status);
    if (!exchange->directory)
        errand_step_unlink(chain, root, exchange->path);
    else if ((exchange->rubbish = temporary_path(exchange->path)) != NULL)
        errand_step_rename(chain, root, exchange->path, root, exchange->rubbish, 0);
    else
        return -ENOMEM;
    return append_rest(chain, exchange);
}

int change_check(const struct exchange *exchange, const struct http_request *request)
{
    if (request->method == HTTP_MKCOL)
        return request->content_length > 0 ? 415 : 0;
    if (request->flags & (HTTP_DEPTH_ZERO | HTTP_DEPTH_OTHER))
        return 400;
    bool mixed = exchange->directory && policy_is_mixed(exchange->site->config, exchange->path - 1,
                                                        exchange->path_length + 1, &exchange->policy);
    return mixed ? 403 : 0;
}

void change_trim(struct exchange *exchange)
{
    uint32_t length = exchange->path_length;
    if (length > 0 && exchange->path[length - 1] == '/')
        exchange->path[exchange->path_length = length - 1] = '\0';
}

int change_append(errand_chain *chain, struct exchange *exchange)
{
    change_trim(exchange);
    if (exchange->path_length == 0) /* the root itself */
        return answer_status(chain, exchange, exchange->method == HTTP_MKCOL ? 405 : 403);
    if (exchange->method == HTTP_MKCOL) {
        errand_step_mkdir(chain, exchange_root(exchange), exchange->path, DIRECTORY_MODE);
        return append_rest(chain, exchange);
    }
    exchange->file_step = (int16_t)change_look(chain, exchange, exchange->path, O_PATH | O_NOFOLLOW, &exchange->stat);
    int step = errand_step_call(chain, looked, exchange);
    return step < 0 ? step : 0;
}
