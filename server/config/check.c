/* SPDX-License-Identifier: MIT */
/* What a configuration names in the filesystem: is it there? */
#include "config.h"
#include "operation/pam.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

static bool homes_are_good(const char *file, char *why, size_t why_size)
{
    struct users *users = file == NULL ? NULL : users_open(file, why, why_size);
    bool good = file == NULL || (users != NULL && users_check_homes(users, file, why, why_size));
    users_close(users);
    return good;
}

static bool local_home_is_good(const char *path, char *why, size_t why_size)
{
    if (path == NULL || pam_is_there())
        return path == NULL || is_directory(path, why, why_size);
    snprintf(why, why_size, "LocalHome= wants PAM, and this program was built without it; leave it out");
    return false;
}

static int access_error(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0 : errno;
}

/* Could it be opened to write, or made? Nothing is. Returns 0 or an errno. */
static int log_error_of(const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            return EISDIR;
        return S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) ? ESPIPE : access_error(path, W_OK);
    }
    if (errno != ENOENT)
        return errno;
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    int error = folder == NULL ? ENOMEM : access_error(folder, W_OK | X_OK);
    free(folder);
    return error;
}

static bool log_is_good(const char *path, const char *name, char *why, size_t why_size)
{
    int error = path == NULL || strcmp(path, "-") == 0 ? 0 : log_error_of(path);
    if (error)
        snprintf(why, why_size, "cannot write the %s log %s: %s", name, path,
                 error == ESPIPE ? "it is a pipe (use - and redirect standard output)" : strerror(error));
    return error == 0;
}

bool config_check_files(const struct config *config, char *why, size_t why_size)
{
    for (unsigned i = 0; i < config->host_count; i++)
        if (!is_directory(config->hosts[i].directory, why, why_size) ||
            !users_are_good(&config->hosts[i], why, why_size))
            return false;
    if (!homes_are_good(config->ftp.users, why, why_size) || !local_home_is_good(config->ftp.local_home, why, why_size))
        return false;
    return log_is_good(config->access_log, "access", why, why_size) &&
           log_is_good(config->transfer_log, "transfer", why, why_size);
}
