/* SPDX-License-Identifier: MIT */
/*
 * What the server is to do: put together from the command line and a configuration file (errand.conf(5)) before it
 * starts, never changed afterwards. Threads share it; a reload starts a new process with a new one.
 *
 *     config -- hosts (virtual ones; the first is the default) -- rules (by pattern of a path, in order)
 */
#ifndef SERVER_CONFIG_CONFIG_H
#define SERVER_CONFIG_CONFIG_H

#include "errand.h"
#include "listen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config_text {
    const char *bytes; /* ends with a NUL, too; NULL: not set */
    size_t length;
};

struct config_texts {
    struct config_text *list;
    unsigned count;
};

struct config_addresses {
    struct listen_address *list;
    unsigned count;
    bool off; /* "off" was said: none, not even the default */
};

enum config_switch { CONFIG_UNSET, CONFIG_OFF, CONFIG_ON };

/* An error page: what a reply with this status has for content. */
struct config_page {
    int status;
    struct config_text path; /* in the host's directory, with a leading slash */
};

/*
 * A section [Path PATTERN]: what is different for the paths that match. All rules of a host that match apply, in their
 * order; a later one goes before an earlier one, header lines come together.
 */
struct config_rule {
    struct config_text pattern; /* of a decoded path with its leading slash: see pattern.h */
    struct config_text headers; /* ready lines, "Cache-Control: no-cache\r\n"...: of 200, 206 and 304 replies */
    int redirect;               /* a status from 301 to 308; 0: none */
    struct config_text to;      /* where it leads; "$1" to "$9": what the pattern's stars stood for */
    struct config_text users;   /* an htpasswd file: basic authentication; NULL: none asked for */
    struct config_text realm;
    struct config_texts origins;                  /* that CORS allows; "*": all; none: no CORS */
    struct config_text type;                      /* a whole Content-Type line; NULL: by the name */
    uint64_t rate;                                /* bytes a second of one reply; 0: without limit */
    enum config_switch deny;                      /* 403, whatever is there */
    enum config_switch listing, hidden, writable; /* CONFIG_UNSET: as the host */
};

/* A section [Host NAME...]. */
struct config_host {
    struct config_texts names; /* lower case; "*.example.org": and all below; none: the default host */
    const char *directory;
    struct config_texts index;     /* names tried for a directory, in order; none: index.html */
    struct config_texts try_files; /* for a path that does not exist: "$path.html", "/fallback.html" */
    struct config_text fallback;   /* the last resort, with 200: single-page applications; NULL: 404 */
    struct config_page *pages;
    unsigned page_count;
    struct config_rule *rules;
    unsigned rule_count;
    bool listing;          /* directories without an index are listed */
    bool hidden;           /* names with a leading dot are served (.well-known always) */
    bool writable;         /* PUT, DELETE, MKCOL, MOVE, COPY */
    bool precompressed;    /* siblings .zst, .br, .gz are served to who accepts them */
    uint64_t upload_max;   /* bytes of one upload; 0: without limit */
    uint64_t upload_space; /* bytes that must stay free on its filesystem */
};

/* Of everything that a client can make the server hold or wait for. Times in nanoseconds. */
struct config_limits {
    uint32_t connections;             /* in all; 0: as many as the descriptors allow */
    uint32_t connections_per_address; /* 0: without limit; an IPv6 address: its /64 */
    uint32_t requests_per_address;    /* a second; 0: without limit; answer: 429 */
    int64_t idle_ns;                  /* between requests; default 60 s */
    int64_t head_ns;                  /* from a head's first byte to its last; default 15 s */
    int64_t body_ns;                  /* without a byte of an upload; default 30 s */
    int64_t send_ns;                  /* while a client takes nothing; default 60 s */
    uint64_t least_rate;              /* bytes a second below which a client that we wait for is cut off; 0: none */
    int64_t least_rate_ns;            /* which that is the average of; default 1 min */
    uint64_t rate;                    /* bytes a second to one connection; 0: without limit */
    int64_t stop_ns;                  /* a graceful stop takes at most so long; default 10 s */
    int64_t drain_ns;                 /* after a reload, clients of the process before may go on so long; default 1 h */
};

/* The FTP server. Its anonymous users see the default host, or the one that HOST names, by that host's rules. */
struct config_ftp {
    struct config_addresses listen;       /* default 127.0.0.1:2121 */
    bool anonymous;                       /* default yes */
    const char *users;                    /* a file of names, hashes of passwords and homes: users.h; NULL: none */
    const char *local_home;               /* users of this system log in, whose homes are beneath it; NULL: none */
    bool local_writable;                  /* in their homes */
    uint32_t sessions_per_user;           /* of these, each; 0: without limit */
    uint32_t failures_per_address;        /* wrong passwords, of which one is forgiven each 30 s; default 20; 0: any */
    uint32_t passive_first, passive_last; /* ports of passive data connections; 0: any */
    struct config_text passive_address;   /* told to clients in 227, behind NAT; NULL: the one that they came to */
    struct config_text greeting;          /* of a new session; NULL: the program and its version */
    bool active;                          /* PORT and EPRT are obeyed; default yes */
    int64_t idle_ns;                      /* between commands of who has logged in; default 5 min */
    int64_t login_ns;                     /* of who has not; default 30 s */
};

enum config_log_format { CONFIG_LOG_COMBINED, CONFIG_LOG_JSON, CONFIG_LOG_XFERLOG };

struct config {
    const char *file;             /* that it came from; NULL: from the command line alone */
    struct config_addresses http; /* default 127.0.0.1:8080 */
    struct config_ftp ftp;
    struct config_addresses status; /* metrics, health, live page; none: off */
    uint32_t socket_mode;           /* of sockets in the filesystem; 0: as the umask has it */
    struct config_texts proxies;    /* addresses and prefixes that may begin with a PROXY header */
    enum errand_backend backend;
    unsigned threads;         /* 0: as many as there are cores for this process */
    const char *user, *group; /* to become, when started as root; NULL: stay */
    uint64_t cache;           /* bytes in all; 0: off */
    const char *access_log;   /* a file's path, "-" for standard output; NULL: none */
    enum config_log_format access_log_format;
    const char *transfer_log; /* of FTP, as xferlog(5) has it; NULL: none */
    const char *mime_types;   /* default /etc/mime.types */
    enum config_switch landlock, seccomp;
    struct config_limits limits;
    struct config_host *hosts; /* at least one */
    unsigned host_count;
};

/* The defaults: no host yet. config_free() frees everything that it refers to. NULL: no memory. */
struct config *config_new(void);
void config_free(struct config *config);

/*
 * Reads a file into it. False: `why` says what is wrong, where, and what would be right:
 * "errand.conf:12: CacheControl is not known in [Server]; it belongs into [Path ...]".
 */
bool config_read(struct config *config, const char *file, char *why, size_t why_size);

/* The same of what config_dump() wrote: relative paths begin where we are. */
bool config_read_dump(struct config *config, FILE *dump, char *why, size_t why_size);

/*
 * Sets one key as a line "key=value" in that section would ("Server", "Host": of the default host; "Path": for all of
 * its paths), with what the file said for it forgotten: for the command line, after config_read(). Relative paths are
 * left alone. False: `why` says what the value should be ("want a number from 1 to 256").
 */
bool config_set(struct config *config, const char *section, const char *key, const char *value, char *why,
                size_t why_size);

/* After the last option: fills in what was left open and looks whether it makes sense as a whole. */
bool config_finish(struct config *config, char *why, size_t why_size);

/* Are the directories and files that it names there, and what they should be? For a test without serving. */
bool config_check_files(const struct config *config, char *why, size_t why_size);

/* Writes it as a file that gives the same when it is read: what defaults, file and options came to. */
void config_dump(const struct config *config, FILE *out);

/* The host that a Host field (perhaps with a port, in any case; length 0: none) means. */
const struct config_host *config_host_of(const struct config *config, const char *name, size_t length);

/* "512K", "1G": bytes; "off": 0. False: it is none of these. */
bool config_read_size(const char *text, uint64_t *result);

/* The same; NULL: none has that name. */
const struct config_host *config_find_host(const struct config *config, const char *name, size_t length);

/* May clients change anything of it? */
bool config_is_writable(const struct config_host *host);

#endif
