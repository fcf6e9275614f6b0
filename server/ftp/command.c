/* SPDX-License-Identifier: MIT */
/* The table of commands. */
#include "command.h"
#include "line.h"

#include <stddef.h>
#include <stdio.h>

static const struct ftp_command commands[] = {
    {"USER", FTP_BEFORE_LOGIN | FTP_ARGUMENT, ftp_user, "NAME"},
    {"PASS", FTP_BEFORE_LOGIN, ftp_pass, "PASSWORD"},
    {"HOST", FTP_BEFORE_LOGIN | FTP_ARGUMENT, ftp_host, "NAME"},
    {"ACCT", FTP_BEFORE_LOGIN, ftp_acct, "ACCOUNT"},
    {"REIN", FTP_BEFORE_LOGIN, ftp_rein, ""},
    {"QUIT", FTP_BEFORE_LOGIN, ftp_quit, ""},
    {"NOOP", FTP_BEFORE_LOGIN, ftp_noop, ""},
    {"SYST", FTP_BEFORE_LOGIN, ftp_syst, ""},
    {"FEAT", FTP_BEFORE_LOGIN, ftp_feat, ""},
    {"OPTS", FTP_BEFORE_LOGIN | FTP_ARGUMENT, ftp_opts, "COMMAND OPTION"},
    {"HELP", FTP_BEFORE_LOGIN, ftp_help, "[COMMAND]"},
    {"TYPE", FTP_ARGUMENT, ftp_type, "A|I"},
    {"MODE", FTP_ARGUMENT, ftp_mode, "S"},
    {"STRU", FTP_ARGUMENT, ftp_stru, "F"},
    {"ALLO", FTP_ARGUMENT, ftp_allo, "BYTES"},
    {"PWD", 0, ftp_pwd, ""},
    {"XPWD", 0, ftp_pwd, ""},
    {"CWD", FTP_ARGUMENT, ftp_cwd, "DIRECTORY"},
    {"XCWD", FTP_ARGUMENT, ftp_cwd, "DIRECTORY"},
    {"CDUP", 0, ftp_cdup, ""},
    {"XCUP", 0, ftp_cdup, ""},
    {"REST", FTP_ARGUMENT, ftp_rest, "OFFSET"},
    {"STAT", FTP_IN_TRANSFER, ftp_stat, "[PATH]"},
    {"ABOR", FTP_IN_TRANSFER, ftp_abor, ""},
    {"PASV", 0, ftp_pasv, ""},
    {"EPSV", 0, ftp_epsv, "[1|2|ALL]"},
    {"PORT", FTP_ARGUMENT, ftp_port, "H1,H2,H3,H4,P1,P2"},
    {"EPRT", FTP_ARGUMENT, ftp_eprt, "|1|2|ADDRESS|PORT|"},
    {"RETR", FTP_ARGUMENT, ftp_retr, "FILE"},
    {"SIZE", FTP_ARGUMENT, ftp_size, "FILE"},
    {"MDTM", FTP_ARGUMENT, ftp_mdtm, "FILE"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

const struct ftp_command *ftp_command_find(unsigned verb)
{
    for (unsigned i = 0; i < COMMANDS; i++)
        if (ftp_verb(commands[i].name) == verb)
            return &commands[i];
    return NULL;
}

void ftp_command_list(char *out, unsigned size)
{
    unsigned used = 0;
    for (unsigned i = 0; i < COMMANDS && used < size; i++)
        used += (unsigned)snprintf(out + used, size - used, "%s%s", commands[i].name, i % 8 == 7 ? "\n" : " ");
}
