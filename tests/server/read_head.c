/* SPDX-License-Identifier: MIT */
/*
 * What our reader understands of request heads, for differential.py. Standard input holds heads, each after its length
 * as four bytes, the lowest first. For each a line is written: "STATUS" if it is refused ("0": it is not complete), or
 * "LENGTH METHOD TARGET VERSION BODY KEEPS", the target in hexadecimal ("-": empty).
 */
#include "http/request.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void print_hex(const char *text, size_t length)
{
    putchar(' ');
    if (length == 0)
        putchar('-');
    for (size_t i = 0; i < length; i++)
        printf("%02x", (unsigned char)text[i]);
}

/* The target as it stood there, and the method by its letters, so that they can be compared. */
static void print_request(const struct http_request *request, const char *head)
{
    static const char *const methods[] = {
        [HTTP_GET] = "GET",       [HTTP_HEAD] = "HEAD",   [HTTP_OPTIONS] = "OPTIONS", [HTTP_PUT] = "PUT",
        [HTTP_DELETE] = "DELETE", [HTTP_MKCOL] = "MKCOL", [HTTP_MOVE] = "MOVE",       [HTTP_COPY] = "COPY",
        [HTTP_UNKNOWN] = "?",     [HTTP_REFUSED] = "!",
    };
    const char *start = head;
    while (*start == '\r' || *start == '\n')
        start++;
    unsigned target = request->target.at, length = request->target.length;
    if (request->flags & HTTP_ABSOLUTE) { /* what was taken off: the scheme and the host */
        target = (unsigned)(strchr(start, ' ') + 1 - head);
        length += request->target.at - target;
    }
    printf(" %s", methods[request->method]);
    print_hex(head + target, length);
    printf(" 1.%u", request->minor);
    if (request->flags & HTTP_ENCODING_OTHER)
        printf(" unknown");
    else if (request->flags & HTTP_HAS_ENCODING)
        printf(" chunked");
    else
        printf(" %llu", (unsigned long long)request->content_length);
    printf(" %d", http_request_keeps_alive(request));
}

int main(void)
{
    static char head[64 * 1024];
    uint8_t size[4];
    while (fread(size, 1, sizeof size, stdin) == sizeof size) {
        size_t length = size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
        if (length >= sizeof head || fread(head, 1, length, stdin) != length)
            return 1;
        head[length] = '\0';
        struct http_request request = {0};
        int result = http_request_read(&request, head, length);
        printf("%d", result);
        if (result > 0)
            print_request(&request, head);
        putchar('\n');
    }
    return 0;
}
