/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a client that cannot be used yet: part of a request's head, or requests that follow one which is being
 * answered. Exists only while there are any.
 */
#ifndef SERVER_HTTP_INPUT_H
#define SERVER_HTTP_INPUT_H

#include "request.h"

#include <stdbool.h>

enum {
    INPUT_ENOUGH = 32 * 1024, /* held back by a request under way: read no more for now */
    INPUT_MAX = 1024 * 1024,  /* more than one batch of events can bring: never reached */
};

struct input {
    uint32_t begin, end, capacity; /* of data */
    struct http_request request;   /* how far its first request is read */
    char data[];
};

/* Adds bytes, creating *input if it is NULL. False: no memory, or too many. */
bool input_add(struct input **input, const char *data, size_t length);

/* Takes bytes off the front; frees it and sets it to NULL when none are left. */
void input_take(struct input **input, size_t length);

void input_drop(struct input **input);

#endif
