/* SPDX-License-Identifier: MIT */
/* The change of user. */
#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool wrong(char *why, size_t why_size, const char *what, const char *name)
{
    snprintf(why, why_size, "cannot become %s: %s", name, what);
    return false;
}

bool identity_take(const struct config *config, char *why, size_t why_size)
{
    const char *name = config->user;
    if (name == NULL)
        return true;
    const struct passwd *user = getpwnam(name);
    if (user == NULL)
        return wrong(why, why_size, "there is no such user here (see getent passwd)", name);
    uid_t uid = user->pw_uid;
    gid_t gid = user->pw_gid;
    if (config->group != NULL) {
        const struct group *group = getgrnam(config->group);
        if (group == NULL)
            return wrong(why, why_size, "there is no such group here (see getent group)", config->group);
        gid = group->gr_gid;
    }
    if (geteuid() == uid && getegid() == gid && geteuid() != 0)
        return true; /* who may not change anything has nothing to give up */
    if (geteuid() != 0)
        return wrong(why, why_size, "only root can (start it as root, or as that user and without User=)", name);
    if (initgroups(name, gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return wrong(why, why_size, strerror(errno), name);
    if (uid != 0 && setuid(0) == 0) /* it was not for good: never serve so */
        return wrong(why, why_size, "the way back to root stays open", name);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return true;
}
