/* SPDX-License-Identifier: MIT */
/* The sub-commands of errand(1). */
#ifndef CLI_CLI_H
#define CLI_CLI_H

enum { EXIT_GOOD = 0, EXIT_BAD = 1, EXIT_USAGE = 2 };

/* Each gets its arguments from its own name on, and returns the exit code. */
int cli_copy(int argc, char **argv);
int cli_passwd(int argc, char **argv);
int cli_remove(int argc, char **argv);
int cli_serve(int argc, char **argv);

/* Ends --help and --version: 0, or 1 if the text could not be written. */
int cli_finish_output(void);

#endif
