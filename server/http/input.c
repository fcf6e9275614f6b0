/* SPDX-License-Identifier: MIT */
/* A growing buffer that is forgotten when it is empty. */
#include "input.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 1024 };

bool input_add(struct input **input, const char *data, size_t length)
{
    struct input *old = *input;
    size_t used = old ? old->end - old->begin : 0;
    if (old != NULL && old->capacity - old->end >= length) {
        memcpy(old->data + old->end, data, length);
        old->end += (uint32_t)length;
        return true;
    }
    size_t capacity = SMALLEST - sizeof *old;
    while (capacity < used + length)
        capacity *= 2;
    if (capacity > INPUT_MAX)
        return false;
    struct input *larger = malloc(sizeof *larger + capacity);
    if (larger == NULL)
        return false;
    larger->request = old ? old->request : (struct http_request){0};
    if (used > 0)
        memcpy(larger->data, old->data + old->begin, used);
    memcpy(larger->data + used, data, length);
    larger->begin = 0;
    larger->end = (uint32_t)(used + length);
    larger->capacity = (uint32_t)capacity;
    free(old);
    *input = larger;
    return true;
}

void input_take(struct input **input, size_t length)
{
    struct input *it = *input;
    it->begin += (uint32_t)length;
    if (it->begin == it->end)
        input_drop(input);
}

void input_drop(struct input **input)
{
    free(*input);
    *input = NULL;
}
