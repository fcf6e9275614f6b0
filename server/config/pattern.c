/* SPDX-License-Identifier: MIT */
/*
 * Patterns of paths, without recursion: when a byte does not fit, the last star that may grow takes one byte more.
 * Only two need be remembered, the last "*" and the last "**": a star before another has taken the least it can, which
 * leaves the most to the other; and what lies between a "*" and one of a later segment is held in place by the slash.
 *
 * When the stars behind a "**" have failed, it need not grow by one byte only: unless it pushes the first of them out
 * of its segment, that one has no end to try that was not tried. So each byte of the path meets each of the pattern
 * about once.
 */
#include "pattern.h"

#include <string.h>

/* A star to go back to. */
struct turn {
    size_t pattern; /* behind it */
    size_t path;    /* the end of what it stands for so far */
    unsigned count; /* stars up to it, itself included */
    bool set;
};

struct matcher {
    const char *pattern, *path;
    size_t pattern_length, path_length;
    size_t at, to; /* in the pattern, in the path */
    unsigned count;
    struct turn one, many;
    size_t many_next; /* the least that the "**" must grow to; 0: one byte more */
    size_t begin[PATTERN_STARS_MAX], end[PATTERN_STARS_MAX];
};

static void note_end(struct matcher *m, unsigned star, size_t end)
{
    if (star <= PATTERN_STARS_MAX)
        m->end[star - 1] = end;
}

/* Where the slash is that ends the current segment of the path, or its end. */
static size_t segment_end(const struct matcher *m)
{
    const char *slash = memchr(m->path + m->to, '/', m->path_length - m->to);
    return slash == NULL ? m->path_length : (size_t)(slash - m->path);
}

/* A star begins, with nothing in it. */
static void begin_star(struct matcher *m)
{
    size_t stars = 1;
    while (m->at + stars < m->pattern_length && m->pattern[m->at + stars] == '*')
        stars++;
    m->at += stars;
    m->count++;
    if (m->count <= PATTERN_STARS_MAX)
        m->begin[m->count - 1] = m->to;
    note_end(m, m->count, m->to);
    struct turn turn = {.pattern = m->at, .path = m->to, .count = m->count, .set = true};
    if (stars == 1) {
        if (m->many.set && m->many_next == 0)
            m->many_next = segment_end(m) + 1 - (m->to - m->many.path);
        m->one = turn;
    } else {
        m->many = turn;
        m->many_next = 0;
        m->one.set = false;
    }
}

/* Lets the nearest star that can take one byte more do so. False: none can. */
static bool grow(struct matcher *m)
{
    struct turn *turn = &m->one;
    if (!turn->set || turn->path >= m->path_length || m->path[turn->path] == '/') {
        m->one.set = false;
        turn = &m->many;
        if (!turn->set || turn->path >= m->path_length || m->many_next > m->path_length)
            return false;
        turn->path = m->many_next > turn->path ? m->many_next - 1 : turn->path;
        m->many_next = 0;
    }
    turn->path++;
    m->at = turn->pattern;
    m->to = turn->path;
    m->count = turn->count;
    note_end(m, turn->count, turn->path);
    return true;
}

/* One byte that stands for itself, or "?". */
static bool fits(const struct matcher *m)
{
    char wanted = m->pattern[m->at], is = m->path[m->to];
    return wanted == '?' ? is != '/' : wanted == is;
}

static bool run(struct matcher *m)
{
    for (;;) {
        if (m->at < m->pattern_length && m->pattern[m->at] == '*') {
            begin_star(m);
        } else if (m->at == m->pattern_length && m->to == m->path_length) {
            return true;
        } else if (m->at < m->pattern_length && m->to < m->path_length && fits(m)) {
            m->at++;
            m->to++;
        } else if (!grow(m)) {
            return false;
        }
    }
}

bool pattern_match(const char *pattern, size_t pattern_length, const char *path, size_t path_length,
                   struct pattern_match *match)
{
    size_t skipped = 0;
    if (memchr(pattern, '/', pattern_length) == NULL) {
        const char *slash = memrchr(path, '/', path_length);
        skipped = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    }
    struct matcher m = {.pattern = pattern,
                        .path = path + skipped,
                        .pattern_length = pattern_length,
                        .path_length = path_length - skipped};
    if (!run(&m))
        return false;
    if (match == NULL)
        return true;
    match->count = m.count < PATTERN_STARS_MAX ? m.count : PATTERN_STARS_MAX;
    for (unsigned i = 0; i < match->count; i++) {
        match->stars[i].at = skipped + m.begin[i];
        match->stars[i].length = m.end[i] - m.begin[i];
    }
    return true;
}

/*
 * Wherever a beginning of the pattern matches the directory, what is left of it, with the stars that this beginning
 * ends with, is what a path beneath has still to match.
 */
enum pattern_reach pattern_reach(const char *pattern, size_t pattern_length, const char *directory, size_t length)
{
    enum pattern_reach reach = PATTERN_NONE;
    if (memchr(pattern, '/', pattern_length) == NULL) /* of last names */
        return strspn(pattern, "*") == pattern_length ? PATTERN_ALL : PATTERN_SOME;
    for (size_t at = 1; at <= pattern_length; at++) {
        if (!pattern_match(pattern, at, directory, length, NULL))
            continue;
        size_t from = at;
        while (from > 0 && pattern[from - 1] == '*')
            from--;
        if (from == pattern_length) /* the directory itself is meant */
            continue;
        bool stars = strspn(pattern + from, "*") == pattern_length - from;
        if (stars && pattern_length - from >= 2)
            return PATTERN_ALL;
        reach = PATTERN_SOME;
    }
    return reach;
}
