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
    {"LIST", 0, ftp_list, "[-alrt] [PATH]"},
    {"NLST", 0, ftp_nlst, "[-alrt] [PATH]"},
    {"MLSD", 0, ftp_mlsd, "[DIRECTORY]"},
    {"MLST", 0, ftp_mlst, "[PATH]"},
    {"RETR", FTP_ARGUMENT, ftp_retr, "FILE"},
    {"SIZE", FTP_ARGUMENT, ftp_size, "FILE"},
    {"MDTM", FTP_ARGUMENT, ftp_mdtm, "FILE"},
    {"STOR", FTP_ARGUMENT, ftp_stor, "FILE"},
    {"STOU", 0, ftp_stou, ""},
    {"APPE", FTP_ARGUMENT, ftp_appe, "FILE"},
    {"DELE", FTP_ARGUMENT, ftp_dele, "FILE"},
    {"MKD", FTP_ARGUMENT, ftp_mkd, "DIRECTORY"},
    {"XMKD", FTP_ARGUMENT, ftp_mkd, "DIRECTORY"},
    {"RMD", FTP_ARGUMENT, ftp_rmd, "DIRECTORY"},
    {"XRMD", FTP_ARGUMENT, ftp_rmd, "DIRECTORY"},
    {"RNFR", FTP_ARGUMENT, ftp_rnfr, "FROM"},
    {"RNTO", FTP_ARGUMENT, ftp_rnto, "TO"},
    {"MFMT", FTP_ARGUMENT, ftp_mfmt, "YYYYMMDDHHMMSS FILE"},
    {"HASH", FTP_ARGUMENT, ftp_hash, "FILE"},
    {"SITE", FTP_ARGUMENT, ftp_site, "HELP|CHMOD|UTIME"},
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
