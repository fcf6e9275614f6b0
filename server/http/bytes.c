/* SPDX-License-Identifier: MIT */
/* The table of token characters. */
#include "bytes.h"

#define YES(c)  [c] = true
#define YES4(c) YES(c), YES((c) + 1), YES((c) + 2), YES((c) + 3)
#define YES8(c) YES4(c), YES4((c) + 4)

const bool http_token_table[256] = {
    YES('!'),  YES('#'), YES('$'), YES('%'),  YES('&'),  YES('\''), YES('*'), YES('+'), YES('-'),  YES('.'),
    YES('^'),  YES('_'), YES('`'), YES('|'),  YES('~'),  YES8('0'), YES('8'), YES('9'), YES8('A'), YES8('I'),
    YES8('Q'), YES('Y'), YES('Z'), YES8('a'), YES8('i'), YES8('q'), YES('y'), YES('z'),
};
