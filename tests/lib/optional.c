/* SPDX-License-Identifier: MIT */
/* Optional steps, results as operands, alternatives: how chains go on. And how many steps one worker does at once. */
#include "support.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <netinet/in.h>
#include <poll.h>

/* A chain whose step number `index` is to fail. */
struct scene {
    errand_queue *queue;
    int root, file, directory, sockets[2];
    char buffer[64];
    int index, error;
};

static int64_t fail_work(void *context)
{
    (void)context;
    return -ENOTTY;
}

static int fail_call(errand_chain *chain, void *context)
{
    (void)chain;
    (void)context;
    return -ENOTTY;
}

static int fail_entry(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    (void)chain;
    (void)entry;
    (void)context;
    return -ENOTTY;
}

enum { closed = 9999 };

/* Appends a step of that kind that fails. Returns its error; 0: there is no such step. */
static int append_failing(struct scene *s, errand_chain *chain, unsigned kind, int place)
{
    static const struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_port = 0x0100};
    const char *names[] = {"none", "nothing"};
    int file = s->file, slot = ERRAND_SLOT(0);
    switch ((enum errand_step_kind)kind) {
    case ERRAND_STEP_OPEN: s->index = errand_step_open_first(chain, place, names, 2, O_RDONLY); return -ENOENT;
    case ERRAND_STEP_STAT: s->index = errand_step_stat(chain, closed, NULL); return -EBADF;
    case ERRAND_STEP_READ: s->index = errand_step_read(chain, slot, s->buffer, 64, 90, ERRAND_EXACT); return -ENODATA;
    case ERRAND_STEP_CLOSE:
        errand_step_close(chain, slot);
        s->index = errand_step_close(chain, slot);
        return -EINVAL;
    case ERRAND_STEP_SEND: s->index = errand_step_send(chain, file, "x", 1, 0); return -ENOTSOCK;
    case ERRAND_STEP_RECEIVE: s->index = errand_step_receive(chain, file, s->buffer, 1, 0); return -ENOTSOCK;
    case ERRAND_STEP_SENDFILE:
        s->index = errand_step_sendfile(chain, s->sockets[0], slot, 90, 20, NULL, 0, ERRAND_EXACT);
        return -ENODATA;
    case ERRAND_STEP_SHUTDOWN: s->index = errand_step_shutdown(chain, file, SHUT_WR); return -ENOTSOCK;
    case ERRAND_STEP_CALL: s->index = errand_step_call(chain, fail_call, NULL); return -ENOTTY;
    case ERRAND_STEP_HAND_OVER:
        errand_step_close(chain, slot);
        s->index = errand_step_hand_over(chain, slot);
        return -EINVAL;
    case ERRAND_STEP_WRITE: s->index = errand_step_write(chain, slot, "x", 1, 0); return -EBADF;
    case ERRAND_STEP_SYNC: s->index = errand_step_sync(chain, closed, 0); return -EBADF;
    case ERRAND_STEP_TRUNCATE: s->index = errand_step_truncate(chain, slot, 0); return -EINVAL;
    case ERRAND_STEP_ALLOCATE: s->index = errand_step_allocate(chain, slot, 0, 0, 1); return -EBADF;
    case ERRAND_STEP_COPY: s->index = errand_step_copy(chain, slot, 0, file, 0, 10, 0); return -EBADF;
    case ERRAND_STEP_CHMOD: s->index = errand_step_chmod(chain, closed, 0600); return -EBADF;
    case ERRAND_STEP_CHOWN: s->index = errand_step_chown(chain, closed, 0, 0); return -EBADF;
    case ERRAND_STEP_UTIMES: s->index = errand_step_utimes(chain, closed, 0, 0); return -EBADF;
    case ERRAND_STEP_GET_ATTRIBUTE:
        s->index = errand_step_get_attribute(chain, slot, "user.none", NULL, 0);
        return -ENODATA;
    case ERRAND_STEP_SET_ATTRIBUTE:
        s->index = errand_step_set_attribute(chain, closed, "user.none", "x", 1, 0);
        return -EBADF;
    case ERRAND_STEP_LIST_ATTRIBUTES: s->index = errand_step_list_attributes(chain, closed, NULL, 0); return -EBADF;
    case ERRAND_STEP_REMOVE_ATTRIBUTE:
        s->index = errand_step_remove_attribute(chain, slot, "user.none");
        return -ENODATA;
    case ERRAND_STEP_LIST: s->index = errand_step_list(chain, s->directory, fail_entry, NULL); return -ENOTTY;
    case ERRAND_STEP_RENAME: s->index = errand_step_rename(chain, place, "none", place, "new", 0); return -ENOENT;
    case ERRAND_STEP_LINK: s->index = errand_step_link(chain, place, "none", place, "new"); return -ENOENT;
    case ERRAND_STEP_LINK_FILE: s->index = errand_step_link_file(chain, slot, place, "file"); return -EEXIST;
    case ERRAND_STEP_SYMLINK: s->index = errand_step_symlink(chain, "x", place, "file"); return -EEXIST;
    case ERRAND_STEP_READ_LINK: s->index = errand_step_read_link(chain, place, "file", s->buffer, 9); return -EINVAL;
    case ERRAND_STEP_UNLINK: s->index = errand_step_unlink(chain, place, "none"); return -ENOENT;
    case ERRAND_STEP_MKDIR: s->index = errand_step_mkdir(chain, place, "file", 0700); return -EEXIST;
    case ERRAND_STEP_RMDIR: s->index = errand_step_rmdir(chain, place, "none"); return -ENOENT;
    case ERRAND_STEP_MKNOD: s->index = errand_step_mknod(chain, place, "file", S_IFIFO | 0600, 0); return -EEXIST;
    case ERRAND_STEP_RECEIVE_FILE: s->index = errand_step_receive_file(chain, file, slot, 0, 1, 0); return -ENOTSOCK;
    case ERRAND_STEP_ACCEPT: s->index = errand_step_accept(chain, s->sockets[0]); return -EINVAL;
    case ERRAND_STEP_CONNECT: s->index = errand_step_connect(chain, -1, &nowhere, sizeof nowhere); return -ECONNREFUSED;
    case ERRAND_STEP_POLL: s->index = errand_step_poll(chain, closed, POLLIN); return -EBADF;
    case ERRAND_STEP_WORK: s->index = errand_step_work(chain, fail_work, NULL); return -ENOTTY;
    case ERRAND_STEP_REPLACE: s->index = errand_step_replace(chain, slot, place, "none/x"); return -ENOENT;
    case ERRAND_STEP_LOAD: s->index = errand_step_load(chain, slot, 10); return -EFBIG;
    case ERRAND_STEP_COPY_METADATA:
        s->index = errand_step_copy_metadata(chain, closed, file, ERRAND_MODE);
        return -EBADF;
    case ERRAND_STEP_AWAIT:
    case ERRAND_STEP_SLEEP: return 0;
    }
    return 0;
}

static int check_it(errand_chain *chain, void *context)
{
    struct scene *s = context;
    CHECK_INT(errand_chain_result(chain, s->index), s->error);
    return 0;
}

static void set_scene(struct scene *s, enum errand_backend backend)
{
    *s = (struct scene){.queue = open_queue(backend, NULL)};
    make_file("file", 100, 1);
    s->root = add_root(s->queue, harness_directory(), 0);
    s->file = (int)REQUIRE_CALL(open(path_of("file"), O_RDONLY | O_CLOEXEC));
    s->directory = open_directory();
    make_pair(PAIR_TCP, s->sockets);
}

static void end_scene(struct scene *s)
{
    close(s->file);
    close(s->directory);
    close(s->sockets[0]);
    close(s->sockets[1]);
    errand_root_remove(s->queue, s->root);
    close_queue(s->queue);
}

/* Every kind of step fails with its error, and, optional, lets the chain go on. */
TEST_EACH_BACKEND(each_kind_fails)
{
    struct scene s;
    set_scene(&s, backend);
    unsigned tried = 0;
    for (unsigned kind = 1; strcmp(errand_step_name(kind), "unknown step") != 0; kind++) {
        for (unsigned turn = 0; turn < 4; turn++) {
            bool optional = turn % 2;
            int place = turn / 2 ? s.directory : s.root;
            lseek(s.directory, 0, SEEK_SET);
            harness_at("%s%s%s", errand_step_name(kind), optional ? ", optional" : "", turn / 2 ? ", plain" : "");
            errand_chain *chain = new_chain(s.queue);
            errand_step_open(chain, place, "file", O_RDONLY, 0);
            s.error = append_failing(&s, chain, kind, place);
            if (!s.error) {
                errand_chain_drop(chain);
                continue;
            }
            tried += turn == 0;
            if (optional)
                CHECK_INT(errand_step_optional(chain, s.index), 0);
            errand_step_mkdir(chain, place, "after", 0700);
            errand_step_call(chain, check_it, &s);
            submit(chain, NULL, 0);
            struct errand_event event = next_event(s.queue);
            CHECK_INT(event.error, optional ? 0 : s.error);
            CHECK_INT(event.step, optional ? -1 : s.index);
            CHECK_INT(event.step_kind, optional ? 0 : kind);
            CHECK_INT(event.bytes, kind == ERRAND_STEP_READ || kind == ERRAND_STEP_SENDFILE ? 10 : 0);
            CHECK_INT(rmdir(path_of("after")), optional ? 0 : -1);
            struct errand_stats stats = stats_of(s.queue);
            CHECK_INT(stats.descriptors, 0);
            CHECK_INT(stats.transfer_bytes, 0);
        }
    }
    CHECK_INT(tried, 40);
    end_scene(&s);
}

/* What uses the slot of an open that failed has no file, whether it is in the same run or not. */
TEST_EACH_BACKEND(slot_that_was_not_opened)
{
    struct scene s;
    set_scene(&s, backend);
    struct errand_stat stat;
    for (unsigned turn = 0; turn < 64; turn++) {
        int place = turn & 1 ? s.directory : s.root;
        bool apart = turn & 2, optional = turn & 4;
        unsigned use = turn >> 3;
        harness_at("turn %u", turn);
        errand_chain *chain = new_chain(s.queue);
        errand_step_open(chain, place, "none", O_RDONLY, 0);
        errand_step_optional(chain, 0);
        if (apart)
            errand_step_sleep(chain, 0);
        int slot = ERRAND_SLOT(0);
        int step = use == 0   ? errand_step_stat(chain, slot, &stat)
                   : use == 1 ? errand_step_read(chain, slot, s.buffer, 10, 0, 0)
                   : use == 2 ? errand_step_close(chain, slot)
                   : use == 3 ? errand_step_link_file(chain, slot, place, "linked")
                   : use == 4 ? errand_step_get_attribute(chain, slot, "user.x", s.buffer, 10)
                   : use == 5 ? errand_step_copy(chain, s.file, 0, slot, 0, ERRAND_TO_END, 0)
                   : use == 6 ? errand_step_copy(chain, slot, 0, s.file, 0, ERRAND_TO_END, ERRAND_HOLES)
                              : errand_step_utimes(chain, slot, 0, 0);
        if (optional)
            errand_step_optional(chain, step);
        errand_step_mkdir(chain, place, "after", 0700);
        s.index = step;
        s.error = use == 2 ? -EINVAL : -EBADF;
        errand_step_call(chain, check_it, &s);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(s.queue);
        CHECK_EVENT(event, optional ? 0 : s.error, optional ? -1 : step, 0);
        CHECK_INT(rmdir(path_of("after")), optional ? 0 : -1);
        CHECK_INT(stats_of(s.queue).descriptors, 0);
    }
    end_scene(&s);
}

/* A read that must be whole and is not ends the chain there: its worker does not go on to the steps behind it. */
TEST_EACH_BACKEND(exact_read_stops_its_run)
{
    struct scene s;
    set_scene(&s, backend);
    for (unsigned turn = 0; turn < 2; turn++) {
        errand_chain *chain = new_chain(s.queue);
        errand_step_open(chain, s.directory, "file", O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(0), s.buffer, 64, 60, ERRAND_EXACT);
        errand_step_unlink(chain, s.directory, "file");
        if (turn)
            errand_step_optional(chain, 1);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(s.queue);
        CHECK_EVENT(event, turn ? 0 : -ENODATA, turn ? -1 : 1, 40);
        CHECK_INT(pattern_check(s.buffer, 40, 1, 60), 40);
        CHECK_INT(access(path_of("file"), F_OK), turn ? -1 : 0);
    }
    end_scene(&s);
}

/* The caller's bad descriptors fail the step that uses them, not another of its run. */
TEST_EACH_BACKEND(bad_descriptor_amid_a_run)
{
    struct scene s;
    set_scene(&s, backend);
    errand_chain *chain = new_chain(s.queue);
    errand_step_mkdir(chain, s.directory, "one", 0700);
    errand_step_open(chain, s.directory, "file", O_RDONLY, 0);
    errand_step_sync(chain, closed, 0);
    errand_step_mkdir(chain, s.directory, "two", 0700);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(s.queue);
    CHECK_EVENT(event, -EBADF, 2, 0);
    CHECK_INT(rmdir(path_of("one")), 0);
    CHECK_INT(rmdir(path_of("two")), -1);
    for (unsigned turn = 0; turn < 2; turn++) {
        chain = new_chain(s.queue);
        errand_step_mkdir(chain, s.directory, "one", 0700);
        errand_step_mkdir(chain, closed, turn ? "a/two" : "two", 0700);
        submit(chain, NULL, 0);
        event = next_event(s.queue);
        CHECK_EVENT(event, -EBADF, 1, 0);
        CHECK_INT(rmdir(path_of("one")), 0);
    }
    end_scene(&s);
}

/* No descriptor is left for the duplicates: the step that needs one says so, and it goes on when there are some. */
TEST_EACH_BACKEND(descriptors_run_out)
{
    struct scene s;
    set_scene(&s, backend);
    int fillers[128], count = 0;
    struct rlimit before;
    REQUIRE_CALL(getrlimit(RLIMIT_NOFILE, &before));
    REQUIRE_CALL(setrlimit(RLIMIT_NOFILE, &(struct rlimit){100, before.rlim_max}));
    while (count < 128 && (fillers[count] = dup(0)) >= 0)
        count++;
    for (unsigned turn = 0; turn < 3; turn++) {
        harness_at("turn %u", turn);
        errand_chain *chain = new_chain(s.queue);
        errand_step_sleep(chain, 0);
        if (turn == 0)
            errand_step_mkdir(chain, s.directory, "one", 0700);
        else if (turn == 1)
            errand_step_stat(chain, s.file, NULL);
        else
            errand_step_open(chain, AT_FDCWD, path_of("file"), O_RDONLY, 0);
        submit(chain, NULL, 0);
        struct errand_event event = next_event(s.queue);
        CHECK_EVENT(event, -EMFILE, 1, 0);
    }
    while (count > 0)
        close(fillers[--count]);
    REQUIRE_CALL(setrlimit(RLIMIT_NOFILE, &before));
    CHECK(access(path_of("one"), F_OK) < 0);
    end_scene(&s);
}

/* An offset that is a result, of a path that is known to be read in one go. */
TEST_EACH_BACKEND(result_as_offset_of_a_known_path)
{
    struct scene s;
    set_scene(&s, backend);
    make_file("next", 5000, 2);
    for (unsigned turn = 0; turn < 4; turn++) {
        errand_chain *chain = new_chain(s.queue);
        errand_step_stat(chain, s.file, NULL);
        errand_step_sleep(chain, 0); /* so that the open is not done along with the stat */
        errand_step_open(chain, s.root, "next", O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(2), s.buffer, 64, turn < 3 ? 0 : ERRAND_RESULT(0), 0);
        errand_step_close(chain, ERRAND_SLOT(2));
        submit(chain, NULL, 0);
        struct errand_event event = next_event(s.queue);
        CHECK_EVENT(event, 0, -1, 64);
        CHECK_INT(pattern_check(s.buffer, 64, 2, turn < 3 ? 0 : 100), 64);
    }
    end_scene(&s);
}

static int check_results(errand_chain *chain, void *context)
{
    const struct scene *s = context;
    CHECK_INT(errand_chain_result(chain, 1), 100);
    CHECK_INT(errand_chain_result(chain, 2), 10);
    CHECK_INT(errand_chain_result(chain, 4), 110);
    CHECK_INT(errand_chain_result(chain, s->index), -EINPROGRESS);
    return 0;
}

/* Operands that are results of the same run, and of one that failed. */
TEST_EACH_BACKEND(results_as_operands)
{
    struct scene s;
    set_scene(&s, backend);
    errand_chain *chain = new_chain(s.queue);
    errand_step_open(chain, s.directory, "file", O_RDWR, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), NULL);
    errand_step_write(chain, ERRAND_SLOT(0), "0123456789", 10, ERRAND_RESULT(1));
    errand_step_read(chain, ERRAND_SLOT(0), s.buffer, 20, ERRAND_RESULT(2), 0);
    errand_step_stat(chain, ERRAND_SLOT(0), NULL);
    errand_step_call(chain, check_results, &s);
    errand_step_truncate(chain, ERRAND_SLOT(0), ERRAND_RESULT(2));
    errand_step_allocate(chain, ERRAND_SLOT(0), 0, ERRAND_RESULT(2), ERRAND_RESULT(1));
    s.index = errand_step_stat(chain, ERRAND_SLOT(0), NULL);
    errand_step_open(chain, s.directory, "none", O_RDONLY, 0);
    errand_step_optional(chain, 9);
    int last = errand_step_read(chain, ERRAND_SLOT(0), s.buffer, 20, ERRAND_RESULT(9), 0);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(s.queue);
    CHECK_EVENT(event, -ENOENT, last, 30);
    struct stat stat;
    REQUIRE_CALL(lstat(path_of("file"), &stat));
    CHECK_INT(stat.st_size, 110);
    CHECK_INT(pattern_check(s.buffer, 20, 1, 10), 20);

    chain = new_chain(s.queue);
    CHECK_INT(errand_step_read(chain, s.file, s.buffer, 20, ERRAND_RESULT(0), 0), -EINVAL);
    errand_chain_drop(chain);
    end_scene(&s);
}

/* Far more steps than a worker takes at once, of more files, and of more places. */
TEST_EACH_BACKEND(more_steps_than_one_run)
{
    errand_queue *queue = open_queue(backend, &(struct errand_queue_options){.chain_steps = 64});
    int places[9];
    for (unsigned i = 0; i < 9; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%u", i);
        REQUIRE_CALL(mkdir(path_of(name), 0700));
        places[i] = (int)REQUIRE_CALL(open(path_of(name), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    char data[9], back[9];
    errand_chain *chain = new_chain(queue);
    for (int i = 0; i < 9; i++) { /* 9 files in 9 places, then all of them written to, read, closed */
        data[i] = (char)('a' + i);
        CHECK_INT(errand_step_open(chain, places[i], "made", O_RDWR | O_CREAT | O_EXCL, 0600), i);
    }
    for (int i = 0; i < 9; i++)
        errand_step_write(chain, ERRAND_SLOT(i), &data[i], 1, 0);
    for (int i = 0; i < 9; i++)
        errand_step_sync(chain, ERRAND_SLOT(i), ERRAND_DATA_ONLY);
    for (int i = 0; i < 9; i++)
        errand_step_read(chain, ERRAND_SLOT(8 - i), &back[8 - i], 1, 0, ERRAND_EXACT);
    for (int i = 0; i < 9; i++)
        errand_step_chmod(chain, ERRAND_SLOT(i), 0400);
    for (int i = 0; i < 9; i++)
        errand_step_rename(chain, places[i], "made", places[(i + 1) % 9], "moved", 0);
    for (int i = 0; i < 9; i++)
        errand_step_close(chain, ERRAND_SLOT(i));
    errand_step_mkdir(chain, places[0], "last", 0700);
    submit(chain, NULL, 0);
    struct errand_event event = next_event(queue);
    CHECK_EVENT(event, 0, -1, 18);
    CHECK_BYTES(back, data, 9);
    for (unsigned i = 0; i < 9; i++) {
        struct stat stat;
        REQUIRE_CALL(fstatat(places[i], "moved", &stat, 0));
        CHECK_INT(stat.st_mode & 07777, 0400);
        close(places[i]);
    }
    CHECK_INT(access(path_of("d0/last"), F_OK), 0);
    close_queue(queue);
}

static int check_choice(errand_chain *chain, void *context)
{
    const struct scene *s = context;
    CHECK_INT(errand_chain_choice(chain, 0), s->index);
    CHECK_INT(errand_chain_choice(chain, 1), -EINVAL);
    return 0;
}

TEST_EACH_BACKEND(alternatives)
{
    struct scene s;
    set_scene(&s, backend);
    REQUIRE_CALL(symlink("/etc/passwd", path_of("escapes")));
    static const char *const names[16] = {"no0", "escapes", "no2", "file/x", "no4", "no5",  "no6",  "no7",
                                          "no8", "no9",     "n10", "n11",    "n12", "nn13", "nn14", "nn15"};
    for (unsigned turn = 0; turn < 2; turn++) {
        int place = turn ? s.directory : s.root;
        for (unsigned count = 1; count <= 16; count++) {
            for (unsigned there = 0; there <= count; there++) {
                const char *paths[16];
                memcpy(paths, names, sizeof paths);
                if (turn) /* nothing confines a plain descriptor */
                    paths[1] = "no1";
                harness_at("%u of %u", there, count);
                if (there < count)
                    paths[there] = "file";
                errand_chain *chain = new_chain(s.queue);
                CHECK_INT(errand_step_open_first(chain, place, paths, count, O_RDONLY), 0);
                errand_step_read(chain, ERRAND_SLOT(0), s.buffer, 64, 0, ERRAND_EXACT);
                errand_step_close(chain, ERRAND_SLOT(0));
                s.index = (int)there;
                errand_step_call(chain, check_choice, &s);
                submit(chain, NULL, 0);
                struct errand_event event = next_event(s.queue);
                int last = count == 2 && !turn ? -EXDEV : count == 4 ? -ENOTDIR : -ENOENT;
                if (there < count)
                    CHECK_EVENT(event, 0, -1, 64);
                else
                    CHECK_EVENT(event, last, 0, 0);
            }
        }
    }
    end_scene(&s);
}
