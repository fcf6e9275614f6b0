/* SPDX-License-Identifier: MIT */
/* Values of which there may be several, and those that go into replies. */
#include "inside.h"
#include "address.h"
#include "http/bytes.h"
#include "http/mime.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool no_memory(struct config_setting *setting)
{
    return config_wrong(setting, "out of memory");
}

static bool add_text(struct config_setting *setting, struct config_texts *texts, const char *bytes, size_t length)
{
    char *kept = config_keep_text(setting->config, bytes, length);
    struct config_text *text =
        kept == NULL ? NULL : config_add(setting->config, &texts->list, &texts->count, sizeof *text);
    if (text == NULL)
        return no_memory(setting);
    *text = (struct config_text){.bytes = kept, .length = length};
    return true;
}

static bool set_text(struct config_setting *setting, const char *bytes, size_t length)
{
    char *kept = config_keep_text(setting->config, bytes, length);
    if (kept == NULL)
        return no_memory(setting);
    *(struct config_text *)setting->field = (struct config_text){.bytes = kept, .length = length};
    return true;
}

bool config_parse_listen(struct config_setting *setting)
{
    struct config_addresses *addresses = setting->field;
    struct listen_address address = {0};
    char text[256];
    if (strcmp(setting->value, "off") == 0) {
        addresses->off = true;
        return addresses->count == 0 || config_wrong(setting, "off stands alone, without addresses beside it");
    }
    if (addresses->off)
        return config_wrong(setting, "off stands alone, without addresses beside it");
    bool local = strncmp(setting->value, "unix:", 5) == 0;
    bool relative = local && setting->value[5] != '/' && setting->value[5] != '\0';
    const char *folder = relative && setting->folder != NULL ? setting->folder : "";
    int length = snprintf(text, sizeof text, "%s%s%s%s", local ? "unix:" : "", folder, *folder ? "/" : "",
                          setting->value + (local ? 5 : 0));
    if (local && length >= (int)(5 + sizeof address.local.sun_path))
        return config_wrong(setting, "the path of a socket may have at most 107 bytes; choose a shorter one");
    if (length >= (int)sizeof text || !listen_address_read(&address, text))
        return config_wrong(setting, "want ADDR:PORT, [IPV6]:PORT, PORT, unix:PATH or off, as in 127.0.0.1:8080 or "
                                     "[::1]:8080");
    struct listen_address *added = config_add(setting->config, &addresses->list, &addresses->count, sizeof *added);
    if (added == NULL)
        return no_memory(setting);
    *added = address;
    return true;
}

/* FTP tells its clients addresses to connect to. */
bool config_parse_listen_ip(struct config_setting *setting)
{
    if (strncmp(setting->value, "unix:", 5) == 0)
        return config_wrong(setting, "want ADDR:PORT, [IPV6]:PORT, PORT or off: there is no FTP over sockets of files");
    return config_parse_listen(setting);
}

bool config_parse_ports(struct config_setting *setting)
{
    uint32_t *ports = setting->field;
    unsigned first, last;
    int used = 0;
    bool good = sscanf(setting->value, "%5u-%5u%n", &first, &last, &used) == 2 && setting->value[used] == '\0';
    if (!good || first < 1 || last > UINT16_MAX || first > last)
        return config_wrong(setting, "want two ports, as in 50000-50999");
    ports[0] = first;
    ports[1] = last;
    return true;
}

bool config_parse_ipv4(struct config_setting *setting)
{
    struct in_addr address;
    if (inet_pton(AF_INET, setting->value, &address) != 1)
        return config_wrong(setting, "want an IPv4 address, as in 192.0.2.1");
    return config_parse_realm(setting);
}

bool config_parse_proxies(struct config_setting *setting)
{
    const char *word = setting->value;
    for (size_t length; (length = config_next_word(&word)) > 0; word += length) {
        struct address_prefix prefix;
        if (!address_prefix_read(&prefix, word, length) && !(length == 4 && memcmp(word, "unix", 4) == 0))
            return config_wrong(setting, "want addresses or prefixes, as in 10.0.0.1 fd00::/8, or unix");
        if (!add_text(setting, setting->field, word, length))
            return false;
    }
    return true;
}

bool config_parse_names(struct config_setting *setting)
{
    const char *word = setting->value;
    for (size_t length; (length = config_next_word(&word)) > 0; word += length) {
        if (memchr(word, '/', length) != NULL || word[0] == '.')
            return config_wrong(setting, "want names without a slash, as in index.html index.htm");
        if (!add_text(setting, setting->field, word, length))
            return false;
    }
    return true;
}

bool config_parse_try(struct config_setting *setting)
{
    const char *word = setting->value;
    for (size_t length; (length = config_next_word(&word)) > 0; word += length) {
        if (word[0] != '/' && !(length >= 5 && memcmp(word, "$path", 5) == 0))
            return config_wrong(setting,
                                "want paths that begin with a slash or with $path, as in $path.html /404.html");
        if (!add_text(setting, setting->field, word, length))
            return false;
    }
    return true;
}

/* A path in the host's directory. */
bool config_parse_local(struct config_setting *setting)
{
    if (setting->value[0] != '/')
        return config_wrong(setting, "want a path in the host's directory that begins with a slash, as in /index.html");
    return set_text(setting, setting->value, strlen(setting->value));
}

struct pages {
    struct config_page *list;
    unsigned count;
};

bool config_parse_page(struct config_setting *setting)
{
    const char *path = setting->value;
    size_t digits = config_next_word(&path);
    int status = digits == 3 ? (int)strtol(path, NULL, 10) : 0;
    path += digits;
    size_t length = config_next_word(&path);
    if (status < 400 || status > 599 || length == 0 || path[0] != '/' || path[length] != '\0')
        return config_wrong(setting, "want a status from 400 to 599 and a path in the host's directory, as in "
                                     "404 /errors/404.html");
    struct config_host *host = (struct config_host *)((char *)setting->field - offsetof(struct config_host, pages));
    for (unsigned i = 0; i < host->page_count; i++)
        if (host->pages[i].status == status)
            return config_wrong(setting, "%d has a page already, %s; keep one", status, host->pages[i].path.bytes);
    char *kept = config_keep_text(setting->config, path, length);
    struct config_page *page =
        kept == NULL ? NULL : config_add(setting->config, &host->pages, &host->page_count, sizeof *page);
    if (page == NULL)
        return no_memory(setting);
    *page = (struct config_page){.status = status, .path = {.bytes = kept, .length = length}};
    return true;
}

/* ------------------------------------------------------------------------------------------ what replies say */

/* Lines that the server writes, or that would make a reply mean another thing. NULL: it may be set. */
static const char *refused(const char *name, size_t length)
{
    static const struct {
        const char *name, *remedy;
    } rows[] = {
        {"content-length", "the server writes it"},
        {"transfer-encoding", "the server writes it"},
        {"connection", "the server writes it"},
        {"date", "the server writes it"},
        {"content-range", "the server writes it"},
        {"etag", "the server writes it"},
        {"last-modified", "the server writes it"},
        {"accept-ranges", "the server writes it"},
        {"content-type", "use Type=, or the table of MimeTypes="},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].name) == length && strncasecmp(name, rows[i].name, length) == 0)
            return rows[i].remedy;
    return NULL;
}

bool config_parse_header(struct config_setting *setting)
{
    struct config_text *headers = setting->field;
    const char *name = setting->value, *value = name;
    while (http_is_token(*value))
        value++;
    size_t length = (size_t)(value - name);
    if (length == 0 || *value != ':')
        return config_wrong(setting, "want Name: value, as in X-Frame-Options: DENY");
    const char *remedy = refused(name, length);
    if (remedy != NULL)
        return config_wrong(setting, "%.*s cannot be set: %s", (int)length, name, remedy);
    value += 1 + strspn(value + 1, " \t");
    if (*value == '\0')
        return config_wrong(setting, "%.*s has no value; want Name: value", (int)length, name);
    size_t value_length = strlen(value), total = headers->length + length + 2 + value_length + 2;
    if (total > 8192)
        return config_wrong(setting, "the lines of one [Path ...] may have 8192 bytes; leave some out");
    char *kept = config_keep(setting->config, total + 1);
    if (kept == NULL)
        return no_memory(setting);
    snprintf(kept, total + 1, "%s%.*s: %s\r\n", headers->bytes == NULL ? "" : headers->bytes, (int)length, name, value);
    *headers = (struct config_text){.bytes = kept, .length = total};
    return true;
}

bool config_parse_type(struct config_setting *setting)
{
    const char *at = setting->value;
    while (http_is_token(*at))
        at++;
    const char *slash = at;
    for (at += *slash == '/'; http_is_token(*at);)
        at++;
    if (slash == setting->value || *slash != '/' || at == slash + 1 || (*at != '\0' && *at != ';' && *at != ' '))
        return config_wrong(setting, "want a media type, as in text/plain; charset=utf-8");
    char line[MIME_LINE_MAX + 1];
    int length = snprintf(line, sizeof line, "Content-Type: %s\r\n", setting->value);
    if (length >= (int)sizeof line)
        return config_wrong(setting, "the type is too long; want at most %d bytes", MIME_LINE_MAX - 16);
    return set_text(setting, line, (size_t)length);
}

/* A quoted string of a header, and of people's dialogs. */
bool config_parse_realm(struct config_setting *setting)
{
    for (const char *at = setting->value; *at; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f || *at == '"' || *at == '\\')
            return config_wrong(setting, "want plain text without quotes and backslashes");
    return set_text(setting, setting->value, strlen(setting->value));
}

/* "https://example.org:8443": as browsers send it, so that comparing bytes is enough. */
static bool is_origin(const char *word, size_t length)
{
    size_t scheme = length > 8 && memcmp(word, "https://", 8) == 0  ? 8
                    : length > 7 && memcmp(word, "http://", 7) == 0 ? 7
                                                                    : 0;
    if (length == 1 && word[0] == '*')
        return true;
    for (size_t i = scheme; i < length; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-.:[]", word[i]) == NULL)
            return false;
    return scheme > 0;
}

bool config_parse_origins(struct config_setting *setting)
{
    const char *word = setting->value;
    for (size_t length; (length = config_next_word(&word)) > 0; word += length) {
        if (!is_origin(word, length))
            return config_wrong(setting, "want origins in lower case and without a path, as in https://example.org, "
                                         "or *");
        if (!add_text(setting, setting->field, word, length))
            return false;
    }
    return true;
}

/* Runs of stars in a pattern: each is what one "$1" stands for. */
static unsigned count_stars(const struct config_text *pattern)
{
    unsigned count = 0;
    for (size_t i = 0; i < pattern->length; i++)
        count += pattern->bytes[i] == '*' && (i == 0 || pattern->bytes[i - 1] != '*');
    return count;
}

bool config_parse_redirect(struct config_setting *setting)
{
    struct config_rule *rule = (struct config_rule *)((char *)setting->field - offsetof(struct config_rule, redirect));
    const char *to = setting->value;
    size_t length = config_next_word(&to);
    int status = 307;
    if (length == 3 && to[0] == '3') {
        status = (int)strtol(to, NULL, 10);
        to += length;
        length = config_next_word(&to);
    }
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return config_wrong(setting, "want the status 301, 302, 303, 307 or 308");
    bool far = strncmp(to, "https://", 8) == 0 || strncmp(to, "http://", 7) == 0;
    if (length == 0 || to[length] != '\0' || (!far && (to[0] != '/' || to[1] == '/')))
        return config_wrong(setting, "want a path or a URL, perhaps after a status, as in 308 /new/$1 or "
                                     "https://example.org/");
    unsigned stars = count_stars(&rule->pattern);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)to[i] <= 0x20 || (unsigned char)to[i] >= 0x7f)
            return config_wrong(setting, "the target has a byte that a URL may not have; write it as %%XX");
        if (to[i] == '$' && http_is_digit(to[i + 1]) && (to[i + 1] == '0' || to[i + 1] - '0' > (int)stars))
            return config_wrong(setting, "$%c is not there: the pattern %s has %u star%s", to[i + 1],
                                rule->pattern.bytes, stars, stars == 1 ? "" : "s");
    }
    char *kept = config_keep_text(setting->config, to, length);
    if (kept == NULL)
        return no_memory(setting);
    rule->redirect = status;
    rule->to = (struct config_text){.bytes = kept, .length = length};
    return true;
}

/* ------------------------------------------------------------------------------------------ names of hosts */

static bool is_host_name(const char *name, size_t length)
{
    if (length >= 2 && name[0] == '[' && name[length - 1] == ']')
        return strspn(name + 1, "0123456789abcdef:.") == length - 2;
    size_t at = length > 2 && name[0] == '*' && name[1] == '.' ? 2 : 0;
    bool begins = true; /* a label */
    for (; at < length; at++) {
        if (name[at] == '.' ? begins : strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", name[at]) == NULL)
            return false;
        begins = name[at] == '.';
    }
    return !begins && length < 256;
}

bool config_add_host_name(struct config_setting *setting, struct config_host *host, const char *name, size_t length)
{
    char *lower = config_keep_text(setting->config, name, length);
    if (lower == NULL)
        return no_memory(setting);
    if (length > 1 && lower[length - 1] == '.')
        lower[--length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] |= 0x20;
    if (!is_host_name(lower, length))
        return config_wrong(setting,
                            "'%.*s' is no name of a host; want example.org, *.example.org (all below it) or "
                            "[::1], without a port; names beyond ASCII in their xn-- form",
                            (int)(length < 256 ? length : 256), name);
    for (unsigned i = 0; i < setting->config->host_count; i++)
        for (unsigned j = 0; j < setting->config->hosts[i].names.count; j++)
            if (strcmp(setting->config->hosts[i].names.list[j].bytes, lower) == 0)
                return config_wrong(setting, "%s stands in two [Host ...]; keep one", lower);
    return add_text(setting, &host->names, lower, length);
}
