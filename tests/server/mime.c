/* SPDX-License-Identifier: MIT */
/* Media types by name: built in, from a file, and of names without one. */
#include "harness.h"
#include "http/mime.h"

#include <stdio.h>
#include <string.h>

static void check(const struct mime_types *types, const char *path, const char *wanted)
{
    size_t length;
    char line[MIME_LINE_MAX + 1] = "", expected[MIME_LINE_MAX + 1];
    const char *text = mime_line(types, path, strlen(path), &length);
    REQUIRE(length <= MIME_LINE_MAX);
    memcpy(line, text, length);
    snprintf(expected, sizeof expected, "Content-Type: %s\r\n", wanted);
    harness_at("%s", path);
    CHECK_STR(line, expected);
}

TEST(built_in)
{
    struct mime_types *types = mime_types_open(NULL);
    REQUIRE(types != NULL);
    check(types, "index.html", "text/html; charset=utf-8");
    check(types, "a/b.c/PHOTO.JPG", "image/jpeg");
    check(types, "x.tar.gz", "application/gzip");
    check(types, "noextension", "application/octet-stream");
    check(types, "README", "text/plain; charset=utf-8");
    check(types, "bash/copyright", "text/plain; charset=utf-8");
    check(types, "my-readme", "application/octet-stream");
    check(types, "html", "application/octet-stream");
    check(types, "fourteen-chars", "application/octet-stream");
    check(types, "fifteen-letters", "application/octet-stream");
    check(types, "sixteen-letters-", "application/octet-stream");
    check(types, "dir.html/file", "application/octet-stream");
    check(types, "ends.", "application/octet-stream");
    check(types, ".html", "text/html; charset=utf-8");
    check(types, "", "application/octet-stream");
    check(types, "a.averyveryverylongextension", "application/octet-stream");
    check(types, "a.unknownkind", "application/octet-stream");
    mime_types_close(types);
}

TEST(from_a_file)
{
    char name[512], line[400];
    snprintf(name, sizeof name, "%s/mime.types", harness_directory());
    FILE *file = fopen(name, "w");
    REQUIRE(file != NULL);
    memset(line, 'a', sizeof line);
    line[sizeof line - 1] = '\0';
    fprintf(file,
            "# a comment\n\ntext/html\thtml # shtml\napplication/x-new  new NEWER\nno-slash bad\n"
            "image/png x\r\nbad\"type/x quote\napplication/%s long\nimage/x-other png\nlonely/type\n",
            line);
    for (unsigned i = 0; i < 3000; i++)
        fprintf(file, "application/x-%u e%u\n", i, i);
    fputs("text/last last", file);
    fclose(file);
    struct mime_types *types = mime_types_open(name);
    REQUIRE(types != NULL);
    check(types, "a.html", "text/html; charset=utf-8");
    check(types, "a.shtml", "application/octet-stream");
    check(types, "a.new", "application/x-new");
    check(types, "a.newer", "application/x-new");
    check(types, "a.x", "image/png");
    check(types, "a.png", "image/x-other");
    check(types, "a.bad", "application/octet-stream");
    check(types, "a.quote", "application/octet-stream");
    check(types, "a.long", "application/octet-stream");
    check(types, "a.e0", "application/x-0");
    check(types, "a.e2999", "application/x-2999");
    check(types, "a.last", "text/last; charset=utf-8");
    check(types, "a.css", "text/css; charset=utf-8");
    mime_types_close(types);
}

TEST(without_the_file)
{
    struct mime_types *types = mime_types_open("/nonexistent/mime.types");
    REQUIRE(types != NULL);
    check(types, "a.css", "text/css; charset=utf-8");
    mime_types_close(types);
}
