/* SPDX-License-Identifier: MIT */
/* Files of passwords, what clients send, and who is remembered. */
#include "errand.h"
#include "harness.h"
#include "users.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of "secret", as cheap as these hashes can be. */
#define BCRYPT "$2y$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn."
#define SHA512                                                                                                         \
    "$6$rounds=1000$k2XAnEHBqQ1Ct2aM$Kusx4Stg"                                                                         \
    "TAJKgtQ8A1Ud4OEtpvLZ/2wzq/Tix/qeeqdrvuTHgR6KFuCyOP4TNp5lvuV.tmBxpDTp10bqrWJyv1"
#define YESCRYPT "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/$Tg4ZRR7tz/WRlmYbADZh9OJYakPewgSPQqW55EXAJ14"

static const char *write_file(const char *text)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/users", harness_directory());
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
    return path;
}

static struct users *open_users(const char *text)
{
    char why[512] = "";
    struct users *users = users_open(write_file(text), why, sizeof why);
    CHECK_STR(why, "");
    REQUIRE(users != NULL);
    return users;
}

TEST(all_kinds)
{
    struct users *users = open_users("# people\n\nanna:" BCRYPT "\nben:" SHA512 "\r\ncarla:" YESCRYPT);
    static const char *const names[] = {"anna", "ben", "carla"};
    for (unsigned i = 0; i < 3; i++) {
        harness_at("%s", names[i]);
        CHECK(users_check(users, names[i], "secret"));
        CHECK(!users_check(users, names[i], "Secret"));
        CHECK(!users_check(users, names[i], ""));
        CHECK(!users_check(users, names[i], "secret "));
    }
    CHECK(!users_check(users, "nobody", "secret"));
    CHECK(!users_check(users, "", "secret"));
    char long_one[600];
    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    CHECK(!users_check(users, "ben", long_one));
    users_close(users);
}

TEST(refused)
{
    static const struct {
        const char *text, *words; /* that the message has */
    } rows[] = {
        {"anna:" BCRYPT "\nben:secret\n", ":2: want a hash by bcrypt"},
        {"anna:$apr1$abc$abcdefghijklmnopqrstuv\n", ":1: an MD5 hash"},
        {"#\nanna:$1$abc$abcdefghijklmnopqrstuv\n", ":2: an MD5 hash"},
        {"anna:{SHA}abc=\n", ":1: a SHA-1 hash"},
        {"anna:$5$abc$x\n", ":1: want a hash by bcrypt"},
        {"anna:\n", ":1: want a hash by bcrypt"},
        {"anna\n", ":1: want NAME:HASH"},
        {":" BCRYPT "\n", ":1: want NAME:HASH"},
        {"anna:$2y$04$abcdefghijklmnopqrstuu\n", ":1: the hash is not whole"},
        {"anna:" BCRYPT "more\n", ":1: the hash is not whole"},
        {"anna:" BCRYPT ":home:rx\n", ":1: want options rw, ro"},
        {"anna:" BCRYPT ":home:rate=fast\n", ":1: want options rw, ro"},
        {"anna:" BCRYPT ":home:rw,sessions=\n", ":1: want options rw, ro"},
        {"anna:" BCRYPT ":home:rw:ro\n", ":1: want options rw, ro"},
        {"anna:" BCRYPT "\nben:" BCRYPT "\nanna:" SHA512 "\n", ":3: the name stands in line 1, too"},
        {"", "nobody is in it"},
    };
    char why[512];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i].text);
        CHECK(users_open(write_file(rows[i].text), why, sizeof why) == NULL);
        if (!CHECK(strstr(why, rows[i].words) != NULL))
            harness_note("%s", why);
    }
    enum { LONG = 6000 };
    char *text = malloc(LONG);
    memset(text, 'n', LONG - 1);
    text[LONG - 1] = '\0';
    CHECK(users_open(write_file(text), why, sizeof why) == NULL);
    CHECK(strstr(why, "the line is too long") != NULL);
    snprintf(text, LONG, "%.300s:%s", text + 2000, BCRYPT);
    CHECK(users_open(write_file(text), why, sizeof why) == NULL);
    CHECK(strstr(why, "the name is too long") != NULL);
    free(text);
    CHECK(users_open("/nonexistent/users", why, sizeof why) == NULL);
    CHECK(strstr(why, "cannot read /nonexistent/users: No such file") != NULL);
    CHECK(users_open("/", why, sizeof why) == NULL);
}

TEST(homes_and_options)
{
    char why[512], expected[600];
    struct users *users = open_users("carla:" BCRYPT ":/tmp:rw,rate=64K,sessions=3\n"
                                     "anna:" SHA512 ":home/a b\n"
                                     "ben:" YESCRYPT "\n"
                                     "dora:" BCRYPT "::ro\n");
    CHECK_INT(users_count(users), 4);
    for (unsigned i = 0; i < 4; i++) {
        const struct user *user = users_at(users, i);
        CHECK_INT(user->number, i);
        CHECK(users_find(users, user->name) == user);
        CHECK(users_check(users, user->name, "secret"));
    }
    CHECK(users_find(users, "eve") == NULL);
    const struct user *anna = users_find(users, "anna"), *carla = users_find(users, "carla");
    snprintf(expected, sizeof expected, "%s/home/a b", harness_directory());
    CHECK_STR(anna->home, expected);
    CHECK(!anna->writable && anna->rate == 0 && anna->sessions == 0);
    CHECK_STR(carla->home, "/tmp");
    CHECK(carla->writable && carla->rate == 64 << 10 && carla->sessions == 3);
    CHECK(users_find(users, "ben")->home == NULL && users_find(users, "dora")->home == NULL);
    CHECK(!users_check_homes(users, "FILE", why, sizeof why));
    snprintf(expected, sizeof expected, "FILE:2: the home %s: No such file or directory; make it", anna->home);
    CHECK(strncmp(why, expected, strlen(expected)) == 0);
    users_close(users);
    users = open_users("ben:" YESCRYPT "::rw\n");
    CHECK(!users_check_homes(users, "FILE", why, sizeof why));
    CHECK(strncmp(why, "FILE:1: ben has no home; want NAME:HASH:HOME", 44) == 0);
    users_close(users);
    users = open_users("ben:" YESCRYPT ":users\n");
    CHECK(!users_check_homes(users, "FILE", why, sizeof why));
    CHECK(strstr(why, "not a directory") != NULL);
    users_close(users);
    users = open_users("ben:" YESCRYPT ":.\n");
    CHECK(users_check_homes(users, "FILE", why, sizeof why));
    users_close(users);
}

static int64_t time_of(const struct users *users, const char *name)
{
    struct timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    CHECK(!users_check(users, name, "wrong"));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    return (after.tv_sec - before.tv_sec) * ERRAND_SECOND + after.tv_nsec - before.tv_nsec;
}

/* Who is not there costs what others cost, of each kind of hash: some names one, some the other. */
TEST(unknown_names_take_as_long)
{
    static const char slow[] = "$6$rounds=400000$k2XAnEHBqQ1Ct2aM$Kusx4Stg"
                               "TAJKgtQ8A1Ud4OEtpvLZ/2wzq/Tix/qeeqdrvuTHgR6KFuCyOP4TNp5lvuV.tmBxpDTp10bqrWJyv1";
    char text[512], name[8];
    snprintf(text, sizeof text, "slow:%s\nfast:" SHA512 "\n", slow);
    struct users *users = open_users(text);
    int64_t slow_time = time_of(users, "slow");
    unsigned slow_ones = 0;
    CHECK(time_of(users, "fast") < slow_time / 4);
    for (unsigned i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "n%u", i);
        bool is_slow = time_of(users, name) > slow_time / 4;
        slow_ones += is_slow;
        CHECK_INT(time_of(users, name) > slow_time / 4, is_slow); /* the same each time */
    }
    CHECK(slow_ones > 0 && slow_ones < 16);
    users_close(users);
}

static void *check_often(void *users)
{
    bool good = true;
    for (unsigned i = 0; i < 20; i++)
        good = good && users_check(users, "anna", "secret") && !users_check(users, "ben", "wrong");
    return good ? users : NULL;
}

TEST(by_several_threads)
{
    struct users *users = open_users("anna:" BCRYPT "\nben:" SHA512 "\n");
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        REQUIRE_INT(pthread_create(&threads[i], NULL, check_often, users), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        CHECK(result != NULL);
    }
    users_close(users);
}

TEST(basic)
{
    static const struct {
        const char *field, *name, *password; /* NULL: refused */
    } rows[] = {
        {"Basic YW5uYTpzZWNyZXQ=", "anna", "secret"},
        {"basic YW5uYTpzZWNyZXQ=", "anna", "secret"},
        {"Basic   YW5uYTpzZWNyZXQ=", "anna", "secret"},
        {"Basic YTpiOmM=", "a", "b:c"},
        {"Basic YTo=", "a", ""},
        {"Basic OmI=", "", "b"},
        {"Basic Og==", "", ""},
        {"Basic YWJjOmQ/", "abc", "d?"},
        {"Basic w6TDtjrDvA==", "\xc3\xa4\xc3\xb6", "\xc3\xbc"},
        {"", NULL, NULL},
        {"Basic", NULL, NULL},
        {"Basic ", NULL, NULL},
        {"BasicYTpi", NULL, NULL},
        {"Bearer YTpi", NULL, NULL},
        {"Basic YW5uYQ==", NULL, NULL},         /* no colon */
        {"Basic YW5uYTpzZWNyZXQ", NULL, NULL},  /* no padding */
        {"Basic YW5uYTpzZWNyZXR=", NULL, NULL}, /* bits left over */
        {"Basic YTpiOmM= ", NULL, NULL},        /* something behind it */
        {"Basic YTpi=", NULL, NULL},
        {"Basic YT=i", NULL, NULL},
        {"Basic ====", NULL, NULL},
        {"Basic YTpi\n", NULL, NULL},
        {"Basic YToA", NULL, NULL}, /* a NUL */
        {"Basic YTp_", NULL, NULL}, /* of another alphabet */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct users_credentials credentials;
        size_t length = strlen(rows[i].field);
        char *exact = malloc(length + 1); /* no byte more, for the sanitizer */
        memcpy(exact, rows[i].field, length);
        harness_at("%s", rows[i].field);
        bool good = users_read_basic(exact, length, &credentials);
        CHECK_INT(good, rows[i].name != NULL);
        if (good && rows[i].name != NULL) {
            CHECK_STR(credentials.name, rows[i].name);
            CHECK_STR(credentials.password, rows[i].password);
        }
        free(exact);
    }
    struct users_credentials credentials;
    char field[2000] = "Basic ";
    memset(field + 6, 'Y', sizeof field - 7);
    for (size_t length = 6; length < sizeof field; length++)
        CHECK(!users_read_basic(field, length, &credentials));
}

TEST(remembered)
{
    static struct users_cache cache;
    struct users *users = open_users("anna:" BCRYPT "\n");
    struct users *others = open_users("anna:" SHA512 "\n");
    struct users_credentials anna = {"anna", "secret"}, shifted = {"annas", "ecret"}, wrong = {"anna", "Secret"};
    REQUIRE(users_cache_open(&cache));
    int64_t now = 5 * ERRAND_SECOND;
    CHECK(!users_cache_has(&cache, users, &anna, now));
    users_cache_add(&cache, users, &anna, now);
    memset(anna.password + 7, 'x', 20); /* what is behind its end is of no account */
    CHECK(users_cache_has(&cache, users, &anna, now));
    CHECK(users_cache_has(&cache, users, &anna, now + 60 * ERRAND_SECOND - 1));
    CHECK(!users_cache_has(&cache, users, &anna, now + 60 * ERRAND_SECOND));
    CHECK(!users_cache_has(&cache, users, &shifted, now));
    CHECK(!users_cache_has(&cache, users, &wrong, now));
    CHECK(!users_cache_has(&cache, others, &anna, now));
    unsigned found = 0;
    for (unsigned i = 0; i < 2000; i++) {
        struct users_credentials one = {"anna", ""};
        snprintf(one.password, sizeof one.password, "%u", i);
        users_cache_add(&cache, users, &one, now + i);
        CHECK(users_cache_has(&cache, users, &one, now + i));
    }
    for (unsigned i = 0; i < 2000; i++) {
        struct users_credentials one = {"anna", ""};
        snprintf(one.password, sizeof one.password, "%u", i);
        found += users_cache_has(&cache, users, &one, now + 2000);
    }
    CHECK_INT(found, USERS_CACHE_SETS * USERS_CACHE_WAYS);
    static struct users_cache other;
    REQUIRE(users_cache_open(&other));
    CHECK(memcmp(other.key, cache.key, sizeof cache.key) != 0);
    users_close(users);
    users_close(others);
}
