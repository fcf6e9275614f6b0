/* SPDX-License-Identifier: MIT */
/* Names and hashes of passwords. */
#include "users.h"
#include "cache/hash.h"
#include "config/config.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct users {
    struct user *list; /* by name; each one's texts are in one piece of memory, the name's */
    unsigned count;
    const char *folder; /* where relative homes begin: with its slash, of the length */
    size_t folder_length;
    struct hash_key key;
};

enum { LINE_SPACE = 4096 + 1024, USERS_MAX = 1 << 20 };

static int by_name(const void *one, const void *other)
{
    return strcmp(((const struct user *)one)->name, ((const struct user *)other)->name);
}

void users_close(struct users *users)
{
    for (unsigned i = 0; users != NULL && i < users->count; i++)
        free((char *)users->list[i].name);
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

/* Puts one text behind another, and moves behind it. */
static const char *keep(char **at, const char *text, size_t length)
{
    char *kept = *at;
    memcpy(kept, text, length);
    kept[length] = '\0';
    *at += length + 1;
    return kept;
}

static const char *add_user(struct users *users, struct user *user)
{
    if ((users->count & (users->count - 1)) == 0) { /* full: 0, 1, 2, 4 ... */
        struct user *larger = realloc(users->list, (users->count ? 2 * (size_t)users->count : 1) * sizeof *larger);
        if (larger == NULL)
            return "out of memory";
        users->list = larger;
    }
    size_t home = user->home != NULL ? strlen(user->home) + 1 : 0;
    size_t folder = home > 0 && user->home[0] != '/' ? users->folder_length : 0;
    char *at = malloc(strlen(user->name) + strlen(user->hash) + 2 + folder + home);
    if (at == NULL)
        return "out of memory";
    user->name = keep(&at, user->name, strlen(user->name));
    user->hash = keep(&at, user->hash, strlen(user->hash));
    if (home > 0) {
        memcpy(at, users->folder, folder);
        memcpy(at + folder, user->home, home);
        user->home = at;
    }
    users->list[users->count++] = *user;
    return NULL;
}

/* "rw,rate=1M,sessions=4". */
static const char *take_options(struct user *user, char *text)
{
    static const char wanted[] = "want options rw, ro, rate=SIZE (as in 512K) or sessions=N, with commas between them";
    char *rest = text;
    for (char *option; (option = strsep(&rest, ",")) != NULL;) {
        char *end;
        if (strcmp(option, "rw") == 0 || strcmp(option, "ro") == 0) {
            user->writable = option[1] == 'w';
        } else if (strncmp(option, "rate=", 5) == 0) {
            if (!config_read_size(option + 5, &user->rate))
                return wanted;
        } else if (strncmp(option, "sessions=", 9) == 0) {
            unsigned long count = strtoul(option + 9, &end, 10);
            if (option[9] < '0' || option[9] > '9' || *end != '\0' || count > USERS_SESSIONS_MAX)
                return wanted;
            user->sessions = (uint32_t)count;
        } else if (*option != '\0') {
            return wanted;
        }
    }
    return NULL;
}

const char *users_read_line(char *line, struct user *user)
{
    char *rest = line;
    *user = (struct user){0};
    if (line[0] == '\0' || line[0] == '#')
        return NULL;
    const char *name = strsep(&rest, ":"), *hash = strsep(&rest, ":"), *home = strsep(&rest, ":");
    if (hash == NULL || *name == '\0')
        return "want NAME:HASH";
    if (strlen(name) >= USERS_NAME_SPACE)
        return "the name is too long; want at most 255 bytes";
    *user = (struct user){.name = name, .hash = hash, .home = home != NULL && *home != '\0' ? home : NULL};
    const char *problem = rest != NULL ? take_options(user, rest) : NULL;
    return problem != NULL ? problem : hash_problem(hash);
}

/* One line, without its end. Returns what is wrong with it, or NULL. */
static const char *take_line(struct users *users, char *line, unsigned number)
{
    struct user user;
    const char *problem = users_read_line(line, &user);
    if (problem != NULL || user.name == NULL)
        return problem;
    if (users->count >= USERS_MAX)
        return "too many names; want at most 1048576";
    user.line = number;
    return add_user(users, &user);
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
        struct user *one = &users->list[i - 1], *other = &users->list[i];
        other->number = i;
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
    const char *slash = strrchr(file, '/');
    if (users != NULL)
        *users = (struct users){.folder = file, .folder_length = slash != NULL ? (size_t)(slash - file) + 1 : 0};
    if (users == NULL || hash_key_make(&users->key) != 0)
        snprintf(why, why_size, "out of memory");
    else if (!read_lines(users, stream, file, why, why_size) || !sort(users, file, why, why_size)) {
        users_close(users);
        users = NULL;
    }
    fclose(stream);
    return users;
}

unsigned users_count(const struct users *users)
{
    return users->count;
}

const struct user *users_at(const struct users *users, unsigned number)
{
    return &users->list[number];
}

const struct user *users_find(const struct users *users, const char *name)
{
    struct user wanted = {.name = name};
    return bsearch(&wanted, users->list, users->count, sizeof *users->list, by_name);
}

/* What is wrong with a home; NULL: nothing. */
static const char *home_problem(const char *home)
{
    struct stat status;
    if (stat(home, &status) != 0)
        return strerror(errno);
    if (!S_ISDIR(status.st_mode))
        return "not a directory";
    return faccessat(AT_FDCWD, home, X_OK, AT_EACCESS) != 0 ? "no permission to look into it" : NULL;
}

bool users_check_homes(const struct users *users, const char *file, char *why, size_t why_size)
{
    for (unsigned i = 0; i < users->count; i++) {
        const struct user *user = &users->list[i];
        if (user->home == NULL) {
            snprintf(why, why_size, "%s:%u: %s has no home; want NAME:HASH:HOME, or NAME:HASH:HOME:OPTIONS", file,
                     user->line, user->name);
            return false;
        }
        const char *problem = home_problem(user->home);
        if (problem != NULL) {
            snprintf(why, why_size, "%s:%u: the home %s: %s; make it, or name another directory", file, user->line,
                     user->home, problem);
            return false;
        }
    }
    return true;
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
    const struct user *user = users_find(users, name);
    /* Who is not there is measured against somebody who is, each name against its own, so that the time does not tell:
     * hashes may be of several kinds. */
    const char *hash =
        user != NULL ? user->hash : users->list[hash_bytes(&users->key, 0, name, strlen(name)) % users->count].hash;
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
