/* SPDX-License-Identifier: MIT */
/* HTTP dates, without libc's: strftime() knows locales, timegm() takes locks, and both are slow. */
#include "date.h"
#include "bytes.h"

#include <string.h>

static const char weekdays[] = "SunMonTueWedThuFriSat";
static const char long_weekdays[][10] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct civil {
    int64_t year;
    unsigned month, day; /* from 1 */
    unsigned hour, minute, second;
};

/* Days since 1970-01-01 of a date. Years begin in March, so that leap days come last; eras are of 400 years. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    if (month <= 2)
        year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_of(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day = (unsigned)(days - era * 146097);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    unsigned of_year = day - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    struct civil date = {.day = of_year - (153 * month + 2) / 5 + 1, .month = month < 10 ? month + 3 : month - 9};
    date.year = era * 400 + year + (date.month <= 2);
    return date;
}

static void write_two(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

void http_date_write(char *out, int64_t seconds)
{
    const int64_t lowest = INT64_C(-62167219200), highest = INT64_C(253402300799); /* years 0 and 9999 */
    seconds = seconds < lowest ? lowest : seconds > highest ? highest : seconds;
    int64_t days = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
    unsigned of_day = (unsigned)(seconds - days * 86400);
    struct civil date = civil_of(days);
    unsigned weekday = (unsigned)(((days + 4) % 7 + 7) % 7);
    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", HTTP_DATE_LENGTH);
    memcpy(out, weekdays + 3 * weekday, 3);
    write_two(out + 5, date.day);
    memcpy(out + 8, months + 3 * (date.month - 1), 3);
    write_two(out + 12, (unsigned)date.year / 100);
    write_two(out + 14, (unsigned)date.year % 100);
    write_two(out + 17, of_day / 3600);
    write_two(out + 20, of_day / 60 % 60);
    write_two(out + 23, of_day % 60);
}

/* A reader that goes through a text and remembers whether anything was not as expected. */
struct reader {
    const char *at, *end;
    bool failed;
};

static void expect(struct reader *reader, const char *text)
{
    size_t length = strlen(text);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, text, length) != 0) {
        reader->failed = true;
        return;
    }
    reader->at += length;
}

static unsigned number(struct reader *reader, unsigned digits)
{
    unsigned value = 0;
    for (; digits > 0; digits--, reader->at++) {
        if (reader->at == reader->end || !http_is_digit(*reader->at)) {
            reader->failed = true;
            return 0;
        }
        value = value * 10 + (unsigned)(*reader->at - '0');
    }
    return value;
}

/* One of the three-letter names; its number from 0. */
static unsigned name(struct reader *reader, const char *names)
{
    for (unsigned i = 0; names[3 * i] != '\0' && reader->end - reader->at >= 3; i++) {
        if (memcmp(reader->at, names + 3 * i, 3) == 0) {
            reader->at += 3;
            return i;
        }
    }
    reader->failed = true;
    return 0;
}

static void clock_time(struct reader *reader, struct civil *date)
{
    date->hour = number(reader, 2);
    expect(reader, ":");
    date->minute = number(reader, 2);
    expect(reader, ":");
    date->second = number(reader, 2);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static struct civil read_fixed(struct reader *reader)
{
    struct civil date = {0};
    name(reader, weekdays);
    expect(reader, ", ");
    date.day = number(reader, 2);
    expect(reader, " ");
    date.month = name(reader, months) + 1;
    expect(reader, " ");
    date.year = number(reader, 4);
    expect(reader, " ");
    clock_time(reader, &date);
    expect(reader, " GMT");
    return date;
}

/* Sunday, 06-Nov-94 08:49:37 GMT; two digits of a year mean 1970 to 2069. */
static struct civil read_rfc850(struct reader *reader, size_t weekday_length)
{
    struct civil date = {0};
    reader->at += weekday_length;
    expect(reader, ", ");
    date.day = number(reader, 2);
    expect(reader, "-");
    date.month = name(reader, months) + 1;
    expect(reader, "-");
    date.year = number(reader, 2);
    date.year += date.year < 70 ? 2000 : 1900;
    expect(reader, " ");
    clock_time(reader, &date);
    expect(reader, " GMT");
    return date;
}

/* Sun Nov  6 08:49:37 1994 */
static struct civil read_asctime(struct reader *reader)
{
    struct civil date = {0};
    name(reader, weekdays);
    expect(reader, " ");
    date.month = name(reader, months) + 1;
    expect(reader, " ");
    if (reader->at < reader->end && *reader->at == ' ') {
        reader->at++;
        date.day = number(reader, 1);
    } else {
        date.day = number(reader, 2);
    }
    expect(reader, " ");
    clock_time(reader, &date);
    expect(reader, " ");
    date.year = number(reader, 4);
    return date;
}

static unsigned days_in(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

bool http_date_read(const char *text, size_t length, int64_t *seconds)
{
    struct reader reader = {.at = text, .end = text + length};
    struct civil date;
    const char *comma = memchr(text, ',', length);
    if (comma == NULL) {
        date = read_asctime(&reader);
    } else if (comma - text == 3) {
        date = read_fixed(&reader);
    } else {
        size_t weekday = (size_t)(comma - text);
        bool known = false;
        for (unsigned i = 0; i < 7; i++)
            known = known || (strlen(long_weekdays[i]) == weekday && memcmp(text, long_weekdays[i], weekday) == 0);
        if (!known)
            return false;
        date = read_rfc850(&reader, weekday);
    }
    if (reader.failed || reader.at != reader.end || date.day == 0 || date.day > days_in(date.year, date.month) ||
        date.hour > 23 || date.minute > 59 || date.second > 60)
        return false;
    *seconds = days_of(date.year, date.month, date.day) * 86400 + date.hour * 3600 + date.minute * 60 + date.second;
    return true;
}
