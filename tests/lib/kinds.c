/* SPDX-License-Identifier: MIT */
/*
 * Every kind of step does its work on every backend: here is the list that none may be missing from. The compiler
 * refuses a switch that lacks a kind, the test a kind that has a name and no case. What else there is to be shown of
 * each is in the test program that the case names.
 */
#include "support.h"

#include <netinet/in.h>
#include <poll.h>

struct scene {
    errand_queue *queue;
    int file, directory, sockets[2], listener, client;
    struct sockaddr_in address;
    char buffer[64];
    struct errand_stat stat;
};

static int go_on(errand_chain *chain, void *context)
{
    (void)chain;
    (void)context;
    return 0;
}

static int see(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    (void)chain;
    (void)context;
    CHECK(entry->name[0] != 0);
    return 0;
}

static int64_t seven(void *context)
{
    (void)context;
    return 7;
}

/* Appends a step of that kind. Returns the test program that has more of it, and its number and result. */
static const char *append(struct scene *s, errand_chain *chain, unsigned kind, int *step, int64_t *result)
{
    int file = s->file, slot = ERRAND_SLOT(0), at = s->directory;
    const char *names[] = {"none", "file"};
    *result = 0;
    switch ((enum errand_step_kind)kind) {
    case ERRAND_STEP_OPEN:
        *step = errand_step_open_first(chain, at, names, 2, O_RDONLY);
        *result = INT64_MAX; /* any */
        return "steps, optional";
    case ERRAND_STEP_STAT:
        *step = errand_step_stat(chain, file, &s->stat);
        *result = 100;
        return "steps, files";
    case ERRAND_STEP_READ:
        *step = errand_step_read(chain, file, s->buffer, 9, 0, 0);
        *result = 9;
        return "steps";
    case ERRAND_STEP_CLOSE: *step = errand_step_close(chain, slot); return "steps";
    case ERRAND_STEP_SEND:
        *step = errand_step_send(chain, s->sockets[0], "x", 1, 0);
        *result = 1;
        return "sockets";
    case ERRAND_STEP_RECEIVE:
        *step = errand_step_receive(chain, s->sockets[0], s->buffer, 4, 0);
        *result = 4;
        return "sockets";
    case ERRAND_STEP_SENDFILE:
        *step = errand_step_sendfile(chain, s->sockets[0], file, 0, 100, "h", 1, 0);
        *result = 101;
        return "sockets, jobs";
    case ERRAND_STEP_SHUTDOWN: *step = errand_step_shutdown(chain, s->sockets[0], SHUT_WR); return "sockets";
    case ERRAND_STEP_CALL: *step = errand_step_call(chain, go_on, NULL); return "calls";
    case ERRAND_STEP_HAND_OVER:
        *step = errand_step_hand_over(chain, slot);
        *result = INT64_MAX;
        return "steps, peers";
    case ERRAND_STEP_WRITE:
        *step = errand_step_write(chain, file, "abc", 3, 0);
        *result = 3;
        return "files";
    case ERRAND_STEP_SYNC: *step = errand_step_sync(chain, file, 0); return "files";
    case ERRAND_STEP_TRUNCATE: *step = errand_step_truncate(chain, file, 50); return "files";
    case ERRAND_STEP_ALLOCATE: *step = errand_step_allocate(chain, file, 0, 0, 200); return "files";
    case ERRAND_STEP_COPY:
        *step = errand_step_copy(chain, file, 100, file, 0, 10, ERRAND_EXACT);
        *result = 10;
        return "copies";
    case ERRAND_STEP_CHMOD: *step = errand_step_chmod(chain, file, 0600); return "files";
    case ERRAND_STEP_CHOWN: *step = errand_step_chown(chain, file, UINT32_MAX, UINT32_MAX); return "files, names";
    case ERRAND_STEP_UTIMES: *step = errand_step_utimes(chain, file, 0, ERRAND_TIME_NOW); return "files, names";
    case ERRAND_STEP_GET_ATTRIBUTE:
        errand_step_set_attribute(chain, file, "user.x", "val", 3, 0);
        *step = errand_step_get_attribute(chain, file, "user.x", s->buffer, 64);
        *result = 3;
        return "files";
    case ERRAND_STEP_SET_ATTRIBUTE: *step = errand_step_set_attribute(chain, file, "user.x", "", 0, 0); return "files";
    case ERRAND_STEP_LIST_ATTRIBUTES:
        errand_step_set_attribute(chain, file, "user.x", "", 0, 0);
        *step = errand_step_list_attributes(chain, file, s->buffer, 64);
        *result = 7;
        return "files";
    case ERRAND_STEP_REMOVE_ATTRIBUTE:
        errand_step_set_attribute(chain, file, "user.x", "", 0, 0);
        *step = errand_step_remove_attribute(chain, file, "user.x");
        return "files";
    case ERRAND_STEP_LIST:
        *step = errand_step_list(chain, at, see, NULL);
        *result = 1;
        return "listing";
    case ERRAND_STEP_RENAME: *step = errand_step_rename(chain, at, "file", at, "a", 0); return "names";
    case ERRAND_STEP_LINK: *step = errand_step_link(chain, at, "file", at, "a"); return "names";
    case ERRAND_STEP_LINK_FILE: *step = errand_step_link_file(chain, file, at, "a"); return "names";
    case ERRAND_STEP_SYMLINK: *step = errand_step_symlink(chain, "x", at, "a"); return "names";
    case ERRAND_STEP_READ_LINK:
        errand_step_symlink(chain, "four", at, "a");
        *step = errand_step_read_link(chain, at, "a", s->buffer, 64);
        *result = 4;
        return "names";
    case ERRAND_STEP_UNLINK: *step = errand_step_unlink(chain, at, "file"); return "names";
    case ERRAND_STEP_MKDIR: *step = errand_step_mkdir(chain, at, "a", 0700); return "names";
    case ERRAND_STEP_RMDIR:
        errand_step_mkdir(chain, at, "a", 0700);
        *step = errand_step_rmdir(chain, at, "a");
        return "names";
    case ERRAND_STEP_MKNOD: *step = errand_step_mknod(chain, at, "a", S_IFIFO | 0600, 0); return "names";
    case ERRAND_STEP_RECEIVE_FILE:
        *step = errand_step_receive_file(chain, s->sockets[0], file, 0, 4, ERRAND_EXACT);
        *result = 4;
        return "receive_file";
    case ERRAND_STEP_ACCEPT:
        *step = errand_step_accept(chain, s->listener);
        *result = INT64_MAX;
        return "peers";
    case ERRAND_STEP_CONNECT:
        *step = errand_step_connect(chain, -1, &s->address, sizeof s->address);
        *result = INT64_MAX;
        return "peers";
    case ERRAND_STEP_POLL:
        *step = errand_step_poll(chain, s->sockets[0], POLLIN);
        *result = POLLIN;
        return "peers";
    case ERRAND_STEP_SLEEP: *step = errand_step_sleep(chain, 1000); return "peers";
    case ERRAND_STEP_REPLACE: *step = errand_step_replace(chain, file, at, "a"); return "write_jobs";
    case ERRAND_STEP_LOAD:
        *step = errand_step_load(chain, file, 100);
        *result = 100;
        return "write_jobs";
    case ERRAND_STEP_COPY_METADATA:
        *step = errand_step_copy_metadata(chain, slot, file, ERRAND_MODE | ERRAND_TIMES);
        return "trees";
    case ERRAND_STEP_AWAIT:
        *step = errand_step_await(chain, NULL, NULL);
        *result = 7;
        return "trees";
    case ERRAND_STEP_WORK:
        *step = errand_step_work(chain, seven, NULL);
        *result = 7;
        return "working";
    }
    return NULL;
}

static int64_t results[64];

static int note(errand_chain *chain, void *context)
{
    int step = *(int *)context;
    results[step] = errand_chain_result(chain, step);
    return 0;
}

static void run_kind(struct scene *s, enum errand_backend backend, unsigned kind)
{
    REQUIRE_CALL(mkdir(path_of("kinds"), 0700));
    s->file = (int)REQUIRE_CALL(open(make_file("kinds/file", 100, 1), O_RDWR | O_CLOEXEC));
    s->directory = (int)REQUIRE_CALL(open(path_of("kinds"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    make_pair(PAIR_UNIX, s->sockets);
    CHECK_INT(send(s->sockets[1], "text", 4, 0), 4);
    uint16_t port;
    s->listener = make_listener(&port);
    s->client = connect_to(port);
    s->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int step = -1;
    int64_t expected;
    errand_chain *chain = new_chain(s->queue);
    errand_step_open(chain, s->directory, "file", O_RDWR, 0);
    const char *where = append(s, chain, kind, &step, &expected);
    errand_step_call(chain, note, &step);
    if (!where || step < 0) {
        FAIL("%s is not tested on %s", errand_step_name(kind), harness_backend_name(backend));
        errand_chain_drop(chain);
    } else {
        errand_id id = submit(chain, NULL, 0);
        if (kind == ERRAND_STEP_AWAIT)
            CHECK_INT(errand_resume(s->queue, id, 7, 0), 0);
        struct errand_event event = next_event(s->queue);
        CHECK_INT(event.error, 0);
        CHECK_INT(event.step, -1);
        CHECK(expected == INT64_MAX ? results[step] >= 0 : results[step] == expected);
        printf("%-18s %-8s covered; more in %s\n", errand_step_name(kind), harness_backend_name(backend), where);
        if (event.fd >= 0)
            close(event.fd);
    }
    close(s->file);
    close(s->directory);
    close(s->sockets[0]);
    close(s->sockets[1]);
    close(s->listener);
    close(s->client);
    unlink(path_of("kinds/file"));
    unlink(path_of("kinds/a"));
    rmdir(path_of("kinds/a"));
    REQUIRE_CALL(rmdir(path_of("kinds")));
}

TEST_EACH_BACKEND(none_is_missing)
{
    struct scene s = {.queue = open_queue(backend, NULL)};
    unsigned kind = 1;
    for (; strcmp(errand_step_name(kind), "unknown step") != 0; kind++) {
        harness_at("%s", errand_step_name(kind));
        run_kind(&s, backend, kind);
    }
    CHECK_INT(kind, ERRAND_STEP_AWAIT + 1); /* the last one has a name, too */
    close_queue(s.queue);
}
