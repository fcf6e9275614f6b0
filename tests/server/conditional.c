/* SPDX-License-Identifier: MIT */
/* Entity tags and lists of them. */
#include "harness.h"
#include "http/conditional.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TEST(lists)
{
    static const struct {
        const char *list;
        bool found;
    } rows[] = {
        {"*", true},
        {"\"a-b\"", true},
        {"W/\"a-b\"", true},
        {"\"x\", \"a-b\"", true},
        {"\"x\",W/\"a-b\" , \"y\"", true},
        {", ,\"a-b\",", true},
        {"\"x,\", \"a-b\"", true},
        {"\"\"", false},
        {"", false},
        {"\"a-b", false},
        {"a-b", false},
        {"\"a-bc\"", false},
        {"\"a-\"", false},
        {"w/\"a-b\"", false},
        {"W/", false},
        {"W/a", false},
        {"**", false},
        {"x, \"a-b\"", false},
        {"\"x\" \"a-b\"", false},
        {"\"x\"\"a-b\"", false},
        {"*, \"a-b\"", false},
        {"\"x\" \"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = strlen(rows[i].list);
        char *exact = malloc(length ? length : 1);
        memcpy(exact, rows[i].list, length);
        harness_at("%s", rows[i].list);
        CHECK_INT(http_tag_in_list(exact, length, "\"a-b\"", 5), rows[i].found);
        free(exact);
    }
}

TEST(tags)
{
    char tag[HTTP_TAG_SPACE];
    tag[http_tag_write(tag, 0x10, 0, 0xabc)] = '\0';
    CHECK_STR(tag, "\"10-0-abc\"");
    size_t length = http_tag_write(tag, -1, UINT64_MAX, UINT64_MAX);
    CHECK(length < HTTP_TAG_SPACE);
    tag[length] = '\0';
    CHECK_STR(tag, "\"ffffffffffffffff-ffffffffffffffff-ffffffffffffffff\"");
}

#define PAST   "Sun, 06 Nov 1994 08:49:36 GMT" /* a second before */
#define TIME   "Sun, 06 Nov 1994 08:49:37 GMT" /* of the current version */
#define FUTURE "Sun, 06 Nov 1994 08:49:38 GMT"
enum { MODIFIED = 784111777 };

/* Judges the conditions of a request with these lines: "304", "412", "go", "go with range". */
static const char *judge(const char *method, const char *lines, const struct http_current *current)
{
    char text[600];
    int length = snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, lines);
    struct http_request request = {0};
    REQUIRE_INT(http_request_read(&request, text, (size_t)length), length);
    struct http_conditions conditions = http_conditions_of(&request, text);
    size_t size = http_conditions_size(&conditions);
    bool any = http_conditions_any(&conditions);
    CHECK(any || size == 0);
    char *space = malloc(size ? size : 1);
    http_conditions_move(&conditions, space);
    memset(text, 0, sizeof text);
    CHECK_INT(http_conditions_size(&conditions), size);
    struct http_verdict verdict = http_conditions_judge(&conditions, request.method, current);
    free(space);
    CHECK(any || (verdict.status == 0 && !verdict.takes_range));
    CHECK(verdict.status == 0 || !verdict.takes_range);
    return verdict.status == 304 ? "304" : verdict.status == 412 ? "412" : verdict.takes_range ? "go with range" : "go";
}

TEST(of_what_exists)
{
    static const struct {
        const char *method, *lines, *result;
    } rows[] = {
        {"GET", "", "go"},
        {"GET", "If-None-Match: \"t\"\r\n", "304"},
        {"HEAD", "If-None-Match: W/\"t\"\r\n", "304"},
        {"GET", "If-None-Match: *\r\n", "304"},
        {"GET", "If-None-Match: \"u\"\r\n", "go"},
        {"GET", "If-None-Match:\r\n", "go"},
        {"PUT", "If-None-Match: *\r\n", "412"},
        {"PUT", "If-None-Match: W/\"t\"\r\n", "412"},
        {"DELETE", "If-None-Match: \"u\"\r\n", "go"},
        {"GET", "If-Match: \"t\"\r\n", "go"},
        {"GET", "If-Match: \"u\", \"t\"\r\n", "go"},
        {"GET", "If-Match: W/\"t\"\r\n", "412"},
        {"GET", "If-Match: W/\"t\", \"t\"\r\n", "go"},
        {"PUT", "If-Match: *\r\n", "go"},
        {"PUT", "If-Match: \"u\"\r\n", "412"},
        {"PUT", "If-Match:\r\n", "412"},
        {"PUT", "If-Match: t\r\n", "412"},
        {"GET", "If-Modified-Since: " TIME "\r\n", "304"},
        {"HEAD", "If-Modified-Since: " FUTURE "\r\n", "304"},
        {"GET", "If-Modified-Since: " PAST "\r\n", "go"},
        {"GET", "If-Modified-Since: yesterday\r\n", "go"},
        {"GET", "If-Modified-Since:\r\n", "go"},
        {"PUT", "If-Modified-Since: " TIME "\r\n", "go"},
        {"PUT", "If-Unmodified-Since: " TIME "\r\n", "go"},
        {"PUT", "If-Unmodified-Since: " FUTURE "\r\n", "go"},
        {"PUT", "If-Unmodified-Since: " PAST "\r\n", "412"},
        {"GET", "If-Unmodified-Since: " PAST "\r\n", "412"},
        {"PUT", "If-Unmodified-Since: yesterday\r\n", "go"},
        /* one goes before another */
        {"GET", "If-None-Match: \"u\"\r\nIf-Modified-Since: " TIME "\r\n", "go"},
        {"GET", "If-None-Match: \"t\"\r\nIf-Modified-Since: " PAST "\r\n", "304"},
        {"GET", "If-None-Match: ?\r\nIf-Modified-Since: " TIME "\r\n", "go"},
        {"PUT", "If-Match: \"t\"\r\nIf-Unmodified-Since: " PAST "\r\n", "go"},
        {"PUT", "If-Match: \"u\"\r\nIf-Unmodified-Since: " TIME "\r\n", "412"},
        {"GET", "If-Match: \"u\"\r\nIf-None-Match: \"t\"\r\n", "412"},
        {"GET", "If-Match: \"t\"\r\nIf-None-Match: \"t\"\r\n", "304"},
        {"GET", "If-Unmodified-Since: " PAST "\r\nIf-Modified-Since: " TIME "\r\n", "412"},
        {"OPTIONS", "If-Match: \"u\"\r\nIf-None-Match: *\r\nIf-Unmodified-Since: " PAST "\r\n", "go"},
        /* ranges */
        {"GET", "Range: bytes=0-0\r\n", "go with range"},
        {"HEAD", "Range: bytes=0-0\r\n", "go"},
        {"PUT", "Range: bytes=0-0\r\n", "go"},
        {"GET", "Range: bytes=0-0\r\nIf-Range: \"t\"\r\n", "go with range"},
        {"GET", "Range: bytes=0-0\r\nIf-Range: \"u\"\r\n", "go"},
        {"GET", "Range: bytes=0-0\r\nIf-Range: W/\"t\"\r\n", "go"},
        {"GET", "Range: bytes=0-0\r\nIf-Range: \"t\", \"u\"\r\n", "go"},
        {"GET", "Range: bytes=0-0\r\nIf-Range: *\r\n", "go"},
        {"GET", "Range: bytes=0-0\r\nIf-Range:\r\n", "go"},
        {"GET", "Range: bytes=0-0\r\nIf-Range: " TIME "\r\n", "go with range"},
        {"GET", "Range: bytes=0-0\r\nIf-Range: " PAST "\r\n", "go"},
        {"GET", "Range: bytes=0-0\r\nIf-Range: " FUTURE "\r\n", "go"},
        {"GET", "If-Range: \"t\"\r\n", "go"},
        {"GET", "Range: bytes=0-0\r\nIf-None-Match: \"t\"\r\n", "304"},
        {"GET", "Range: bytes=0-0\r\nIf-Match: \"t\"\r\n", "go with range"},
        {"GET", "Range: bytes=0-0\r\nIf-Match: \"u\"\r\n", "412"},
        /* twice: all is set aside */
        {"GET", "Range: bytes=0-0\r\nIf-Match: \"u\"\r\nIf-Match: \"t\"\r\n", "go"},
    };
    const struct http_current current = {true, "\"t\"", 3, MODIFIED, MODIFIED + 1};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s %s", rows[i].method, rows[i].lines);
        CHECK_STR(judge(rows[i].method, rows[i].lines, &current), rows[i].result);
    }
}

TEST(of_what_does_not_exist)
{
    static const struct {
        const char *lines, *result;
    } rows[] = {
        {"", "go"},
        {"If-None-Match: *\r\n", "go"},
        {"If-None-Match: \"t\"\r\n", "go"},
        {"If-Match: *\r\n", "412"},
        {"If-Match: \"t\"\r\n", "412"},
        {"If-Modified-Since: " TIME "\r\n", "go"},
        {"If-Unmodified-Since: " PAST "\r\n", "go"},
    };
    const struct http_current nothing = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i].lines);
        CHECK_STR(judge("PUT", rows[i].lines, &nothing), rows[i].result);
        CHECK_STR(judge("GET", rows[i].lines, &nothing), rows[i].result);
    }
    CHECK_STR(judge("GET", "Range: bytes=0-0\r\n", &nothing), "go");
}

/* What was modified within this second may be modified again, and have the same date. */
TEST(a_date_that_may_mean_two_versions)
{
    const struct http_current current = {true, "\"t\"", 3, MODIFIED, MODIFIED};
    CHECK_STR(judge("GET", "Range: bytes=0-0\r\nIf-Range: " TIME "\r\n", &current), "go");
    CHECK_STR(judge("GET", "Range: bytes=0-0\r\nIf-Range: \"t\"\r\n", &current), "go with range");
}
