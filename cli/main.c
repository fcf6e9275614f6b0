/* SPDX-License-Identifier: MIT */
/* errand(1): finds the sub-command. */
#include "cli.h"
#include "errand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] = "Usage: errand COMMAND [OPTION]...\n"
                            "Whole asynchronous I/O jobs for Linux.\n"
                            "\n"
                            "  errand copy SRC DST   copy a directory with all that is in it (errand copy --help)\n"
                            "  errand passwd FILE NAME\n"
                            "                        maintain a file of users and passwords (errand passwd --help)\n"
                            "  errand remove DIR     remove a directory with all that is in it (errand remove --help)\n"
                            "  errand serve [DIR]    serve the files of a directory by HTTP (errand serve --help)\n"
                            "  errand --version      print the version\n"
                            "  errand --help         print this\n";

/* A descriptor 0, 1 or 2 that is closed would be given to a socket, and messages written to a client. */
static int fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= 2);
    return fd < 0 ? -1 : close(fd);
}

int cli_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_GOOD;
    fprintf(stderr, "errand: cannot write to standard output: %s\n", strerror(errno));
    return EXIT_BAD;
}

int main(int argc, char **argv)
{
    if (fill_standard_descriptors() != 0)
        return EXIT_BAD;
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "copy") == 0)
        return cli_copy(argc - 1, argv + 1);
    if (strcmp(command, "passwd") == 0)
        return cli_passwd(argc - 1, argv + 1);
    if (strcmp(command, "remove") == 0)
        return cli_remove(argc - 1, argv + 1);
    if (strcmp(command, "serve") == 0)
        return cli_serve(argc - 1, argv + 1);
    if (strcmp(command, "--version") == 0 || strcmp(command, "-V") == 0) {
        printf("errand %s\n", errand_version());
        return cli_finish_output();
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 || strcmp(command, "help") == 0) {
        fputs(usage, stdout);
        return cli_finish_output();
    }
    if (*command)
        fprintf(stderr, "errand: there is no command '%s'\n", command);
    fputs(usage, stderr);
    return EXIT_USAGE;
}
