/* SPDX-License-Identifier: MIT */
/*
 * The table that none may be missing from: every kind of step does its work on every backend, and fails as it should.
 * The compiler refuses a switch that lacks a kind, the test a kind that has a name and no case, or a column without it.
 */
#include "scene.h"

#include <poll.h>

/* What the step's success is, and its usual error. */
struct kind {
    int step;
    int64_t result;
    uint64_t bytes;
    int error; /* of the chain in which it fails */
    bool fd, data;
};

static enum errand_step_kind playing;
static int playing_error;

static int go_on(errand_chain *chain, void *context)
{
    (void)chain;
    return context ? *(int *)context : 0;
}

static int see(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    (void)chain;
    (void)context;
    CHECK(entry->name[0] != 0);
    return 0;
}

static int64_t work(void *context)
{
    return context ? *(int *)context : 7;
}

/* Appends a step of the kind that succeeds; step 0 has opened n1, of 100 bytes, to read and write, n2 is there. */
static struct kind succeed(struct world *w, errand_chain *chain)
{
    int slot = ERRAND_SLOT(0), at = w->at;
    const unsigned char *pattern = world_pattern(0);
    struct sockaddr_in address;
    static const char *const names[] = {"n9", "n1"};
    switch (playing) {
    case ERRAND_STEP_OPEN: return (struct kind){errand_step_open_first(chain, at, names, 2, O_RDONLY), .result = 1};
    case ERRAND_STEP_STAT: return (struct kind){errand_step_stat(chain, slot, &w->stat), .result = 100};
    case ERRAND_STEP_READ: return (struct kind){errand_step_read(chain, slot, w->room, 9, 0, 0), 9, .bytes = 9};
    case ERRAND_STEP_CLOSE: return (struct kind){errand_step_close(chain, slot)};
    case ERRAND_STEP_SEND:
        return (struct kind){errand_step_send(chain, world_socket(w, 0, PEER_STAYS), pattern, 5, 0), 5, .bytes = 5};
    case ERRAND_STEP_RECEIVE:
        return (struct kind){errand_step_receive(chain, world_socket(w, 9, PEER_STAYS), w->room, 4, 0), 4, .bytes = 4};
    case ERRAND_STEP_SENDFILE:
        return (struct kind){
            errand_step_sendfile(chain, world_socket(w, 0, PEER_STAYS), slot, 10, ERRAND_TO_END, pattern, 10, 0), 100,
            .bytes = 100};
    case ERRAND_STEP_SHUTDOWN:
        return (struct kind){errand_step_shutdown(chain, world_socket(w, 0, PEER_STAYS), SHUT_WR)};
    case ERRAND_STEP_CALL: return (struct kind){errand_step_call(chain, go_on, NULL)};
    case ERRAND_STEP_HAND_OVER: return (struct kind){errand_step_hand_over(chain, slot), .result = 1, .fd = true};
    case ERRAND_STEP_WRITE: return (struct kind){errand_step_write(chain, slot, pattern, 3, 0), 3, .bytes = 3};
    case ERRAND_STEP_SYNC: return (struct kind){errand_step_sync(chain, slot, 0)};
    case ERRAND_STEP_TRUNCATE: return (struct kind){errand_step_truncate(chain, slot, 50)};
    case ERRAND_STEP_ALLOCATE: return (struct kind){errand_step_allocate(chain, slot, 0, 0, 200)};
    case ERRAND_STEP_COPY:
        return (struct kind){errand_step_copy(chain, slot, 251, slot, 0, 10, ERRAND_EXACT), 10, .bytes = 10};
    case ERRAND_STEP_CHMOD: return (struct kind){errand_step_chmod(chain, slot, 0600)};
    case ERRAND_STEP_CHOWN: return (struct kind){errand_step_chown(chain, slot, UINT32_MAX, UINT32_MAX)};
    case ERRAND_STEP_UTIMES: return (struct kind){errand_step_utimes(chain, slot, 0, ERRAND_TIME_NOW)};
    case ERRAND_STEP_GET_ATTRIBUTE:
        errand_step_set_attribute(chain, slot, "user.a", pattern, 3, 0);
        return (struct kind){errand_step_get_attribute(chain, slot, "user.a", w->room, 64), 3};
    case ERRAND_STEP_SET_ATTRIBUTE:
        return (struct kind){errand_step_set_attribute(chain, slot, "user.a", pattern, 0, 0)};
    case ERRAND_STEP_LIST_ATTRIBUTES:
        errand_step_set_attribute(chain, slot, "user.a", "", 0, 0);
        return (struct kind){errand_step_list_attributes(chain, slot, (char *)w->room, 64), 7};
    case ERRAND_STEP_REMOVE_ATTRIBUTE:
        errand_step_set_attribute(chain, slot, "user.a", "", 0, 0);
        return (struct kind){errand_step_remove_attribute(chain, slot, "user.a")};
    case ERRAND_STEP_LIST:
        errand_step_open(chain, at, "d1", O_RDONLY | O_DIRECTORY, 0);
        return (struct kind){errand_step_list(chain, ERRAND_SLOT(1), see, NULL), 1};
    case ERRAND_STEP_RENAME: return (struct kind){errand_step_rename(chain, at, "n1", at, "n3", 0)};
    case ERRAND_STEP_LINK: return (struct kind){errand_step_link(chain, at, "n1", at, "n3")};
    case ERRAND_STEP_LINK_FILE: return (struct kind){errand_step_link_file(chain, slot, at, "n3")};
    case ERRAND_STEP_SYMLINK: return (struct kind){errand_step_symlink(chain, "n1", at, "n3")};
    case ERRAND_STEP_READ_LINK:
        errand_step_symlink(chain, "n1", at, "n3");
        return (struct kind){errand_step_read_link(chain, at, "n3", (char *)w->room, 64), 2};
    case ERRAND_STEP_UNLINK: return (struct kind){errand_step_unlink(chain, at, "n1")};
    case ERRAND_STEP_MKDIR: return (struct kind){errand_step_mkdir(chain, at, "n3", 0700)};
    case ERRAND_STEP_RMDIR:
        errand_step_mkdir(chain, at, "n3", 0700);
        return (struct kind){errand_step_rmdir(chain, at, "n3")};
    case ERRAND_STEP_MKNOD: return (struct kind){errand_step_mknod(chain, at, "n3", S_IFIFO | 0600, 0)};
    case ERRAND_STEP_RECEIVE_FILE:
        return (struct kind){errand_step_receive_file(chain, world_socket(w, 4, PEER_ENDS), slot, 0, ERRAND_TO_END, 0),
                             4, .bytes = 4};
    case ERRAND_STEP_ACCEPT: {
        int listener = world_listener(w);
        world_connect(w, listener, 0, PEER_STAYS);
        return (struct kind){errand_step_accept(chain, listener), .result = 1};
    }
    case ERRAND_STEP_CONNECT:
        world_address(w, true, &address);
        return (struct kind){errand_step_connect(chain, -1, &address, sizeof address), .result = 1};
    case ERRAND_STEP_POLL:
        return (struct kind){errand_step_poll(chain, world_socket(w, 1, PEER_STAYS), POLLIN), .result = POLLIN};
    case ERRAND_STEP_SLEEP: return (struct kind){errand_step_sleep(chain, ERRAND_MILLISECOND)};
    case ERRAND_STEP_WORK: return (struct kind){errand_step_work(chain, work, NULL), .result = 7};
    case ERRAND_STEP_REPLACE: return (struct kind){errand_step_replace(chain, slot, at, "n2")};
    case ERRAND_STEP_LOAD: return (struct kind){errand_step_load(chain, slot, 100), 100, .bytes = 100, .data = true};
    case ERRAND_STEP_COPY_METADATA:
        errand_step_open(chain, at, "n2", O_RDWR, 0);
        return (struct kind){errand_step_copy_metadata(chain, ERRAND_SLOT(1), slot, ERRAND_MODE | ERRAND_TIMES)};
    case ERRAND_STEP_AWAIT: return (struct kind){errand_step_await(chain, NULL, NULL), .result = 7, .bytes = 3};
    }
    return (struct kind){-1};
}

/* Appends one that fails with its usual error; step 0 has opened n1, step 1 tried to open what is not there, step 2 has
 * opened d1. Returns its number and the error. */
static struct kind fail(struct world *w, errand_chain *chain)
{
    int slot = ERRAND_SLOT(0), none = ERRAND_SLOT(1), directory = ERRAND_SLOT(2), at = w->at;
    struct sockaddr_in address;
    static int own = -EPROTO;
    char *room = (char *)w->room;
    const unsigned char *pattern = world_pattern(0);
    switch (playing) {
    case ERRAND_STEP_OPEN: return (struct kind){errand_step_open(chain, at, "n9", O_RDONLY, 0), .error = -ENOENT};
    case ERRAND_STEP_STAT:
        return (struct kind){errand_step_expect(chain, directory, ERRAND_REGULAR, NULL), .error = -EISDIR};
    case ERRAND_STEP_READ: return (struct kind){errand_step_read(chain, directory, room, 9, 0, 0), .error = -EISDIR};
    case ERRAND_STEP_CLOSE: return (struct kind){errand_step_close(chain, none), .error = -EINVAL};
    case ERRAND_STEP_SEND: {
        int socket = world_socket(w, 0, PEER_STAYS);
        errand_step_shutdown(chain, socket, SHUT_WR);
        return (struct kind){errand_step_send(chain, socket, pattern, 5, 0), .error = -EPIPE};
    }
    case ERRAND_STEP_RECEIVE:
        return (struct kind){errand_step_receive(chain, world_socket(w, 3, PEER_ENDS), room, 4, ERRAND_EXACT),
                             .bytes = 3, .error = -ENODATA};
    case ERRAND_STEP_SENDFILE:
        return (struct kind){errand_step_sendfile(chain, world_socket(w, 0, PEER_STAYS), directory, 0, 1, NULL, 0, 0),
                             .error = -EISDIR};
    case ERRAND_STEP_SHUTDOWN: {
        world_address(w, false, &address);
        int refused = errand_step_connect(chain, -1, &address, sizeof address);
        errand_step_optional(chain, refused);
        return (struct kind){errand_step_shutdown(chain, ERRAND_SLOT(refused), SHUT_WR), .error = -EBADF};
    }
    case ERRAND_STEP_CALL: return (struct kind){errand_step_call(chain, go_on, &own), .error = own};
    case ERRAND_STEP_HAND_OVER: return (struct kind){errand_step_hand_over(chain, none), .error = -EINVAL};
    case ERRAND_STEP_WRITE: return (struct kind){errand_step_write(chain, none, pattern, 3, 0), .error = -EBADF};
    case ERRAND_STEP_SYNC:
        errand_step_mknod(chain, at, "n3", S_IFIFO | 0600, 0);
        errand_step_open(chain, at, "n3", O_RDWR, 0);
        return (struct kind){errand_step_sync(chain, ERRAND_SLOT(4), 0), .error = -EINVAL};
    case ERRAND_STEP_TRUNCATE: return (struct kind){errand_step_truncate(chain, directory, 50), .error = -EINVAL};
    case ERRAND_STEP_ALLOCATE: return (struct kind){errand_step_allocate(chain, directory, 0, 0, 200), .error = -EBADF};
    case ERRAND_STEP_COPY:
        errand_step_open(chain, at, "n2", O_RDWR, 0);
        return (struct kind){errand_step_copy(chain, ERRAND_SLOT(3), 0, slot, 0, 101, ERRAND_EXACT), .bytes = 100,
                             .error = -ENODATA};
    case ERRAND_STEP_CHMOD: return (struct kind){errand_step_chmod(chain, none, 0600), .error = -EBADF};
    case ERRAND_STEP_CHOWN: return (struct kind){errand_step_chown(chain, none, 1, 1), .error = -EBADF};
    case ERRAND_STEP_UTIMES: return (struct kind){errand_step_utimes(chain, none, 0, 0), .error = -EBADF};
    case ERRAND_STEP_GET_ATTRIBUTE:
        return (struct kind){errand_step_get_attribute(chain, slot, "user.a", room, 9), .error = -ENODATA};
    case ERRAND_STEP_SET_ATTRIBUTE:
        errand_step_set_attribute(chain, slot, "user.a", pattern, 9, 1); /* XATTR_CREATE */
        return (struct kind){errand_step_set_attribute(chain, slot, "user.a", pattern, 9, 1), .error = -EEXIST};
    case ERRAND_STEP_LIST_ATTRIBUTES:
        errand_step_set_attribute(chain, slot, "user.a", pattern, 9, 0);
        return (struct kind){errand_step_list_attributes(chain, slot, room, 6), .error = -ERANGE};
    case ERRAND_STEP_REMOVE_ATTRIBUTE:
        return (struct kind){errand_step_remove_attribute(chain, slot, "user.a"), .error = -ENODATA};
    case ERRAND_STEP_LIST: return (struct kind){errand_step_list(chain, slot, see, NULL), .error = -ENOTDIR};
    case ERRAND_STEP_RENAME:
        return (struct kind){errand_step_rename(chain, at, "n1", at, "n2", 1), .error = -EEXIST}; /* NOREPLACE */
    case ERRAND_STEP_LINK: return (struct kind){errand_step_link(chain, at, "n1", at, "n2"), .error = -EEXIST};
    case ERRAND_STEP_LINK_FILE: return (struct kind){errand_step_link_file(chain, slot, at, "d1/n3"), .error = -EXDEV};
    case ERRAND_STEP_SYMLINK: return (struct kind){errand_step_symlink(chain, "n1", at, "n2"), .error = -EEXIST};
    case ERRAND_STEP_READ_LINK: return (struct kind){errand_step_read_link(chain, at, "n2", room, 9), .error = -EINVAL};
    case ERRAND_STEP_UNLINK:
        errand_step_mkdir(chain, at, "n3", 0700);
        return (struct kind){errand_step_unlink(chain, at, "n3"), .error = -EISDIR};
    case ERRAND_STEP_MKDIR: return (struct kind){errand_step_mkdir(chain, at, "n2", 0700), .error = -EEXIST};
    case ERRAND_STEP_RMDIR: return (struct kind){errand_step_rmdir(chain, at, "n2"), .error = -ENOTDIR};
    case ERRAND_STEP_MKNOD:
        return (struct kind){errand_step_mknod(chain, at, "n2", S_IFIFO | 0600, 0), .error = -EEXIST};
    case ERRAND_STEP_RECEIVE_FILE:
        return (struct kind){errand_step_receive_file(chain, world_socket(w, 3, PEER_ENDS), slot, 0, 4, ERRAND_EXACT),
                             .bytes = 3, .error = -ENODATA};
    case ERRAND_STEP_ACCEPT:
        return (struct kind){errand_step_accept(chain, world_socket(w, 0, PEER_STAYS)), .error = -EINVAL};
    case ERRAND_STEP_CONNECT:
        world_address(w, false, &address);
        return (struct kind){errand_step_connect(chain, -1, &address, sizeof address), .error = -ECONNREFUSED};
    case ERRAND_STEP_POLL:
        return (struct kind){errand_step_poll(chain, world_socket(w, 0, PEER_STAYS), POLLIN), .error = -ETIMEDOUT};
    case ERRAND_STEP_SLEEP: return (struct kind){errand_step_sleep(chain, 3600 * ERRAND_SECOND), .error = -ETIMEDOUT};
    case ERRAND_STEP_WORK: return (struct kind){errand_step_work(chain, work, &own), .error = own};
    case ERRAND_STEP_REPLACE:
        errand_step_mkdir(chain, at, "n3", 0700);
        return (struct kind){errand_step_replace(chain, slot, at, "n3"), .error = -EISDIR};
    case ERRAND_STEP_LOAD: return (struct kind){errand_step_load(chain, slot, 99), .error = -EFBIG};
    case ERRAND_STEP_COPY_METADATA:
        return (struct kind){errand_step_copy_metadata(chain, slot, none, ERRAND_MODE), .error = -EBADF};
    case ERRAND_STEP_AWAIT: return (struct kind){errand_step_await(chain, NULL, NULL), .error = -EIO};
    }
    return (struct kind){-1};
}

/* The scene of one kind: a chain in which it succeeds, one in which it fails. */
static void play_kind(struct world *w)
{
    world_file(w, "n1", 100);
    world_file(w, "n2", 200);
    world_file(w, "d1/n1", 300);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDWR, 0);
    struct kind kind = succeed(w, chain);
    note_results(w, chain);
    REQUIRE(kind.step >= 0);
    errand_id id = world_submit(w, chain, 1);
    if (playing == ERRAND_STEP_AWAIT)
        CHECK_INT(errand_resume(w->queue, id, 7, 3), 0);
    struct errand_event event = EXPECT(w, .tag = 1, .bytes = kind.bytes, .fd = kind.fd, .data = kind.data);
    CHECK_INT(w->results[kind.step], kind.result);
    if (event.fd >= 0)
        world_take(w, event.fd);
}

static void play_failure(struct world *w)
{
    world_file(w, "n1", 100);
    world_file(w, "n2", 200);
    world_file(w, "d1/n1", 300);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDWR, 0);
    errand_step_open(chain, w->at, "n8", O_RDWR, 0);
    errand_step_optional(chain, 1);
    errand_step_open(chain, w->at, "d1", O_RDONLY | O_DIRECTORY, 0);
    struct kind kind = fail(w, chain);
    playing_error = kind.error;
    REQUIRE(kind.step >= 0 && kind.error < 0);
    errand_step_mkdir(chain, w->at, "n10", 0700);
    errand_id id = world_submit_for(w, chain, 2, kind.error == -ETIMEDOUT ? 100 * ERRAND_MILLISECOND : 0, 0);
    if (playing == ERRAND_STEP_AWAIT)
        CHECK_INT(errand_resume(w->queue, id, kind.error, 0), 0);
    EXPECT(w, .tag = 2, .error = kind.error, .step = kind.step, .of = playing, .bytes = kind.bytes);
    CHECK_INT(world_size(w, "n10"), -1); /* nothing is performed after it */
}

/* One cell: the success and the failure, in every way. What the first cell of a row saw, all must see. Returns whether
 * it is all as it should be. */
static bool play_both(enum errand_backend backend, char *reference[2])
{
    static const scene scenes[2] = {play_kind, play_failure};
    const struct errand_queue_options options = {.chains = 16};
    unsigned before = harness_failures();
    for (unsigned i = 0; i < 2; i++)
        for (enum way way = 0; way < WAYS; way++) {
            char *seen = scene_play(scenes[i], backend, way, 1 + way, &options);
            if (!reference[i])
                reference[i] = seen;
            CHECK_STR(seen, reference[i]);
            if (seen != reference[i])
                free(seen);
        }
    return harness_failures() == before;
}

/* One row of the table, the simulation first. Returns how many of its cells are missing. */
static unsigned row(const bool *there)
{
    char *reference[2] = {NULL, NULL};
    const char *cells[COLUMNS];
    unsigned missing = 0;
    for (unsigned column = COLUMNS; column-- > 0;) {
        bool good = there[column] && play_both(columns[column], reference);
        cells[column] = !there[column] ? "-" : good ? "yes" : "MISSING";
        missing += there[column] && !good;
    }
    free(reference[0]);
    free(reference[1]);
    printf("%-18s%-9s%-9s%-9s%s\n", errand_step_name(playing), cells[0], cells[1], cells[2],
           errand_error_name(playing_error));
    return missing;
}

TEST(kinds)
{
    bool there[COLUMNS];
    unsigned missing = 0;
    harness_show();
    harness_limit(180);
    printf("%-18s", "step");
    for (unsigned column = 0; column < COLUMNS; column++) {
        there[column] = columns[column] != ERRAND_BACKEND_URING || scene_has_uring();
        printf("%-9s", harness_backend_name(columns[column]));
    }
    printf("and fails with\n");
    unsigned kind = 1;
    for (; strcmp(errand_step_name(kind), "unknown step") != 0; kind++) {
        playing = (enum errand_step_kind)kind;
        missing += row(there);
    }
    CHECK_INT(kind, ERRAND_STEP_AWAIT + 1); /* the last one has a name, too */
    printf("%u kinds of steps, %u cells missing\n", kind - 1, missing);
    CHECK_INT(missing, 0);
    if (!there[0])
        SKIP("no io_uring here: its column is empty");
}
