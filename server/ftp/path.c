/* SPDX-License-Identifier: MIT */
/* Paths: see path.h. */
#include "path.h"
#include "errand.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Puts one name behind the path of the length *length, or takes one off. */
static int add_name(char *path, size_t *length, const char *name, size_t name_length)
{
    static const size_t prefix = sizeof ERRAND_TEMPORARY - 1;
    if (name_length == 0 || (name_length == 1 && *name == '.'))
        return 0;
    if (name_length == 2 && memcmp(name, "..", 2) == 0) {
        while (*length > 0 && path[--*length] != '/')
            ;
        return 0;
    }
    if (name_length >= prefix && memcmp(name, ERRAND_TEMPORARY, prefix) == 0)
        return -EINVAL;
    if (name_length > NAME_MAX || *length + name_length + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    path[(*length)++] = '/';
    memcpy(path + *length, name, name_length);
    *length += name_length;
    return 0;
}

int ftp_path_make(const char *directory, const char *said, char **path)
{
    size_t length = directory != NULL && *said != '/' ? strlen(directory) : 0;
    char *out = malloc(length + strlen(said) + 3);
    if (out == NULL)
        return -ENOMEM;
    if (length == 1) /* "/" */
        length = 0;
    if (length > 0)
        memcpy(out, directory, length);
    int error = 0;
    for (const char *name = said; *name && error == 0;) {
        size_t name_length = strcspn(name, "/");
        error = add_name(out, &length, name, name_length);
        name += name_length + (name[name_length] == '/');
    }
    if (error) {
        free(out);
        return error;
    }
    if (length == 0)
        out[length++] = '/';
    out[length] = '\0';
    *path = out;
    return 0;
}
