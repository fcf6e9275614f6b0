/* SPDX-License-Identifier: MIT */
/* What a configuration names in the filesystem: is it there? */
#include "config.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_directory(const char *path, char *why, size_t why_size)
{
    struct stat status;
    if (stat(path, &status) != 0)
        snprintf(why, why_size, "cannot serve %s: %s", path, strerror(errno));
    else if (!S_ISDIR(status.st_mode))
        snprintf(why, why_size, "cannot serve %s: not a directory", path);
    else if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
        snprintf(why, why_size, "cannot serve %s: no permission to look into it (make it searchable: chmod +rx)", path);
    else
        return true;
    return false;
}

static bool users_are_good(const struct config_host *host, char *why, size_t why_size)
{
    for (unsigned i = 0; i < host->rule_count; i++) {
        const char *file = host->rules[i].users.bytes;
        struct users *users = file == NULL ? NULL : users_open(file, why, why_size);
        if (file != NULL && users == NULL)
            return false;
        users_close(users);
    }
    return true;
}

bool config_check_files(const struct config *config, char *why, size_t why_size)
{
    for (unsigned i = 0; i < config->host_count; i++)
        if (!is_directory(config->hosts[i].directory, why, why_size) ||
            !users_are_good(&config->hosts[i], why, why_size))
            return false;
    return true;
}
