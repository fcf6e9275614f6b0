/* SPDX-License-Identifier: MIT */
/* The commands, in one table: what is obeyed, when, and what HELP and FEAT say of it. */
#ifndef SERVER_FTP_COMMAND_H
#define SERVER_FTP_COMMAND_H

#include <stdint.h>

struct ftp_session;

enum {
    FTP_BEFORE_LOGIN = 1, /* obeyed of whoever */
    FTP_IN_TRANSFER = 2,  /* and while another is under way */
    FTP_ARGUMENT = 4,     /* means nothing without one: 501 */
};

struct ftp_command {
    char name[5];
    uint8_t flags;
    void (*run)(struct ftp_session *session, char *argument);
    const char *usage; /* what follows the name */
};

/* NULL: there is none. */
const struct ftp_command *ftp_command_find(unsigned verb);

/* Names and usages, a line each, for HELP: the text of a reply. */
void ftp_command_list(char *out, unsigned size);

/* Each carries out, or begins, one command, and replies or will. By the files that they are in: */
typedef void ftp_run(struct ftp_session *session, char *argument);
ftp_run ftp_user, ftp_pass, ftp_host, ftp_acct, ftp_rein, ftp_quit;                     /* login.c */
ftp_run ftp_noop, ftp_syst, ftp_feat, ftp_opts, ftp_help, ftp_type, ftp_mode, ftp_stru; /* plain.c */
ftp_run ftp_pwd, ftp_cwd, ftp_cdup, ftp_rest, ftp_stat, ftp_abor;                       /* plain.c */
ftp_run ftp_pasv, ftp_epsv, ftp_port, ftp_eprt;                                         /* data.c */
ftp_run ftp_list, ftp_nlst, ftp_mlsd, ftp_list_on_control;                              /* list.c */
ftp_run ftp_mlst, ftp_choose_facts;                                                     /* mlst.c */
ftp_run ftp_retr, ftp_size, ftp_mdtm;                                                   /* retrieve.c */
ftp_run ftp_stor, ftp_stou, ftp_appe, ftp_allo;                                         /* store.c */
ftp_run ftp_dele, ftp_mkd, ftp_rmd, ftp_rnfr, ftp_rnto;                                 /* change.c */
ftp_run ftp_site, ftp_mfmt;                                                             /* site.c */
ftp_run ftp_hash;                                                                       /* hash.c */

#endif
