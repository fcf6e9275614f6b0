/* SPDX-License-Identifier: MIT */
/* Entries as lines: see row.h. */
#include "row.h"
#include "text.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

enum { RECENT = 182 * 24 * 60 * 60 }; /* seconds for which the time of day is told rather than the year */

static const char *const names[] = {"type",   "size",      "modify",     "perm",
                                    "unique", "UNIX.mode", "UNIX.owner", "UNIX.group"};

enum { NAMES = sizeof names / sizeof names[0] };

/* format: of printf; the text fits into FTP_ROW_MOST. */
static char *put(char *at, const char *format, ...) __attribute__((format(printf, 2, 3)));

static char *put(char *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(at, FTP_ROW_MOST, format, arguments);
    va_end(arguments);
    return at + length;
}

static char *put_time(char *at, int64_t seconds, const char *format)
{
    struct tm parts;
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &parts) == NULL || parts.tm_year > 9999 - 1900) {
        time = 0;
        gmtime_r(&time, &parts);
    }
    return at + strftime(at, FTP_ROW_MOST, format, &parts);
}

/* ------------------------------------------------------------------------------------------ as ls -l has it */

static char letter(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return 'd';
    case S_IFLNK: return 'l';
    case S_IFIFO: return 'p';
    case S_IFSOCK: return 's';
    case S_IFCHR: return 'c';
    case S_IFBLK: return 'b';
    default: return '-';
    }
}

static char *put_mode(char *at, mode_t mode)
{
    *at++ = letter(mode);
    for (unsigned i = 0; i < 9; i++)
        *at++ = (mode & (0400u >> i)) ? "rwx"[i % 3] : '-';
    if (mode & S_ISUID)
        at[-7] = at[-7] == 'x' ? 's' : 'S';
    if (mode & S_ISGID)
        at[-4] = at[-4] == 'x' ? 's' : 'S';
    if (mode & S_ISVTX)
        at[-1] = at[-1] == 'x' ? 't' : 'T';
    return at;
}

char *ftp_row_long(char *at, const struct entry *entry, int64_t now)
{
    bool recent = entry->modified <= now && now - entry->modified < RECENT;
    at = put_mode(at, entry->known ? entry->mode : DTTOIF(entry->type));
    at = put(at, " %4" PRIu32 " %-8" PRIu32 " %-8" PRIu32 " %8" PRIu64 " ", entry->links, entry->user, entry->group,
             entry->size);
    return put_time(at, entry->modified, recent ? "%b %d %H:%M " : "%b %d  %Y ");
}

/* ------------------------------------------------------------------------------------------ facts */

/* Can it stand in a fact (RFC 3659, 7.2: SCHAR)? */
static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == ';')
            return false;
    return true;
}

static char *put_type(char *at, const struct entry *entry, const char *target)
{
    switch (entry->type) {
    case DT_REG: return TEXT_PUT(at, "type=file;");
    case DT_DIR: return TEXT_PUT(at, "type=dir;");
    case DT_LNK:
        at = TEXT_PUT(at, "type=OS.unix=slink");
        if (target != NULL && is_plain(target)) {
            *at++ = ':';
            at = text_bytes(at, target, strlen(target));
        }
        return TEXT_PUT(at, ";");
    case DT_FIFO: return TEXT_PUT(at, "type=OS.unix=pipe;");
    case DT_SOCK: return TEXT_PUT(at, "type=OS.unix=socket;");
    case DT_CHR: return TEXT_PUT(at, "type=OS.unix=chr;");
    case DT_BLK: return TEXT_PUT(at, "type=OS.unix=blk;");
    default: return at;
    }
}

/* RFC 3659, 7.5.5: what may be tried; whether it will be possible is another thing. */
static const char *permitted(const struct entry *entry, bool writable)
{
    switch (entry->type) {
    case DT_REG: return writable ? "adfrw" : "r";
    case DT_DIR: return writable ? "cdeflmp" : "el";
    default: return writable ? "df" : "";
    }
}

char *ftp_row_facts(char *at, unsigned facts, const struct entry *entry, const char *target, bool writable)
{
    if (facts & FTP_FACT_TYPE)
        at = put_type(at, entry, target);
    if ((facts & FTP_FACT_SIZE) && entry->known && entry->type == DT_REG)
        at = put(at, "size=%" PRIu64 ";", entry->size);
    if ((facts & FTP_FACT_MODIFY) && entry->known)
        at = put_time(at, entry->modified, "modify=%Y%m%d%H%M%S;");
    if (facts & FTP_FACT_PERM)
        at = put(at, "perm=%s;", permitted(entry, writable));
    if (!entry->known)
        facts = 0;
    if (facts & FTP_FACT_UNIQUE)
        at = put(at, "unique=%" PRIx64 "U%" PRIx64 ";", entry->device, entry->inode);
    if (facts & FTP_FACT_MODE)
        at = put(at, "UNIX.mode=0%03o;", entry->mode & 07777);
    if (facts & FTP_FACT_OWNER)
        at = put(at, "UNIX.owner=%" PRIu32 ";", entry->user);
    if (facts & FTP_FACT_GROUP)
        at = put(at, "UNIX.group=%" PRIu32 ";", entry->group);
    *at++ = ' ';
    return at;
}

char *ftp_row_names(char *at, unsigned facts, bool all)
{
    for (unsigned i = 0; i < NAMES; i++) {
        bool on = facts & 1u << i;
        if (on || all) {
            at = text_bytes(at, names[i], strlen(names[i]));
            at = text_bytes(at, "*", on && all);
            *at++ = ';';
        }
    }
    return at;
}

unsigned ftp_row_choose(const char *text)
{
    unsigned facts = 0;
    while (*text) {
        size_t length = strcspn(text, ";");
        for (unsigned i = 0; i < NAMES; i++)
            if (strlen(names[i]) == length && strncasecmp(names[i], text, length) == 0)
                facts |= 1u << i;
        text += length + (text[length] == ';');
    }
    return facts;
}
