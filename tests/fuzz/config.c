/* SPDX-License-Identifier: MIT */
/*
 * Configurations: an error says what and where; what is accepted comes back the same from its dump, which is what a
 * supervisor gives to the processes that serve.
 */
#include "config/config.h"
#include "fuzz.h"

/* NULL: it is not accepted, and why is said. */
static struct config *read_text(const char *text, size_t size, char *why, size_t why_size)
{
    struct config *config = config_new();
    FILE *file = size > 0 ? fmemopen((void *)(uintptr_t)text, size, "r") : fopen("/dev/null", "re");
    HOLDS(config != NULL && file != NULL);
    memset(why, 'x', why_size);
    bool good = config_read_dump(config, file, why, why_size);
    if (good)
        good = config_finish(config, why, why_size);
    fclose(file);
    if (good)
        return config;
    HOLDS(memchr(why, '\0', why_size) != NULL && why[0] != '\0');
    config_free(config);
    return NULL;
}

static char *dump(const struct config *config, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    HOLDS(out != NULL);
    config_dump(config, out);
    HOLDS(fclose(out) == 0 && text != NULL);
    return text;
}

/* Any Host field finds a host, and any path a rule or none. */
static void ask(const struct config *config, const uint8_t *data, size_t size)
{
    char *name = fuzz_exact(data, size);
    const struct config_host *host = config_host_of(config, name, size);
    HOLDS(host >= config->hosts && host < config->hosts + config->host_count);
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[1024];
    char *text = fuzz_exact(data, size);
    struct config *config = read_text(text, size, why, sizeof why);
    free(text);
    if (config == NULL)
        return 0;
    ask(config, data, size < 64 ? size : 64);
    size_t length, again_length;
    char *dumped = dump(config, &length);
    struct config *again = read_text(dumped, length, why, sizeof why);
    if (again == NULL)
        fprintf(stderr, "%s\n%s\n", why, dumped);
    HOLDS(again != NULL);
    char *dumped_again = dump(again, &again_length);
    if (length != again_length || memcmp(dumped, dumped_again, length) != 0)
        fprintf(stderr, "%s\n----\n%s\n", dumped, dumped_again);
    HOLDS(length == again_length && memcmp(dumped, dumped_again, length) == 0);
    free(dumped);
    free(dumped_again);
    config_free(again);
    config_free(config);
    return 0;
}
