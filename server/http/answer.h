/* SPDX-License-Identifier: MIT */
/*
 * What the files of one request's way share: its record, and the replies that are no file. exchange.c has the record's
 * life and decides who answers; answer.c writes heads and pages; file.c serves files.
 */
#ifndef SERVER_HTTP_ANSWER_H
#define SERVER_HTTP_ANSWER_H

#include "accept.h"
#include "cache/cache.h"
#include "conditional.h"
#include "exchange.h"
#include "policy.h"
#include "record.h"
#include "sites.h"

enum {
    EXCHANGE_TEXT = 640,     /* for path, query and fields of ordinary requests */
    EXCHANGE_NAMES_MAX = 16, /* files that are tried for one request */
};

enum exchange_kind { KIND_FILE, KIND_INDEX, KIND_TRIED, KIND_LISTING, KIND_FALLBACK };

/* Files of which the first that can be opened is served. */
struct exchange_names {
    unsigned count;
    struct exchange_name {
        const char *path;
        uint16_t plain;       /* its length without the suffix of a coding */
        uint8_t kind, coding; /* enum exchange_kind; enum http_coding, HTTP_CODINGS: none */
    } list[EXCHANGE_NAMES_MAX];
    char text[];
};

struct credentials;
struct listing;
struct transfer;
struct upload;
struct users;

struct exchange {
    struct http_connection *http;
    struct exchange *next; /* spare */
    const struct site *site;
    struct record_request record;
    struct errand_stat stat;
    struct policy policy;
    struct http_conditions conditions;
    struct http_text origin, asked_headers;           /* CORS */
    struct exchange_names *names;                     /* NULL: path alone */
    struct credentials *credentials;                  /* being checked; NULL: none */
    struct cache_waiter waiter;                       /* while `waits` */
    struct cache_entry *entry;                        /* being sent; NULL: none */
    struct listing *listing;                          /* being sent; NULL: none */
    struct upload *upload;                            /* of a PUT, or the COPY of a file */
    struct transfer *transfer;                        /* of a MOVE or COPY */
    const struct users *other_users;                  /* he must be one of these, too; NULL: of none more */
    char *rubbish;                                    /* a name of ours, to be removed at its end; NULL: none */
    int (*append)(errand_chain *, struct exchange *); /* what is done once it is known who asks */
    char *path;                                       /* relative to the root; a slash stands before it */
    const char *query;                                /* with its "?", as it came */
    char *large, *space, *lines; /* NULL, or memory for what does not fit below: texts, heads, lines of heads; ours */
    uint64_t stored; /* by the chain under way, in a file: what it moves besides is the reply */
    uint32_t path_length;
    uint16_t query_length;
    uint8_t method;              /* enum http_method */
    uint8_t name;                /* of the names: which is being looked for, or was found */
    bool waits;                  /* for the cache */
    int16_t file_step;           /* which opened the file */
    int16_t page_status;         /* of an error page that is being opened; 0: none */
    struct http_codings codings; /* that may be served */
    bool conditional, keep_alive, linger;
    bool replied;   /* a head was written */
    bool old;       /* HTTP/1.0 */
    bool directory; /* the URL names one */
    bool json;      /* rather than HTML */
    bool lists;     /* the chain under way opens a directory that is to be listed */
    bool is_page;   /* what is sent is the last that can be said */
    char head[HTTP_HEAD_SPACE];
    char text[EXCHANGE_TEXT];
};

struct http_shared *exchange_shared(const struct exchange *exchange);
int exchange_root(const struct exchange *exchange);

/* Where it is written down what happens to requests: see record/record.h. */
struct record *exchange_record(const struct exchange *exchange);

static inline bool exchange_is_head(const struct exchange *exchange)
{
    return exchange->method == HTTP_HEAD;
}

/* Called when a head is written: from then on what it says holds. */
enum http_connection_line exchange_connection_line(struct exchange *exchange);
const struct http_clock *exchange_clock(struct exchange *exchange);

/* Has a chain of its own perform what is appended, within the time limits of a reply; or answers with the error. */
void exchange_run(struct exchange *exchange, int (*append)(errand_chain *, struct exchange *));

/* Bytes a second that its client may have; 0: without limit. */
uint64_t exchange_rate(const struct exchange *exchange);

/* Submits a chain of the exchange that waits for its client or a disk. Returns 0 or the error. */
int exchange_submit(struct exchange *exchange, errand_chain *chain);

/* ---- answer.c. What is appended to a chain returns 0 or a negative errno. */

/* Room for a head with so many bytes of lines besides the usual; NULL: no memory. Ends the life of the one before. */
char *answer_space(struct exchange *exchange, size_t more);

/* Lines that the host's rules, CORS, codings add; `file`: to a head that stands for a file. False: no memory. */
bool answer_lines(struct exchange *exchange, bool file, enum http_coding coding, const char **lines, size_t *length);

char *answer_put_vary(char *at);

/* A head, alone or with its page. */
int answer_head(errand_chain *chain, struct exchange *exchange, const char *head, size_t length);

/* A page for a status: the host's own if it has one, or ours. */
int answer_status(errand_chain *chain, struct exchange *exchange, int status);

/* To the same URL with a slash; to where a rule leads. */
int answer_with_slash(errand_chain *chain, struct exchange *exchange);
int answer_redirect(errand_chain *chain, struct exchange *exchange);

/* To OPTIONS. */
int answer_options(errand_chain *chain, struct exchange *exchange);

/* That something was changed; tag: the file's entity tag now, NULL: none is told. */
int answer_changed(errand_chain *chain, struct exchange *exchange, int status, const char *tag, size_t length);

/* In a chain of its own: as errors of chains, and requests that need no file, are answered. */
void answer_alone(struct exchange *exchange, int status);
void answer_by(struct exchange *exchange, int (*append)(errand_chain *, struct exchange *));

/* What the client is told about an error of a chain that sent nothing. */
int answer_status_of(int error);

/* ---- file.c */

/* GET and HEAD: begins the chain. */
void file_begin(struct exchange *exchange);

/* The steps that open the file and look at it; decide() then appends the rest. */
int file_append(errand_chain *chain, struct exchange *exchange);

/* The same from memory: stat is known, these are all its bytes. */
int file_append_bytes(errand_chain *chain, struct exchange *exchange, const char *bytes);

/* Fills in what a head says of a file, but for its status and lines; tag is where its entity tag goes. */
void file_describe(struct http_file_head *head, char tag[HTTP_TAG_SPACE], const struct http_shared *shared,
                   const struct errand_stat *stat, const struct config_rule *typed, const char *path,
                   size_t path_length);

/* Of the name that was chosen. */
enum http_coding file_coding(const struct exchange *exchange);

/* An error page, for page_status. */
int file_append_page(errand_chain *chain, struct exchange *exchange, const struct config_text *path);

/* ---- names.c: which files? Returns 0, or a status to answer with. */
int names_choose(struct exchange *exchange);

/* ---- login.c */

/* Is the client to be asked who he is? Returns 0: go on; 401, 503; -1: a chain is under way that finds out, and then
 * goes on with exchange->append(). */
int login_check(struct exchange *exchange, const char *field, size_t length);
void login_free(struct exchange *exchange);

/* ---- cached.c */

/* GET and HEAD, where there may be a cache. */
void cached_begin(struct exchange *exchange);
void cached_release(struct exchange *exchange);

/* The cache's `make`; context: the worker's http_shared. */
int cached_make(void *context, const struct cache_file *file, char *head, uint64_t notes[CACHE_NOTES]);

#endif
