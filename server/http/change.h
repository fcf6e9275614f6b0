/* SPDX-License-Identifier: MIT */
/* DELETE and MKCOL, and what all changes share: looks at what is there. MOVE and
 * COPY are in transfer.h. */
#ifndef SERVER_HTTP_CHANGE_H
#define SERVER_HTTP_CHANGE_H

#include "answer.h"

/* Opens what is at the path, if there is anything, and fills stat in. Returns the step. */
int change_look(errand_chain *chain, struct exchange *exchange, const char *path, int flags, struct errand_stat *stat);

/* found: the result of that step, of the request's path and exchange->stat. Returns 0, or the status that says why it
 * may not be replaced or removed. */
int change_judge(struct exchange *exchange, int64_t found);

/* Takes the slash off the path of a directory. */
void change_trim(struct exchange *exchange);

/* As answer_status_of(), for who wanted to write. */
int change_status_of(int error);

/* What the head of a DELETE or MKCOL alone tells. Returns 0 or a status. */
int change_check(const struct exchange *exchange, const struct http_request *request);

/* The steps of DELETE and MKCOL. */
int change_append(errand_chain *chain, struct exchange *exchange);

#endif
