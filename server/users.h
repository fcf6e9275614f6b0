/* SPDX-License-Identifier: MIT */
/*
 * Files of names and hashes of passwords, a line each, as htpasswd -B and mkpasswd write them: bcrypt ("$2y$", "$2b$"),
 * sha512-crypt ("$6$") or yescrypt ("$y$"). For FTP there follow a home and options, as errand passwd writes them:
 *
 *     NAME:HASH
 *     NAME:HASH:HOME
 *     NAME:HASH:HOME:rw,rate=1M,sessions=4
 *
 * Read once; threads may share it.
 */
#ifndef SERVER_USERS_H
#define SERVER_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { USERS_NAME_SPACE = 256, USERS_PASSWORD_SPACE = 512, USERS_SESSIONS_MAX = 1000000, USERS_LOCAL = -1 };

struct users;

struct user {
    const char *name, *hash;
    const char *home; /* begins where we are, or at "/"; NULL: none was given */
    unsigned number;  /* from 0 on; USERS_LOCAL: he is one of this system, and in no file */
    unsigned line;
    bool writable;
    uint64_t rate;     /* bytes a second of all his transfers; 0: without limit */
    uint32_t sessions; /* at once; 0: as for all */
};

/* What a client says who he is. */
struct users_credentials {
    char name[USERS_NAME_SPACE];
    char password[USERS_PASSWORD_SPACE];
};

/* NULL: `why` names the file, the line, and the remedy. */
struct users *users_open(const char *file, char *why, size_t why_size);
void users_close(struct users *users);

/* Takes one line apart, without its end: what it says is in *user, in the line's memory; user->name NULL: nothing.
 * Returns what is wrong with it, or NULL. */
const char *users_read_line(char *line, struct user *user);

unsigned users_count(const struct users *users);
const struct user *users_at(const struct users *users, unsigned number);
const struct user *users_find(const struct users *users, const char *name); /* NULL: he is not in it */

/* Has each of them a home that is there? False: `why` as above. */
bool users_check_homes(const struct users *users, const char *file, char *why, size_t why_size);

/*
 * Is it his password? Takes tens of milliseconds, as these hashes are made to, and no less for a name that is not
 * there: for a step on a worker. Any thread.
 */
bool users_check(const struct users *users, const char *name, const char *password);

/* The value of an Authorization field: "Basic " and base64 of NAME:PASSWORD, nothing else. False: it is not that. */
bool users_read_basic(const char *field, size_t length, struct users_credentials *out);

/*
 * Who was found good a moment ago, so that not every request pays for a hash: one thread's. Holds no password, only
 * hashes under a key that never leaves the process.
 */
enum { USERS_CACHE_SETS = 64, USERS_CACHE_WAYS = 4 };

struct users_cache {
    uint64_t key[4];
    struct users_cached {
        uint64_t hash[2];
        int64_t until; /* 0: none */
    } sets[USERS_CACHE_SETS][USERS_CACHE_WAYS];
};

/* False: no random key is to be had. */
bool users_cache_open(struct users_cache *cache);

/* now: of any clock that does not go back. Good for 60 seconds. */
bool users_cache_has(const struct users_cache *cache, const struct users *users,
                     const struct users_credentials *credentials, int64_t now);
void users_cache_add(struct users_cache *cache, const struct users *users, const struct users_credentials *credentials,
                     int64_t now);

#endif
