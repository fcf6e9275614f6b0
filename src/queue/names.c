/* SPDX-License-Identifier: MIT */
/* Names as text. */
#include "errand.h"

#include <limits.h>
#include <string.h>

#define TEXT(x)                      #x
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *errand_version(void)
{
    return VERSION(ERRAND_VERSION_MAJOR, ERRAND_VERSION_MINOR, ERRAND_VERSION_PATCH);
}

const char *errand_error_name(int error)
{
    if (error == 0)
        return "none";
    const char *name = strerrorname_np(error < 0 && error != INT_MIN ? -error : error);
    return name ? name : "unknown error";
}

const char *errand_step_name(unsigned step_kind)
{
    static const char *const names[] = {
        [ERRAND_STEP_OPEN] = "open",
        [ERRAND_STEP_STAT] = "stat",
        [ERRAND_STEP_READ] = "read",
        [ERRAND_STEP_CLOSE] = "close",
        [ERRAND_STEP_SEND] = "send",
        [ERRAND_STEP_RECEIVE] = "receive",
        [ERRAND_STEP_SENDFILE] = "sendfile",
        [ERRAND_STEP_SHUTDOWN] = "shutdown",
        [ERRAND_STEP_CALL] = "call",
        [ERRAND_STEP_HAND_OVER] = "hand over",
        [ERRAND_STEP_WRITE] = "write",
        [ERRAND_STEP_SYNC] = "sync",
        [ERRAND_STEP_TRUNCATE] = "truncate",
        [ERRAND_STEP_ALLOCATE] = "allocate",
        [ERRAND_STEP_COPY] = "copy",
        [ERRAND_STEP_CHMOD] = "chmod",
        [ERRAND_STEP_CHOWN] = "chown",
        [ERRAND_STEP_UTIMES] = "utimes",
        [ERRAND_STEP_GET_ATTRIBUTE] = "get attribute",
        [ERRAND_STEP_SET_ATTRIBUTE] = "set attribute",
        [ERRAND_STEP_LIST_ATTRIBUTES] = "list attributes",
        [ERRAND_STEP_REMOVE_ATTRIBUTE] = "remove attribute",
        [ERRAND_STEP_LIST] = "list",
        [ERRAND_STEP_RENAME] = "rename",
        [ERRAND_STEP_LINK] = "link",
        [ERRAND_STEP_LINK_FILE] = "link file",
        [ERRAND_STEP_SYMLINK] = "symlink",
        [ERRAND_STEP_READ_LINK] = "read link",
        [ERRAND_STEP_UNLINK] = "unlink",
        [ERRAND_STEP_MKDIR] = "mkdir",
        [ERRAND_STEP_RMDIR] = "rmdir",
        [ERRAND_STEP_MKNOD] = "mknod",
        [ERRAND_STEP_RECEIVE_FILE] = "receive file",
        [ERRAND_STEP_ACCEPT] = "accept",
        [ERRAND_STEP_CONNECT] = "connect",
        [ERRAND_STEP_POLL] = "poll",
        [ERRAND_STEP_SLEEP] = "sleep",
        [ERRAND_STEP_WORK] = "work",
        [ERRAND_STEP_REPLACE] = "replace",
        [ERRAND_STEP_LOAD] = "load",
        [ERRAND_STEP_COPY_METADATA] = "copy metadata",
        [ERRAND_STEP_AWAIT] = "await",
    };
    return step_kind < sizeof names / sizeof names[0] && names[step_kind] ? names[step_kind] : "unknown step";
}
