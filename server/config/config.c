/* SPDX-License-Identifier: MIT */
/* A configuration as a whole: its memory, its defaults, what is left to do after the last option, and its hosts. */
#include "inside.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* Everything that a configuration refers to is in pieces that are freed together with it. */
struct piece {
    struct piece *next;
    max_align_t bytes[];
};

struct whole {
    struct config config;
    struct piece *pieces;
    struct config_options options;
};

void *config_keep(struct config *config, size_t size)
{
    struct whole *whole = (struct whole *)config;
    struct piece *piece = calloc(1, sizeof *piece + size);
    if (piece == NULL)
        return NULL;
    piece->next = whole->pieces;
    whole->pieces = piece;
    return piece->bytes;
}

char *config_keep_text(struct config *config, const char *text, size_t length)
{
    char *kept = config_keep(config, length + 1);
    return kept == NULL ? NULL : memcpy(kept, text, length);
}

void *config_add(struct config *config, void *list, unsigned *count, size_t size)
{
    void *elements;
    memcpy(&elements, list, sizeof elements);
    if ((*count & (*count - 1)) == 0) { /* full: 0, 1, 2, 4 ... */
        void *larger = config_keep(config, size * (*count ? 2 * (size_t)*count : 1));
        if (larger == NULL)
            return NULL;
        if (*count > 0)
            memcpy(larger, elements, size * *count);
        elements = larger;
        memcpy(list, &elements, sizeof elements);
    }
    return (char *)elements + size * (*count)++;
}

struct config_options *config_options_of(struct config *config)
{
    return &((struct whole *)config)->options;
}

struct config_host *config_add_host(struct config *config)
{
    if (config->host_count >= CONFIG_HOSTS_MAX)
        return NULL;
    struct config_host *host = config_add(config, &config->hosts, &config->host_count, sizeof *host);
    if (host != NULL)
        host->upload_space = 64 << 20; /* a full disk is everybody's trouble */
    return host;
}

/* The first of the file, unless one without a name stands in it. */
struct config_host *config_default_host(struct config *config)
{
    for (unsigned i = 0; i < config->host_count; i++)
        if (config->hosts[i].names.count == 0)
            return &config->hosts[i];
    return config->host_count > 0 ? &config->hosts[0] : config_add_host(config);
}

struct config_rule *config_add_rule(struct config *config, struct config_host *host, const char *pattern)
{
    size_t length = strlen(pattern);
    char *kept = config_keep_text(config, pattern, length);
    if (kept == NULL || host->rule_count >= CONFIG_RULES_MAX)
        return NULL;
    struct config_rule *rule = config_add(config, &host->rules, &host->rule_count, sizeof *rule);
    if (rule != NULL)
        rule->pattern = (struct config_text){.bytes = kept, .length = length};
    return rule;
}

/* A twentieth of the memory, at most 256 MiB. */
static uint64_t default_cache(void)
{
    struct sysinfo info;
    uint64_t most = UINT64_C(256) << 20;
    uint64_t share = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit / 20 : most;
    return share < most ? share : most;
}

struct config *config_new(void)
{
    struct whole *whole = calloc(1, sizeof *whole);
    if (whole == NULL)
        return NULL;
    whole->config.cache = default_cache();
    whole->config.mime_types = "/etc/mime.types";
    whole->config.ftp = (struct config_ftp){.anonymous = true,
                                            .active = true,
                                            .idle_ns = 300 * ERRAND_SECOND,
                                            .login_ns = 30 * ERRAND_SECOND,
                                            .failures_per_address = 20};
    whole->config.limits = (struct config_limits){
        .idle_ns = 60 * ERRAND_SECOND,
        .head_ns = 15 * ERRAND_SECOND,
        .body_ns = 30 * ERRAND_SECOND,
        .send_ns = 60 * ERRAND_SECOND,
        .least_rate_ns = 60 * ERRAND_SECOND,
        .stop_ns = 10 * ERRAND_SECOND,
        .drain_ns = 3600 * ERRAND_SECOND,
    };
    return &whole->config;
}

void config_free(struct config *config)
{
    struct whole *whole = (struct whole *)config;
    while (whole != NULL && whole->pieces != NULL) {
        struct piece *next = whole->pieces->next;
        free(whole->pieces);
        whole->pieces = next;
    }
    free(whole);
}

/* ------------------------------------------------------------------------------------------ the finish */

/* The default goes first: who looks for it need not search. */
static void move_default_first(struct config *config)
{
    struct config_host *host = config_default_host(config), moved = *host;
    memmove(config->hosts + 1, config->hosts, (size_t)((char *)host - (char *)config->hosts));
    config->hosts[0] = moved;
}

static bool finish_host(struct config *config, struct config_host *host, char *why, size_t why_size)
{
    if (host->directory == NULL) {
        if (config->file != NULL) {
            snprintf(why, why_size, "%s: [Host%s%s] has no Directory=; say which directory it serves", config->file,
                     host->names.count ? " " : "", host->names.count ? host->names.list[0].bytes : "");
            return false;
        }
        host->directory = ".";
    }
    if (host->index.count == 0) {
        struct config_text *index = config_add(config, &host->index.list, &host->index.count, sizeof *index);
        if (index == NULL)
            return snprintf(why, why_size, "out of memory"), false;
        *index = (struct config_text){.bytes = "index.html", .length = 10};
    }
    for (unsigned i = 0; i < host->rule_count; i++) {
        struct config_rule *rule = &host->rules[i];
        if (rule->users.bytes != NULL && rule->realm.bytes == NULL)
            rule->realm = (struct config_text){.bytes = "errand", .length = 6};
    }
    return true;
}

static bool same_address(const struct listen_address *one, const struct listen_address *other)
{
    if (one->length != other->length || one->any.sa_family != other->any.sa_family)
        return false;
    if (!listen_is_local(one) && one->v4.sin_port == 0)
        return false; /* each gets a port of its own */
    return memcmp(&one->any, &other->any, one->length) == 0;
}

/* Of all that are listened on. */
static const struct listen_address *address_of(const struct config *config, unsigned number)
{
    const struct config_addresses *all[] = {&config->http, &config->ftp.listen, &config->status}, **at = all;
    while (number >= (*at)->count)
        number -= (*at++)->count;
    return &(*at)->list[number];
}

/* Where nothing else was said. False: no memory. */
static bool listen_by_default(struct config *config, struct config_addresses *addresses, const char *text)
{
    if (addresses->count > 0 || addresses->off)
        return true;
    struct listen_address *address = config_add(config, &addresses->list, &addresses->count, sizeof *address);
    return address != NULL && listen_address_read(address, text);
}

static bool addresses_differ(const struct config *config, char *why, size_t why_size)
{
    unsigned all = config->http.count + config->ftp.listen.count + config->status.count;
    for (unsigned i = 0; i < all; i++) {
        for (unsigned j = 0; j < i; j++) {
            const struct listen_address *one = address_of(config, i), *other = address_of(config, j);
            if (same_address(one, other)) {
                char url[LISTEN_URL_SPACE];
                listen_url(one, "http", url);
                snprintf(why, why_size, "%s is to be listened on twice; give each its own address or port", url);
                return false;
            }
        }
    }
    return true;
}

/* Whoever is slowed down to a rate must not be cut off for it. */
static bool rates_fit(const struct config *config, char *why, size_t why_size)
{
    uint64_t least = config->limits.least_rate, most = config->limits.rate;
    for (unsigned i = 0; i < config->host_count; i++)
        for (unsigned j = 0; j < config->hosts[i].rule_count; j++) {
            uint64_t rate = config->hosts[i].rules[j].rate;
            most = rate != 0 && (most == 0 || rate < most) ? rate : most;
        }
    if (least == 0 || most == 0 || least <= most / 2)
        return true;
    snprintf(why, why_size, "LeastRate=%llu is more than half of Rate=%llu: who gets no more is soon cut off; lower it",
             (unsigned long long)least, (unsigned long long)most);
    return false;
}

bool config_finish(struct config *config, char *why, size_t why_size)
{
    if (config_default_host(config) == NULL || !listen_by_default(config, &config->http, "127.0.0.1:8080") ||
        !listen_by_default(config, &config->ftp.listen, "127.0.0.1:2121"))
        return snprintf(why, why_size, "out of memory"), false;
    if (config->http.count == 0 && config->ftp.listen.count == 0)
        return snprintf(why, why_size, "neither HTTP nor FTP: there is nothing to serve with"), false;
    if (config->group != NULL && config->user == NULL)
        return snprintf(why, why_size, "Group= without User=: say whose group it is"), false;
    move_default_first(config);
    for (unsigned i = 0; i < config->host_count; i++)
        if (!finish_host(config, &config->hosts[i], why, why_size))
            return false;
    return rates_fit(config, why, why_size) && addresses_differ(config, why, why_size);
}

/* ------------------------------------------------------------------------------------------ hosts */

/* Without regard to case; `name` is in lower case. */
static bool same_name(const char *text, const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((text[i] >= 'A' && text[i] <= 'Z') ? text[i] | 0x20 : text[i]) != name[i])
            return false;
    return true;
}

/* What is left of a Host field without its port and the dot that ends a name. */
static size_t bare_length(const char *name, size_t length)
{
    const char *bracket = length > 0 && name[0] == '[' ? memchr(name, ']', length) : NULL;
    if (bracket != NULL)
        return (size_t)(bracket - name) + 1;
    const char *colon = memchr(name, ':', length);
    if (colon != NULL)
        length = (size_t)(colon - name);
    return length > 0 && name[length - 1] == '.' ? length - 1 : length;
}

/* How well a host's name fits: 0, not; as long as the name for a wildcard; most for the name itself. */
static size_t fit(const struct config_text *name, const char *wanted, size_t length)
{
    if (name->bytes[0] != '*')
        return name->length == length && same_name(wanted, name->bytes, length) ? SIZE_MAX : 0;
    size_t tail = name->length - 1; /* ".example.org" */
    return length > tail && same_name(wanted + length - tail, name->bytes + 1, tail) ? tail : 0;
}

const struct config_host *config_find_host(const struct config *config, const char *name, size_t length)
{
    const struct config_host *best = NULL;
    length = bare_length(name, length);
    size_t best_fit = 0;
    for (unsigned i = 0; i < config->host_count && best_fit < SIZE_MAX; i++) {
        for (unsigned j = 0; j < config->hosts[i].names.count; j++) {
            size_t this_fit = fit(&config->hosts[i].names.list[j], name, length);
            if (this_fit > best_fit) {
                best_fit = this_fit;
                best = &config->hosts[i];
            }
        }
    }
    return best;
}

const struct config_host *config_host_of(const struct config *config, const char *name, size_t length)
{
    const struct config_host *host = config->host_count > 1 ? config_find_host(config, name, length) : NULL;
    return host != NULL ? host : &config->hosts[0];
}

bool config_is_writable(const struct config_host *host)
{
    bool writable = host->writable;
    for (unsigned i = 0; i < host->rule_count; i++)
        writable = writable || host->rules[i].writable == CONFIG_ON;
    return writable;
}
