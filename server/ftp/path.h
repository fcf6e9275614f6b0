/* SPDX-License-Identifier: MIT */
/* From what a client says to the path of a file: RFC 959's pathnames, as Unix has them (RFC 3659, 6: TVFS). */
#ifndef SERVER_FTP_PATH_H
#define SERVER_FTP_PATH_H

/*
 * The path that `said` means in `directory` (NULL: the home; else as this function returns it): absolute, without
 * "." and "..", which never leads above the home, and without a slash at its end, but for "/" itself. Allocated.
 * Returns 0; -EINVAL: no path is meant (it has a name of ours in it: files/temporary.h); -ENAMETOOLONG; -ENOMEM.
 */
int ftp_path_make(const char *directory, const char *said, char **path);

/* The same beneath the home's root: without its first slash, "." for the home. */
static inline const char *ftp_path_file(const char *path)
{
    return path[1] != '\0' ? path + 1 : ".";
}

#endif
