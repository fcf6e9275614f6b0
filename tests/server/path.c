/* SPDX-License-Identifier: MIT */
/* URL paths: decoded once, normalised, and never out of the root. */
#include "harness.h"
#include "path.h"

#include <stdlib.h>
#include <string.h>

/* Decodes in a block of exactly the promised size. Returns the result; the text in *out (the caller's to free). */
static int decode(const char *url, size_t length, char **out, bool *directory)
{
    char *exact = malloc(length ? length : 1);
    memcpy(exact, url, length);
    *out = malloc(length + 2);
    bool hidden;
    int result = path_from_url(exact, length, *out, directory, &hidden);
    if (result >= 0 && hidden)
        result = -404; /* unless it is to be shown */
    free(exact);
    return result;
}

TEST(paths)
{
    static const struct {
        const char *url, *path;
        bool directory;
    } rows[] = {
        {"/", "", true},
        {"", "", true},
        {"/a", "a", false},
        {"/a/", "a/", true},
        {"//a///b", "a/b", false},
        {"/a/./b/.", "a/b/", true},
        {"/a/../b", "b", false},
        {"/a/b/..", "a/", true},
        {"/a/b/../", "a/", true},
        {"/a/..", "", true},
        {"/a/b/../../c/d", "c/d", false},
        {"/a%20b%25%23%3f%22%27", "a b%#?\"'", false},
        {"/%41%5a%7e%0a", "AZ~\n", false},
        {"/%c3%A9", "\xc3\xa9", false},
        {"/\xc3\xa9", "\xc3\xa9", false},
        {"/a%5c..%5cb", "a\\..\\b", false},
        {"/.well-known/x", ".well-known/x", false},
        {"/a..b/...", "", false}, /* "..." is a name that begins with a dot: see hidden */
        {"/%61/%2e/b", "a/b", false},
        {"/a/%2e%2e/b", "b", false},
        {"/a/.%2E/b", "b", false},
        {"/a.", "a.", false},
        {"/%2541", "%41", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *path;
        bool directory;
        harness_at("%s", rows[i].url);
        int result = decode(rows[i].url, strlen(rows[i].url), &path, &directory);
        if (strcmp(rows[i].url, "/a..b/...") == 0) {
            CHECK_INT(result, -404);
        } else if (CHECK_INT(result, strlen(rows[i].path))) {
            CHECK_STR(path, rows[i].path);
            CHECK_INT(directory, rows[i].directory);
        }
        free(path);
    }
}

TEST(refused)
{
    static const struct {
        const char *url;
        int result;
    } rows[] = {
        {"/..", -400},          {"/../etc/passwd", -400},
        {"/a/../../b", -400},   {"/%2e%2e/b", -400},
        {"/.%2e", -400},        {"/a/%2e%2e/%2E./b", -400},
        {"/%", -400},           {"/%4", -400},
        {"/%zz", -400},         {"/%4g", -400},
        {"/a%00", -400},        {"/a%00.html", -400},
        {"/a%2fb", -404},       {"/..%2f..%2fetc", -404},
        {"/.git/config", -404}, {"/a/.b", -404},
        {"/%2egit", -404},      {"/.well-known2", -404},
        {"/.well-know", -404},  {"/.git/../a", -404},
        {"/%c0%ae%c0%ae/", 0}, /* an overlong spelling is only a strange name */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *path;
        bool directory;
        harness_at("%s", rows[i].url);
        int result = decode(rows[i].url, strlen(rows[i].url), &path, &directory);
        if (rows[i].result == 0)
            CHECK_STR(path, "\xc0\xae\xc0\xae/");
        else
            CHECK_INT(result, rows[i].result);
        free(path);
    }
}

/* Whatever the bytes: never a name that could lead out, and never more bytes than promised. */
TEST(noise)
{
    static const char alphabet[] = "/.%2eE5cfF0a/.";
    uint32_t seed = 4711;
    for (unsigned round = 0; round < 200000; round++) {
        char url[24];
        size_t length = 0;
        while (length < sizeof url) {
            seed = seed * 1664525 + 1013904223;
            url[length++] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        url[0] = '/';
        char *path;
        bool directory;
        int result = decode(url, length, &path, &directory);
        if (result >= 0) {
            CHECK_INT(strlen(path), result);
            CHECK(path[0] != '/' && strstr(path, "//") == NULL && strstr(path, "/.") == NULL && path[0] != '.');
            CHECK(directory == (result == 0 || path[result - 1] == '/'));
        }
        free(path);
        if (harness_failures() > 0)
            return;
    }
}

TEST(encoding)
{
    char out[100];
    const char *path = "a b/\xc3\xa9?#%\"\n\\z~";
    *path_to_url(out, path, strlen(path)) = '\0';
    CHECK_STR(out, "a%20b/%C3%A9%3F%23%25%22%0A%5Cz~");
}

TEST(every_byte_comes_back)
{
    for (unsigned c = 1; c < 256; c++) {
        char name[4] = {'x', (char)c, 'y', '\0'}, url[16] = "/";
        size_t length = (size_t)(path_to_url(url + 1, name, 3) - url);
        char *path;
        bool directory;
        harness_at("byte %u", c);
        decode(url, length, &path, &directory);
        CHECK_STR(path, name);
        free(path);
    }
}
