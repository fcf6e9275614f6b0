/* SPDX-License-Identifier: MIT */
/* The table of keys: what the file is read by, what errors refer to, and what errand.conf(5) is checked against. */
#include "inside.h"

#include <stdio.h>
#include <string.h>

#define SERVER(field)   offsetof(struct config, field)
#define LIMIT(field)    offsetof(struct config, limits.field)
#define HOST(field)     offsetof(struct config_host, field)
#define PATH(field)     offsetof(struct config_rule, field)
#define FTP(field)      offsetof(struct config, ftp.field)
#define LIST(type)      sizeof(struct type)
#define HOURS(n)        ((n) * (uint64_t)3600 * ERRAND_SECOND)
#define TIME            ERRAND_MILLISECOND, HOURS(24)
#define CONNECTIONS_MAX (1 << 20)

const struct config_key config_keys[] = {
    {CONFIG_SERVER, "Listen", config_parse_listen, SERVER(http), LIST(config_addresses), 0, 0, "where to listen"},
    {CONFIG_SERVER, "SocketMode", config_parse_mode, SERVER(socket_mode), 0, 0, 0,
     "who may connect to a socket's file"},
    {CONFIG_SERVER, "ProxyFrom", config_parse_proxies, SERVER(proxies), LIST(config_texts), 0, 0,
     "who may begin with a PROXY header"},
    {CONFIG_SERVER, "Backend", config_parse_backend, SERVER(backend), 0, 0, 0, "how input and output are done"},
    {CONFIG_SERVER, "Threads", config_parse_number, SERVER(threads), 0, 1, 256, "queues, with a thread each"},
    {CONFIG_SERVER, "User", config_parse_name, SERVER(user), 0, 0, 0, "who to become when started as root"},
    {CONFIG_SERVER, "Group", config_parse_name, SERVER(group), 0, 0, 0, "its group"},
    {CONFIG_SERVER, "Cache", config_parse_cache, SERVER(cache), 0, 0, UINT64_MAX, "memory for small files"},
    {CONFIG_SERVER, "MimeTypes", config_parse_path, SERVER(mime_types), 0, 0, 0, "the table of media types"},
    {CONFIG_SERVER, "Landlock", config_parse_switch, SERVER(landlock), 0, 0, 0, "confine itself to its files"},
    {CONFIG_SERVER, "Seccomp", config_parse_switch, SERVER(seccomp), 0, 0, 0, "confine itself to its system calls"},

    {CONFIG_LIMITS, "Connections", config_parse_number, LIMIT(connections), 0, 0, CONNECTIONS_MAX, "in all"},
    {CONFIG_LIMITS, "ConnectionsPerAddress", config_parse_number, LIMIT(connections_per_address), 0, 0, CONNECTIONS_MAX,
     "of one client"},
    {CONFIG_LIMITS, "RequestsPerAddress", config_parse_number, LIMIT(requests_per_address), 0, 0, 1 << 30,
     "a second, of one client"},
    {CONFIG_LIMITS, "IdleTimeout", config_parse_duration, LIMIT(idle_ns), 0, TIME, "between requests"},
    {CONFIG_LIMITS, "HeadTimeout", config_parse_duration, LIMIT(head_ns), 0, TIME, "for a request's head"},
    {CONFIG_LIMITS, "BodyTimeout", config_parse_duration, LIMIT(body_ns), 0, TIME, "without a byte of an upload"},
    {CONFIG_LIMITS, "SendTimeout", config_parse_duration, LIMIT(send_ns), 0, TIME, "while a client takes nothing"},
    {CONFIG_LIMITS, "LeastRate", config_parse_size, LIMIT(least_rate), 0, 0, 1 << 30,
     "bytes a second below which a client is cut off"},
    {CONFIG_LIMITS, "LeastRateTime", config_parse_duration, LIMIT(least_rate_ns), 0, ERRAND_SECOND, HOURS(1),
     "which that is the average of"},
    {CONFIG_LIMITS, "Rate", config_parse_size, LIMIT(rate), 0, 0, UINT64_MAX, "bytes a second to one connection"},
    {CONFIG_LIMITS, "StopTimeout", config_parse_duration, LIMIT(stop_ns), 0, TIME, "for a graceful stop"},
    {CONFIG_LIMITS, "DrainTimeout", config_parse_duration, LIMIT(drain_ns), 0, TIME,
     "for clients of the process before a reload"},

    {CONFIG_LOG, "Access", config_parse_log, SERVER(access_log), 0, 0, 0, "the file of requests"},
    {CONFIG_LOG, "Format", config_parse_log_format, SERVER(access_log_format), 0, 0, 0, "of its lines"},
    {CONFIG_LOG, "Transfers", config_parse_log, SERVER(transfer_log), 0, 0, 0, "the file of FTP's transfers"},

    {CONFIG_STATUS, "Listen", config_parse_listen, SERVER(status), LIST(config_addresses), 0, 0,
     "where metrics and health are"},

    {CONFIG_FTP, "Listen", config_parse_listen_ip, FTP(listen), LIST(config_addresses), 0, 0, "where to listen"},
    {CONFIG_FTP, "Anonymous", config_parse_bool, FTP(anonymous), 0, 0, 0, "anybody without a password"},
    {CONFIG_FTP, "Users", config_parse_path, FTP(users), 0, 0, 0, "a file of names, hashes of passwords and homes"},
    {CONFIG_FTP, "LocalHome", config_parse_path, FTP(local_home), 0, 0, 0, "where homes of this system's users are"},
    {CONFIG_FTP, "LocalWritable", config_parse_bool, FTP(local_writable), 0, 0, 0, "for these users"},
    {CONFIG_FTP, "SessionsPerUser", config_parse_number, FTP(sessions_per_user), 0, 0, CONNECTIONS_MAX,
     "of each of these"},
    {CONFIG_FTP, "FailuresPerAddress", config_parse_number, FTP(failures_per_address), 0, 0, 1 << 20,
     "wrong passwords of one client"},
    {CONFIG_FTP, "PassivePorts", config_parse_ports, FTP(passive_first), 0, 0, 0, "of data connections"},
    {CONFIG_FTP, "PassiveAddress", config_parse_ipv4, FTP(passive_address), 0, 0, 0, "told to clients, behind NAT"},
    {CONFIG_FTP, "Greeting", config_parse_realm, FTP(greeting), 0, 0, 0, "what a new session is told"},
    {CONFIG_FTP, "Active", config_parse_bool, FTP(active), 0, 0, 0, "PORT and EPRT"},
    {CONFIG_FTP, "IdleTimeout", config_parse_duration, FTP(idle_ns), 0, TIME, "between commands"},
    {CONFIG_FTP, "LoginTimeout", config_parse_duration, FTP(login_ns), 0, TIME, "without having logged in"},

    {CONFIG_HOST, "Directory", config_parse_path, HOST(directory), 0, 0, 0, "what is served"},
    {CONFIG_HOST, "Index", config_parse_names, HOST(index), LIST(config_texts), 0, 0, "names tried for a directory"},
    {CONFIG_HOST, "TryFiles", config_parse_try, HOST(try_files), LIST(config_texts), 0, 0,
     "paths tried for one that does not exist"},
    {CONFIG_HOST, "Fallback", config_parse_local, HOST(fallback), 0, 0, 0, "the last resort, with status 200"},
    {CONFIG_HOST, "ErrorPage", config_parse_page, HOST(pages), sizeof(void *) + sizeof(unsigned), 0, 0,
     "the page of a status"},
    {CONFIG_HOST, "Listing", config_parse_bool, HOST(listing), 0, 0, 0, "list directories without an index"},
    {CONFIG_HOST, "Hidden", config_parse_bool, HOST(hidden), 0, 0, 0, "serve names with a leading dot"},
    {CONFIG_HOST, "Writable", config_parse_bool, HOST(writable), 0, 0, 0, "PUT, DELETE, MKCOL, MOVE, COPY"},
    {CONFIG_HOST, "Precompressed", config_parse_bool, HOST(precompressed), 0, 0, 0, "serve .zst, .br, .gz"},
    {CONFIG_HOST, "UploadMax", config_parse_size, HOST(upload_max), 0, 0, UINT64_MAX, "bytes of one upload"},
    {CONFIG_HOST, "UploadSpace", config_parse_size, HOST(upload_space), 0, 0, UINT64_MAX, "bytes that stay free"},

    {CONFIG_PATH, "Header", config_parse_header, PATH(headers), LIST(config_text), 0, 0, "a line of replies"},
    {CONFIG_PATH, "CacheControl", config_parse_cache_control, PATH(headers), 0, 0, 0, "how long clients may keep it"},
    {CONFIG_PATH, "Redirect", config_parse_redirect, PATH(redirect), 0, 0, 0, "where it leads"},
    {CONFIG_PATH, "Users", config_parse_users, PATH(users), 0, 0, 0, "a file of names and hashes of passwords"},
    {CONFIG_PATH, "Realm", config_parse_realm, PATH(realm), 0, 0, 0, "what the dialog calls it"},
    {CONFIG_PATH, "AllowOrigin", config_parse_origins, PATH(origins), LIST(config_texts), 0, 0, "CORS"},
    {CONFIG_PATH, "Type", config_parse_type, PATH(type), 0, 0, 0, "the media type"},
    {CONFIG_PATH, "Rate", config_parse_size, PATH(rate), 0, 0, UINT64_MAX, "bytes a second of one reply"},
    {CONFIG_PATH, "Deny", config_parse_switch, PATH(deny), 0, 0, 0, "403, whatever is there"},
    {CONFIG_PATH, "Listing", config_parse_switch, PATH(listing), 0, 0, 0, "as of the host, here"},
    {CONFIG_PATH, "Hidden", config_parse_switch, PATH(hidden), 0, 0, 0, "as of the host, here"},
    {CONFIG_PATH, "Writable", config_parse_switch, PATH(writable), 0, 0, 0, "as of the host, here"},
};

const unsigned config_key_count = sizeof config_keys / sizeof config_keys[0];
_Static_assert(sizeof config_keys / sizeof config_keys[0] <= CONFIG_KEYS_MAX, "what is set is noted for each");

const char *const config_section_names[CONFIG_SECTIONS] = {"Server", "Limits", "Log", "Status", "Ftp", "Host", "Path"};
const char *const config_section_shown[CONFIG_SECTIONS] = {"[Server]", "[Limits]",       "[Log]",         "[Status]",
                                                           "[Ftp]",    "[Host NAME...]", "[Path PATTERN]"};

const struct config_key *config_find_key(enum config_section section, const char *name)
{
    for (unsigned i = 0; i < config_key_count; i++)
        if (config_keys[i].section == section && strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    return NULL;
}

/* ------------------------------------------------------------------------------------------ what was meant */

enum { NAME_MOST = 32 };

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

static bool differ(char a, char b)
{
    return (a | 0x20) != (b | 0x20);
}

/* How many letters have to be put in, left out or changed to make one of the other. */
static unsigned distance(const char *one, const char *other)
{
    size_t length = strlen(one), other_length = strlen(other);
    if (length > NAME_MOST || other_length > NAME_MOST)
        return NAME_MOST;
    unsigned row[NAME_MOST + 1];
    for (unsigned j = 0; j <= other_length; j++)
        row[j] = j;
    for (unsigned i = 1; i <= length; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= other_length; j++) {
            unsigned above = row[j];
            row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + differ(one[i - 1], other[j - 1]));
            diagonal = above;
        }
    }
    return row[other_length];
}

/* Near enough to have been meant? */
static bool is_near(unsigned away, const char *name)
{
    return away <= 1 + strlen(name) / 4;
}

void config_explain_key(enum config_section section, const char *name, char *wrong)
{
    const struct config_key *nearest = NULL;
    unsigned nearest_away = NAME_MOST, places = 0;
    size_t used =
        (size_t)snprintf(wrong, CONFIG_WRONG_SPACE, "%.64s is not known in %s", name, config_section_shown[section]);
    for (unsigned i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (strcmp(key->name, name) == 0)
            used += (size_t)snprintf(wrong + used, CONFIG_WRONG_SPACE - used, "%s%s",
                                     places++ == 0 ? "; it belongs into " : " or ", config_section_shown[key->section]);
        unsigned away = 2 * distance(key->name, name) + (key->section != section); /* here, rather than elsewhere */
        if (away < nearest_away) {
            nearest_away = away;
            nearest = key;
        }
    }
    if (places > 0)
        return;
    if (nearest != NULL && is_near(nearest_away / 2, name))
        snprintf(wrong + used, CONFIG_WRONG_SPACE - used, "; did you mean %s%s%s?", nearest->name,
                 nearest->section != section ? " in " : "",
                 nearest->section != section ? config_section_shown[nearest->section] : "");
    else
        snprintf(wrong + used, CONFIG_WRONG_SPACE - used, "; errand.conf(5) lists what is");
}

void config_explain_section(const char *name, char *wrong)
{
    size_t used = (size_t)snprintf(wrong, CONFIG_WRONG_SPACE, "there is no section [%.64s]; ", name);
    for (unsigned i = 0; i < CONFIG_SECTIONS; i++) {
        if (is_near(distance(config_section_names[i], name), name)) {
            snprintf(wrong + used, CONFIG_WRONG_SPACE - used, "did you mean %s?", config_section_shown[i]);
            return;
        }
    }
    snprintf(wrong + used, CONFIG_WRONG_SPACE - used,
             "want [Server], [Limits], [Log], [Status], [Ftp], [Host NAME...] or "
             "[Path PATTERN]");
}
