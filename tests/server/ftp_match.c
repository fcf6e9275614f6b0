/* SPDX-License-Identifier: MIT */
/* Patterns of names, against a slow and plain reading of what they mean, and against who wants them to take long. */
#include "ftp/match.h"
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

TEST(what_they_mean)
{
    static const struct {
        const char *pattern, *name;
        bool fits;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "A", false},
        {"a", "", false},
        {"*", "", true},
        {"*", "anything at all", true},
        {"**", "a", true},
        {"*.txt", "a.txt", true},
        {"*.txt", "a.txt.gz", false},
        {"*.txt", ".txt", true},
        {"a*b*c", "a-b-b-c", true},
        {"a*b*c", "a-c-b", false},
        {"?", "", false},
        {"?", "a", true},
        {"?", "ab", false},
        {"?", "\xc3\xa4", true},
        {"sp??", "sp\xc3\xa4\xc3\x9f", true},
        {"?", "\xf0\x9f\x98\x80", true},
        {"?", "\xe9", true},
        {"a?*", "a", false},
        {"[ab]", "b", true},
        {"[ab]", "c", false},
        {"[ab]", "", false},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[!a-c]", "d", true},
        {"[^a-c]", "b", false},
        {"[-a]", "-", true},
        {"[a-]", "-", true},
        {"[c-a]", "b", false},
        {"[]]", "]", true},
        {"[!]]", "]", false},
        {"[!]]", "a", true},
        {"[]-a]", "_", true},
        {"[*?]", "*", true},
        {"[*?]", "a", false},
        {"[", "[", true},
        {"[a", "[a", true},
        {"[]", "[]", true},
        {"[!]", "[!]", true},
        {"[!", "[!", true},
        {"*[", "a[", true},
        {"*[0-9]", "a1b2", true},
        {"*[0-9]", "a1b", false},
        {"\\*", "\\a", true},
        {"{a,b}", "{a,b}", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s %s", rows[i].pattern, rows[i].name);
        CHECK_INT(ftp_match(rows[i].pattern, rows[i].name), rows[i].fits);
    }
    CHECK(ftp_match_is_pattern("a*"));
    CHECK(ftp_match_is_pattern("?a"));
    CHECK(ftp_match_is_pattern("a[1]"));
    CHECK(!ftp_match_is_pattern("a.b-c"));
    CHECK(!ftp_match_is_pattern(""));
}

/* As the header says it, one possibility after the other; of the alphabet below "[" only begins "[a]" or "[!a]". */
static bool plain(const char *pattern, const char *name)
{
    if (*pattern == '\0')
        return *name == '\0';
    if (*pattern == '*')
        return plain(pattern + 1, name) || (*name != '\0' && plain(pattern, name + 1));
    if (*name == '\0')
        return false;
    if (strncmp(pattern, "[a]", 3) == 0)
        return *name == 'a' && plain(pattern + 3, name + 1);
    if (strncmp(pattern, "[!a]", 4) == 0)
        return *name != 'a' && plain(pattern + 4, name + 1);
    return (*pattern == '?' || *pattern == *name) && plain(pattern + 1, name + 1);
}

/* The number as a text of pieces. */
static void spell(unsigned number, const char *const *pieces, unsigned count, unsigned length, char *out)
{
    *out = '\0';
    for (unsigned i = 0; i < length; i++, number /= count)
        out = stpcpy(out, pieces[number % count]);
}

static unsigned power(unsigned base, unsigned exponent)
{
    return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

TEST(all_short_ones)
{
    static const char *const pieces[] = {"a", "b", "*", "?", "[a]", "[!a]"}, *const letters[] = {"a", "b", "c"};
    char pattern[32], name[16];
    for (unsigned length = 0; length <= 4; length++)
        for (unsigned i = 0; i < power(6, length); i++)
            for (unsigned other = 0; other <= 4; other++)
                for (unsigned j = 0; j < power(3, other) && harness_failures() < 5; j++) {
                    spell(i, pieces, 6, length, pattern);
                    spell(j, letters, 3, other, name);
                    if (ftp_match(pattern, name) != plain(pattern, name))
                        FAIL("%s %s: %d", pattern, name, plain(pattern, name));
                }
}

/* Names and patterns of the greatest length; tried one possibility after the other they would not end. */
TEST(hostile)
{
    static const char *const pieces[] = {"a*", "*a", "*a*", "?*", "*?", "[a]*", "*[!b]", "*[", "[*", "*aa[a-z]"};
    enum { LONGEST = 255, NAMES = 1000 };
    char pattern[LONGEST + 16], name[LONGEST + 1];
    for (size_t piece = 0; piece < sizeof pieces / sizeof pieces[0]; piece++) {
        size_t length = 0;
        while (length < LONGEST - 16)
            length += (size_t)snprintf(pattern + length, sizeof pattern - length, "%s", pieces[piece]);
        snprintf(pattern + length, sizeof pattern - length, "x");
        memset(name, strchr(pieces[piece], '[') != NULL && strchr(pieces[piece], ']') == NULL ? '[' : 'a', LONGEST);
        name[LONGEST] = '\0';
        harness_at("%s", pieces[piece]);
        clock_t began = clock();
        for (unsigned i = 0; i < NAMES; i++)
            CHECK(!ftp_match(pattern, name));
        CHECK(clock() - began < 5 * CLOCKS_PER_SEC * harness_slowness());
    }
}
