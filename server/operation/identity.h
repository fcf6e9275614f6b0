/* SPDX-License-Identifier: MIT */
/* Whom the server serves as. */
#ifndef SERVER_OPERATION_IDENTITY_H
#define SERVER_OPERATION_IDENTITY_H

#include "config/config.h"

/*
 * Becomes the configured user, for good, with his groups and nobody else's: to be called when what only root may do is
 * done (ports, files of users), and before the first thread starts. Nothing to do without a user. False: why says what
 * is wrong.
 */
bool identity_take(const struct config *config, char *why, size_t why_size);

#endif
