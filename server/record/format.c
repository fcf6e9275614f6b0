/* SPDX-License-Identifier: MIT */
/* Writes log lines by hand: one is made for each request, and printf would cost more than the rest of it. */
#include "format.h"
#include "http/bytes.h"
#include "text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What fields may take of a line, escaped. Together, with all that is around them, they fit into it. */
enum { TARGET_MAX = 1900, REFERER_MAX = 800, AGENT_MAX = 500, HOST_MAX = 260, USER_MAX = 64, WORD_MAX = 32 };
_Static_assert(TARGET_MAX + REFERER_MAX + AGENT_MAX + HOST_MAX + USER_MAX + 2 * WORD_MAX + 480 <= ACCESS_LINE_MAX,
               "the longest line fits");

/* ------------------------------------------------------------------------------------------ escaping */

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Up to where all is plain; eight bytes at a time, as most of them are. */
static const char *skip_plain(const char *from, const char *end)
{
    for (; end - from >= 8; from += 8) {
        uint64_t eight;
        memcpy(&eight, from, 8);
        if ((eight & HTTP_EACH_BYTE(0x80)) != 0 || http_any_less(eight, 0x20) ||
            http_any_zero(eight ^ HTTP_EACH_BYTE(0x7f)) || http_any_zero(eight ^ HTTP_EACH_BYTE('"')) ||
            http_any_zero(eight ^ HTTP_EACH_BYTE('\\')))
            break;
    }
    while (from < end && is_plain((unsigned char)*from))
        from++;
    return from;
}

static char *put_hex_byte(char *at, unsigned char c)
{
    *at++ = "0123456789ABCDEF"[c >> 4];
    *at++ = "0123456789ABCDEF"[c & 15];
    return at;
}

/* As nginx has it: \xHH for what is no plain ASCII. Returns how many bytes of the text it took. */
static size_t put_combined_piece(char **at, const char *text, size_t length)
{
    (void)length;
    *at = TEXT_PUT(*at, "\\x");
    *at = put_hex_byte(*at, (unsigned char)*text);
    return 1;
}

/* How long the UTF-8 character is that the text begins with; 0: it does not begin with one. */
static size_t utf8_length(const unsigned char *text, size_t length, uint32_t *code)
{
    size_t more = text[0] >= 0xc2 && text[0] < 0xe0   ? 1
                  : text[0] >= 0xe0 && text[0] < 0xf0 ? 2
                  : text[0] >= 0xf0 && text[0] < 0xf5 ? 3
                                                      : 0;
    if (more == 0 || length <= more)
        return 0;
    *code = text[0] & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (text[i] & 0x3f);
    }
    bool shortest = more == 1 || (more == 2 ? *code >= 0x800 : *code >= 0x10000);
    return shortest && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff) ? more + 1 : 0;
}

/* JSON is UTF-8: what is none becomes U+FFFD, as a reader would have it. C1 controls, which terminals obey, and the two
 * line ends of Unicode are escaped as the others are. */
static size_t put_json_piece(char **at, const char *text, size_t length)
{
    unsigned char c = (unsigned char)*text;
    uint32_t code = c;
    size_t taken = 1;
    if (c == '"' || c == '\\') {
        *(*at)++ = '\\';
        *(*at)++ = (char)c;
        return 1;
    }
    if (c >= 0x80) {
        taken = utf8_length((const unsigned char *)text, length, &code);
        if (taken == 0) {
            code = 0xfffd;
            taken = 1;
        } else if (code >= 0xa0 && code != 0x2028 && code != 0x2029) {
            *at = text_bytes(*at, text, taken);
            return taken;
        }
    }
    *at = TEXT_PUT(*at, "\\u");
    *at = put_hex_byte(*at, (unsigned char)(code >> 8));
    *at = put_hex_byte(*at, (unsigned char)code);
    return taken;
}

enum { PIECE_MAX = 6 };

/* Puts at most `most` bytes, escaped by the format's rule; plain runs are copied as they are. */
static char *put_escaped(char *at, enum config_log_format format, struct access_text text, size_t most)
{
    const char *from = text.bytes, *end = from + text.length;
    char *last = at + most - PIECE_MAX - 3; /* before it another piece and "..." fit */
    while (from < end && at < last) {
        const char *run = from, *run_end = end - from < last - at ? end : from + (last - at);
        from = skip_plain(from, run_end);
        at = text_bytes(at, run, (size_t)(from - run));
        if (from == run_end)
            continue;
        size_t left = (size_t)(end - from);
        from += format == CONFIG_LOG_JSON ? put_json_piece(&at, from, left) : put_combined_piece(&at, from, left);
    }
    return from < end ? TEXT_PUT(at, "...") : at;
}

/* ------------------------------------------------------------------------------------------ times, addresses */

static void update_clock(struct access_clock *clock, int64_t us)
{
    int64_t second = us / 1000000;
    if (second == clock->second && clock->length > 0)
        return;
    time_t time = (time_t)second;
    struct tm local, utc;
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    if (localtime_r(&time, &local) == NULL || gmtime_r(&time, &utc) == NULL)
        return;
    clock->second = second;
    /* By hand, because strftime(3) would write the month in the locale's language. */
    char text[80] = "";
    long offset = local.tm_gmtoff / 60;
    int length = snprintf(text, sizeof text, "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld", local.tm_mday,
                          months[local.tm_mon], local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec,
                          offset < 0 ? '-' : '+', labs(offset) / 60, labs(offset) % 60);
    clock->length = (size_t)length < sizeof clock->local ? (size_t)length : sizeof clock->local;
    memcpy(clock->local, text, clock->length);
    length = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", utc.tm_year + 1900, utc.tm_mon + 1,
                      utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
    memcpy(clock->utc, text, (size_t)length < sizeof clock->utc ? (size_t)length + 1 : sizeof clock->utc);
    snprintf(text, sizeof text, "%s %s %2d %02d:%02d:%02d %d", days[local.tm_wday], months[local.tm_mon], local.tm_mday,
             local.tm_hour, local.tm_min, local.tm_sec, local.tm_year + 1900);
    memcpy(clock->plain, text, sizeof clock->plain - 1);
}

char *access_address(char *out, const unsigned char address[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff}, none[16];
    if (memcmp(address, mapped, 12) == 0) {
        for (unsigned i = 12; i < 16; i++) {
            out = text_number(out, address[i]);
            *out++ = '.';
        }
        return out - 1;
    }
    if (memcmp(address, none, 16) == 0 || inet_ntop(AF_INET6, address, out, 46) == NULL)
        return TEXT_PUT(out, "-");
    return out + strlen(out);
}

/* ------------------------------------------------------------------------------------------ combined */

static char *put_or_dash(char *at, struct access_text text, size_t most)
{
    return text.length > 0 ? put_escaped(at, CONFIG_LOG_COMBINED, text, most) : TEXT_PUT(at, "-");
}

/* A user's name stands between blanks, not quotes: a blank in it would shift the fields behind it. */
static char *put_user(char *at, struct access_text user)
{
    char *end = put_or_dash(at, user, USER_MAX);
    for (; at < end; at++)
        if (*at == ' ')
            *at = '+';
    return end;
}

static char *put_combined(char *at, const struct access_entry *entry, const struct access_clock *clock)
{
    at = access_address(at, entry->client);
    at = TEXT_PUT(at, " - ");
    at = put_user(at, entry->user);
    at = TEXT_PUT(at, " [");
    at = text_bytes(at, clock->local, clock->length);
    at = TEXT_PUT(at, "] \"");
    if (entry->method.length > 0) {
        at = put_escaped(at, CONFIG_LOG_COMBINED, entry->method, WORD_MAX);
        *at++ = ' ';
    }
    at = put_or_dash(at, entry->target, TARGET_MAX);
    if (entry->version.length > 0) {
        *at++ = ' ';
        at = put_escaped(at, CONFIG_LOG_COMBINED, entry->version, WORD_MAX);
    }
    at = TEXT_PUT(at, "\" ");
    if (entry->status >= 100 && entry->status <= 999)
        at = text_number(at, (uint64_t)entry->status);
    else
        at = TEXT_PUT(at, "000");
    *at++ = ' ';
    at = text_number(at, entry->bytes);
    at = TEXT_PUT(at, " \"");
    at = put_or_dash(at, entry->referer, REFERER_MAX);
    at = TEXT_PUT(at, "\" \"");
    at = put_or_dash(at, entry->agent, AGENT_MAX);
    return TEXT_PUT(at, "\"\n");
}

/* ------------------------------------------------------------------------------------------ JSON */

static char *put_json_text(char *at, const char *name, struct access_text text, size_t most)
{
    if (text.length == 0)
        return at;
    at = TEXT_PUT(at, ",\"");
    at = text_bytes(at, name, strlen(name));
    at = TEXT_PUT(at, "\":\"");
    at = put_escaped(at, CONFIG_LOG_JSON, text, most);
    *at++ = '"';
    return at;
}

static char *put_json_number(char *at, const char *name, uint64_t value)
{
    at = TEXT_PUT(at, ",\"");
    at = text_bytes(at, name, strlen(name));
    at = TEXT_PUT(at, "\":");
    return text_number(at, value);
}

static char *put_json_time(char *at, int64_t us, const struct access_clock *clock)
{
    at = TEXT_PUT(at, "{\"time\":\"");
    at = text_bytes(at, clock->utc, strlen(clock->utc));
    *at++ = '.';
    uint64_t fraction = (uint64_t)(us % 1000000);
    for (unsigned place = 100000; place > 0; place /= 10)
        *at++ = (char)('0' + fraction / place % 10);
    return TEXT_PUT(at, "Z\"");
}

static char *put_json(char *at, const struct access_entry *entry, const struct access_clock *clock)
{
    static const char *const names[STAGES] = {"wait_us", "open_us", "stat_us", "data_us", "send_us"};
    at = put_json_time(at, entry->began_us, clock);
    at = TEXT_PUT(at, ",\"client\":\"");
    at = access_address(at, entry->client);
    *at++ = '"';
    at = put_json_text(at, "host", entry->host, HOST_MAX);
    at = put_json_text(at, "user", entry->user, USER_MAX);
    at = put_json_text(at, "method", entry->method, WORD_MAX);
    at = put_json_text(at, "target", entry->target, TARGET_MAX);
    at = put_json_text(at, "version", entry->version, WORD_MAX);
    at = put_json_number(at, "status", (uint64_t)(entry->status > 0 ? entry->status : 0));
    at = put_json_number(at, "bytes", entry->bytes);
    at = put_json_text(at, "referer", entry->referer, REFERER_MAX);
    at = put_json_text(at, "agent", entry->agent, AGENT_MAX);
    at = put_json_number(at, "total_us", (uint64_t)stage_total(&entry->times) / 1000);
    for (unsigned i = 0; i < STAGES; i++)
        if (entry->times.at[i] != 0)
            at = put_json_number(at, i == STAGE_SEND && entry->transfer.direction == 'i' ? "receive_us" : names[i],
                                 (uint64_t)stage_length(&entry->times, (enum stage)i) / 1000);
    if (entry->failed != NULL) {
        at = put_json_text(at, "failed", (struct access_text){entry->failed, strlen(entry->failed)}, WORD_MAX);
        at = put_json_text(at, "error", (struct access_text){entry->error, strlen(entry->error)}, WORD_MAX);
    }
    return TEXT_PUT(at, "}\n");
}

/* ------------------------------------------------------------------------------------------ xferlog */

/* Fields stand between blanks. Names of other languages stay what they are; what would break a line becomes '_', as
 * readers of this format know it: who wants the exact name has it in JSON. */
static char *put_field(char *at, struct access_text text, size_t most)
{
    if (text.length == 0)
        return TEXT_PUT(at, "-");
    const char *from = text.bytes, *end = from + text.length, *last = at + most - PIECE_MAX;
    while (from < end && at < last) {
        uint32_t code = (unsigned char)*from;
        size_t length = code < 0x80 ? 1 : utf8_length((const unsigned char *)from, (size_t)(end - from), &code);
        bool good = length > 0 && code > ' ' && (code < 0x7f || (code > 0xa0 && code != 0x2028 && code != 0x2029));
        length = length > 0 ? length : 1;
        at = good ? text_bytes(at, from, length) : TEXT_PUT(at, "_");
        from += length;
    }
    return at;
}

static char *put_xferlog_end(char *at, const struct access_transfer *transfer, struct access_text user)
{
    *at++ = ' ';
    *at++ = transfer->ascii ? 'a' : 'b';
    at = TEXT_PUT(at, " _ ");
    *at++ = transfer->direction;
    *at++ = ' ';
    *at++ = transfer->anonymous ? 'a' : 'r';
    *at++ = ' ';
    at = put_field(at, user, USER_MAX);
    at = TEXT_PUT(at, " ftp 0 * ");
    *at++ = transfer->complete ? 'c' : 'i';
    *at++ = '\n';
    return at;
}

/* As wu-ftpd began it, and vsftpd has it: the time at the end, whole seconds, at least one. */
static char *put_xferlog(char *at, const struct access_entry *entry, const struct access_clock *clock)
{
    uint64_t seconds = ((uint64_t)stage_total(&entry->times) + ERRAND_SECOND / 2) / ERRAND_SECOND;
    at = text_bytes(at, clock->plain, strlen(clock->plain));
    *at++ = ' ';
    at = text_number(at, seconds > 0 ? seconds : 1);
    *at++ = ' ';
    at = access_address(at, entry->client);
    *at++ = ' ';
    at = text_number(at, entry->bytes);
    *at++ = ' ';
    at = put_field(at, entry->target, TARGET_MAX);
    bool mail = entry->transfer.anonymous && entry->agent.length > 0; /* whom it is customary to say */
    return put_xferlog_end(at, &entry->transfer, mail ? entry->agent : entry->user);
}

/* ------------------------------------------------------------------------------------------ any of them */

bool access_has_line(enum config_log_format format, const struct access_entry *entry)
{
    switch (format) {
    case CONFIG_LOG_COMBINED: return !entry->ftp;
    case CONFIG_LOG_XFERLOG: return entry->transfer.direction != 0;
    default: return true;
    }
}

char *access_format(char *out, enum config_log_format format, const struct access_entry *entry,
                    struct access_clock *clock)
{
    bool xferlog = format == CONFIG_LOG_XFERLOG;
    update_clock(clock, entry->began_us + (xferlog ? stage_total(&entry->times) / 1000 : 0));
    return xferlog                     ? put_xferlog(out, entry, clock)
           : format == CONFIG_LOG_JSON ? put_json(out, entry, clock)
                                       : put_combined(out, entry, clock);
}

char *access_format_dropped(char *out, enum config_log_format format, uint64_t dropped, int64_t now_us,
                            struct access_clock *clock)
{
    update_clock(clock, now_us);
    if (format == CONFIG_LOG_JSON) {
        out = put_json_time(out, now_us, clock);
        out = put_json_number(out, "dropped", dropped);
        return TEXT_PUT(out, "}\n");
    }
    /* A line that whoever reads such lines can read. */
    if (format == CONFIG_LOG_XFERLOG) {
        static const struct access_transfer none = {.direction = 'o'};
        out = text_bytes(out, clock->plain, strlen(clock->plain));
        out = TEXT_PUT(out, " 1 - 0 errand:_");
        out = text_number(out, dropped);
        out = TEXT_PUT(out, "_entries_dropped");
        return put_xferlog_end(out, &none, (struct access_text){0});
    }
    out = TEXT_PUT(out, "- - - [");
    out = text_bytes(out, clock->local, clock->length);
    out = TEXT_PUT(out, "] \"-\" 000 0 \"-\" \"errand: ");
    out = text_number(out, dropped);
    return TEXT_PUT(out, " entries dropped\"\n");
}
