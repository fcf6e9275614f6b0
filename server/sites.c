/* SPDX-License-Identifier: MIT */
/* Opens what hosts are served from. */
#include "sites.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The directory may be searchable without being readable: that is enough to serve what is in it. */
static int open_directory(const char *path, char *why, size_t why_size)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && faccessat(fd, ".", X_OK, AT_EACCESS) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    snprintf(why, why_size, "cannot serve %s: %s", path,
             error == ENOENT    ? "no such directory"
             : error == ENOTDIR ? "not a directory (errand serve takes the directory that holds the file)"
             : error == EACCES  ? "no permission to look into it (make it searchable: chmod +rx)"
                                : strerror(error));
    return -1;
}

static bool open_users(struct site *site, char *why, size_t why_size)
{
    const struct config_host *host = site->config;
    site->users = calloc(host->rule_count + 1, sizeof *site->users);
    if (site->users == NULL)
        snprintf(why, why_size, "out of memory");
    for (unsigned i = 0; site->users != NULL && i < host->rule_count; i++)
        if (host->rules[i].users.bytes != NULL &&
            (site->users[i] = users_open(host->rules[i].users.bytes, why, why_size)) == NULL)
            return false;
    return site->users != NULL;
}

bool sites_open(struct sites *sites, const struct config *config, char *why, size_t why_size)
{
    *sites = (struct sites){.list = calloc(config->host_count, sizeof *sites->list)};
    if (sites->list == NULL)
        snprintf(why, why_size, "out of memory");
    for (unsigned i = 0; sites->list != NULL && i < config->host_count; i++) {
        struct site *site = &sites->list[sites->count++];
        site->config = &config->hosts[i];
        site->directory = open_directory(site->config->directory, why, why_size);
        if (site->directory < 0 || !open_users(site, why, why_size)) {
            sites_close(sites);
            return false;
        }
    }
    return sites->list != NULL;
}

void sites_close(struct sites *sites)
{
    for (unsigned i = 0; i < sites->count; i++) {
        struct site *site = &sites->list[i];
        if (site->directory >= 0)
            close(site->directory);
        for (unsigned rule = 0; site->users != NULL && rule < site->config->rule_count; rule++)
            users_close(site->users[rule]);
        free(site->users);
    }
    free(sites->list);
    *sites = (struct sites){0};
}
