/* SPDX-License-Identifier: MIT */
/*
 * The decoder of chunked bodies. Framing is read byte by byte: it is little, and a state for each place in it is what
 * makes pieces not matter. Content is passed on in the largest pieces there are.
 *
 * What others let through and this does not, each being a known way to have two readers disagree: a bare LF, blanks
 * before a size or behind it without an extension, "0x", a sign, a folded trailer.
 */
#include "chunked.h"
#include "bytes.h"

enum {
    SIZE,  /* the first: all zero is the beginning */
    BLANK, /* behind a size: only an extension may follow */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* the beginning of a trailer's line, or of the empty one */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
};

static int hex_digit(char c)
{
    if (http_is_digit(c))
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_value_byte(char c)
{
    return ((unsigned char)c >= 0x20 || c == '\t') && c != 0x7f;
}

/* A byte behind a size. What an extension says means nothing here, so only its bytes are looked at. */
static int read_extension(struct http_chunked *chunked, char c)
{
    if (chunked->state == BLANK && c != ' ' && c != '\t') {
        if (c != ';')
            return -400;
        chunked->state = EXTENSION;
    } else if (c == '\r') {
        chunked->state = SIZE_LF;
        return 0;
    } else if (!is_value_byte(c)) {
        return -400;
    }
    if (++chunked->extension > HTTP_CHUNK_EXTENSION_MAX || ++chunked->extensions > HTTP_CHUNK_EXTENSIONS_MAX)
        return -431;
    return 0;
}

/* A byte of the line with the chunk's size. */
static int read_size(struct http_chunked *chunked, char c)
{
    int digit = hex_digit(c);
    if (digit >= 0) {
        if (++chunked->digits > HTTP_CHUNK_DIGITS_MAX)
            return -400;
        chunked->left = chunked->left << 4 | (unsigned)digit;
        return 0;
    }
    if (chunked->digits == 0)
        return -400;
    chunked->state = BLANK;
    if (c != '\r')
        return read_extension(chunked, c);
    chunked->state = SIZE_LF;
    return 0;
}

static int read_trailer(struct http_chunked *chunked, char c)
{
    if (++chunked->trailers > HTTP_TRAILERS_MAX)
        return -431;
    switch (chunked->state) {
    case TRAILER:
        if (c == '\r') {
            chunked->state = END_LF;
            return 0;
        }
        chunked->state = TRAILER_NAME;
        return http_is_token(c) ? 0 : -400;
    case TRAILER_NAME:
        if (c == ':')
            chunked->state = TRAILER_VALUE;
        else if (!http_is_token(c))
            return -400;
        return 0;
    case TRAILER_VALUE:
        if (c == '\r')
            chunked->state = TRAILER_LF;
        else if (!is_value_byte(c))
            return -400;
        return 0;
    case TRAILER_LF: chunked->state = TRAILER; return c == '\n' ? 0 : -400;
    default: return c == '\n' ? HTTP_CHUNKED_END : -400; /* END_LF */
    }
}

/* A byte that is not content. */
static int read_byte(struct http_chunked *chunked, char c)
{
    switch (chunked->state) {
    case SIZE: return read_size(chunked, c);
    case BLANK:
    case EXTENSION: return read_extension(chunked, c);
    case SIZE_LF:
        chunked->state = chunked->left > 0 ? DATA : TRAILER;
        chunked->digits = 0;
        chunked->extension = 0;
        return c == '\n' ? 0 : -400;
    case DATA_CR: chunked->state = DATA_LF; return c == '\r' ? 0 : -400;
    case DATA_LF: chunked->state = SIZE; return c == '\n' ? 0 : -400;
    default: return read_trailer(chunked, c);
    }
}

int http_chunked_read(struct http_chunked *chunked, const char *data, size_t length, struct http_chunked_step *step)
{
    *step = (struct http_chunked_step){0};
    while (step->used < length) {
        if (chunked->state == DATA) {
            size_t piece = length - step->used;
            piece = chunked->left < piece ? (size_t)chunked->left : piece;
            step->at = step->used;
            step->length = piece;
            step->used += piece;
            chunked->left -= piece;
            if (chunked->left == 0)
                chunked->state = DATA_CR;
            return HTTP_CHUNKED_DATA;
        }
        int result = read_byte(chunked, data[step->used++]);
        if (result != 0)
            return result;
    }
    return HTTP_CHUNKED_MORE;
}
