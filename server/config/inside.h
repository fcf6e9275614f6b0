/* SPDX-License-Identifier: MIT */
/* What the files of server/config/ share: memory that lives as long as its configuration, and the table of keys. */
#ifndef SERVER_CONFIG_INSIDE_H
#define SERVER_CONFIG_INSIDE_H

#include "config.h"

enum { CONFIG_WRONG_SPACE = 512, CONFIG_HOSTS_MAX = 1024, CONFIG_RULES_MAX = 1024, CONFIG_KEYS_MAX = 96 };

/* Zeroed. NULL: no memory. */
void *config_keep(struct config *config, size_t size);
char *config_keep_text(struct config *config, const char *text, size_t length);

/* One more element at the end of a list that config_keep() gives: returns it, zeroed. */
void *config_add(struct config *config, void *list, unsigned *count, size_t size);

/* What options of the command line have set: the first takes the place of what the file said, others add to it. */
struct config_options {
    bool set[CONFIG_KEYS_MAX];
    struct config_rule *rule; /* for all paths; NULL: none yet */
};
struct config_options *config_options_of(struct config *config);

/* The host that has no name, made if there is none; a host more, and a rule more. NULL: no memory, or too many. */
struct config_host *config_default_host(struct config *config);
struct config_host *config_add_host(struct config *config);
struct config_rule *config_add_rule(struct config *config, struct config_host *host, const char *pattern);

/* A key about to be set. */
struct config_setting {
    struct config *config;
    const char *folder; /* which relative paths begin in; NULL: where we are */
    const char *value;
    void *field;
    uint64_t least, most;
    char *wrong; /* CONFIG_WRONG_SPACE: "want ..." */
};

typedef bool config_parser(struct config_setting *setting);

enum config_section {
    CONFIG_SERVER,
    CONFIG_LIMITS,
    CONFIG_LOG,
    CONFIG_STATUS,
    CONFIG_FTP,
    CONFIG_HOST,
    CONFIG_PATH,
    CONFIG_SECTIONS
};

struct config_key {
    enum config_section section;
    const char *name;
    config_parser *parse;
    size_t offset;        /* of the field in struct config, config_host or config_rule */
    size_t list_size;     /* of a list, which may be given several times; 0: once */
    uint64_t least, most; /* of a number, size or time */
    const char *help;
};

/* The table; config_key_count() rows. */
extern const struct config_key config_keys[];
extern const unsigned config_key_count;
extern const char *const config_section_names[CONFIG_SECTIONS]; /* "Server" */
extern const char *const config_section_shown[CONFIG_SECTIONS]; /* "[Host NAME...]" */

/* NULL: there is none. */
const struct config_key *config_find_key(enum config_section section, const char *name);

/* Says in `wrong` where a key that is not known in a section belongs, or which one is nearly like it. */
void config_explain_key(enum config_section section, const char *name, char *wrong);
void config_explain_section(const char *name, char *wrong);

/* Writes why a value is not good; false, to be returned. */
bool config_wrong(struct config_setting *setting, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The next word of a text; its length, 0 at the end. */
size_t config_next_word(const char **text);

config_parser config_parse_mode, config_parse_number, config_parse_switch, config_parse_bool, config_parse_duration,
    config_parse_size, config_parse_cache, config_parse_path, config_parse_log, config_parse_name, config_parse_backend,
    config_parse_log_format;
config_parser config_parse_listen, config_parse_listen_ip, config_parse_proxies, config_parse_names, config_parse_try,
    config_parse_local, config_parse_page, config_parse_header, config_parse_cache_control, config_parse_redirect,
    config_parse_users, config_parse_realm, config_parse_origins, config_parse_type, config_parse_ports,
    config_parse_ipv4;

/* "a.example.org", "*.example.org", "[::1]": into lower case, without a dot at the end. */
bool config_add_host_name(struct config_setting *setting, struct config_host *host, const char *name, size_t length);

#endif
