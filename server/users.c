/* SPDX-License-Identifier: MIT */
/* Names and hashes of passwords. */
#include "users.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct user {
    char *name, *hash; /* in one piece of memory, the name's */
    unsigned line;
};

struct users {
    struct user *list; /* by name */
    unsigned count;
};

enum { LINE_SPACE = 1024, USERS_MAX = 1 << 20 };

static int by_name(const void *one, const void *other)
{
    return strcmp(((const struct user *)one)->name, ((const struct user *)other)->name);
}

void users_close(struct users *users)
{
    for (unsigned i = 0; users != NULL && i < users->count; i++)
        free(users->list[i].name);
    if (users != NULL)
        free(users->list);
    free(users);
}

/* ------------------------------------------------------------------------------------------ the file */

/* What is wrong with a hash; NULL: nothing. */
static const char *hash_problem(const char *hash)
{
    static const struct {
        const char *prefix;
        size_t tail; /* characters after the last "$": with it, a hash that was cut off is seen */
    } kinds[] = {{"$2y$", 53}, {"$2b$", 53}, {"$6$", 86}, {"$y$", 43}};
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(hash, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
            continue;
        if (strlen(strrchr(hash, '$') + 1) != kinds[i].tail || crypt_checksalt(hash) != CRYPT_SALT_OK)
            return "the hash is not whole; make it anew with htpasswd -B";
        return NULL;
    }
    if (strncmp(hash, "$apr1$", 6) == 0 || strncmp(hash, "$1$", 3) == 0)
        return "an MD5 hash, which is guessed in no time; make it anew with htpasswd -B";
    if (strncmp(hash, "{SHA}", 5) == 0)
        return "a SHA-1 hash, which is guessed in no time; make it anew with htpasswd -B";
    return "want a hash by bcrypt ($2y$), sha512-crypt ($6$) or yescrypt ($y$), not a plain password or an older hash; "
           "make it with htpasswd -B or mkpasswd";
}

static const char *add_user(struct users *users, const char *line, size_t name_length, unsigned number)
{
    if ((users->count & (users->count - 1)) == 0) { /* full: 0, 1, 2, 4 ... */
        struct user *larger = realloc(users->list, (users->count ? 2 * (size_t)users->count : 1) * sizeof *larger);
        if (larger == NULL)
            return "out of memory";
        users->list = larger;
    }
    char *kept = strdup(line);
    if (kept == NULL)
        return "out of memory";
    kept[name_length] = '\0';
    users->list[users->count++] = (struct user){.name = kept, .hash = kept + name_length + 1, .line = number};
    return NULL;
}

/* One line, without its end. Returns what is wrong with it, or NULL. */
static const char *take_line(struct users *users, char *line, unsigned number)
{
    if (line[0] == '\0' || line[0] == '#')
        return NULL;
    size_t length = strcspn(line, ":");
    if (line[length] == '\0' || length == 0)
        return "want NAME:HASH";
    if (length >= USERS_NAME_SPACE)
        return "the name is too long; want at most 255 bytes";
    if (users->count >= USERS_MAX)
        return "too many names; want at most 1048576";
    const char *problem = hash_problem(line + length + 1);
    return problem ? problem : add_user(users, line, length, number);
}

static bool read_lines(struct users *users, FILE *file, const char *name, char *why, size_t why_size)
{
    char line[LINE_SPACE];
    for (unsigned number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        const char *problem = strlen(line) + 1 == sizeof line ? "the line is too long" : NULL;
        line[strcspn(line, "\r\n")] = '\0';
        if (problem == NULL)
            problem = take_line(users, line, number);
        if (problem != NULL) {
            snprintf(why, why_size, "%s:%u: %s", name, number, problem);
            return false;
        }
    }
    if (ferror(file)) {
        snprintf(why, why_size, "cannot read %s: %s", name, strerror(errno));
        return false;
    }
    return true;
}

/* In order, so that a name is found by halves; and nobody twice. */
static bool sort(struct users *users, const char *file, char *why, size_t why_size)
{
    if (users->count == 0) {
        snprintf(why, why_size, "%s: nobody is in it; add a line NAME:HASH with htpasswd -B", file);
        return false;
    }
    qsort(users->list, users->count, sizeof *users->list, by_name);
    for (unsigned i = 1; i < users->count; i++) {
        const struct user *one = &users->list[i - 1], *other = &users->list[i];
        if (strcmp(one->name, other->name) == 0) {
            snprintf(why, why_size, "%s:%u: the name stands in line %u, too; keep one", file,
                     one->line > other->line ? one->line : other->line,
                     one->line > other->line ? other->line : one->line);
            return false;
        }
    }
    return true;
}

struct users *users_open(const char *file, char *why, size_t why_size)
{
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        snprintf(why, why_size, "cannot read %s: %s", file, strerror(errno));
        return NULL;
    }
    struct users *users = calloc(1, sizeof *users);
    if (users == NULL)
        snprintf(why, why_size, "out of memory");
    else if (!read_lines(users, stream, file, why, why_size) || !sort(users, file, why, why_size)) {
        users_close(users);
        users = NULL;
    }
    fclose(stream);
    return users;
}

/* ------------------------------------------------------------------------------------------ the check */

/* Takes the same time wherever the first difference is. */
static bool same_bytes(const char *one, const char *other, size_t length)
{
    unsigned char difference = 0;
    for (size_t i = 0; i < length; i++)
        difference |= (unsigned char)(one[i] ^ other[i]);
    return difference == 0;
}

bool users_check(const struct users *users, const char *name, const char *password)
{
    struct user wanted = {.name = (char *)name};
    const struct user *user = bsearch(&wanted, users->list, users->count, sizeof *users->list, by_name);
    /* Who is not there is measured against somebody who is, so that the time does not tell. */
    const char *hash = user == NULL ? users->list[0].hash : user->hash;
    struct crypt_data *data = calloc(1, sizeof *data); /* 32 KiB: too much for a worker's stack */
    if (data == NULL)
        return false;
    const char *result = crypt_r(password, hash, data);
    bool good =
        result != NULL && result[0] != '*' && strlen(result) == strlen(hash) && same_bytes(result, hash, strlen(hash));
    explicit_bzero(data, sizeof *data);
    free(data);
    return good && user != NULL;
}
