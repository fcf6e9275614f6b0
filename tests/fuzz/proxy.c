/* SPDX-License-Identifier: MIT */
/* PROXY headers: pieces make no difference, a header is bounded, and what follows it has no say. */
#include "fuzz.h"
#include "proxy.h"

struct outcome {
    enum proxy_result result;
    size_t used;
    struct address address;
};

static struct outcome read_in_pieces(const void *data, size_t size, uint32_t seed, uint32_t most)
{
    struct outcome outcome = {0};
    struct proxy_reader reader = {0};
    for (size_t at = 0; at < size && outcome.result == PROXY_MORE;) {
        size_t piece = fuzz_draw(&seed, most) + 1, used;
        piece = piece < size - at ? piece : size - at;
        char *exact = fuzz_exact((const char *)data + at, piece);
        outcome.result = proxy_read(&reader, exact, piece, &used);
        HOLDS(used <= piece && (outcome.result != PROXY_MORE || used == piece));
        free(exact);
        at += piece;
        outcome.used += used;
    }
    outcome.address = reader.address;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t seed = fuzz_seed(data, size);
    struct outcome whole = read_in_pieces(data, size, seed, 1u << 30);
    for (unsigned most = 1; most <= 64; most *= 8) {
        struct outcome pieces = read_in_pieces(data, size, seed, most);
        HOLDS(pieces.result == whole.result);
        HOLDS(memcmp(&pieces.address, &whole.address, sizeof whole.address) == 0);
        HOLDS(whole.result != PROXY_DONE || pieces.used == whole.used);
    }
    if (whole.result == PROXY_MORE) {
        HOLDS(size < PROXY_BINARY_MAX);
        HOLDS(size == 0 || data[0] != 'P' || size < PROXY_TEXT_MAX);
    }
    HOLDS(whole.result == PROXY_DONE || !address_is_known(&whole.address));
    if (whole.result != PROXY_DONE)
        return 0;
    HOLDS(whole.used >= 15 && whole.used <= (data[0] == 'P' ? PROXY_TEXT_MAX : PROXY_BINARY_MAX));
    struct outcome alone = read_in_pieces(data, whole.used, seed, 1u << 30);
    HOLDS(alone.result == PROXY_DONE && alone.used == whole.used);
    HOLDS(memcmp(&alone.address, &whole.address, sizeof whole.address) == 0);
    struct outcome shorter = read_in_pieces(data, whole.used - 1, seed, 1u << 30);
    HOLDS(shorter.result == PROXY_MORE);
    return 0;
}
