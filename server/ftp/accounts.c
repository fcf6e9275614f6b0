/* SPDX-License-Identifier: MIT */
/* Reads what Users= names: see accounts.h. */
#include "accounts.h"
#include "operation/pam.h"
#include "peers.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As large as uploads may be in the default host. */
static void make_homes(struct ftp_accounts *accounts, const struct config_host *like)
{
    for (unsigned i = 0; i < 2; i++) {
        accounts->hosts[i] = (struct config_host){.listing = true,
                                                  .hidden = true,
                                                  .writable = i == 1,
                                                  .upload_max = like->upload_max,
                                                  .upload_space = like->upload_space};
        accounts->homes[i] = (struct site){.config = &accounts->hosts[i], .directory = -1};
    }
}

/* Both while every right is there yet. */
static bool open_local(struct ftp_accounts *accounts, const char *directory, char *why, size_t why_size)
{
    accounts->local = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (accounts->local < 0) {
        snprintf(why, why_size, "cannot serve the homes in %s (LocalHome=): %s", directory, strerror(errno));
        return false;
    }
    accounts->pam = pam_is_there() ? pam_open() : -ENOSYS;
    if (accounts->pam < 0)
        snprintf(why, why_size, "cannot ask PAM (LocalHome=): %s",
                 pam_is_there() ? strerror(-accounts->pam) : "this program was built without it");
    return accounts->pam >= 0;
}

static bool open_all(struct ftp_accounts *accounts, const struct config *config, char *why, size_t why_size)
{
    accounts->guesses = peers_open(0, 0);
    if (config->ftp.users != NULL) {
        accounts->users = users_open(config->ftp.users, why, why_size);
        if (accounts->users == NULL || !users_check_homes(accounts->users, config->ftp.users, why, why_size))
            return false;
        accounts->list = calloc(users_count(accounts->users), sizeof *accounts->list);
    }
    if (config->ftp.local_home != NULL && !open_local(accounts, config->ftp.local_home, why, why_size))
        return false;
    if (accounts->guesses != NULL && (accounts->users == NULL || accounts->list != NULL))
        return true;
    snprintf(why, why_size, "out of memory");
    return false;
}

bool ftp_accounts_open(struct ftp_accounts *accounts, const struct config *config, char *why, size_t why_size)
{
    *accounts = (struct ftp_accounts){.pam = -1, .local = -1};
    if (config->ftp.listen.count == 0)
        return true;
    make_homes(accounts, &config->hosts[0]);
    if (open_all(accounts, config, why, why_size))
        return true;
    ftp_accounts_close(accounts);
    return false;
}

void ftp_accounts_close(struct ftp_accounts *accounts)
{
    users_close(accounts->users);
    peers_close(accounts->guesses);
    free(accounts->list);
    if (accounts->pam >= 0)
        close(accounts->pam);
    if (accounts->local >= 0)
        close(accounts->local);
    *accounts = (struct ftp_accounts){.pam = -1, .local = -1};
}
