/* SPDX-License-Identifier: MIT */
/* Heads of replies, and the small pages that go with a status. */
#ifndef SERVER_HTTP_HEAD_H
#define SERVER_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_SPACE = 896 }; /* enough for any head and page that does not hold a path */

/* The lines that all replies of the same second share. */
struct http_clock {
    int64_t next_ns; /* of the queue's clock: when the second is over */
    int64_t seconds; /* since 1970 */
    size_t length;
    char lines[96];
};

/* Brings the clock up to date. Cheap while the second lasts. */
void http_clock_update(struct http_clock *clock, int64_t queue_now);

/* Where the Date of a head stands that was written with this clock; and the clock's date there, instead of another. */
size_t http_head_date(const char *head, const struct http_clock *clock);
void http_head_renew(char *date, const struct http_clock *clock);

enum http_connection_line {
    HTTP_SAYS_NOTHING, /* HTTP/1.1 that stays */
    HTTP_SAYS_CLOSE,
    HTTP_SAYS_KEEP_ALIVE, /* HTTP/1.0 that stays */
};

/* A reply that stands for a file: 200, 206, 304 or 416. */
struct http_file_head {
    int status;
    enum http_connection_line connection;
    const char *type; /* the whole Content-Type line */
    size_t type_length;
    const char *tag; /* with quotes */
    size_t tag_length;
    const char *lines; /* more of them, whole */
    size_t lines_length;
    uint64_t size, offset, length; /* of the file; of what is sent */
    bool parts;                    /* 206 of several: length is that of them all, type theirs */
    int64_t modified;              /* seconds since 1970 */
};

/* out has HTTP_HEAD_SPACE bytes more than lines_length, location_length and realm_length. Return the length. */
size_t http_head_file(char *out, const struct http_clock *clock, const struct http_file_head *head);

/* A listing: 200, of a length that is not known yet. */
struct http_stream_head {
    enum http_connection_line connection;
    bool chunked; /* else it ends with the connection */
    bool json;    /* else HTML, whose style and script have the nonce */
    const char *nonce;
    size_t nonce_length;
    const char *lines; /* more of them, whole */
    size_t lines_length;
};
size_t http_head_stream(char *out, const struct http_clock *clock, const struct http_stream_head *head);

/* A page for a status, whole unless only_head; a 204 has none. */
struct http_page {
    int status;
    enum http_connection_line connection;
    bool only_head;
    bool writable;        /* 204, 405: for what the path may be asked */
    bool preflight;       /* 204: to who asks for a script whether it may; location: the fields that it wants to send */
    const char *location; /* NULL, or where a redirect leads */
    size_t location_length;
    const char *realm; /* of a 401 */
    size_t realm_length;
    const char *tag; /* of what was written; NULL: none */
    size_t tag_length;
    const char *lines; /* more of them, whole */
    size_t lines_length;
    uint64_t range_size; /* the file's, for a 416 */
};
size_t http_head_page(char *out, const struct http_clock *clock, const struct http_page *page);

#endif
