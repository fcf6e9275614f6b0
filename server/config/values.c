/* SPDX-License-Identifier: MIT */
/* Values that are one thing: numbers, times, sizes, switches, paths, words. */
#include "inside.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

bool config_wrong(struct config_setting *setting, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(setting->wrong, CONFIG_WRONG_SPACE, format, arguments);
    va_end(arguments);
    return false;
}

size_t config_next_word(const char **text)
{
    *text += strspn(*text, " \t");
    return strcspn(*text, " \t");
}

/* Digits at the beginning. False: there are none, or too many. */
static bool read_digits(const char **text, uint64_t *value)
{
    if (**text < '0' || **text > '9')
        return false;
    char *end;
    errno = 0;
    *value = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0;
}

bool config_parse_number(struct config_setting *setting)
{
    const char *at = setting->value;
    uint64_t value;
    if (!read_digits(&at, &value) || *at != '\0' || value < setting->least || value > setting->most)
        return config_wrong(setting, "want a number from %llu to %llu", (unsigned long long)setting->least,
                            (unsigned long long)setting->most);
    *(uint32_t *)setting->field = (uint32_t)value;
    return true;
}

bool config_parse_mode(struct config_setting *setting)
{
    size_t digits = strspn(setting->value, "01234567");
    unsigned long mode = strtoul(setting->value, NULL, 8);
    if (digits == 0 || digits > 4 || setting->value[digits] != '\0' || mode == 0 || mode > 0777)
        return config_wrong(setting, "want a mode in octal digits, as in 0660 or 0666");
    *(uint32_t *)setting->field = (uint32_t)mode;
    return true;
}

static enum config_switch switch_of(const char *value)
{
    static const char *const on[] = {"yes", "on", "true", "1"}, *const off[] = {"no", "off", "false", "0"};
    for (unsigned i = 0; i < sizeof on / sizeof on[0]; i++) {
        if (strcasecmp(value, on[i]) == 0)
            return CONFIG_ON;
        if (strcasecmp(value, off[i]) == 0)
            return CONFIG_OFF;
    }
    return CONFIG_UNSET;
}

bool config_parse_bool(struct config_setting *setting)
{
    enum config_switch value = switch_of(setting->value);
    if (value == CONFIG_UNSET)
        return config_wrong(setting, "want yes or no (or on, off, true, false)");
    *(bool *)setting->field = value == CONFIG_ON;
    return true;
}

bool config_parse_switch(struct config_setting *setting)
{
    enum config_switch value = switch_of(setting->value);
    if (value == CONFIG_UNSET && strcasecmp(setting->value, "auto") != 0)
        return config_wrong(setting, "want yes, no or auto (or on, off, true, false)");
    *(enum config_switch *)setting->field = value;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* The factor of a unit at *text, which is moved behind it; 0: there is no such unit. */
static uint64_t read_unit(const char **text, const struct unit *units, unsigned count)
{
    size_t length = 0;
    while (((*text)[length] | 0x20) >= 'a' && ((*text)[length] | 0x20) <= 'z')
        length++;
    for (unsigned i = 0; i < count; i++) {
        if (strlen(units[i].name) == length && strncmp(*text, units[i].name, length) == 0) {
            *text += length;
            return units[i].factor;
        }
    }
    return 0;
}

/* "1min 30s"; without a unit: seconds. */
static bool read_duration(const char *text, uint64_t most, uint64_t *result)
{
    static const struct unit units[] = {
        {"", ERRAND_SECOND},         {"ms", ERRAND_MILLISECOND},   {"s", ERRAND_SECOND},
        {"sec", ERRAND_SECOND},      {"m", 60 * ERRAND_SECOND},    {"min", 60 * ERRAND_SECOND},
        {"h", 3600 * ERRAND_SECOND}, {"hr", 3600 * ERRAND_SECOND}, {"d", 86400 * ERRAND_SECOND}};
    *result = 0;
    do {
        uint64_t value, factor;
        if (!read_digits(&text, &value))
            return false;
        text += strspn(text, " ");
        factor = read_unit(&text, units, sizeof units / sizeof units[0]);
        if (factor == 0 || value > (most - *result) / factor)
            return false;
        *result += value * factor;
        text += strspn(text, " ");
    } while (*text != '\0');
    return true;
}

bool config_parse_duration(struct config_setting *setting)
{
    uint64_t value;
    if (!read_duration(setting->value, setting->most, &value) || value < setting->least)
        return config_wrong(setting, "want a time from %llu ms to %llu h, as in 30s or 5min",
                            (unsigned long long)(setting->least / ERRAND_MILLISECOND),
                            (unsigned long long)(setting->most / (3600 * ERRAND_SECOND)));
    *(int64_t *)setting->field = (int64_t)value;
    return true;
}

bool config_read_size(const char *text, uint64_t *result)
{
    static const struct unit units[] = {{"", 1},         {"B", 1},        {"K", 1u << 10},
                                        {"M", 1u << 20}, {"G", 1u << 30}, {"T", UINT64_C(1) << 40}};
    uint64_t factor;
    if (strcasecmp(text, "off") == 0) {
        *result = 0;
        return true;
    }
    if (!read_digits(&text, result))
        return false;
    factor = read_unit(&text, units, sizeof units / sizeof units[0]);
    return factor != 0 && *text == '\0' && !__builtin_mul_overflow(*result, factor, result);
}

bool config_parse_size(struct config_setting *setting)
{
    uint64_t value;
    if (!config_read_size(setting->value, &value) || value < setting->least || value > setting->most)
        return config_wrong(setting, "want a number of bytes, as in 4096, 64K, 10M or 1G; or off");
    *(uint64_t *)setting->field = value;
    return true;
}

bool config_parse_cache(struct config_setting *setting)
{
    const char *at = setting->value;
    uint64_t value;
    if (read_digits(&at, &value) && strcmp(at, "%") == 0 && value <= 90) {
        uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        *(uint64_t *)setting->field = memory / 100 * value;
        return true;
    }
    if (config_parse_size(setting))
        return true;
    return config_wrong(setting, "want a size as in 64M or 1G, a part of the memory as in 10%% (at most 90%%), or off");
}

/* Relative to the file that says it. */
static const char *absolute(struct config_setting *setting, const char *path)
{
    size_t folder = setting->folder == NULL || path[0] == '/' ? 0 : strlen(setting->folder), length = strlen(path);
    char *kept = config_keep(setting->config, folder + length + 2);
    if (kept == NULL)
        return NULL;
    if (folder > 0) {
        memcpy(kept, setting->folder, folder);
        kept[folder++] = '/';
    }
    memcpy(kept + folder, path, length + 1);
    return kept;
}

bool config_parse_path(struct config_setting *setting)
{
    const char *path = absolute(setting, setting->value);
    if (path == NULL)
        return config_wrong(setting, "out of memory");
    *(const char **)setting->field = path;
    return true;
}

bool config_parse_users(struct config_setting *setting)
{
    struct config_text *text = setting->field;
    text->bytes = absolute(setting, setting->value);
    text->length = text->bytes == NULL ? 0 : strlen(text->bytes);
    return text->bytes != NULL || config_wrong(setting, "out of memory");
}

bool config_parse_log(struct config_setting *setting)
{
    if (strcmp(setting->value, "-") == 0) {
        *(const char **)setting->field = "-";
        return true;
    }
    if (strcasecmp(setting->value, "off") == 0) {
        *(const char **)setting->field = NULL;
        return true;
    }
    return config_parse_path(setting);
}

bool config_parse_name(struct config_setting *setting)
{
    if (strpbrk(setting->value, " \t:/") != NULL)
        return config_wrong(setting, "want one name, as in www-data");
    const char *kept = config_keep_text(setting->config, setting->value, strlen(setting->value));
    *(const char **)setting->field = kept;
    return kept != NULL || config_wrong(setting, "out of memory");
}

bool config_parse_backend(struct config_setting *setting)
{
    static const char *const names[] = {"auto", "uring", "threads"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(setting->value, names[i]) == 0) {
            *(enum errand_backend *)setting->field = (enum errand_backend)i;
            return true;
        }
    }
    return config_wrong(setting, "want auto, uring or threads");
}

bool config_parse_log_format(struct config_setting *setting)
{
    bool json = strcmp(setting->value, "json") == 0;
    if (!json && strcmp(setting->value, "combined") != 0)
        return config_wrong(setting, "want combined or json");
    *(enum config_log_format *)setting->field = json ? CONFIG_LOG_JSON : CONFIG_LOG_COMBINED;
    return true;
}

/* A time gives max-age; "immutable" is for names that change with their content. */
bool config_parse_cache_control(struct config_setting *setting)
{
    char line[512];
    uint64_t time;
    const uint64_t year = UINT64_C(365) * 86400 * ERRAND_SECOND;
    if (strcmp(setting->value, "immutable") == 0)
        snprintf(line, sizeof line, "Cache-Control: public, max-age=31536000, immutable");
    else if (read_duration(setting->value, year, &time))
        snprintf(line, sizeof line, "Cache-Control: max-age=%llu", (unsigned long long)(time / ERRAND_SECOND));
    else if (strlen(setting->value) > 400 || (setting->value[0] >= '0' && setting->value[0] <= '9'))
        return config_wrong(setting, "want a time up to 365d, as in 1h, or the words of the header, as in no-cache");
    else
        snprintf(line, sizeof line, "Cache-Control: %s", setting->value);
    struct config_setting as_header = *setting;
    as_header.value = line;
    return config_parse_header(&as_header);
}
