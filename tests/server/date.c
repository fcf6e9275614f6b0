/* SPDX-License-Identifier: MIT */
/* HTTP dates, checked against libc's. */
#include "harness.h"
#include "http/date.h"

#include <string.h>
#include <time.h>

static void check_both_ways(int64_t seconds)
{
    char ours[HTTP_DATE_LENGTH + 1] = "", theirs[64];
    time_t time = (time_t)seconds;
    struct tm tm;
    gmtime_r(&time, &tm);
    strftime(theirs, sizeof theirs, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    http_date_write(ours, seconds);
    CHECK_STR(ours, theirs);
    int64_t back;
    if (CHECK(http_date_read(ours, HTTP_DATE_LENGTH, &back)))
        CHECK_INT(back, seconds);
}

TEST(as_libc_writes_them)
{
    for (int64_t day = -200000; day < 2000000 && harness_failures() == 0; day += 13) /* from 1422 to 7445 */
        check_both_ways(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
    for (int64_t second = -5; second < 5; second++)
        check_both_ways(second);
    check_both_ways(INT64_C(951782400)); /* 29 February 2000 */
    check_both_ways(INT64_C(253402300799));
}

TEST(beyond_four_digits)
{
    char text[HTTP_DATE_LENGTH + 1] = "";
    http_date_write(text, INT64_MAX);
    CHECK_STR(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    http_date_write(text, INT64_MIN);
    CHECK_STR(text, "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(three_forms)
{
    static const char *const rows[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    for (unsigned i = 0; i < 3; i++) {
        int64_t seconds = 0;
        harness_at("%s", rows[i]);
        CHECK(http_date_read(rows[i], strlen(rows[i]), &seconds));
        CHECK_INT(seconds, 784111777);
    }
}

TEST(no_dates)
{
    static const char *const rows[] = {
        "",
        "0",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Xun, 06 Nov 1994 08:49:37 GMT",
        "Funday, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        ",",
        "Sun,",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t seconds;
        harness_at("%s", rows[i]);
        CHECK(!http_date_read(rows[i], strlen(rows[i]), &seconds));
    }
}
