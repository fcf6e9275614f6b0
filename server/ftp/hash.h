/* SPDX-License-Identifier: MIT */
/*
 * HASH (draft-bryan-ftpext-hash): the hash of a file, of its bytes whatever TYPE says, by libcrypto. A chain reads a
 * piece and has a worker hash it, and is followed by the next, so a file of any length takes one piece of memory.
 */
#ifndef SERVER_FTP_HASH_H
#define SERVER_FTP_HASH_H

struct ftp_session;

enum { FTP_HASH_LIST = 64 };

/* "SHA-256*;SHA-512;...": those that there are; the session's with a star. */
void ftp_hash_list(const struct ftp_session *session, char out[static FTP_HASH_LIST]);

/* OPTS HASH: chooses one by its name; "": says which it is. Replies. */
void ftp_hash_choose(struct ftp_session *session, const char *name);

#endif
