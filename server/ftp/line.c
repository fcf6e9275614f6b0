/* SPDX-License-Identifier: MIT */
/* From bytes to commands: see line.h. */
#include "line.h"

#include <stdbool.h>
#include <string.h>

enum { WILL = 251, DONT = 254, IAC = 255 };

/* One Telnet code at data[*at], an IAC: moves *at behind it. Returns the byte that it stands for, or -1. */
static int take_code(const unsigned char *data, size_t length, size_t *at)
{
    if (++*at == length)
        return -1;
    unsigned char code = data[(*at)++];
    if (code >= WILL && code <= DONT && *at < length)
        ++*at; /* the option that it is about */
    return code == IAC ? IAC : -1;
}

/* The next byte of the text; -1: that was none. */
static int take_byte(const unsigned char *data, size_t length, size_t *at)
{
    if (data[*at] == IAC)
        return take_code(data, length, at);
    unsigned char byte = data[(*at)++];
    if (byte == '\r' && *at < length && data[*at] == '\0')
        ++*at;
    return byte == '\0' ? '\n' : byte;
}

size_t ftp_line_read(struct ftp_line *line, const char *data, size_t length)
{
    const char *end = memchr(data, '\n', length);
    if (end == NULL)
        return 0;
    size_t all = (size_t)(end - data) + 1, text = all - 1;
    if (text > 0 && data[text - 1] == '\r')
        text--;
    line->length = 0;
    for (size_t at = 0; at < text;) {
        int byte = take_byte((const unsigned char *)data, text, &at);
        if (byte >= 0 && line->length == FTP_LINE_MAX) {
            line->length++;
            line->text[0] = '\0';
            return all;
        }
        if (byte >= 0)
            line->text[line->length++] = (char)byte;
    }
    line->text[line->length] = '\0';
    return all;
}

unsigned ftp_line_split(struct ftp_line *line, char **argument)
{
    unsigned verb = 0;
    char *at = line->text;
    for (; (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'); at++)
        verb = at - line->text < 4 ? verb << 8 | (unsigned char)(*at & ~0x20) : 0;
    bool good = at - line->text <= 4 && (*at == ' ' || *at == '\0');
    if (*at == ' ')
        at++;
    *argument = at;
    return good ? verb : 0;
}

size_t ftp_line_encode(char *out, const char *name, enum ftp_line_form form)
{
    char *at = out;
    for (; *name; name++) {
        *at++ = (char)(*name == '\n' ? '\0' : *name);
        if (*name == '\r' && form != FTP_LINE_DATA)
            *at++ = '\0';
        else if ((*name == '"' && form == FTP_LINE_QUOTED) || ((unsigned char)*name == IAC && form != FTP_LINE_DATA))
            *at++ = *name;
    }
    return (size_t)(at - out);
}
