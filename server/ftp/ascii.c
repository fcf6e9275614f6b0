/* SPDX-License-Identifier: MIT */
/* Lines: see ascii.h. */
#include "ascii.h"

#include <string.h>

static void put(struct errand_pieces *pieces, char byte)
{
    *pieces->out++ = byte;
    pieces->out_room--;
}

static void skip(struct errand_pieces *pieces)
{
    pieces->in++;
    pieces->in_length--;
}

/* As much as there is and fits, before the next such byte. */
static void copy_until(struct errand_pieces *pieces, char byte)
{
    size_t length = pieces->in_length < pieces->out_room ? pieces->in_length : pieces->out_room;
    const char *end = memchr(pieces->in, byte, length);
    if (end != NULL)
        length = (size_t)(end - pieces->in);
    memcpy(pieces->out, pieces->in, length);
    pieces->in += length;
    pieces->in_length -= length;
    pieces->out += length;
    pieces->out_room -= length;
}

int ftp_ascii_send(void *context, struct errand_pieces *pieces)
{
    struct ftp_ascii *ascii = context;
    while (pieces->in_length > 0 && pieces->out_room > 0) {
        if (*pieces->in != '\n') {
            copy_until(pieces, '\n');
        } else if (!ascii->cr) {
            put(pieces, '\r');
            ascii->cr = true;
        } else {
            put(pieces, '\n');
            skip(pieces);
            ascii->cr = false;
        }
    }
    return 0;
}

int ftp_ascii_receive(void *context, struct errand_pieces *pieces)
{
    struct ftp_ascii *ascii = context;
    while (pieces->in_length > 0 && pieces->out_room > 0) {
        if (ascii->cr) {
            bool line = *pieces->in == '\n';
            put(pieces, line ? '\n' : '\r');
            if (line)
                skip(pieces);
            ascii->cr = false;
        } else if (*pieces->in == '\r') {
            skip(pieces);
            ascii->cr = true;
        } else {
            copy_until(pieces, '\r');
        }
    }
    if (pieces->end && pieces->in_length == 0 && ascii->cr && pieces->out_room > 0) {
        put(pieces, '\r'); /* the last byte */
        ascii->cr = false;
    }
    return 0;
}
