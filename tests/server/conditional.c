/* SPDX-License-Identifier: MIT */
/* Entity tags and lists of them. */
#include "harness.h"
#include "http/conditional.h"

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
