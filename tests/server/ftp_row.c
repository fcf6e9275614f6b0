/* SPDX-License-Identifier: MIT */
/* Lines of FTP's listings: as ls -l has them, and as facts. */
#include "ftp/line.h"
#include "ftp/row.h"
#include "harness.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

enum { DAY = 24 * 60 * 60 };

static const int64_t now = 1700000000; /* 2023-11-14 22:13:20 */

static struct entry entry_of(uint32_t mode, uint64_t size, int64_t modified)
{
    return (struct entry){.type = (uint8_t)IFTODT(mode),
                          .known = true,
                          .mode = mode,
                          .links = 1,
                          .user = 1000,
                          .group = 100,
                          .size = size,
                          .device = 0x801,
                          .inode = 0xabc,
                          .modified = modified};
}

static const char *line(const struct entry *entry)
{
    static char text[FTP_ROW_MOST + 1];
    char *end = ftp_row_long(text, entry, now);
    CHECK((size_t)(end - text) < FTP_ROW_MOST);
    *end = '\0';
    return text;
}

TEST(as_ls_has_them)
{
    static const struct {
        uint32_t mode;
        uint64_t size;
        int64_t modified;
        const char *line;
    } rows[] = {
        {S_IFREG | 0644, 5, 1700000000, "-rw-r--r--    1 1000     100             5 Nov 14 22:13 "},
        {S_IFDIR | 0755, 4096, 1699999999, "drwxr-xr-x    1 1000     100          4096 Nov 14 22:13 "},
        {S_IFREG | 0644, 5, 1700000001, "-rw-r--r--    1 1000     100             5 Nov 14  2023 "}, /* to come */
        {S_IFREG | 0644, 5, 1700000000 - 182 * DAY + 1, "-rw-r--r--    1 1000     100             5 May 16 22:13 "},
        {S_IFREG | 0644, 5, 1700000000 - 182 * DAY, "-rw-r--r--    1 1000     100             5 May 16  2023 "},
        {S_IFREG | 0600, 99999999, 0, "-rw-------    1 1000     100      99999999 Jan 01  1970 "},
        {S_IFREG | 0600, 18446744073709551615u, 0,
         "-rw-------    1 1000     100      18446744073709551615 Jan 01  1970 "},
        {S_IFREG | 0600, 1, -1, "-rw-------    1 1000     100             1 Dec 31  1969 "},
        {S_IFREG | 0600, 1, INT64_MAX, "-rw-------    1 1000     100             1 Jan 01  1970 "},
        {S_IFLNK | 0777, 1, 0, "lrwxrwxrwx    1 1000     100             1 Jan 01  1970 "},
        {S_IFIFO | 0000, 0, 0, "p---------    1 1000     100             0 Jan 01  1970 "},
        {S_IFSOCK | 0222, 0, 0, "s-w--w--w-    1 1000     100             0 Jan 01  1970 "},
        {S_IFCHR | 0111, 0, 0, "c--x--x--x    1 1000     100             0 Jan 01  1970 "},
        {S_IFBLK | 0444, 0, 0, "br--r--r--    1 1000     100             0 Jan 01  1970 "},
        {S_IFREG | 06755, 0, 0, "-rwsr-sr-x    1 1000     100             0 Jan 01  1970 "},
        {S_IFREG | 06644, 0, 0, "-rwSr-Sr--    1 1000     100             0 Jan 01  1970 "},
        {S_IFDIR | 01777, 0, 0, "drwxrwxrwt    1 1000     100             0 Jan 01  1970 "},
        {S_IFDIR | 01770, 0, 0, "drwxrwx--T    1 1000     100             0 Jan 01  1970 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct entry entry = entry_of(rows[i].mode, rows[i].size, rows[i].modified);
        harness_at("row %zu", i);
        CHECK_STR(line(&entry), rows[i].line);
    }
    struct entry unknown = {.type = DT_DIR};
    CHECK_STR(line(&unknown), "d---------    0 0        0               0 Jan 01  1970 ");
}

static const char *facts(unsigned which, const struct entry *entry, const char *target, bool writable)
{
    static char text[2 * FTP_ROW_MOST + 1];
    *ftp_row_facts(text, which, entry, target, writable) = '\0';
    return text;
}

TEST(as_facts)
{
    struct entry file = entry_of(S_IFREG | 0644, 123, 1234567890), link = entry_of(S_IFLNK | 0777, 1, 0);
    struct entry dir = entry_of(S_IFDIR | 01777, 4096, 0), fifo = entry_of(S_IFIFO | 0600, 0, 0);
    struct entry unknown = {.type = DT_REG}, nothing = {.type = DT_UNKNOWN};
    CHECK_STR(facts(FTP_FACTS, &file, NULL, false),
              "type=file;size=123;modify=20090213233130;perm=r;unique=801Uabc;UNIX.mode=0644;UNIX.owner=1000;"
              "UNIX.group=100; ");
    CHECK_STR(facts(FTP_FACTS, &dir, NULL, true),
              "type=dir;modify=19700101000000;perm=cdeflmp;unique=801Uabc;UNIX.mode=01777;UNIX.owner=1000;"
              "UNIX.group=100; ");
    CHECK_STR(facts(FTP_FACT_TYPE | FTP_FACT_PERM, &file, NULL, true), "type=file;perm=adfrw; ");
    CHECK_STR(facts(FTP_FACT_TYPE | FTP_FACT_PERM, &dir, NULL, false), "type=dir;perm=el; ");
    CHECK_STR(facts(FTP_FACT_TYPE, &link, "a/b", false), "type=OS.unix=slink:a/b; ");
    CHECK_STR(facts(FTP_FACT_TYPE, &link, "a;type=dir", false), "type=OS.unix=slink; ");
    CHECK_STR(facts(FTP_FACT_TYPE, &link, "a b", false), "type=OS.unix=slink; ");
    CHECK_STR(facts(FTP_FACT_TYPE, &link, "a\r\nb", false), "type=OS.unix=slink; ");
    CHECK_STR(facts(FTP_FACT_TYPE, &link, NULL, false), "type=OS.unix=slink; ");
    CHECK_STR(facts(FTP_FACT_TYPE | FTP_FACT_PERM, &fifo, NULL, true), "type=OS.unix=pipe;perm=df; ");
    CHECK_STR(facts(FTP_FACTS, &unknown, NULL, false), "type=file;perm=r; ");
    CHECK_STR(facts(FTP_FACTS, &nothing, NULL, false), "perm=; ");
    CHECK_STR(facts(0, &file, NULL, false), " ");
}

TEST(which_facts)
{
    static const struct {
        const char *said, *chosen;
    } rows[] = {
        {"", ""},
        {"type", "type;"},
        {"Size;TYPE;", "type;size;"},
        {"size;;nonsense;unix.MODE", "size;UNIX.mode;"},
        {"siz;sizes;UNIX", ""},
        {"type;size;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;",
         "type;size;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;"},
    };
    char text[FTP_FACT_NAMES + 1];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i].said);
        *ftp_row_names(text, ftp_row_choose(rows[i].said), false) = '\0';
        CHECK_STR(text, rows[i].chosen);
    }
    char *end = ftp_row_names(text, FTP_FACTS, true);
    CHECK((size_t)(end - text) < FTP_FACT_NAMES);
    *ftp_row_names(text, FTP_FACT_TYPE, true) = '\0';
    CHECK_STR(text, "type*;size;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;");
}

static void encode(enum ftp_line_form form, const char *name, const char *wanted, size_t length)
{
    char out[64];
    harness_at("%s", name);
    CHECK_INT(ftp_line_encode(out, name, form), length);
    CHECK(memcmp(out, wanted, length) == 0);
}

TEST(names_in_lines)
{
    encode(FTP_LINE_DATA, "a\nb\r\"\xff", "a\0b\r\"\xff", 6);
    encode(FTP_LINE_REPLY, "a\nb\r\"\xff", "a\0b\r\0\"\xff\xff", 8);
    encode(FTP_LINE_QUOTED, "a\nb\r\"\xff", "a\0b\r\0\"\"\xff\xff", 9);
    encode(FTP_LINE_QUOTED, "", "", 0);
}

/* What a reply says of a name is understood when it comes back in a command. */
TEST(there_and_back)
{
    static const char name[] = "\r\n \"a\r\r\n\n\xff";
    char said[64] = "CWD ";
    struct ftp_line back;
    char *argument;
    size_t length = 4 + ftp_line_encode(said + 4, name, FTP_LINE_REPLY);
    memcpy(said + length, "\r\n", 2);
    CHECK_INT(ftp_line_read(&back, said, length + 2), length + 2);
    CHECK_INT(ftp_line_split(&back, &argument), ftp_verb("CWD"));
    CHECK_STR(argument, name);
}
