/* SPDX-License-Identifier: MIT */
/* Range fields, of files of any size: the first eight bytes. What is sent lies in the file, and both readers agree. */
#include "fuzz.h"
#include "http/multipart.h"
#include "http/range.h"

static void check_pieces(const struct http_piece *pieces, unsigned count, uint64_t size)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        HOLDS(pieces[i].length > 0 && pieces[i].length <= size && pieces[i].offset <= size - pieces[i].length);
        sum += pieces[i].length;
    }
    if (count < 2)
        return;
    HOLDS(sum < size);
    struct http_multipart multipart = {.type = "Content-Type: a/b\r\n", .type_length = 19, .size = size};
    http_multipart_bound(&multipart, (const uint8_t *)"0123456789abcdef");
    uint64_t length = http_multipart_length(&multipart, pieces, count);
    for (unsigned i = 0; i < count; i++) {
        char out[HTTP_PART_SPACE + 19];
        length -= pieces[i].length + http_multipart_part(out, &multipart, &pieces[i], i == 0);
    }
    char end[HTTP_PARTS_END_SPACE];
    HOLDS(length == http_multipart_end(end, &multipart));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t file_size, offset, length;
    if (size < sizeof file_size)
        return 0;
    memcpy(&file_size, data, sizeof file_size);
    size -= sizeof file_size;
    char *text = fuzz_exact(data + sizeof file_size, size);
    struct http_range range = http_range_read(text, size);
    struct http_ranges ranges;
    http_ranges_read(&ranges, text, size);
    struct http_piece pieces[HTTP_RANGES_MAX];
    unsigned count;
    int single = http_range_apply(&range, file_size, &offset, &length);
    HOLDS(single == 200 || single == 206 || single == 416);
    HOLDS(single != 206 || (length > 0 && length <= file_size && offset <= file_size - length));
    HOLDS(single == 206 || (offset == 0 && length == file_size));
    int several = http_ranges_apply(&ranges, file_size, pieces, &count);
    HOLDS(ranges.count <= HTTP_RANGES_MAX && (several == 206) == (count > 0));
    check_pieces(pieces, count, file_size);
    if (range.kind == HTTP_RANGE_SPAN || range.kind == HTTP_RANGE_SUFFIX) {
        HOLDS(ranges.count == 1 && several == single);
        HOLDS(single != 206 || (pieces[0].offset == offset && pieces[0].length == length));
    }
    HOLDS(ranges.count < 2 || range.kind == HTTP_RANGE_LIST);
    free(text);
    return 0;
}
