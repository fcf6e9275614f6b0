/* SPDX-License-Identifier: MIT */
/* Closes what may not be closed on the queue's thread: the last close of a directory that was removed frees its
 * blocks, and a network filesystem's asks its server. */
#ifndef SERVER_CLOSING_H
#define SERVER_CLOSING_H

#include "errand.h"

void close_on_worker(errand_queue *queue, int fd);

#endif
