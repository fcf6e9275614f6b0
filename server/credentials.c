/* SPDX-License-Identifier: MIT */
/* What clients send to say who they are, and a short memory of who was found good. */
#include "users.h"

#include "errand.h"

#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define GOOD_FOR_NS (60 * ERRAND_SECOND)

enum { DECODED_SPACE = USERS_NAME_SPACE + USERS_PASSWORD_SPACE };

/* ------------------------------------------------------------------------------------------ base64 */

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strictly: padded to four, without bits left over. Returns how many bytes, or -1. */
static int decode(const char *text, size_t length, char out[DECODED_SPACE])
{
    size_t padding = 0, at = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    if (length == 0 || length % 4 != 0 || length / 4 * 3 > DECODED_SPACE)
        return -1;
    uint32_t bits = 0;
    for (size_t i = 0; i < length; i++) {
        int digit = i < length - padding ? digit_of(text[i]) : 0;
        if (digit < 0)
            return -1;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3) {
            out[at++] = (char)(bits >> 16);
            out[at++] = (char)(bits >> 8);
            out[at++] = (char)bits;
            bits = 0;
        }
    }
    for (size_t i = at - padding; i < at; i++)
        if (out[i] != 0)
            return -1;
    return (int)(at - padding);
}

bool users_read_basic(const char *field, size_t length, struct users_credentials *out)
{
    char decoded[DECODED_SPACE];
    if (length < 6 || strncasecmp(field, "Basic ", 6) != 0)
        return false;
    for (field += 6, length -= 6; length > 0 && *field == ' '; length--)
        field++;
    int count = decode(field, length, decoded);
    const char *colon = count < 0 ? NULL : memchr(decoded, ':', (size_t)count);
    if (colon == NULL || memchr(decoded, '\0', (size_t)count) != NULL)
        return false;
    size_t name = (size_t)(colon - decoded), password = (size_t)count - name - 1;
    if (name >= sizeof out->name || password >= sizeof out->password)
        return false;
    memset(out, 0, sizeof *out);
    memcpy(out->name, decoded, name);
    memcpy(out->password, colon + 1, password);
    explicit_bzero(decoded, sizeof decoded);
    return true;
}

/* ------------------------------------------------------------------------------------------ the memory */

static uint64_t turn(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = turn(v[1], 13) ^ v[0];
    v[0] = turn(v[0], 32);
    v[2] += v[3];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = turn(v[1], 17) ^ v[2];
    v[2] = turn(v[2], 32);
}

/* SipHash-2-4 of bytes whose number is a multiple of eight. */
static uint64_t sip_hash(const uint64_t key[2], const void *bytes, size_t length)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                     key[1] ^ 0x7465646279746573};
    for (size_t i = 0; i <= length; i += 8) {
        uint64_t word = (uint64_t)length << 56;
        if (i < length)
            memcpy(&word, (const char *)bytes + i, sizeof word);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Of the name and the password, and of which file they are good for. */
static struct users_cached hash_of(const struct users_cache *cache, const struct users *users,
                                   const struct users_credentials *credentials)
{
    struct {
        const struct users *users;
        struct users_credentials credentials; /* zero behind their ends */
    } all = {.users = users};
    size_t name = strlen(credentials->name), password = strlen(credentials->password);
    memcpy(all.credentials.name, credentials->name, name);
    memcpy(all.credentials.password, credentials->password, password);
    struct users_cached result = {
        .hash = {sip_hash(cache->key, &all, sizeof all), sip_hash(cache->key + 2, &all, sizeof all)}};
    explicit_bzero(&all, sizeof all);
    return result;
}

bool users_cache_open(struct users_cache *cache)
{
    memset(cache, 0, sizeof *cache);
    return getrandom(cache->key, sizeof cache->key, 0) == (ssize_t)sizeof cache->key;
}

bool users_cache_has(const struct users_cache *cache, const struct users *users,
                     const struct users_credentials *credentials, int64_t now)
{
    struct users_cached wanted = hash_of(cache, users, credentials);
    const struct users_cached *set = cache->sets[wanted.hash[0] % USERS_CACHE_SETS];
    for (unsigned i = 0; i < USERS_CACHE_WAYS; i++)
        if (set[i].hash[0] == wanted.hash[0] && set[i].hash[1] == wanted.hash[1] && now < set[i].until)
            return true;
    return false;
}

void users_cache_add(struct users_cache *cache, const struct users *users, const struct users_credentials *credentials,
                     int64_t now)
{
    struct users_cached added = hash_of(cache, users, credentials);
    struct users_cached *set = cache->sets[added.hash[0] % USERS_CACHE_SETS], *oldest = set;
    for (unsigned i = 0; i < USERS_CACHE_WAYS; i++) {
        if (set[i].hash[0] == added.hash[0] && set[i].hash[1] == added.hash[1]) {
            oldest = &set[i];
            break;
        }
        if (set[i].until < oldest->until)
            oldest = &set[i];
    }
    added.until = now + GOOD_FOR_NS;
    *oldest = added;
}
