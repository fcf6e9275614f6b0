/* SPDX-License-Identifier: MIT */
/* errand remove: options, and what is refused before anything is begun. */
#include "cli.h"
#include "tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "Usage: errand remove [OPTION]... DIR\n"
    "Removes a directory with all that is in it, or a file, as rm -rf. No symlink is followed.\n"
    "\n"
    "  --stop                           stop at the first error (else go on with the rest, and tell of each)\n"
    "  --json                           a line of JSON each second, for each error, and at the end\n"
    "  -q, --quiet                      no progress on the terminal\n"
    "  --backend auto|uring|threads     how input and output are done (default auto: the best that works)\n"
    "  --workers N                      threads for files (default: 4)\n"
    "  --parallel N                     groups of files under way at once (default: 32)\n"
    "  -V, --version                    print the version\n"
    "  -h, --help                       print this\n"
    "\n"
    "The exit code is 0 if nothing is left, 1 if something is, 2 if the command was wrong.\n";

/* Why it must not be removed, or NULL. */
static const char *refusal(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = 0;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct stat root, about;
    if (!*path)
        return "want a name";
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return "it ends in . or ..: name the directory itself";
    if (!*name || (lstat(path, &about) == 0 && stat("/", &root) == 0 && about.st_dev == root.st_dev &&
                   about.st_ino == root.st_ino))
        return "this is the root of all files, which is not removed";
    return NULL;
}

int cli_remove(int argc, char **argv)
{
    struct cli_tree tree = {.name = "errand remove",
                            .verb = "remove",
                            .usage = usage,
                            .workers = 4,
                            .progress = {.size = sizeof tree.progress}};
    int at = cli_tree_options(&tree, argc, argv, "hVq");
    if (at < 0)
        return -at - 1;
    if (argc - at != 1) {
        fprintf(stderr, "errand remove: want one DIR; errand remove --help shows the options\n");
        return EXIT_USAGE;
    }
    char *path = argv[at];
    const char *why = refusal(path);
    if (why) {
        fprintf(stderr, "errand remove: refuses '%s': %s\n", path, why);
        return EXIT_USAGE;
    }
    struct stat about;
    if (lstat(path, &about) < 0) {
        fprintf(stderr, "errand remove: cannot remove '%s': %m; look at the name\n", path);
        return EXIT_BAD;
    }
    int code = cli_tree_open(&tree);
    if (code)
        return code;
    struct errand_remove_tree job = {.size = sizeof job,
                                     .dir_fd = AT_FDCWD,
                                     .path = path,
                                     .failed = cli_tree_failed,
                                     .context = &tree,
                                     .progress = &tree.progress,
                                     .parallel = tree.parallel};
    errand_id id = 0;
    int result = errand_remove_tree(tree.queue, &job, &id);
    return cli_tree_run(&tree, result, id, path);
}
