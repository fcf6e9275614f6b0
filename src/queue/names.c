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
        [ERRAND_STEP_OPEN] = "open",           [ERRAND_STEP_STAT] = "stat",         [ERRAND_STEP_READ] = "read",
        [ERRAND_STEP_CLOSE] = "close",         [ERRAND_STEP_SEND] = "send",         [ERRAND_STEP_RECEIVE] = "receive",
        [ERRAND_STEP_SENDFILE] = "sendfile",   [ERRAND_STEP_SHUTDOWN] = "shutdown", [ERRAND_STEP_CALL] = "call",
        [ERRAND_STEP_HAND_OVER] = "hand over",
    };
    return step_kind < sizeof names / sizeof names[0] && names[step_kind] ? names[step_kind] : "unknown step";
}
