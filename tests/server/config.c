/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: every key, every kind of mistake, which host is meant, and what options change.
 * long file because: each key and each mistake has its row
 */
#include "config/inside.h"
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char why[1024];

static const char *write_file(const char *text, size_t length)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/errand.conf", harness_directory());
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fwrite(text, 1, length, file);
    fclose(file);
    return path;
}

/* NULL: `why` says why. */
static struct config *read_bytes(const char *text, size_t length)
{
    struct config *config = config_new();
    REQUIRE(config != NULL);
    why[0] = '\0';
    if (config_read(config, write_file(text, length), why, sizeof why))
        return config;
    config_free(config);
    return NULL;
}

static struct config *read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static struct config *read_good(const char *text)
{
    struct config *config = read_text(text);
    CHECK_STR(why, "");
    REQUIRE(config != NULL);
    return config;
}

static void check_url(const struct config_addresses *addresses, unsigned number, const char *wanted)
{
    char url[LISTEN_URL_SPACE];
    REQUIRE(number < addresses->count);
    listen_url(&addresses->list[number], "http", url);
    CHECK_STR(url, wanted);
}

/* ------------------------------------------------------------------------------------------ what it says */

TEST(defaults)
{
    struct config *config = config_new();
    REQUIRE(config != NULL);
    REQUIRE(config_finish(config, why, sizeof why));
    CHECK_INT(config->http.count, 1);
    check_url(&config->http, 0, "http://127.0.0.1:8080/");
    CHECK_INT(config->status.count, 0);
    CHECK_INT(config->threads, 0);
    CHECK_INT(config->limits.idle_ns, 60 * ERRAND_SECOND);
    CHECK_INT(config->limits.head_ns, 15 * ERRAND_SECOND);
    CHECK_INT(config->limits.stop_ns, 10 * ERRAND_SECOND);
    REQUIRE_INT(config->host_count, 1);
    CHECK_STR(config->hosts[0].directory, ".");
    REQUIRE_INT(config->hosts[0].index.count, 1);
    CHECK_STR(config->hosts[0].index.list[0].bytes, "index.html");
    config_free(config);
    config_free(NULL);
}

TEST(the_server)
{
    struct config *config = read_good("\xef\xbb\xbf# a comment\n"
                                      "; another one\r\n"
                                      "\n"
                                      "[Server]\r\n"
                                      "  Listen = [::1]:80  \n"
                                      "\tListen=8081\n"
                                      "Listen=unix:run/s\n"
                                      "Listen=unix:/run/s\n"
                                      "SocketMode=0660\n"
                                      "ProxyFrom=10.0.0.0/8 fd00::/8\n"
                                      "ProxyFrom=unix\n"
                                      "Backend=threads\n"
                                      "Threads=256\n"
                                      "User=www-data\n"
                                      "Group=www\n"
                                      "Cache=1G\n"
                                      "MimeTypes=my.types\n"
                                      "Landlock=no\n"
                                      "Seccomp=auto\n"
                                      "[Log]\n"
                                      "Access=/var/log/a b.log\n"
                                      "Format=json\n"
                                      "Transfers=xferlog\n"
                                      "[Status]\n"
                                      "Listen=127.0.0.1:9");
    char path[600];
    CHECK_INT(config->http.count, 4);
    check_url(&config->http, 0, "http://[::1]:80/");
    check_url(&config->http, 1, "http://127.0.0.1:8081/");
    snprintf(path, sizeof path, "unix:%s/run/s", harness_directory());
    check_url(&config->http, 2, path);
    check_url(&config->http, 3, "unix:/run/s");
    check_url(&config->status, 0, "http://127.0.0.1:9/");
    CHECK_INT(config->socket_mode, 0660);
    REQUIRE_INT(config->proxies.count, 3);
    CHECK_STR(config->proxies.list[1].bytes, "fd00::/8");
    CHECK_INT(config->backend, ERRAND_BACKEND_THREADS);
    CHECK_INT(config->threads, 256);
    CHECK_STR(config->user, "www-data");
    CHECK_STR(config->group, "www");
    CHECK_INT(config->cache, 1 << 30);
    snprintf(path, sizeof path, "%s/my.types", harness_directory());
    CHECK_STR(config->mime_types, path);
    CHECK_INT(config->landlock, CONFIG_OFF);
    CHECK_INT(config->seccomp, CONFIG_UNSET);
    CHECK_STR(config->access_log, "/var/log/a b.log");
    CHECK_INT(config->access_log_format, CONFIG_LOG_JSON);
    snprintf(path, sizeof path, "%s/xferlog", harness_directory());
    CHECK_STR(config->transfer_log, path);
    config_free(config);
}

TEST(limits)
{
    struct config *config = read_good("[Limits]\nConnections=1000\nConnectionsPerAddress=10\nRequestsPerAddress=20\n"
                                      "IdleTimeout=5min\nHeadTimeout=1500ms\nBodyTimeout=1min 30s\nSendTimeout=7\n"
                                      "LeastRate=1K\nLeastRateTime=30s\nRate=512K\nStopTimeout=1h\n");
    const struct config_limits *limits = &config->limits;
    CHECK_INT(limits->connections, 1000);
    CHECK_INT(limits->connections_per_address, 10);
    CHECK_INT(limits->requests_per_address, 20);
    CHECK_INT(limits->idle_ns, 300 * ERRAND_SECOND);
    CHECK_INT(limits->head_ns, 1500 * ERRAND_MILLISECOND);
    CHECK_INT(limits->body_ns, 90 * ERRAND_SECOND);
    CHECK_INT(limits->send_ns, 7 * ERRAND_SECOND);
    CHECK_INT(limits->least_rate, 1 << 10);
    CHECK_INT(limits->least_rate_ns, 30 * ERRAND_SECOND);
    CHECK_INT(limits->rate, 512 << 10);
    CHECK_INT(limits->stop_ns, 3600 * ERRAND_SECOND);
    config_free(config);
}

TEST(a_host)
{
    struct config *config = read_good("[Host Example.org. *.example.org]\nDirectory=/srv\nIndex=index.html\nIndex=a b\n"
                                      "TryFiles=$path.html /x\nFallback=/app.html\nErrorPage=404 /404.html\n"
                                      "ErrorPage=500 /500.html\nListing=yes\nHidden=on\nWritable=true\n"
                                      "Precompressed=TRUE\nUploadMax=10M\nUploadSpace=1T\n[Host]\nDirectory=www\n");
    REQUIRE(config_finish(config, why, sizeof why));
    REQUIRE_INT(config->host_count, 2);
    char path[600];
    snprintf(path, sizeof path, "%s/www", harness_directory());
    CHECK_STR(config->hosts[0].directory, path); /* the one without a name went first */
    const struct config_host *host = &config->hosts[1];
    REQUIRE_INT(host->names.count, 2);
    CHECK_STR(host->names.list[0].bytes, "example.org");
    CHECK_STR(host->names.list[1].bytes, "*.example.org");
    CHECK_STR(host->directory, "/srv");
    REQUIRE_INT(host->index.count, 3);
    CHECK_STR(host->index.list[2].bytes, "b");
    REQUIRE_INT(host->try_files.count, 2);
    CHECK_STR(host->try_files.list[0].bytes, "$path.html");
    CHECK_STR(host->fallback.bytes, "/app.html");
    REQUIRE_INT(host->page_count, 2);
    CHECK_INT(host->pages[1].status, 500);
    CHECK_STR(host->pages[1].path.bytes, "/500.html");
    CHECK(host->listing && host->hidden && host->writable && host->precompressed);
    CHECK_INT(host->upload_max, 10 << 20);
    CHECK_INT(host->upload_space, (int64_t)1 << 40);
    config_free(config);
}

TEST(paths)
{
    struct config *config = read_good(
        "[Host]\nDirectory=/srv\n[Path /a b/*/**]\nHeader=X-One:  1\n"
        "Header=Content-Security-Policy: default-src 'self' ; img-src * # not a comment\nCacheControl=1h\n"
        "Redirect=308 https://example.org/$1?x=$2\nUsers=users\nAllowOrigin=https://a.example http://[::1]:80\n"
        "AllowOrigin=*\nType=text/plain; charset=utf-8\nRate=1M\nDeny=no\nListing=no\nHidden=yes\n"
        "Writable=auto\n[Path *.js]\nRealm=Only us\nCacheControl=immutable\nRedirect=/x\n"
        "[Path *.css]\nCacheControl=no-cache, private\n");
    REQUIRE(config_finish(config, why, sizeof why));
    REQUIRE_INT(config->hosts[0].rule_count, 3);
    const struct config_rule *rule = &config->hosts[0].rules[0];
    CHECK_STR(rule->pattern.bytes, "/a b/*/**");
    CHECK_STR(rule->headers.bytes,
              "X-One: 1\r\nContent-Security-Policy: default-src 'self' ; img-src * # not a comment\r\n"
              "Cache-Control: max-age=3600\r\n");
    CHECK_INT(rule->headers.length, strlen(rule->headers.bytes));
    CHECK_INT(rule->redirect, 308);
    CHECK_STR(rule->to.bytes, "https://example.org/$1?x=$2");
    CHECK(strstr(rule->users.bytes, "/users") != NULL && rule->users.bytes[0] == '/');
    CHECK_STR(rule->realm.bytes, "errand");
    REQUIRE_INT(rule->origins.count, 3);
    CHECK_STR(rule->origins.list[1].bytes, "http://[::1]:80");
    CHECK_STR(rule->type.bytes, "Content-Type: text/plain; charset=utf-8\r\n");
    CHECK_INT(rule->rate, 1 << 20);
    CHECK_INT(rule->deny, CONFIG_OFF);
    CHECK_INT(rule->listing, CONFIG_OFF);
    CHECK_INT(rule->hidden, CONFIG_ON);
    CHECK_INT(rule->writable, CONFIG_UNSET);
    CHECK_STR(rule[1].realm.bytes, "Only us");
    CHECK_STR(rule[1].headers.bytes, "Cache-Control: public, max-age=31536000, immutable\r\n");
    CHECK_INT(rule[1].redirect, 307);
    CHECK_STR(rule[2].headers.bytes, "Cache-Control: no-cache, private\r\n");
    config_free(config);
}

/* Each row of the table has a default that can be told from what a file says, and a text that says what it is. */
TEST(the_table)
{
    for (unsigned i = 0; i < config_key_count; i++) {
        harness_at("%s", config_keys[i].name);
        CHECK(config_find_key(config_keys[i].section, config_keys[i].name) == &config_keys[i]);
        CHECK(config_keys[i].help[0] != '\0');
    }
}

TEST(a_long_file)
{
    enum { HOSTS = 200, SPACE = 2 << 20 };
    char *text = malloc(SPACE);
    size_t used = 0;
    for (unsigned i = 0; i < HOSTS; i++) {
        used += (size_t)snprintf(text + used, SPACE - used, "[Host h%u.example]\nDirectory=/%u\n", i, i);
        for (unsigned j = 0; j < 10; j++)
            used += (size_t)snprintf(text + used, SPACE - used, "[Path /%0200u/**]\nHeader=X: %0300u\n", j, j);
    }
    struct config *config = read_good(text);
    REQUIRE(config_finish(config, why, sizeof why));
    REQUIRE_INT(config->host_count, HOSTS);
    const struct config_host *host = config_host_of(config, "h123.example", 12);
    CHECK_STR(host->directory, "/123");
    REQUIRE_INT(host->rule_count, 10);
    CHECK_INT(host->rules[9].pattern.length, 204);
    CHECK_INT(host->rules[9].headers.length, 305);
    config_free(config);
    free(text);
}

/* What is written down is read as the same; every key has its place in it. */
TEST(written_and_read)
{
    struct config *config = read_good(
        "[Server]\nListen=[::1]:80\nListen=unix:/s\nSocketMode=600\nProxyFrom=10.0.0.0/8\nBackend=uring\nThreads=2\n"
        "User=a\nGroup=b\nCache=5%\nSeccomp=no\n[Limits]\nRate=3K\n[Log]\nAccess=x\nFormat=json\nTransfers=y\n"
        "[Status]\nListen=9\n[Ftp]\nUsers=users\nLocalHome=/home\nLocalWritable=yes\nSessionsPerUser=3\n"
        "FailuresPerAddress=4\n"
        "PassivePorts=5000-5999\nPassiveAddress=192.0.2.1\nGreeting=Be welcome.\n"
        "[Host]\nDirectory=/\nIndex=a b\nTryFiles=/x $path.y\nFallback=/z\nErrorPage=404 /f\nListing=yes\n"
        "[Path /a b/**]\nHeader=A: b ; c\nCacheControl=1d\nRedirect=301 /x\nUsers=u\nRealm=r\nAllowOrigin=*\n"
        "Type=a/b; c=d\nRate=4\nDeny=yes\n[Path *.c]\nWritable=no\n[Host a.b *.c]\nDirectory=/\n");
    char *texts[2] = {NULL, NULL};
    for (unsigned i = 0; i < 2; i++) {
        size_t length;
        FILE *stream = open_memstream(&texts[i], &length);
        REQUIRE(config_finish(config, why, sizeof why));
        config_dump(config, stream);
        fclose(stream);
        config_free(config);
        config = read_good(texts[i]);
    }
    CHECK_STR(texts[1], texts[0]);
    for (unsigned i = 0; i < config_key_count; i++) {
        char line[64];
        snprintf(line, sizeof line, "\n%s=", config_keys[i].name);
        harness_at("%s", config_keys[i].name);
        CHECK(strstr(texts[0], line) != NULL || strcmp(config_keys[i].name, "CacheControl") == 0);
    }
    CHECK(strstr(texts[0], "\nHeader=Cache-Control: max-age=86400\n") != NULL);
    config_free(config);
    free(texts[0]);
    free(texts[1]);
}

/* ------------------------------------------------------------------------------------------ mistakes */

static const struct {
    const char *text, *line, *words; /* what the message has: the line's number, and the remedy */
} mistakes[] = {
    {"Threads=2\n", ":1: ", "begin with [Server] or [Host]"},
    {"[Sever]\n", ":1: ", "did you mean [Server]?"},
    {"[server]\n", ":1: ", "did you mean [Server]?"},
    {"[Nonsense]\n", ":1: ", "want [Server], [Limits], [Log], [Status], [Ftp], [Host NAME...] or [Path PATTERN]"},
    {"[]\n", ":1: ", "there is no section []"},
    {"[\n", ":1: ", "a section ends with ]"},
    {"[Server] # here\n", ":1: ", "comments stand on lines of their own"},
    {"[Server x]\n", ":1: ", "[Server] takes no name"},
    {"[Server]\n\nThreds=2\n", ":3: ", "did you mean Threads?"},
    {"[Server]\nthreads=2\n", ":2: ", "did you mean Threads?"},
    {"[Server]\nIdelTimeout=2\n", ":2: ", "did you mean IdleTimeout in [Limits]?"},
    {"[Server]\nCacheControl=2\n", ":2: ", "CacheControl is not known in [Server]; it belongs into [Path PATTERN]"},
    {"[Host]\nRate=2\n", ":2: ", "it belongs into [Limits] or [Path PATTERN]"},
    {"[Server]\nQqqqqq=2\n", ":2: ", "errand.conf(5) lists what is"},
    {"[Server]\nThreads\n", ":2: ", "want [Section] or Key=value"},
    {"[Server]\nThreads: 2\n", ":2: ", "want [Section] or Key=value"},
    {"[Server]\n=2\n", ":2: ", "want [Section] or Key=value"},
    {"[Server]\nThreads=\n", ":2: ", "has no value"},
    {"[Server]\nThreads=2\nListen=1\nThreads=3\n", ":4: ", "set twice, first in line 2; keep one"},
    {"[Server]\nThreads=0\n", ":2: ", "want a number from 1 to 256"},
    {"[Server]\nThreads=257\n", ":2: ", "want a number from 1 to 256"},
    {"[Server]\nThreads=-1\n", ":2: ", "want a number from 1 to 256"},
    {"[Server]\nThreads=99999999999999999999\n", ":2: ", "want a number from 1 to 256"},
    {"[Server]\nThreads=2 # two\n", ":2: ", "want a number from 1 to 256"},
    {"[Server]\nBackend=fast\n", ":2: ", "want auto, uring or threads"},
    {"[Server]\nListen=off\nListen=80\n", ":3: ", "off stands alone"},
    {"[Ftp]\nPassivePorts=7\n", ":2: ", "want two ports"},
    {"[Ftp]\nPassiveAddress=::1\n", ":2: ", "want an IPv4 address"},
    {"[Server]\nListen=example.org:80\n", ":2: ", "want ADDR:PORT, [IPV6]:PORT, PORT, unix:PATH or off"},
    {"[Server]\nListen=::1:80\n", ":2: ", "want ADDR:PORT"},
    {"[Server]\nListen=unix:\n", ":2: ", "want ADDR:PORT"},
    {"[Server]\nListen=unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     ":2: ", "at most 107 bytes"},
    {"[Server]\nSocketMode=888\n", ":2: ", "want a mode in octal digits"},
    {"[Server]\nSocketMode=01777\n", ":2: ", "want a mode in octal digits"},
    {"[Server]\nSocketMode=rw\n", ":2: ", "want a mode in octal digits"},
    {"[Server]\nProxyFrom=10.0.0.0/33\n", ":2: ", "want addresses or prefixes"},
    {"[Server]\nProxyFrom=10.0.0.0/\n", ":2: ", "want addresses or prefixes"},
    {"[Server]\nUser=a b\n", ":2: ", "want one name"},
    {"[Server]\nCache=91%\n", ":2: ", "at most 90%"},
    {"[Server]\nCache=1X\n", ":2: ", "want a size"},
    {"[Server]\nSeccomp=maybe\n", ":2: ", "want yes, no or auto"},
    {"[Limits]\nIdleTimeout=0\n", ":2: ", "want a time from 1 ms to 24 h"},
    {"[Limits]\nIdleTimeout=25h\n", ":2: ", "want a time"},
    {"[Limits]\nIdleTimeout=1parsec\n", ":2: ", "want a time"},
    {"[Limits]\nIdleTimeout=99999999999999999999h\n", ":2: ", "want a time"},
    {"[Limits]\nIdleTimeout=s\n", ":2: ", "want a time"},
    {"[Limits]\nRate=99999999999T\n", ":2: ", "want a number of bytes"},
    {"[Limits]\nLeastRateTime=500ms\n", ":2: ", "want a time from 1000 ms to 1 h"},
    {"[Limits]\nRate=1KK\n", ":2: ", "want a number of bytes"},
    {"[Log]\nFormat=xml\n", ":2: ", "want combined or json"},
    {"[Log]\nFormat=xferlog\n", ":2: ", "want combined or json"},
    {"[Ftp]\nListen=unix:/run/ftp\n", ":2: ", "there is no FTP over sockets of files"},
    {"[Ftp]\nGreeting=\"hello\"\n", ":2: ", "plain text"},
    {"[Host]\nListing=maybe\n", ":2: ", "want yes or no"},
    {"[Host]\nIndex=a/b\n", ":2: ", "want names without a slash"},
    {"[Host]\nTryFiles=x\n", ":2: ", "begin with a slash or with $path"},
    {"[Host]\nFallback=x\n", ":2: ", "begins with a slash"},
    {"[Host]\nErrorPage=404\n", ":2: ", "want a status from 400 to 599 and a path"},
    {"[Host]\nErrorPage=200 /x\n", ":2: ", "want a status from 400 to 599"},
    {"[Host]\nErrorPage=404 /x\nErrorPage=404 /y\n", ":3: ", "404 has a page already, /x"},
    {"[Host]\n[Host]\n", ":2: ", "a second [Host] without a name"},
    {"[Host a]\n[Host b A.]\n", ":2: ", "a stands in two [Host ...]"},
    {"[Host a:80]\n", ":1: ", "without a port"},
    {"[Host b\xc3\xa4r.example]\n", ":1: ", "xn--"},
    {"[Host *]\n", ":1: ", "is no name of a host"},
    {"[Host a..b]\n", ":1: ", "is no name of a host"},
    {"[Path /a]\n", ":1: ", "stands before any [Host]"},
    {"[Host]\n[Path]\n", ":2: ", "want a pattern"},
    {"[Host]\n[Path a/b]\n", ":2: ", "begins with one"},
    {"[Host]\n[Path /]\nHeader=X\n", ":3: ", "want Name: value"},
    {"[Host]\n[Path /]\nHeader=X : y\n", ":3: ", "want Name: value"},
    {"[Host]\n[Path /]\nHeader=X:\n", ":3: ", "X has no value"},
    {"[Host]\n[Path /]\nHeader=X: a\x01z\n", ":3: ", "control character"},
    {"[Host]\n[Path /]\nHeader=X: a\rb\n", ":3: ", "control character"},
    {"[Host]\n[Path /]\nHeader=content-length: 1\n", ":3: ", "cannot be set: the server writes it"},
    {"[Host]\n[Path /]\nHeader=Transfer-Encoding: x\n", ":3: ", "cannot be set"},
    {"[Host]\n[Path /]\nHeader=Connection: close\n", ":3: ", "cannot be set"},
    {"[Host]\n[Path /]\nHeader=Date: x\n", ":3: ", "cannot be set"},
    {"[Host]\n[Path /]\nHeader=Content-Type: x\n", ":3: ", "use Type="},
    {"[Host]\n[Path /]\nCacheControl=400d\n", ":3: ", "want a time up to 365d"},
    {"[Host]\n[Path /]\nRedirect=404 /x\n", ":3: ", "want a path or a URL"},
    {"[Host]\n[Path /]\nRedirect=304 /x\n", ":3: ", "want the status 301, 302"},
    {"[Host]\n[Path /]\nRedirect=x\n", ":3: ", "want a path or a URL"},
    {"[Host]\n[Path /]\nRedirect=//evil.example\n", ":3: ", "want a path or a URL"},
    {"[Host]\n[Path /]\nRedirect=/\xc3\xa4\n", ":3: ", "write it as %XX"},
    {"[Host]\n[Path /*]\nRedirect=/$2\n", ":3: ", "$2 is not there: the pattern /* has 1 star"},
    {"[Host]\n[Path /]\nRealm=\"us\"\n", ":3: ", "without quotes"},
    {"[Host]\n[Path /]\nAllowOrigin=https://Example.org/\n", ":3: ", "want origins in lower case"},
    {"[Host]\n[Path /]\nType=text\n", ":3: ", "want a media type"},
    {"[Host]\n[Path /]\nDeny=perhaps\n", ":3: ", "want yes, no or auto"},
    {"[Server]\nThreads=x\nThreads=y\nNo=z\n", ":2: ", "want a number"}, /* the first is told */
};

TEST(mistakes_are_explained)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        harness_at("%s", mistakes[i].text);
        CHECK(read_text(mistakes[i].text) == NULL);
        if (!CHECK(strstr(why, "/errand.conf:") != NULL && strstr(why, mistakes[i].line) != NULL &&
                   strstr(why, mistakes[i].words) != NULL))
            harness_note("%s", why);
    }
}

/* The handler of libinih is one thing, what it gets another: every value that is wrong is quoted with its key. */
TEST(keys_are_named)
{
    CHECK(read_text("[Server]\nThreads=x\n") == NULL);
    CHECK(strstr(why, ":2: Threads=x: want a number from 1 to 256") != NULL);
}

TEST(no_text)
{
    static char text[40000];
    CHECK(read_bytes("[Server]\nThr\0eads=2\n", 20) == NULL);
    CHECK(strstr(why, ":2: the line has a NUL byte in it") != NULL);
    memset(text, 'x', sizeof text);
    CHECK(read_bytes(text, sizeof text) == NULL);
    CHECK(strstr(why, ":1: the line is too long") != NULL);
    struct config *config = config_new();
    CHECK(!config_read(config, "/nonexistent/errand.conf", why, sizeof why));
    CHECK_STR(why, "cannot read /nonexistent/errand.conf: No such file or directory");
    CHECK(!config_read(config, harness_directory(), why, sizeof why));
    CHECK(strstr(why, "Is a directory") != NULL);
    config_free(config);
}

/* No file, however broken, does more than be refused. */
TEST(broken_files)
{
    static const char *const pieces[] = {"[Host]\n",
                                         "[Path /*]\n",
                                         "Header=A: b\n",
                                         "Redirect=/$1\n",
                                         "[Host a b]\n",
                                         "[",
                                         "]",
                                         "=",
                                         "\n",
                                         "Listen=",
                                         "\xff",
                                         "[Server]\n",
                                         "unix:",
                                         "%",
                                         "$9",
                                         "Directory=/x\n",
                                         "Type=",
                                         "a/b",
                                         "\r",
                                         "\t",
                                         "ErrorPage=404 /\n"};
    uint64_t random = 99;
    for (unsigned i = 0; i < 3000; i++) {
        char text[1024];
        size_t used = 0;
        for (unsigned j = 0; j < 20; j++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            used += (size_t)snprintf(text + used, sizeof text - used, "%s",
                                     pieces[(random >> 33) % (sizeof pieces / sizeof pieces[0])]);
        }
        struct config *config = read_text(text);
        CHECK_INT(config == NULL, why[0] != '\0');
        config_free(config);
    }
}

TEST(as_a_whole)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"[Host a.example]\n", "[Host a.example] has no Directory="},
        {"[Server]\nThreads=1\n", "[Host] has no Directory="},
        {"[Server]\nGroup=x\n[Host]\nDirectory=/\n", "Group= without User="},
        {"[Server]\nListen=80\nListen=127.0.0.1:80\n[Host]\nDirectory=/\n",
         "http://127.0.0.1:80/ is to be listened on twice"},
        {"[Server]\nListen=80\n[Status]\nListen=80\n[Host]\nDirectory=/\n", "listened on twice"},
        {"[Server]\nListen=unix:/a\nListen=unix:/a\n[Host]\nDirectory=/\n", "unix:/a is to be listened on twice"},
        {"[Server]\nListen=127.0.0.1:0\nListen=127.0.0.1:0\n[Host]\nDirectory=/\n", NULL},
        {"[Limits]\nLeastRate=1K\nRate=2K\n[Host]\nDirectory=/\n[Path *]\nRate=3K\n", NULL},
        {"[Limits]\nLeastRate=1025\nRate=2K\n[Host]\nDirectory=/\n", "LeastRate=1025 is more than half of Rate=2048"},
        {"[Limits]\nLeastRate=1K\n[Host]\nDirectory=/\n[Host a]\nDirectory=/\n[Path *]\nRate=9\n", "half of Rate=9:"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i].text);
        struct config *config = read_good(rows[i].text);
        CHECK_INT(config_finish(config, why, sizeof why), rows[i].words == NULL);
        if (rows[i].words != NULL && !CHECK(strstr(why, rows[i].words) != NULL))
            harness_note("%s", why);
        config_free(config);
    }
}

/* ------------------------------------------------------------------------------------------ hosts, options */

TEST(which_host)
{
    struct config *config = read_good("[Host *.example.org]\nDirectory=/wild\n[Host]\nDirectory=/default\n"
                                      "[Host *.b.example.org]\nDirectory=/longer\n"
                                      "[Host a.b.example.org localhost]\nDirectory=/exact\n"
                                      "[Host [::1] 127.0.0.1]\nDirectory=/numbers\n");
    REQUIRE(config_finish(config, why, sizeof why));
    static const struct {
        const char *name, *directory;
    } rows[] = {
        {"", "/default"},
        {"example.org", "/default"},
        {".example.org", "/default"},
        {"x.example.org", "/wild"},
        {"X.Example.ORG:8080", "/wild"},
        {"x.y.example.org.", "/wild"},
        {"b.example.org", "/wild"},
        {"c.b.example.org", "/longer"},
        {"a.b.example.org", "/exact"},
        {"A.b.example.org.:80", "/exact"},
        {"localhost", "/exact"},
        {"localhost:1", "/exact"},
        {"xlocalhost", "/default"},
        {"[::1]", "/numbers"},
        {"[::1]:80", "/numbers"},
        {"[::2]:80", "/default"},
        {"[", "/default"},
        {":", "/default"},
        {".", "/default"},
        {"127.0.0.1:80", "/numbers"},
        {"*.example.org", "/wild"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        harness_at("%s", rows[i].name);
        CHECK_STR(config_host_of(config, rows[i].name, strlen(rows[i].name))->directory, rows[i].directory);
    }
    config_free(config);
    config = read_good("[Host a.example]\nDirectory=/one\n");
    REQUIRE(config_finish(config, why, sizeof why));
    CHECK_STR(config_host_of(config, "other", 5)->directory, "/one");
    config_free(config);
}

TEST(options_win)
{
    struct config *config = read_good("[Server]\nListen=81\nListen=82\nThreads=3\n[Host a]\nDirectory=/a\n"
                                      "[Host]\nDirectory=/b\nListing=yes\n");
    CHECK(config_set(config, "Server", "Listen", "83", why, sizeof why));
    CHECK(config_set(config, "Server", "Listen", "84", why, sizeof why));
    CHECK(config_set(config, "Server", "Threads", "4", why, sizeof why));
    CHECK(config_set(config, "Server", "Threads", "5", why, sizeof why));
    CHECK(config_set(config, "Host", "Listing", "no", why, sizeof why));
    CHECK(config_set(config, "Host", "Directory", "c", why, sizeof why));
    CHECK(config_set(config, "Path", "AllowOrigin", "*", why, sizeof why));
    CHECK(config_set(config, "Path", "AllowOrigin", "https://x.example", why, sizeof why));
    CHECK(!config_set(config, "Server", "Threads", "0", why, sizeof why));
    CHECK_STR(why, "want a number from 1 to 256");
    CHECK(!config_set(config, "Server", "Thread", "0", why, sizeof why));
    CHECK(strstr(why, "did you mean Threads?") != NULL);
    REQUIRE(config_finish(config, why, sizeof why));
    CHECK_INT(config->http.count, 2);
    check_url(&config->http, 0, "http://127.0.0.1:83/");
    check_url(&config->http, 1, "http://127.0.0.1:84/");
    CHECK_INT(config->threads, 5);
    CHECK_STR(config->hosts[0].directory, "c");
    CHECK(!config->hosts[0].listing);
    REQUIRE_INT(config->hosts[0].rule_count, 1);
    CHECK_STR(config->hosts[0].rules[0].pattern.bytes, "/**");
    CHECK_INT(config->hosts[0].rules[0].origins.count, 2);
    CHECK_STR(config->hosts[1].directory, "/a");
    config_free(config);
}

TEST(what_it_names_is_there)
{
    char text[1200];
    snprintf(text, sizeof text, "[Host]\nDirectory=.\n[Path /x]\nUsers=errand.conf\n");
    struct config *config = read_good(text);
    REQUIRE(config_finish(config, why, sizeof why));
    CHECK(!config_check_files(config, why, sizeof why));
    CHECK(strstr(why, "errand.conf:1: want NAME:HASH") != NULL);
    config_free(config);
    config = read_good("[Host]\nDirectory=.\n[Host x]\nDirectory=nowhere\n");
    REQUIRE(config_finish(config, why, sizeof why));
    CHECK(!config_check_files(config, why, sizeof why));
    CHECK(strstr(why, "/nowhere: No such file or directory") != NULL);
    config_free(config);
    config = read_good("[Host]\nDirectory=errand.conf\n");
    REQUIRE(config_finish(config, why, sizeof why));
    CHECK(!config_check_files(config, why, sizeof why));
    CHECK(strstr(why, "not a directory") != NULL);
    config_free(config);
}
