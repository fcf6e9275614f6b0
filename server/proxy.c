/* SPDX-License-Identifier: MIT */
/* PROXY headers: see proxy.h. */
#include "proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* The beginnings by which the two versions are told apart, and from anything else. */
static const char text_start[] = "PROXY ";
static const char binary_start[] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    TEXT_START = sizeof text_start - 1,
    BINARY_START = sizeof binary_start - 1,
    BINARY_FIXED = BINARY_START + 4, /* version and command, family and protocol, the length of what follows */
    BINARY_V4 = 12,                  /* two addresses, two ports */
    BINARY_V6 = 36,
};

_Static_assert(BINARY_FIXED + BINARY_V6 <= PROXY_TEXT_MAX, "they share a buffer");

/* ------------------------------------------------------------------------------------------ version 1 */

/* Copies the next word of the line, which ends with a blank or with the line. False: it is empty, or too long. */
static bool take_word(char **line, char *word, size_t size)
{
    size_t length = strcspn(*line, " ");
    if (length == 0 || length >= size)
        return false;
    memcpy(word, *line, length);
    word[length] = '\0';
    *line += length;
    return true;
}

static bool take_blank(char **line)
{
    return *(*line)++ == ' ';
}

/* "0" to "65535", without zeros before it. */
static bool is_port(const char *word)
{
    unsigned long value = 0;
    size_t length = strlen(word);
    for (const char *at = word; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        value = 10 * value + (unsigned long)(*at - '0');
    }
    return length <= 5 && value <= 65535 && (length == 1 || *word != '0');
}

/* An address of a family in numbers. */
static bool read_address(const char *word, int family, struct address *address)
{
    struct in6_addr bytes;
    if (inet_pton(family, word, &bytes) != 1)
        return false;
    *address = family == AF_INET ? address_of_ipv4(&bytes) : address_of_ipv6(&bytes);
    return true;
}

/* The line, ended by NUL in place of its CR: "PROXY TCP4 192.0.2.1 192.0.2.2 40000 80". */
static bool read_line(struct proxy_reader *reader)
{
    char *line = (char *)reader->bytes + TEXT_START;
    char word[INET6_ADDRSTRLEN];
    struct address from, to;
    if (!take_word(&line, word, sizeof word))
        return false;
    if (strcmp(word, "UNKNOWN") == 0) /* whatever stands behind it */
        return true;
    int family = strcmp(word, "TCP4") == 0 ? AF_INET : strcmp(word, "TCP6") == 0 ? AF_INET6 : AF_UNSPEC;
    if (family == AF_UNSPEC || !take_blank(&line) || !take_word(&line, word, sizeof word) ||
        !read_address(word, family, &from) || !take_blank(&line) || !take_word(&line, word, sizeof word) ||
        !read_address(word, family, &to) || !take_blank(&line) || !take_word(&line, word, sizeof word) ||
        !is_port(word) || !take_blank(&line) || !take_word(&line, word, sizeof word) || !is_port(word) || *line != '\0')
        return false;
    reader->address = from;
    return true;
}

/* Byte by byte: the line's end decides where it ends, and a byte behind it is not ours. */
static enum proxy_result read_text(struct proxy_reader *reader, const char *data, size_t length, size_t *used)
{
    while (*used < length) {
        char c = data[(*used)++];
        bool ends = reader->have > 0 && reader->bytes[reader->have - 1] == '\r';
        if (c == '\0' || ends != (c == '\n') || (!ends && reader->have >= PROXY_TEXT_MAX - 1))
            return PROXY_INVALID;
        if (ends) {
            reader->bytes[reader->have - 1] = '\0';
            return read_line(reader) ? PROXY_DONE : PROXY_INVALID;
        }
        reader->bytes[reader->have++] = (unsigned char)c;
    }
    return PROXY_MORE;
}

/* ------------------------------------------------------------------------------------------ version 2 */

/* Has so many bytes together, if there are so many. */
static bool gather(struct proxy_reader *reader, size_t wanted, const char *data, size_t length, size_t *used)
{
    size_t missing = wanted > reader->have ? wanted - reader->have : 0, left = length - *used;
    size_t take = missing < left ? missing : left;
    if (take > 0)
        memcpy(reader->bytes + reader->have, data + *used, take);
    reader->have += (uint16_t)take;
    *used += take;
    return take == missing;
}

/* What the fixed part says: how many bytes of addresses follow that are of use, and how many of no use. */
static bool read_fixed(const struct proxy_reader *reader, size_t *addresses, size_t *rest)
{
    const unsigned char *fixed = reader->bytes + BINARY_START;
    unsigned version = fixed[0] >> 4, command = fixed[0] & 15, family = fixed[1] >> 4, protocol = fixed[1] & 15;
    static const size_t least[] = {0, BINARY_V4, BINARY_V6, 216}; /* none, IPv4, IPv6, sockets in a filesystem */
    size_t follows = (size_t)fixed[2] << 8 | fixed[3];
    bool local = command == 0;
    if (version != 2 || command > 1 || family > 3 || protocol > 2 || follows > PROXY_BINARY_MAX - BINARY_FIXED ||
        (!local && follows < least[family]))
        return false;
    bool is_tcp = !local && protocol == 1 && (family == 1 || family == 2);
    *addresses = is_tcp ? least[family] : 0;
    *rest = follows - *addresses;
    return true;
}

static enum proxy_result read_binary(struct proxy_reader *reader, const char *data, size_t length, size_t *used)
{
    size_t addresses, rest;
    if (!gather(reader, BINARY_FIXED, data, length, used))
        return PROXY_MORE;
    if (!read_fixed(reader, &addresses, &rest))
        return PROXY_INVALID;
    if (!gather(reader, BINARY_FIXED + addresses, data, length, used))
        return PROXY_MORE;
    size_t left = length - *used, missing = rest - reader->skipped;
    size_t skip = missing < left ? missing : left;
    reader->skipped += (uint16_t)skip;
    *used += skip;
    if (skip < missing)
        return PROXY_MORE;
    const unsigned char *from = reader->bytes + BINARY_FIXED;
    if (addresses == BINARY_V4)
        reader->address = address_of_ipv4(from);
    else if (addresses == BINARY_V6)
        reader->address = address_of_ipv6(from);
    return PROXY_DONE;
}

/* ------------------------------------------------------------------------------------------ either */

enum proxy_result proxy_read(struct proxy_reader *reader, const char *data, size_t length, size_t *used)
{
    *used = 0;
    if (length == 0)
        return PROXY_MORE;
    bool is_text = (reader->have > 0 ? reader->bytes[0] : (unsigned char)data[0]) == 'P';
    const char *start = is_text ? text_start : binary_start;
    size_t start_length = is_text ? TEXT_START : BINARY_START;
    for (; reader->have < start_length && *used < length; ++*used) {
        if (data[*used] != start[reader->have])
            return PROXY_INVALID;
        reader->bytes[reader->have++] = (unsigned char)data[*used];
    }
    if (reader->have < start_length)
        return PROXY_MORE;
    return is_text ? read_text(reader, data, length, used) : read_binary(reader, data, length, used);
}
