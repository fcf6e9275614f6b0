/* SPDX-License-Identifier: MIT */
/* Connections in order of the time at which they began to wait, so that one timer serves thousands of them. */
#ifndef SERVER_WAITS_H
#define SERVER_WAITS_H

#include "connection.h"

struct wait_list {
    struct connection *first, *last;
};

static inline void wait_list_add(struct wait_list *list, struct connection *connection)
{
    connection->next = NULL;
    connection->previous = list->last;
    if (list->last != NULL)
        list->last->next = connection;
    else
        list->first = connection;
    list->last = connection;
}

static inline void wait_list_remove(struct wait_list *list, struct connection *connection)
{
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        list->first = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    else
        list->last = connection->previous;
}

#endif
