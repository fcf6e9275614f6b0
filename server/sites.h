/* SPDX-License-Identifier: MIT */
/* What hosts are served from: their directories, opened, and the files of users that their rules name, read. */
#ifndef SERVER_SITES_H
#define SERVER_SITES_H

#include "config/config.h"

struct users;

struct site {
    const struct config_host *config;
    int directory;
    struct users **users; /* one for each rule; NULL: its paths are open to all */
};

/* In the order of the configuration's hosts. Threads share it. */
struct sites {
    struct site *list;
    unsigned count;
};

/* False: why says what is wrong and what to do. Leaves nothing open then. */
bool sites_open(struct sites *sites, const struct config *config, char *why, size_t why_size);
void sites_close(struct sites *sites);

#endif
