/* SPDX-License-Identifier: MIT */
/* Accept and Accept-Encoding: weights, stars, and what is malformed. */
#include "harness.h"
#include "http/accept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "br gzip identity" */
static const char *codings_of(const char *text)
{
    static char out[64];
    size_t length = strlen(text), at = 0;
    char *exact = malloc(length ? length : 1);
    memcpy(exact, text, length);
    struct http_codings codings = http_accept_encoding(exact, length);
    free(exact);
    out[0] = '\0';
    for (unsigned i = 0; i < codings.count; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s", at ? " " : "", http_coding_name(codings.list[i]));
    snprintf(out + at, sizeof out - at, "%s%s", at ? " " : "", codings.identity ? "identity" : "nothing");
    return out;
}

TEST(codings)
{
    static const struct {
        const char *text, *result;
    } rows[] = {
        {"gzip, deflate, br", "br gzip identity"},
        {"gzip, deflate, br, zstd", "zstd br gzip identity"},
        {"gzip", "gzip identity"},
        {"GZip ;\tQ=0.5 , BR;q=0.4", "gzip br identity"},
        {"gzip;q=1.0, br;q=0.999, zstd;q=0.001", "gzip br zstd identity"},
        {"gzip;q=0.1,zstd;q=0.1,br;q=0.10", "zstd br gzip identity"},
        {"x-gzip", "gzip identity"},
        {"gzip;q=0", "identity"},
        {"gzip;q=0.000", "identity"},
        {"gzip, gzip;q=0", "identity"},
        {"*", "zstd br gzip identity"},
        {"*;q=0", "nothing"},
        {"*;q=0, gzip", "gzip nothing"},
        {"*;q=0, identity;q=0.1", "identity"},
        {"*, br;q=0", "zstd gzip identity"},
        {"*;q=0.5, gzip;q=0.8, identity;q=0", "gzip zstd br nothing"},
        {"identity;q=0", "nothing"},
        {"identity;q=0, gzip", "gzip nothing"},
        {"identity, gzip;q=0.5", "identity"},
        {"identity;q=0.5, gzip;q=0.5, br;q=0.4", "gzip identity"},
        {"gzip;q=1., br", "br gzip identity"},
        {", ,gzip,,", "gzip identity"},
        {"gzipx, xgzip, gzi, b, brr", "identity"},
        {"deflate, compress", "identity"},
        {"", "identity"},
        {" ,\t", "identity"},
        /* malformed: as if it were not there */
        {"gzip br", "identity"},
        {"gzip;q=2", "identity"},
        {"gzip;q=1.001", "identity"},
        {"gzip;q=0.1234", "identity"},
        {"gzip;q=.5", "identity"},
        {"gzip;q=-1", "identity"},
        {"gzip;q=", "identity"},
        {"gzip;q", "identity"},
        {"gzip;q =0.5", "identity"},
        {"gzip;", "identity"},
        {"gzip, ;q=1", "identity"},
        {"gzip, \"br\"", "identity"},
        {"gzip, br;q=x", "identity"},
        {"gzip/br", "identity"},
        {"*;q=0, (", "identity"},
        {"gzip;x=\"", "identity"},
        {"gzip;x=\"\\", "identity"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i].text);
        CHECK_STR(codings_of(rows[i].text), rows[i].result);
    }
    struct http_codings none = http_accept_encoding(NULL, 0);
    CHECK(none.count == 0 && none.identity);
}

TEST(json)
{
    static const struct {
        const char *text;
        bool prefers;
    } rows[] = {
        {"", false},
        {"*/*", false},
        {"application/json", true},
        {"Application/JSON; charset=utf-8", true},
        {"application/json, text/plain, */*", true},
        {"application/json, text/html", false},
        {"text/html, application/json", false},
        {"text/html;q=0.9, application/json", true},
        {"text/html, application/json;q=0.9", false},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", false},
        {"application/*", true},
        {"application/*, text/*", false},
        {"application/*;q=0.1", true},
        {"text/*, */*;q=0.1", false},
        {"*/*, text/html;q=0", true},
        {"*/*, application/json;q=0", false},
        {"application/json;q=0", false},
        {"application/json;q=0, */*;q=0", false},
        {"application/json;x=\"a,;q=0\\\"\"", true},
        {"application/json;q=0.5;x=\"y\", text/html;q=0.4;z", true},
        {"application/jsonx, */*;q=0.1", false},
        {"image/png", false},
        {"application/json, text", false},
        {"application/json, /", false},
        {"application/json;q=2", false},
        {"application/json text/html", false},
        {"application/json;x=\"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = strlen(rows[i].text);
        char *exact = malloc(length ? length : 1);
        memcpy(exact, rows[i].text, length);
        harness_at("%s", rows[i].text);
        CHECK_INT(http_prefers_json(exact, length), rows[i].prefers);
        free(exact);
    }
}

TEST(noise)
{
    static const char *const words[] = {"gzip", "br", "zstd", "*", "identity", ",", ",", ";q=", "0",  ".5",
                                        "1",    " ",  "\t",   ";", "/",        "=", "x", "\"",  "\\", "\xff"};
    uint32_t seed = 5;
    for (unsigned round = 0; round < 100000 && harness_failures() == 0; round++) {
        char text[100] = "";
        for (unsigned i = 0; i < round % 12; i++) {
            seed = seed * 1664525 + 1013904223;
            size_t at = strlen(text);
            snprintf(text + at, sizeof text - at, "%s", words[(seed >> 16) % (sizeof words / sizeof words[0])]);
        }
        char *exact = malloc(strlen(text) + 1);
        memcpy(exact, text, strlen(text));
        harness_at("%s", text);
        struct http_codings codings = http_accept_encoding(exact, strlen(text));
        http_prefers_json(exact, strlen(text));
        free(exact);
        unsigned seen = 0;
        for (unsigned i = 0; i < codings.count; i++) {
            CHECK(codings.list[i] < HTTP_CODINGS && !(seen & 1u << codings.list[i]));
            seen |= 1u << codings.list[i];
        }
    }
}
