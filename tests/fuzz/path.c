/* SPDX-License-Identifier: MIT */
/* Paths of URLs: none leads out of the root or to a hidden name, and each comes back when it is encoded. */
#include "fuzz.h"
#include "path.h"

static void check_names(const char *path)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        HOLDS(length > 0);
        HOLDS(path[0] != '.' || (length == 11 && memcmp(path, ".well-known", 11) == 0));
        path += length;
        path += *path == '/';
    }
}

static void check_again(const char *path, size_t length, bool directory)
{
    char *url = malloc(3 * length + 1), *again = malloc(3 * length + 3);
    HOLDS(url != NULL && again != NULL);
    url[0] = '/';
    char *end = path_to_url(url + 1, path, length);
    HOLDS((size_t)(end - url) <= 3 * length + 1);
    for (const char *at = url; at < end; at++)
        HOLDS(*at > ' ' && *at < 0x7f && strchr("?#\"<>\\", *at) == NULL);
    bool again_directory, again_hidden;
    HOLDS(path_from_url(url, (size_t)(end - url), again, &again_directory, &again_hidden) == (int)length);
    HOLDS(memcmp(again, path, length + 1) == 0 && again_directory == directory);
    free(again);
    free(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *url = malloc(size + 1), *out = malloc(size + 3);
    HOLDS(url != NULL && out != NULL);
    url[0] = '/';
    memcpy(url + 1, data, size);
    bool directory, hidden;
    int length = path_from_url(url, size + 1, out, &directory, &hidden);
    HOLDS(length <= (int)size && (length >= 0 || length == -400 || length == -404));
    if (length >= 0) {
        HOLDS(strlen(out) == (size_t)length);
        HOLDS(directory == (length == 0 || out[length - 1] == '/'));
        check_names(out);
        check_again(out, (size_t)length, directory);
    }
    free(out);
    free(url);
    return 0;
}
