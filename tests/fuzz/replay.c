/* SPDX-License-Identifier: MIT */
/*
 * main() for a fuzzer without libFuzzer: gives it every file of its corpus, whole, cut off after every byte, and with
 * every byte changed. A test program like any other: [--list] [PART OF A NAME]..., `ok NAME`.
 */
#include "fuzz.h"

#include <dirent.h>

static void give(const char *data, size_t size)
{
    char *exact = fuzz_exact(data, size);
    LLVMFuzzerTestOneInput((const uint8_t *)exact, size);
    free(exact);
}

static void replay(const char *path)
{
    static char data[64 * 1024];
    FILE *file = fopen(path, "rb");
    HOLDS(file != NULL);
    size_t size = fread(data, 1, sizeof data, file);
    HOLDS(size < sizeof data);
    fclose(file);
    give(data, size);
    /* A large one costs its square: then only about a thousand places. */
    size_t stride = size / 1000 + 1;
    for (size_t i = 0; i < size; i += stride) {
        static const char instead[] = "\0\r\n :,/.%\"0Z\xff";
        char old = data[i];
        give(data, i);
        data[i] = instead[i % sizeof instead];
        give(data, size);
        data[i] = (char)(old ^ 0x20);
        give(data, size);
        data[i] = old;
    }
}

int main(int count, char **arguments)
{
    bool list = false, wanted = true;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--list") == 0) {
            list = true;
        } else if (strcmp(arguments[i], "--verbose") != 0) {
            wanted = (wanted && i > 1 + list) || strstr(FUZZ_NAME, arguments[i]) != NULL;
        }
    }
    if (list && wanted)
        puts(FUZZ_NAME);
    if (list || !wanted)
        return 0;
    DIR *directory = opendir(FUZZ_CORPUS);
    HOLDS(directory != NULL);
    unsigned files = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", FUZZ_CORPUS, entry->d_name);
        replay(path);
        files++;
    }
    closedir(directory);
    HOLDS(files > 0);
    puts("ok " FUZZ_NAME);
    return 0;
}
