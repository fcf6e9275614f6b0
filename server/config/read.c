/* SPDX-License-Identifier: MIT */
/*
 * The file. libinih takes "Key=value" apart; the lines come to it through a function of ours, which counts them (its
 * handler is not told where it is) and keeps the sections, whose names it would cut after 49 bytes.
 */
#include "inside.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SPACE = 16384 };

struct reader {
    FILE *file;
    struct config *config;
    const char *name, *folder;
    unsigned line;
    bool in_section;
    enum config_section section;
    unsigned host;                                   /* its number */
    struct config_rule *rule;                        /* the current one */
    unsigned seen[CONFIG_SECTIONS][CONFIG_KEYS_MAX]; /* the line of each key; begins anew with each host and path */
    char wrong[CONFIG_WRONG_SPACE];
    char *why; /* empty: no error yet; the first is kept */
    size_t why_size;
};

static bool fail(struct reader *reader, const char *what)
{
    if (reader->why[0] == '\0')
        snprintf(reader->why, reader->why_size, "%s:%u: %s", reader->name, reader->line, what);
    return false;
}

/* ------------------------------------------------------------------------------------------ keys */

static void *record_of(const struct reader *reader)
{
    switch (reader->section) {
    case CONFIG_HOST: return &reader->config->hosts[reader->host];
    case CONFIG_PATH: return reader->rule;
    default: return reader->config;
    }
}

/* A key that stands alone may be set once: the second is as likely as the first to be what was meant. */
static bool is_first(struct reader *reader, const struct config_key *key)
{
    unsigned *seen = &reader->seen[reader->section][key - config_keys];
    if (*seen != 0 && key->list_size == 0) {
        snprintf(reader->wrong, sizeof reader->wrong, "%s is set twice, first in line %u; keep one", key->name, *seen);
        return fail(reader, reader->wrong);
    }
    *seen = reader->line;
    return true;
}

static int on_pair(void *context, const char *section, const char *name, const char *value)
{
    struct reader *reader = context;
    (void)section;
    if (reader->why[0] != '\0')
        return 0;
    if (!reader->in_section)
        return fail(reader, "stands before any section; begin with [Server] or [Host]");
    const struct config_key *key = config_find_key(reader->section, name);
    if (key == NULL) {
        config_explain_key(reader->section, name, reader->wrong);
        return fail(reader, reader->wrong);
    }
    if (!is_first(reader, key))
        return 0;
    char wrong[CONFIG_WRONG_SPACE] = "";
    struct config_setting setting = {.config = reader->config,
                                     .folder = reader->folder,
                                     .value = value,
                                     .wrong = wrong,
                                     .field = (char *)record_of(reader) + key->offset,
                                     .least = key->least,
                                     .most = key->most};
    if (*value == '\0')
        snprintf(wrong, sizeof wrong, "has no value; give it one, or leave the line out");
    else if (key->parse(&setting))
        return 1;
    snprintf(reader->wrong, sizeof reader->wrong, "%s=%.100s: %.380s", name, value, wrong);
    return fail(reader, reader->wrong);
}

/* ------------------------------------------------------------------------------------------ sections */

static bool begin_host(struct reader *reader, const char *names)
{
    struct config *config = reader->config;
    bool nameless = config_next_word(&names) == 0;
    for (unsigned i = 0; nameless && i < config->host_count; i++)
        if (config->hosts[i].names.count == 0)
            return fail(reader, "a second [Host] without a name; give it one, as in [Host example.org]");
    struct config_host *host = config_add_host(config);
    if (host == NULL)
        return fail(reader, "more hosts than memory has room for, or than 1024");
    struct config_setting setting = {.config = config, .wrong = reader->wrong};
    for (size_t length; (length = config_next_word(&names)) > 0; names += length)
        if (!config_add_host_name(&setting, host, names, length))
            return fail(reader, reader->wrong);
    reader->host = config->host_count - 1;
    memset(reader->seen[CONFIG_HOST], 0, sizeof reader->seen[CONFIG_HOST]);
    return true;
}

static bool begin_path(struct reader *reader, const char *pattern)
{
    if (reader->config->host_count == 0)
        return fail(reader, "[Path ...] stands before any [Host]; put it behind the one that it belongs to");
    if (*pattern == '\0')
        return fail(reader, "want a pattern, as in [Path /downloads/**] or [Path *.html]");
    if (*pattern != '/' && strchr(pattern, '/') != NULL)
        return fail(reader, "a pattern with a slash in it begins with one, as in [Path /downloads/**]");
    reader->rule = config_add_rule(reader->config, &reader->config->hosts[reader->host], pattern);
    memset(reader->seen[CONFIG_PATH], 0, sizeof reader->seen[CONFIG_PATH]);
    return reader->rule != NULL || fail(reader, "more [Path ...] than memory has room for, or than 1024 in one host");
}

/* "[Host a.example b.example]", without the blanks around it. */
static bool begin_section(struct reader *reader, char *text)
{
    size_t length = strlen(text);
    if (text[length - 1] != ']')
        return fail(reader, "a section ends with ], and comments stand on lines of their own");
    text[length - 1] = '\0';
    const char *word = text + 1;
    size_t word_length = config_next_word(&word);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)word_length, word);
    const char *rest = word + word_length;
    rest += strspn(rest, " \t");
    unsigned section = 0;
    while (section < CONFIG_SECTIONS && strcmp(config_section_names[section], name) != 0)
        section++;
    if (section == CONFIG_SECTIONS) {
        config_explain_section(name, reader->wrong);
        return fail(reader, reader->wrong);
    }
    reader->section = (enum config_section)section;
    reader->in_section = true;
    if (section == CONFIG_HOST)
        return begin_host(reader, rest);
    if (section == CONFIG_PATH)
        return begin_path(reader, rest);
    snprintf(reader->wrong, sizeof reader->wrong, "[%s] takes no name", name);
    return *rest == '\0' || fail(reader, reader->wrong);
}

/* ------------------------------------------------------------------------------------------ lines */

/* Takes off what is around it, and the mark of an encoding that some editors put in front. */
static char *trim(struct reader *reader, char *line)
{
    if (reader->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    line += strspn(line, " \t");
    size_t length = strlen(line);
    while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL)
        line[--length] = '\0';
    return line;
}

/* What an editor does not show would make a reply mean another thing, or split a value when it is written and read
 * again. */
static bool has_control_characters(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return true;
    return false;
}

/* Looks at a line before libinih does, which would take "a: b" for a key, too. */
static bool check_pair(struct reader *reader, const char *line)
{
    size_t name = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    if (name > 0 && name < 48 && line[name + strspn(line + name, " \t")] == '=')
        return true;
    return fail(reader, "want [Section] or Key=value; a comment begins with #");
}

/* As fgets(), for libinih: it gets pairs, and nothing where there is something else. */
static char *next_line(char *out, int size, void *context)
{
    struct reader *reader = context;
    char line[LINE_SPACE];
    if (reader->why[0] != '\0' || fgets(line, sizeof line, reader->file) == NULL)
        return NULL;
    reader->line++;
    size_t length = strlen(line);
    if (length + 1 == sizeof line || length + 2 > (size_t)size)
        return fail(reader, "the line is too long"), NULL;
    if (length == 0 || (line[length - 1] != '\n' && !feof(reader->file)))
        return fail(reader, "the line has a NUL byte in it; this is no text file"), NULL;
    char *text = trim(reader, line);
    if (has_control_characters(text) && *text != '#' && *text != ';')
        return fail(reader, "the line has a control character in it; leave it out"), NULL;
    out[0] = '\n';
    out[1] = '\0';
    if (*text == '[')
        return begin_section(reader, text) ? out : NULL;
    if (*text == '\0' || *text == '#' || *text == ';')
        return out;
    if (!check_pair(reader, text))
        return NULL;
    snprintf(out, (size_t)size, "%s\n", text);
    return out;
}

static bool parse(struct reader *reader)
{
    ini_use_stack = false; /* its buffer there has 200 bytes, which a header line may exceed */
    ini_initial_alloc = ini_max_line = LINE_SPACE + 8;
    ini_allow_inline_comments = false; /* would cut "default-src 'self' ; img-src *" */
    int result = ini_parse_stream(next_line, reader, on_pair, reader);
    if (ferror(reader->file))
        snprintf(reader->why, reader->why_size, "cannot read %s: %s", reader->name, strerror(errno));
    else if (result != 0)
        fail(reader, result < 0 ? "out of memory" : "want Key=value");
    return reader->why[0] == '\0';
}

/* The folder that relative paths begin in: "." of a file that is named without one. */
static char *folder_of(struct config *config, const char *file)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL)
        return config_keep_text(config, ".", 1);
    return config_keep_text(config, file, slash == file ? 1 : (size_t)(slash - file));
}

/* folder: NULL: where we are. */
static bool read_stream(struct config *config, FILE *file, const char *name, const char *folder, char *why,
                        size_t why_size)
{
    struct reader *reader = calloc(1, sizeof *reader);
    bool good = false;
    why[0] = '\0';
    if (reader == NULL) {
        snprintf(why, why_size, "out of memory");
    } else {
        *reader = (struct reader){
            .config = config, .file = file, .name = name, .folder = folder, .why = why, .why_size = why_size};
        good = parse(reader);
    }
    free(reader);
    return good;
}

bool config_read(struct config *config, const char *name, char *why, size_t why_size)
{
    config->file = config_keep_text(config, name, strlen(name));
    char *folder = folder_of(config, name);
    if (config->file == NULL || folder == NULL)
        return snprintf(why, why_size, "out of memory"), false;
    FILE *file = fopen(name, "re");
    if (file == NULL)
        return snprintf(why, why_size, "cannot read %s: %s", name, strerror(errno)), false;
    bool good = read_stream(config, file, name, folder, why, why_size);
    fclose(file);
    return good;
}

bool config_read_dump(struct config *config, FILE *dump, char *why, size_t why_size)
{
    return read_stream(config, dump, "dump", NULL, why, why_size);
}

/* ------------------------------------------------------------------------------------------ options */

static enum config_section section_of(const char *name)
{
    unsigned section = 0;
    while (section + 1 < CONFIG_SECTIONS && strcmp(config_section_names[section], name) != 0)
        section++;
    return (enum config_section)section;
}

static void *option_record(struct config *config, enum config_section section)
{
    struct config_options *options = config_options_of(config);
    struct config_host *host = section == CONFIG_HOST || section == CONFIG_PATH ? config_default_host(config) : NULL;
    if (section == CONFIG_HOST)
        return host;
    if (section != CONFIG_PATH)
        return config;
    if (options->rule == NULL && host != NULL)
        options->rule = config_add_rule(config, host, "/**");
    return options->rule;
}

bool config_set(struct config *config, const char *section, const char *name, const char *value, char *why,
                size_t why_size)
{
    char wrong[CONFIG_WRONG_SPACE] = "out of memory";
    const struct config_key *key = config_find_key(section_of(section), name);
    char *record = key == NULL ? NULL : option_record(config, key->section);
    bool *set = key == NULL ? NULL : &config_options_of(config)->set[key - config_keys];
    if (record != NULL) {
        struct config_setting setting = {.config = config,
                                         .value = value,
                                         .wrong = wrong,
                                         .least = key->least,
                                         .field = record + key->offset,
                                         .most = key->most};
        if (key->list_size > 0 && !*set)
            memset(setting.field, 0, key->list_size);
        *set = true;
        if (has_control_characters(value))
            config_wrong(&setting, "the value has a control character in it; leave it out");
        else if (key->parse(&setting))
            return true;
    } else if (key == NULL) {
        config_explain_key(section_of(section), name, wrong);
    }
    snprintf(why, why_size, "%s", wrong);
    return false;
}
