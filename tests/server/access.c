/* SPDX-License-Identifier: MIT */
/* Lines of the logs, and that not one of them is lost without being counted. */
/* long file because: what a line is, and what becomes of it, is tried by the same entries. */
#include "harness.h"
#include "record/access.h"
#include "record/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        (literal), sizeof(literal) - 1                                                                                 \
    }

static const struct access_entry ordinary = {
    .client = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 7},
    .method = TEXT("GET"),
    .target = TEXT("/a?b=c"),
    .version = TEXT("HTTP/1.1"),
    .host = TEXT("example.org"),
    .referer = TEXT("http://example.org/"),
    .agent = TEXT("curl/8"),
    .status = 200,
    .bytes = 1234,
    .began_us = 971211336123456,
    .times = {.began = 1000, .at = {[STAGE_WAIT] = 3000, [STAGE_OPEN] = 10000, [STAGE_SEND] = 5001000}},
};

static char *line_of(enum config_log_format format, const struct access_entry *entry)
{
    static char line[2 * ACCESS_LINE_MAX];
    struct access_clock clock = {0};
    memset(line, '!', sizeof line);
    char *end = access_format(line, format, entry, &clock);
    REQUIRE(end - line <= ACCESS_LINE_MAX);
    CHECK_INT(*end, '!');
    *end = 0;
    return line;
}

static void in_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

TEST(combined)
{
    in_zone("EST7");
    CHECK_STR(line_of(CONFIG_LOG_COMBINED, &ordinary),
              "192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET /a?b=c HTTP/1.1\" 200 1234 "
              "\"http://example.org/\" \"curl/8\"\n");
    in_zone("IST-5:30");
    struct access_entry entry = {
        .client = {0x20, 1, 0x0d, 0xb8, [15] = 1}, .user = TEXT("a b"), .began_us = 951827696000000};
    CHECK_STR(line_of(CONFIG_LOG_COMBINED, &entry),
              "2001:db8::1 - a+b [29/Feb/2000:18:04:56 +0530] \"-\" 000 0 \"-\" \"-\"\n");
    in_zone("UTC");
    memset(entry.client, 0, 16);
    entry.target = (struct access_text)TEXT("\x16\x03\"\\");
    entry.status = 400;
    CHECK_STR(line_of(CONFIG_LOG_COMBINED, &entry),
              "- - a+b [29/Feb/2000:12:34:56 +0000] \"\\x16\\x03\\x22\\x5C\" 400 0 \"-\" \"-\"\n");
}

TEST(json)
{
    in_zone("EST7");
    CHECK_STR(line_of(CONFIG_LOG_JSON, &ordinary),
              "{\"time\":\"2000-10-10T20:55:36.123456Z\",\"client\":\"192.0.2.7\",\"host\":\"example.org\","
              "\"method\":\"GET\",\"target\":\"/a?b=c\",\"version\":\"HTTP/1.1\",\"status\":200,\"bytes\":1234,"
              "\"referer\":\"http://example.org/\",\"agent\":\"curl/8\",\"total_us\":5000,\"wait_us\":2,\"open_us\":7,"
              "\"send_us\":4991}\n");
    struct access_entry entry = {.began_us = 5, .failed = "open", .error = "ENOENT", .user = TEXT("me")};
    CHECK_STR(line_of(CONFIG_LOG_JSON, &entry),
              "{\"time\":\"1970-01-01T00:00:00.000005Z\",\"client\":\"-\",\"user\":\"me\",\"status\":0,\"bytes\":0,"
              "\"total_us\":0,\"failed\":\"open\",\"error\":\"ENOENT\"}\n");
}

static void check_json_text(const char *text, size_t length, const char *wanted)
{
    struct access_entry entry = {.target = {text, length}};
    char expected[200];
    snprintf(expected, sizeof expected, "\"target\":\"%s\",", wanted);
    harness_at("%s", wanted);
    CHECK(strstr(line_of(CONFIG_LOG_JSON, &entry), expected) != NULL);
}

TEST(json_is_utf8)
{
#define CASE(text, wanted) check_json_text(text, sizeof(text) - 1, wanted)
    CASE("a\xc3\xa9z", "a\xc3\xa9z");
    CASE("\xe2\x82\xac", "\xe2\x82\xac");
    CASE("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
    CASE("\xe9", "\\uFFFD");
    CASE("\xc3", "\\uFFFD");
    CASE("\xc0\xaf", "\\uFFFD\\uFFFD");            /* a slash in two bytes */
    CASE("\xe0\x80\xaf", "\\uFFFD\\uFFFD\\uFFFD"); /* in three */
    CASE("\xed\xa0\x80", "\\uFFFD\\uFFFD\\uFFFD"); /* half a surrogate pair */
    CASE("\xf4\x90\x80\x80", "\\uFFFD\\uFFFD\\uFFFD\\uFFFD");
    CASE("\xc2\x9b", "\\u009B"); /* what begins a terminal's commands */
    CASE("\xe2\x80\xa8", "\\u2028");
    CASE("\x7f\n\"\\", "\\u007F\\u000A\\\"\\\\");
#undef CASE
}

/* A line is one line without control bytes, whose unescaped quotes are the format's own: as many as it has. */
static void check_shape(enum config_log_format format, const struct access_entry *entry, size_t wanted)
{
    const char *line = line_of(format, entry);
    size_t quotes = 0;
    for (const char *at = line; *at != 0; at++) {
        unsigned char c = (unsigned char)*at;
        CHECK((c == '\n' && at[1] == 0) || (c >= 0x20 && c != 0x7f && (format == CONFIG_LOG_JSON || c < 0x7f)));
        if (c == '\\')
            at++;
        else
            quotes += c == '"';
    }
    CHECK_INT(quotes, wanted);
}

TEST(nothing_breaks_a_line)
{
    static char bytes[6][20000];
    unsigned seed = 1;
    for (unsigned round = 0; round < 3000; round++) {
        struct access_entry entry = {.status = 200};
        struct access_text *texts[] = {&entry.method,  &entry.target, &entry.host,
                                       &entry.referer, &entry.agent,  &entry.user};
        for (unsigned i = 0; i < 6; i++) {
            size_t length = (seed = seed * 1103515245 + 12345) >> 16;
            length = round % 10 == 0 ? length % sizeof bytes[i] : length % 40;
            for (size_t k = 0; k < length; k++)
                bytes[i][k] = (char)(((seed = seed * 1103515245 + 12345) >> 16) & 0xff);
            if (round % 30 == 20)
                memset(bytes[i], round % 60 == 20 ? 1 : 'a', length);
            *texts[i] = (struct access_text){bytes[i], length};
        }
        harness_at("round %u", round);
        /* The time, the client, three numbers: 4, 4 and 3 * 2. */
        check_shape(CONFIG_LOG_COMBINED, &entry, 6);
        size_t texts_there = 0;
        for (unsigned i = 0; i < 6; i++)
            texts_there += texts[i]->length > 0;
        check_shape(CONFIG_LOG_JSON, &entry, 14 + 4 * texts_there);
    }
}

static const struct access_entry fetched = {
    .client = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 7},
    .method = TEXT("RETR"),
    .target = TEXT("/pub/a file"),
    .version = TEXT("FTP"),
    .user = TEXT("anonymous"),
    .agent = TEXT("me@example.org"),
    .ftp = true,
    .transfer = {.direction = 'o', .anonymous = true, .complete = true},
    .status = 226,
    .bytes = 1234,
    .began_us = 971211330123456,
    .times = {.began = 1000, .at = {[STAGE_OPEN] = 10000, [STAGE_DATA] = 20000, [STAGE_SEND] = 6400000000}},
};

TEST(xferlog)
{
    in_zone("EST7");
    CHECK_STR(line_of(CONFIG_LOG_XFERLOG, &fetched),
              "Tue Oct 10 13:55:36 2000 6 192.0.2.7 1234 /pub/a_file b _ o a me@example.org ftp 0 * c\n");
    struct access_entry entry = {
        .transfer = {.direction = 'i', .ascii = true}, .user = TEXT("a b"), .agent = TEXT("x")};
    in_zone("UTC");
    CHECK_STR(line_of(CONFIG_LOG_XFERLOG, &entry), "Thu Jan  1 00:00:00 1970 1 - 0 - a _ i r a_b ftp 0 * i\n");
    CHECK(strstr(line_of(CONFIG_LOG_JSON, &fetched), ",\"open_us\":9,\"data_us\":10,\"send_us\":6399980}\n") != NULL);
    entry.times = fetched.times;
    CHECK(strstr(line_of(CONFIG_LOG_JSON, &entry), ",\"data_us\":10,\"receive_us\":6399980}\n") != NULL);
}

TEST(names_in_xferlog)
{
#define CASE(text, wanted)                                                                                             \
    do {                                                                                                               \
        struct access_entry entry = fetched;                                                                           \
        entry.target = (struct access_text)TEXT(text);                                                                 \
        harness_at("%s", wanted);                                                                                      \
        CHECK(strstr(line_of(CONFIG_LOG_XFERLOG, &entry), " 1234 " wanted " b ") != NULL);                             \
    } while (0)
    CASE("a\xc3\xa9z", "a\xc3\xa9z");
    CASE("a\xc3", "a_");
    CASE("\xc0\xaf", "__");
    CASE("\xc2\x9b[\xc2\xa0\xe2\x80\xa8", "_[__");
    CASE("\t\r\n\x7f \0z", "______z");
#undef CASE
    char long_text[5000];
    memset(long_text, 'x', sizeof long_text);
    struct access_entry entry = fetched;
    entry.target = entry.agent = (struct access_text){long_text, sizeof long_text};
    CHECK(strlen(line_of(CONFIG_LOG_XFERLOG, &entry)) < ACCESS_LINE_MAX);
}

TEST(what_is_missing_in_xferlog)
{
    char line[ACCESS_LINE_MAX];
    struct access_clock clock = {0};
    in_zone("UTC");
    *access_format_dropped(line, CONFIG_LOG_XFERLOG, 12, 951827696000000, &clock) = '\0';
    CHECK_STR(line, "Tue Feb 29 12:34:56 2000 1 - 0 errand:_12_entries_dropped b _ o r - ftp 0 * i\n");
}

/* Requests are lines of the one log, commands of the other; JSON has both. */
TEST(which_log_has_a_line)
{
    struct access_entry listed = fetched;
    listed.transfer = (struct access_transfer){0};
    static const bool wanted[3][3] = {{true, true, false}, {false, true, true}, {false, true, false}};
    const struct access_entry *entries[3] = {&ordinary, &fetched, &listed};
    for (unsigned i = 0; i < 3; i++)
        for (unsigned format = 0; format < 3; format++)
            CHECK_INT(access_has_line((enum config_log_format)format, entries[i]), wanted[i][format]);
}

TEST(what_is_cut_says_so)
{
    char long_text[5000];
    memset(long_text, 'x', sizeof long_text);
    struct access_entry entry = {.target = {long_text, sizeof long_text}, .agent = TEXT("end")};
    CHECK(strstr(line_of(CONFIG_LOG_COMBINED, &entry), "xxx...\" 000 0 \"-\" \"end\"\n") != NULL);
    entry.target.length = 1000;
    CHECK(strstr(line_of(CONFIG_LOG_COMBINED, &entry), "...") == NULL);
}

/* ------------------------------------------------------------------------------------------ writing */

struct scene {
    errand_queue *queue;
    struct metrics *metrics;
    struct access_log *log;
    unsigned added;
};

static struct scene scene_open(enum errand_backend backend, const char *path)
{
    struct scene scene = {.metrics = metrics_new()};
    struct errand_queue_options options = {.size = sizeof options, .backend = backend, .chain_steps = 8};
    REQUIRE_INT(errand_queue_open(&scene.queue, &options), 0);
    scene.log = access_log_open(scene.queue, path, CONFIG_LOG_JSON, scene.metrics);
    REQUIRE(scene.metrics != NULL && scene.log != NULL);
    return scene;
}

static void scene_close(struct scene *scene)
{
    CHECK_INT(errand_queue_close(scene->queue), 0);
    access_log_close(scene->log);
    free(scene->metrics);
}

static void add(struct scene *scene, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char target[40];
        struct access_entry entry = ordinary;
        entry.target = (struct access_text){target, (size_t)snprintf(target, sizeof target, "/%u", scene->added++)};
        entry.times.began = errand_queue_now(scene->queue);
        access_log_add(scene->log, &entry);
    }
}

static void turn(struct scene *scene, int64_t timeout)
{
    struct errand_event events[8];
    int count = errand_queue_wait(scene->queue, events, 8, timeout);
    REQUIRE(count >= 0);
    for (int i = 0; i < count; i++) {
        CHECK_INT(events[i].kind, ERRAND_EVENT_TIMER);
        CHECK(events[i].user_data == scene->log);
        access_log_timer(scene->log);
    }
}

static void finish(struct scene *scene)
{
    while (!access_log_finished(scene->log))
        turn(scene, ERRAND_FOREVER);
}

/* Takes the lines of a text apart: counts those of requests, which must be in order, and the lines said to be missing;
 * where lines are missing that must be so many. */
static void count_lines(char *text, uint64_t *lines, uint64_t *missing)
{
    unsigned expected = 0, number;
    *lines = *missing = 0;
    for (char *at = text, *end; *at != 0; at = end + 1) {
        end = strchr(at, '\n');
        REQUIRE(end != NULL);
        *end = 0;
        const char *dropped = strstr(at, "\"dropped\":"), *target = strstr(at, "\"target\":\"/");
        if (at == end) /* where a line may have been torn */
            continue;
        if (dropped != NULL) {
            unsigned count = (unsigned)strtoul(dropped + 10, NULL, 10);
            *missing += count;
            expected += count;
            continue;
        }
        REQUIRE(target != NULL && sscanf(target + 11, "%u", &number) == 1);
        CHECK_INT(number, expected);
        expected = number + 1;
        ++*lines;
    }
}

static char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE_CALL(fd);
    struct stat status;
    REQUIRE_CALL(fstat(fd, &status));
    char *text = calloc(1, (size_t)status.st_size + 1);
    REQUIRE(text != NULL);
    CHECK_INT(read(fd, text, (size_t)status.st_size), status.st_size);
    close(fd);
    return text;
}

static const char *log_path(void)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/access.log", harness_directory());
    return path;
}

TEST_EACH_BACKEND(a_line_waits_a_second_at_most)
{
    struct scene scene = scene_open(backend, log_path());
    turn(&scene, 0);
    add(&scene, 3);
    while (counter_read(&scene.metrics->log_lines) < 3)
        turn(&scene, 10 * ERRAND_MILLISECOND);
    struct stat status;
    REQUIRE_CALL(stat(log_path(), &status));
    CHECK_INT(status.st_mode & 07777 & ~0640u, 0);
    struct errand_stats stats = {.size = sizeof stats};
    REQUIRE_INT(errand_queue_stats(scene.queue, &stats), 0);
    CHECK_INT(stats.descriptors, 0); /* the file is open only while it is written */
    CHECK(access_log_finished(scene.log));
    scene_close(&scene);
    uint64_t lines, missing;
    char *text = read_file(log_path());
    count_lines(text, &lines, &missing);
    CHECK_INT(lines, 3);
    free(text);
}

TEST_EACH_BACKEND(many_lines_all_arrive)
{
    struct scene scene = scene_open(backend, log_path());
    for (unsigned i = 0; i < 300; i++) {
        add(&scene, 100);
        turn(&scene, 0);
    }
    finish(&scene);
    uint64_t lines, missing, written = counter_read(&scene.metrics->log_lines);
    CHECK_INT(written + counter_read(&scene.metrics->log_dropped), 30000);
    scene_close(&scene);
    char *text = read_file(log_path());
    count_lines(text, &lines, &missing);
    CHECK_INT(lines, written);
    CHECK_INT(lines + missing, 30000);
    free(text);
}

/* Standard output is a pipe that nobody reads for a while. */
TEST_EACH_BACKEND(a_full_pipe_drops_and_counts)
{
    int ends[2];
    REQUIRE_CALL(pipe2(ends, O_CLOEXEC));
    int before = dup(STDOUT_FILENO);
    REQUIRE_CALL(dup2(ends[1], STDOUT_FILENO));
    close(ends[1]);
    struct scene scene = scene_open(backend, "-");
    for (unsigned i = 0; i < 40; i++) {
        add(&scene, 100);
        turn(&scene, 0);
    }
    uint64_t dropped = counter_read(&scene.metrics->log_dropped), lines, missing;
    CHECK(dropped > 1000 && dropped < 4000);
    static char text[4 << 20];
    size_t used = 0;
    REQUIRE_CALL(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    bool over = false;
    while (!over) {
        over = access_log_finished(scene.log);
        ssize_t n;
        while ((n = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
            used += (size_t)n;
        if (!over)
            turn(&scene, 10 * ERRAND_MILLISECOND);
    }
    text[used] = 0;
    count_lines(text, &lines, &missing);
    CHECK_INT(missing, dropped);
    CHECK_INT(lines + missing, 4000);
    CHECK_INT(counter_read(&scene.metrics->log_lines), lines);
    scene_close(&scene);
    dup2(before, STDOUT_FILENO);
    close(before);
    close(ends[0]);
}

TEST_EACH_BACKEND(a_full_disk_is_told_and_counted)
{
    if (access("/dev/full", W_OK) != 0)
        SKIP("no /dev/full");
    REQUIRE_CALL(symlink("/dev/full", log_path()));
    CHECK_INT(sink_check(log_path()), 0);
    struct scene scene = scene_open(backend, log_path());
    add(&scene, 10);
    access_log_reopen(scene.log);
    while (counter_read(&scene.metrics->log_dropped) < 10)
        turn(&scene, 10 * ERRAND_MILLISECOND);
    CHECK_INT(counter_read(&scene.metrics->log_errors), 1);
    REQUIRE_CALL(unlink(log_path()));
    add(&scene, 5);
    finish(&scene);
    scene_close(&scene);
    char *text = read_file(log_path());
    uint64_t lines, missing;
    count_lines(text, &lines, &missing);
    CHECK_INT(missing, 10);
    CHECK_INT(lines, 5);
    free(text);
}

/* A disk that is full in the midst of a line: what comes later begins a line of its own. */
TEST_EACH_BACKEND(a_torn_line)
{
    struct rlimit small = {2000, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    struct scene scene = scene_open(backend, log_path());
    REQUIRE_CALL(setrlimit(RLIMIT_FSIZE, &small));
    add(&scene, 20);
    access_log_reopen(scene.log);
    while (counter_read(&scene.metrics->log_errors) == 0)
        turn(&scene, 10 * ERRAND_MILLISECOND);
    REQUIRE_CALL(setrlimit(RLIMIT_FSIZE, &large));
    add(&scene, 5);
    finish(&scene);
    scene_close(&scene);
    char *text = read_file(log_path());
    REQUIRE(strlen(text) > 2000);
    CHECK_INT(text[2000], '\n');
    CHECK(text[1999] != '\n');
    unsigned whole = 0, missing = 0;
    for (char *line = text, *end; *line != 0; line = end + 1) {
        end = strchr(line, '\n');
        REQUIRE(end != NULL);
        *end = 0;
        const char *dropped = strstr(line, "\"dropped\":");
        missing += dropped != NULL ? (unsigned)strtoul(dropped + 10, NULL, 10) : 0;
        whole += dropped == NULL && end > line && end[-1] == '}';
    }
    CHECK(whole >= 5 && whole < 25);
    CHECK_INT(whole + missing, 25);
    free(text);
}

/* It is of no use to try for two seconds. */
TEST_EACH_BACKEND(the_end_on_a_full_disk)
{
    if (access("/dev/full", W_OK) != 0)
        SKIP("no /dev/full");
    struct scene scene = scene_open(backend, "/dev/full");
    add(&scene, 10);
    finish(&scene);
    CHECK_INT(counter_read(&scene.metrics->log_dropped), 10);
    CHECK_INT(counter_read(&scene.metrics->log_errors), 1);
    scene_close(&scene);
}

TEST(paths_that_cannot_be)
{
    char path[400];
    snprintf(path, sizeof path, "%s/fifo", harness_directory());
    REQUIRE_CALL(mkfifo(path, 0600));
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK_INT(sink_check(path), -ESPIPE);
    close(reader);
    CHECK_INT(sink_check(path), -ENXIO);
    CHECK_INT(sink_check(harness_directory()), -EISDIR);
    CHECK_INT(sink_check("/nonexistent/x"), -ENOENT);
    CHECK_INT(sink_check("-"), 0);
}
