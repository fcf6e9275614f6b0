/* SPDX-License-Identifier: MIT */
/* errand copy: options, and what is refused before anything is begun. */
#include "cli.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "Usage: errand copy [OPTION]... SRC DST\n"
    "Copies a file, or a directory with all that is in it: modes, owners, times, links, attributes, holes.\n"
    "If DST is a directory, the copy goes into it, by the name of SRC. Nothing is replaced.\n"
    "\n"
    "  -T, --no-target-directory        DST is the copy's own name, even if there is a directory of this name\n"
    "  --stop                           stop at the first error (else go on with the rest, and tell of each)\n"
    "  --json                           a line of JSON each second, for each error, and at the end\n"
    "  -q, --quiet                      no progress on the terminal\n"
    "  --backend auto|uring|threads     how input and output are done (default auto: the best that works)\n"
    "  --workers N                      threads for files (default: 2)\n"
    "  --parallel N                     files under way at once (default: 32)\n"
    "  -V, --version                    print the version\n"
    "  -h, --help                       print this\n"
    "\n"
    "The exit code is 0 if all was copied, 1 if something was not, 2 if the command was wrong.\n";

static void strip_slashes(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = 0;
}

/* The name of the copy: DST, or DST/name of SRC. NULL: it is too long, or SRC has no name. */
static const char *copy_name(const struct cli_tree *tree, const char *from, const char *to, char *out)
{
    struct stat about;
    if (tree->no_directory || stat(to, &about) < 0 || !S_ISDIR(about.st_mode))
        return to;
    const char *slash = strrchr(from, '/'), *name = slash ? slash + 1 : from;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return NULL;
    int length = snprintf(out, PATH_MAX, "%s/%s", to, name);
    return length > 0 && length < PATH_MAX ? out : NULL;
}

/* Whether the copy would come to lie in what is copied, or is it. */
static bool leads_into_itself(const char *from, const char *to)
{
    char parent[PATH_MAX], real_from[PATH_MAX], real_parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", to);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = 0;
    struct stat about;
    if (lstat(from, &about) < 0 || !S_ISDIR(about.st_mode) || !realpath(from, real_from) ||
        !realpath(slash ? parent : ".", real_parent))
        return false;
    size_t length = strlen(real_from);
    while (length > 1 && real_from[length - 1] == '/')
        length--;
    bool root = length == 1;
    return root ||
           (strncmp(real_parent, real_from, length) == 0 && (real_parent[length] == '/' || real_parent[length] == 0));
}

int cli_copy(int argc, char **argv)
{
    struct cli_tree tree = {.name = "errand copy",
                            .verb = "copy",
                            .usage = usage,
                            .workers = 2,
                            .progress = {.size = sizeof tree.progress}};
    int at = cli_tree_options(&tree, argc, argv, "hVqT");
    if (at < 0)
        return -at - 1;
    if (argc - at != 2) {
        fprintf(stderr, "errand copy: want SRC and DST; errand copy --help shows the options\n");
        return EXIT_USAGE;
    }
    char *from = argv[at], room[PATH_MAX];
    strip_slashes(from);
    strip_slashes(argv[at + 1]);
    const char *to = copy_name(&tree, from, argv[at + 1], room);
    if (!to || !*from || !*to) {
        fprintf(stderr, "errand copy: '%s' gives no name for the copy in '%s': name it, with -T\n", from, argv[at + 1]);
        return EXIT_USAGE;
    }
    if (leads_into_itself(from, to)) {
        fprintf(stderr, "errand copy: '%s' would lie in '%s' itself: choose a place outside of it\n", to, from);
        return EXIT_USAGE;
    }
    int code = cli_tree_open(&tree);
    if (code)
        return code;
    struct errand_copy_tree job = {.size = sizeof job,
                                   .from_dir_fd = AT_FDCWD,
                                   .to_dir_fd = AT_FDCWD,
                                   .from = from,
                                   .to = to,
                                   .failed = cli_tree_failed,
                                   .context = &tree,
                                   .progress = &tree.progress,
                                   .parallel = tree.parallel};
    errand_id id = 0;
    int result = errand_copy_tree(tree.queue, &job, &id);
    return cli_tree_run(&tree, result, id, from);
}
