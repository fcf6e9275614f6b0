/* SPDX-License-Identifier: MIT */
/* A configuration as a file: what came of defaults, file and options. Read again, it gives the same. */
#include "inside.h"

#include <string.h>

typedef void printer(FILE *out, const struct config_key *key, const void *field);

static void print_number(FILE *out, const struct config_key *key, const void *field)
{
    unsigned value = *(const uint32_t *)field;
    if (value >= key->least) /* less: it was left open */
        fprintf(out, "%s=%u\n", key->name, value);
}

static void print_mode(FILE *out, const struct config_key *key, const void *field)
{
    unsigned mode = *(const uint32_t *)field;
    if (mode != 0)
        fprintf(out, "%s=%04o\n", key->name, mode);
}

static void print_bool(FILE *out, const struct config_key *key, const void *field)
{
    fprintf(out, "%s=%s\n", key->name, *(const bool *)field ? "yes" : "no");
}

static void print_switch(FILE *out, const struct config_key *key, const void *field)
{
    static const char *const names[] = {[CONFIG_UNSET] = "auto", [CONFIG_OFF] = "no", [CONFIG_ON] = "yes"};
    fprintf(out, "%s=%s\n", key->name, names[*(const enum config_switch *)field]);
}

static void print_duration(FILE *out, const struct config_key *key, const void *field)
{
    fprintf(out, "%s=%llums\n", key->name, (unsigned long long)(*(const int64_t *)field / (int64_t)ERRAND_MILLISECOND));
}

static void print_size(FILE *out, const struct config_key *key, const void *field)
{
    fprintf(out, "%s=%llu\n", key->name, (unsigned long long)*(const uint64_t *)field);
}

static void print_string(FILE *out, const struct config_key *key, const void *field)
{
    const char *value = *(const char *const *)field;
    if (value != NULL)
        fprintf(out, "%s=%s\n", key->name, value);
}

static void print_text(FILE *out, const struct config_key *key, const void *field)
{
    print_string(out, key, &((const struct config_text *)field)->bytes);
}

static void print_texts(FILE *out, const struct config_key *key, const void *field)
{
    const struct config_texts *texts = field;
    for (unsigned i = 0; i < texts->count; i++)
        print_text(out, key, &texts->list[i]);
}

static void print_backend(FILE *out, const struct config_key *key, const void *field)
{
    static const char *const names[] = {"auto", "uring", "threads"};
    fprintf(out, "%s=%s\n", key->name, names[*(const enum errand_backend *)field]);
}

static void print_log_format(FILE *out, const struct config_key *key, const void *field)
{
    bool json = *(const enum config_log_format *)field == CONFIG_LOG_JSON;
    fprintf(out, "%s=%s\n", key->name, json ? "json" : "combined");
}

static void print_listen(FILE *out, const struct config_key *key, const void *field)
{
    const struct config_addresses *addresses = field;
    if (addresses->off)
        fprintf(out, "%s=off\n", key->name);
    for (unsigned i = 0; i < addresses->count; i++) {
        char url[LISTEN_URL_SPACE];
        listen_url(&addresses->list[i], "http", url);
        if (listen_is_local(&addresses->list[i]))
            fprintf(out, "%s=%s\n", key->name, url);
        else
            fprintf(out, "%s=%.*s\n", key->name, (int)(strlen(url) - sizeof "http:///" + 1), url + strlen("http://"));
    }
}

static void print_ports(FILE *out, const struct config_key *key, const void *field)
{
    const uint32_t *ports = field;
    if (ports[0] != 0)
        fprintf(out, "%s=%u-%u\n", key->name, ports[0], ports[1]);
}

static void print_pages(FILE *out, const struct config_key *key, const void *field)
{
    const struct config_host *host = (const void *)((const char *)field - offsetof(struct config_host, pages));
    for (unsigned i = 0; i < host->page_count; i++)
        fprintf(out, "%s=%d %s\n", key->name, host->pages[i].status, host->pages[i].path.bytes);
}

/* Lines of a head, each as a line of its own; those of CacheControl are among them. */
static void print_headers(FILE *out, const struct config_key *key, const void *field)
{
    const struct config_text *headers = field;
    for (const char *line = headers->bytes, *end; line != NULL && *line; line = end + 2) {
        end = strstr(line, "\r\n");
        fprintf(out, "%s=%.*s\n", key->name, (int)(end - line), line);
    }
}

static void print_type(FILE *out, const struct config_key *key, const void *field)
{
    const struct config_text *type = field;
    int around = (int)strlen("Content-Type: ");
    if (type->bytes != NULL)
        fprintf(out, "%s=%.*s\n", key->name, (int)type->length - around - 2, type->bytes + around);
}

static void print_redirect(FILE *out, const struct config_key *key, const void *field)
{
    const struct config_rule *rule = (const void *)((const char *)field - offsetof(struct config_rule, redirect));
    if (rule->redirect != 0)
        fprintf(out, "%s=%d %s\n", key->name, rule->redirect, rule->to.bytes);
}

static void print_nothing(FILE *out, const struct config_key *key, const void *field)
{
    (void)out, (void)key, (void)field;
}

static void print_log(FILE *out, const struct config_key *key, const void *field)
{
    static const char *const off = "off";
    print_string(out, key, *(const char *const *)field == NULL ? (const void *)&off : field);
}

/* What a parser has read, its printer writes. */
static const struct {
    config_parser *parse;
    printer *print;
} printers[] = {
    {config_parse_mode, print_mode},         {config_parse_number, print_number},
    {config_parse_bool, print_bool},         {config_parse_switch, print_switch},
    {config_parse_duration, print_duration}, {config_parse_size, print_size},
    {config_parse_cache, print_size},        {config_parse_path, print_string},
    {config_parse_log, print_log},           {config_parse_name, print_string},
    {config_parse_backend, print_backend},   {config_parse_listen, print_listen},
    {config_parse_listen_ip, print_listen},  {config_parse_log_format, print_log_format},
    {config_parse_proxies, print_texts},     {config_parse_names, print_texts},
    {config_parse_try, print_texts},         {config_parse_origins, print_texts},
    {config_parse_local, print_text},        {config_parse_users, print_text},
    {config_parse_realm, print_text},        {config_parse_page, print_pages},
    {config_parse_header, print_headers},    {config_parse_cache_control, print_nothing},
    {config_parse_redirect, print_redirect}, {config_parse_type, print_type},
    {config_parse_ports, print_ports},       {config_parse_ipv4, print_text},
};

static void print_section(FILE *out, enum config_section section, const void *record)
{
    for (unsigned i = 0; i < config_key_count; i++)
        for (unsigned j = 0; j < sizeof printers / sizeof printers[0] && config_keys[i].section == section; j++)
            if (printers[j].parse == config_keys[i].parse)
                printers[j].print(out, &config_keys[i], (const char *)record + config_keys[i].offset);
}

void config_dump(const struct config *config, FILE *out)
{
    for (enum config_section section = CONFIG_SERVER; section < CONFIG_HOST; section++) {
        fprintf(out, "[%s]\n", config_section_names[section]);
        print_section(out, section, config);
    }
    for (unsigned i = 0; i < config->host_count; i++) {
        const struct config_host *host = &config->hosts[i];
        fprintf(out, "\n[Host");
        for (unsigned j = 0; j < host->names.count; j++)
            fprintf(out, " %s", host->names.list[j].bytes);
        fprintf(out, "]\n");
        print_section(out, CONFIG_HOST, host);
        for (unsigned j = 0; j < host->rule_count; j++) {
            fprintf(out, "\n[Path %s]\n", host->rules[j].pattern.bytes);
            print_section(out, CONFIG_PATH, &host->rules[j]);
        }
    }
}
