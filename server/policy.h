/* SPDX-License-Identifier: MIT */
/* What a host and its rules say of one path, put together. */
#ifndef SERVER_POLICY_H
#define SERVER_POLICY_H

#include "config/config.h"
#include "config/pattern.h"

struct policy {
    bool deny, listing, hidden, writable;
    bool headers;                                        /* some rule has lines for it: see policy_headers() */
    uint64_t rate;                                       /* bytes a second; 0: without limit */
    const struct config_rule *redirect, *origins, *type; /* NULL: none */
    const struct config_rule *users;
    unsigned users_rule; /* its number */
};

/* path: decoded, with its leading slash. */
void policy_of(const struct config_host *host, const char *path, size_t length, struct policy *policy);

/*
 * Does some rule say of a part of what is beneath a directory something else than of the directory itself (path, with a
 * slash at its end; policy: what policy_of() says of it), about who may do what there? Then no one answer would be
 * right for the tree as a whole.
 */
bool policy_is_mixed(const struct config_host *host, const char *path, size_t length, const struct policy *policy);

/* The lines that rules add to the head of a reply. Returns their length; out may be NULL. */
size_t policy_headers(const struct config_host *host, const char *path, size_t length, char *out);

/* Where a redirect leads, not encoded. Returns the length; out may be NULL. */
size_t policy_target(const struct config_rule *rule, const char *path, size_t length, char *out);

#endif
