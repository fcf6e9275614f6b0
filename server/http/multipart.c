/* SPDX-License-Identifier: MIT */
/* The heads of parts. */
#include "multipart.h"
#include "text.h"

/* The literals once, so that what is counted is what is written. */
#define PART_START "--"
#define PART_RANGE "Content-Range: bytes "
#define LINE_END   "\r\n"
#define END        "\r\n--"
#define END_END    "--\r\n"

void http_multipart_bound(struct http_multipart *multipart, const uint8_t bytes[HTTP_BOUNDARY_BYTES])
{
    for (size_t i = 0; i < HTTP_BOUNDARY_BYTES; i++) {
        multipart->boundary[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        multipart->boundary[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
}

size_t http_multipart_type(char *out, const struct http_multipart *multipart)
{
    char *at = TEXT_PUT(out, "Content-Type: multipart/byteranges; boundary=");
    at = text_bytes(at, multipart->boundary, HTTP_BOUNDARY_LENGTH);
    return (size_t)(TEXT_PUT(at, "\r\n") - out);
}

size_t http_multipart_part(char *out, const struct http_multipart *multipart, const struct http_piece *piece,
                           bool first)
{
    char *at = first ? out : TEXT_PUT(out, LINE_END); /* the line's end before a boundary belongs to the boundary */
    at = TEXT_PUT(at, PART_START);
    at = text_bytes(at, multipart->boundary, HTTP_BOUNDARY_LENGTH);
    at = TEXT_PUT(at, LINE_END);
    at = text_bytes(at, multipart->type, multipart->type_length);
    at = TEXT_PUT(at, PART_RANGE);
    at = text_number(at, piece->offset);
    *at++ = '-';
    at = text_number(at, piece->offset + piece->length - 1);
    *at++ = '/';
    at = text_number(at, multipart->size);
    return (size_t)(TEXT_PUT(at, LINE_END LINE_END) - out);
}

size_t http_multipart_end(char *out, const struct http_multipart *multipart)
{
    char *at = TEXT_PUT(out, END);
    at = text_bytes(at, multipart->boundary, HTTP_BOUNDARY_LENGTH);
    return (size_t)(TEXT_PUT(at, END_END) - out);
}

static size_t digits_of(uint64_t value)
{
    size_t digits = 1;
    for (; value >= 10; value /= 10)
        digits++;
    return digits;
}

uint64_t http_multipart_length(const struct http_multipart *multipart, const struct http_piece *pieces, unsigned count)
{
    const size_t fixed = sizeof LINE_END PART_START LINE_END PART_RANGE "-/" LINE_END LINE_END - 1 +
                         HTTP_BOUNDARY_LENGTH + multipart->type_length + digits_of(multipart->size);
    uint64_t sum =
        sizeof END END_END - 1 + HTTP_BOUNDARY_LENGTH - (sizeof LINE_END - 1); /* the first has no line's end */
    for (unsigned i = 0; i < count; i++) {
        uint64_t last = pieces[i].offset + pieces[i].length - 1;
        sum += fixed + digits_of(pieces[i].offset) + digits_of(last) + pieces[i].length;
    }
    return sum;
}
