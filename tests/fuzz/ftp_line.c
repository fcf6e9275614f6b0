/* SPDX-License-Identifier: MIT */
/*
 * Lines of an FTP control connection: each is what a second reader, a machine that is given byte after byte, makes of
 * it; pieces make no difference; and no argument is a path out of the home, or one of a file of ours.
 */
#include "errand.h"
#include "fuzz.h"
#include "ftp/line.h"
#include "ftp/path.h"

#include <errno.h>

/* ------------------------------------------------------------------------------------------ the second reader */

enum state { TEXT, AFTER_CR, AFTER_IAC, OPTION };

struct machine {
    enum state state;
    size_t length;
    char text[FTP_LINE_MAX + 1];
};

static void keep(struct machine *machine, char byte)
{
    if (machine->length <= FTP_LINE_MAX)
        machine->text[machine->length++] = byte;
}

static void take(struct machine *machine, unsigned char byte)
{
    enum state before = machine->state;
    machine->state = TEXT;
    if (before == OPTION || (before == AFTER_CR && byte == 0))
        return;
    if (before == AFTER_IAC) {
        if (byte == 255)
            keep(machine, (char)byte);
        else if (byte >= 251) /* WILL, WONT, DO, DONT */
            machine->state = OPTION;
    } else if (byte == 255) {
        machine->state = AFTER_IAC;
    } else {
        keep(machine, byte ? (char)byte : '\n');
        machine->state = byte == '\r' ? AFTER_CR : TEXT;
    }
}

/* The bytes up to the first LF; 0: there is none. */
static size_t read_slowly(struct machine *machine, const uint8_t *data, size_t size)
{
    size_t end = 0;
    while (end < size && data[end] != '\n')
        end++;
    if (end == size)
        return 0;
    size_t text = end > 0 && data[end - 1] == '\r' ? end - 1 : end;
    *machine = (struct machine){0};
    for (size_t i = 0; i < text; i++)
        take(machine, data[i]);
    return end + 1;
}

/* ------------------------------------------------------------------------------------------ what holds */

static void check_line(const struct ftp_line *line, const struct machine *machine)
{
    HOLDS(line->length == machine->length && line->length <= FTP_LINE_MAX + 1);
    if (line->length > FTP_LINE_MAX) {
        HOLDS(line->text[0] == '\0');
        return;
    }
    HOLDS(memcmp(line->text, machine->text, line->length) == 0 && line->text[line->length] == '\0');
    HOLDS(strlen(line->text) == line->length);
}

static void check_names(const char *path)
{
    HOLDS(path[0] == '/');
    if (path[1] == '\0')
        return;
    while (*path != '\0') {
        size_t length = strcspn(++path, "/");
        HOLDS(length > 0 && length <= 255);
        HOLDS(path[0] != '.' || (length != 1 && (length != 2 || path[1] != '.')));
        HOLDS(strncmp(path, ERRAND_TEMPORARY, sizeof ERRAND_TEMPORARY - 1) != 0);
        path += length;
    }
}

/* Beneath each directory; and what a path means it means again. */
static void check_path(const char *said)
{
    static const char *const directories[] = {NULL, "/", "/a", "/a b/c\nd"};
    for (unsigned i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        char *path, *again;
        int error = ftp_path_make(directories[i], said, &path);
        HOLDS(error == 0 || error == -EINVAL || error == -ENAMETOOLONG);
        if (error)
            continue;
        check_names(path);
        HOLDS(strlen(path) < 4096);
        HOLDS(ftp_path_make("/elsewhere", path, &again) == 0 && strcmp(path, again) == 0);
        free(again);
        free(path);
    }
}

static void check_split(struct ftp_line *line)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char name[5] = {0}, *argument;
    size_t count = strspn(line->text, letters), length = line->length;
    bool good = count >= 1 && count <= 4 && (line->text[count] == ' ' || line->text[count] == '\0');
    for (size_t i = 0; good && i < count; i++)
        name[i] = (char)(line->text[i] >= 'a' ? line->text[i] - 'a' + 'A' : line->text[i]);
    HOLDS(ftp_line_split(line, &argument) == ftp_verb(name));
    HOLDS(argument >= line->text && argument <= line->text + length && strlen(line->text) == length);
    if (good)
        HOLDS(argument == line->text + count + (line->text[count] == ' '));
    check_path(argument);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ftp_line line, piece;
    static struct machine machine;
    uint32_t seed = fuzz_seed(data, size);
    for (size_t at = 0; at < size;) {
        size_t used = ftp_line_read(&line, (const char *)data + at, size - at);
        HOLDS(used == read_slowly(&machine, data + at, size - at));
        if (used == 0)
            break;
        check_line(&line, &machine);
        size_t cut = fuzz_draw(&seed, (uint32_t)(used < 65536 ? used : 65535));
        char *exact = fuzz_exact(data + at, cut), *whole = fuzz_exact(data + at, used);
        HOLDS(ftp_line_read(&piece, exact, cut) == 0);
        HOLDS(ftp_line_read(&piece, whole, used) == used);
        check_line(&piece, &machine);
        free(whole);
        free(exact);
        if (line.length <= FTP_LINE_MAX)
            check_split(&line);
        at += used;
    }
    return 0;
}
