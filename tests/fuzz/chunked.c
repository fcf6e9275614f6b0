/* SPDX-License-Identifier: MIT */
/* Chunked bodies: pieces make no difference, and the content of a body comes out of another body as it went in. */
#include "fuzz.h"
#include "http/chunked.h"

struct outcome {
    int result;
    size_t used, length;
    char *content;
};

static void feed(struct http_chunked *chunked, const char *data, size_t size, struct outcome *outcome)
{
    for (size_t at = 0;;) {
        struct http_chunked_step step;
        outcome->result = http_chunked_read(chunked, data + at, size - at, &step);
        HOLDS(step.used <= size - at && step.at <= step.used && step.length <= step.used - step.at);
        HOLDS((outcome->result == HTTP_CHUNKED_DATA) == (step.length > 0));
        HOLDS(outcome->result != HTTP_CHUNKED_MORE || step.used == size - at);
        memcpy(outcome->content + outcome->length, data + at + step.at, step.length);
        outcome->length += step.length;
        outcome->used += step.used;
        at += step.used;
        if (outcome->result != HTTP_CHUNKED_DATA)
            return;
    }
}

static struct outcome decode(const void *data, size_t size, uint32_t seed, uint32_t most)
{
    struct outcome outcome = {.content = malloc(size + 1)};
    struct http_chunked chunked = {0};
    HOLDS(outcome.content != NULL);
    for (size_t at = 0; at < size && outcome.result == HTTP_CHUNKED_MORE;) {
        size_t piece = fuzz_draw(&seed, most) + 1;
        piece = piece < size - at ? piece : size - at;
        char *exact = fuzz_exact((const char *)data + at, piece);
        feed(&chunked, exact, piece, &outcome);
        free(exact);
        at += piece;
    }
    return outcome;
}

/* The content in chunks of other sizes. */
static void check_again(const struct outcome *first, uint32_t seed)
{
    char *text = malloc(first->length * 8 + 16);
    HOLDS(text != NULL);
    size_t at = 0;
    for (size_t done = 0; done < first->length;) {
        size_t piece = fuzz_draw(&seed, 40) + 1;
        piece = piece < first->length - done ? piece : first->length - done;
        at += (size_t)snprintf(text + at, 5, "%zx\r\n", piece);
        memcpy(text + at, first->content + done, piece);
        memcpy(text + at + piece, "\r\n", 2);
        at += piece + 2;
        done += piece;
    }
    memcpy(text + at, "0\r\n\r\n", 5);
    struct outcome again = decode(text, at + 5, seed, 100);
    HOLDS(again.result == HTTP_CHUNKED_END && again.used == at + 5 && again.length == first->length);
    HOLDS(memcmp(again.content, first->content, first->length) == 0);
    free(again.content);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t seed = fuzz_seed(data, size);
    struct outcome whole = decode(data, size, seed, 1u << 30);
    HOLDS(whole.length <= size && whole.used <= size);
    HOLDS(whole.result >= 0 || whole.result == -400 || whole.result == -431);
    for (unsigned most = 1; most <= 64; most *= 8) {
        struct outcome pieces = decode(data, size, seed, most);
        HOLDS(pieces.result == whole.result && pieces.used == whole.used && pieces.length == whole.length);
        HOLDS(memcmp(pieces.content, whole.content, whole.length) == 0);
        free(pieces.content);
    }
    if (whole.result == HTTP_CHUNKED_END) {
        HOLDS(whole.used >= 5 && data[whole.used - 2] == '\r' && data[whole.used - 1] == '\n');
        check_again(&whole, seed);
    }
    free(whole.content);
    return 0;
}
