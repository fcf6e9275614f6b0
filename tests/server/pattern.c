/* SPDX-License-Identifier: MIT */
/* Patterns of paths, against a slow and plain reading of what they mean, and against who wants them to take long. */
#include "config/pattern.h"
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool matches(const char *pattern, const char *path, struct pattern_match *match)
{
    return pattern_match(pattern, strlen(pattern), path, strlen(path), match);
}

TEST(what_they_mean)
{
    static const struct {
        const char *pattern, *path, *stars; /* what they stood for, each with a comma; NULL: no match */
    } rows[] = {
        {"/", "/", ""},
        {"/a", "/a", ""},
        {"/a", "/a/", NULL},
        {"/a", "/A", NULL},
        {"/*", "/", ","},
        {"/*", "/a.html", "a.html,"},
        {"/*", "/a/b", NULL},
        {"/**", "/a/b", "a/b,"},
        {"/a/**", "/a", NULL},
        {"/a/**", "/a/", ","},
        {"/*/x/*", "/one/x/two", "one,two,"},
        {"/**/x/*", "/one/x/x/two", "one/x,two,"},
        {"/**.jpg", "/a/b.jpg.jpg", "a/b.jpg,"},
        {"/v?/*", "/v1/a", "a,"},
        {"/v?/*", "/v/a", NULL},
        {"/a?b", "/a/b", NULL},
        {"*.html", "/x/y.html", "y,"},
        {"*.html", "/x.html/y", NULL},
        {"x", "/a/b/x", ""},
        {"", "/a/", ""},
        {"/***", "/a/b", "a/b,"},
        {"/*-*", "/a-b-c", "a,b-c,"},
        {"/[ab]", "/a", NULL},
        {"/\\*", "/\\a", "a,"},
        {"/*/*/*/*/*/*/*/*/*/*/*", "/1/2/3/4/5/6/7/8/9/10/11", "1,2,3,4,5,6,7,8,9,"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pattern_match match = {0};
        char text[256] = "";
        harness_at("%s %s", rows[i].pattern, rows[i].path);
        bool held = matches(rows[i].pattern, rows[i].path, &match);
        CHECK_INT(held, rows[i].stars != NULL);
        CHECK_INT(matches(rows[i].pattern, rows[i].path, NULL), held);
        size_t used = 0;
        for (unsigned j = 0; j < match.count; j++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%.*s,", (int)match.stars[j].length,
                                     rows[i].path + match.stars[j].at);
        if (held)
            CHECK_STR(text, rows[i].stars);
    }
}

/* As the header says it, one possibility after the other. */
static bool plain(const char *pattern, const char *path)
{
    if (*pattern == '\0')
        return *path == '\0';
    if (*pattern != '*')
        return *path != '\0' && (*pattern == '?' ? *path != '/' : *path == *pattern) && plain(pattern + 1, path + 1);
    bool many = pattern[1] == '*';
    const char *rest = pattern + strspn(pattern, "*");
    for (;; path++) {
        if (plain(rest, path))
            return true;
        if (*path == '\0' || (!many && *path == '/'))
            return false;
    }
}

/* The number as a text of so many letters of an alphabet, behind a slash. */
static void spell(unsigned number, const char *alphabet, unsigned length, char *out)
{
    unsigned base = (unsigned)strlen(alphabet);
    out[0] = '/';
    for (unsigned i = 1; i <= length; i++, number /= base)
        out[i] = alphabet[number % base];
    out[length + 1] = '\0';
}

static unsigned power(unsigned base, unsigned exponent)
{
    return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

/* What the stars stood for, put back into the pattern, makes the path. */
static bool fills_in(const char *pattern, const char *path, const struct pattern_match *match)
{
    size_t to = 0;
    unsigned star = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '*') {
            if (path[to] == '\0' || (*pattern != '?' && path[to] != *pattern))
                return false;
            to++;
            continue;
        }
        size_t run = strspn(pattern, "*");
        if (star >= match->count || match->stars[star].at != to ||
            (run == 1 && memchr(path + to, '/', match->stars[star].length) != NULL))
            return false;
        to += match->stars[star++].length;
        pattern += run - 1;
    }
    return path[to] == '\0' && star == match->count;
}

static void compare(const char *pattern, const char *path)
{
    struct pattern_match match;
    bool wanted = plain(pattern, path), held = matches(pattern, path, &match);
    if (held != wanted)
        FAIL("%s %s: %d", pattern, path, held);
    if (held && !fills_in(pattern, path, &match))
        FAIL("%s %s: the stars stand for something else", pattern, path);
}

TEST(all_short_ones)
{
    char pattern[16], path[16];
    for (unsigned length = 0; length <= 4; length++)
        for (unsigned i = 0; i < power(4, length); i++)
            for (unsigned other = 0; other <= 5; other++)
                for (unsigned j = 0; j < power(3, other) && harness_failures() < 5; j++) {
                    spell(i, "a/*?", length, pattern);
                    spell(j, "ab/", other, path);
                    compare(pattern, path);
                }
}

TEST(many_long_ones)
{
    char pattern[16], path[24];
    uint64_t random = 12345;
    for (unsigned i = 0; i < 200000 && harness_failures() < 5; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        spell((unsigned)(random >> 33), "*a/*b*a*", 10, pattern);
        spell((unsigned)(random >> 40), "aab/", 12, path);
        compare(pattern, path);
    }
}

static enum pattern_reach reach(const char *pattern, const char *directory)
{
    return pattern_reach(pattern, strlen(pattern), directory, strlen(directory));
}

TEST(beneath_a_directory)
{
    static const struct {
        const char *pattern, *directory;
        enum pattern_reach reach;
    } rows[] = {
        {"/**", "/", PATTERN_ALL},          {"/**", "/a/", PATTERN_ALL},       {"/a/**", "/a/", PATTERN_ALL},
        {"/a/**", "/a/b/", PATTERN_ALL},    {"/a/**", "/", PATTERN_SOME},      {"/a/**", "/ab/", PATTERN_NONE},
        {"/a/", "/a/", PATTERN_NONE},       {"/a/*", "/a/", PATTERN_SOME},     {"/a/*", "/a/b/", PATTERN_NONE},
        {"/a/b/c", "/a/", PATTERN_SOME},    {"/a/b/c", "/b/", PATTERN_NONE},   {"/*/x/**", "/b/x/", PATTERN_ALL},
        {"/*/x/**", "/b/y/", PATTERN_NONE}, {"/**.key", "/a/", PATTERN_SOME},  {"*.key", "/a/", PATTERN_SOME},
        {"**", "/a/", PATTERN_ALL},         {"*", "/a/", PATTERN_ALL},         {"/**/x/**", "/a/x/b/", PATTERN_ALL},
        {"/**/x/**", "/a/", PATTERN_SOME},  {"/a/b/**/", "/a/", PATTERN_SOME}, {"/a**", "/abc/", PATTERN_ALL},
        {"/?/**", "/a/", PATTERN_ALL},      {"/a/***", "/a/", PATTERN_ALL},    {"/a", "/a/", PATTERN_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s %s", rows[i].pattern, rows[i].directory);
        CHECK_INT(reach(rows[i].pattern, rows[i].directory), rows[i].reach);
    }
}

/* All and none are promises; some is none. */
TEST(beneath_by_trying)
{
    static const char *const directories[] = {"/", "/a/", "/b/", "/a/b/", "/a/a/a/"};
    char pattern[16], path[32], name[16];
    for (unsigned i = 0; i < power(4, 5); i++)
        for (size_t d = 0; d < sizeof directories / sizeof directories[0]; d++) {
            spell(i, "a/*?", 5, pattern);
            enum pattern_reach found = reach(pattern, directories[d]);
            for (unsigned length = 1; length <= 4 && found != PATTERN_SOME; length++)
                for (unsigned j = 0; j < power(3, length) && harness_failures() < 5; j++) {
                    spell(j, "ab/", length, name);
                    snprintf(path, sizeof path, "%s%s", directories[d], name + 1);
                    if (matches(pattern, path, NULL) != (found == PATTERN_ALL))
                        FAIL("%s beneath %s: %u, but %s", pattern, directories[d], (unsigned)found, path);
                }
        }
}

/* A million possibilities, were they tried one after the other. */
TEST(hostile)
{
    static const char *const pieces[] = {"**a",    "*a",  "**a*", "*a*b",    "**/*a",
                                         "**a*b/", "?**", "**/",  "*?*a/**", "a**/a*b"};
    enum { PATH = 8000, PATTERN = 400 };
    char *path = malloc(PATH + 1), pattern[PATTERN + 16];
    for (unsigned kind = 0; kind < 3; kind++) {
        for (unsigned i = 0; i < PATH; i++)
            path[i] = kind == 1 && i % 2 ? '/' : kind == 2 && i % 40 == 0 ? '/' : 'a';
        path[0] = '/';
        path[PATH] = '\0';
        for (size_t piece = 0; piece < sizeof pieces / sizeof pieces[0]; piece++) {
            size_t length = 1;
            pattern[0] = '/';
            while (length < PATTERN)
                length += (size_t)snprintf(pattern + length, sizeof pattern - length, "%s", pieces[piece]);
            snprintf(pattern + length, sizeof pattern - length, "x");
            harness_at("%s, paths of kind %u", pieces[piece], kind);
            clock_t began = clock();
            CHECK(!matches(pattern, path, NULL));
            CHECK(clock() - began < CLOCKS_PER_SEC * harness_slowness());
        }
    }
    free(path);
}
