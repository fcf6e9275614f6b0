/* SPDX-License-Identifier: MIT */
/* Scenes of jobs on one file. (Those on trees need directories that are made and then have names: not simulated.) */
#include "scene.h"

#define JOB(type, ...) (&(struct type){.size = sizeof(struct type), __VA_ARGS__})

SCENE(jobs_read_and_load)
{
    errand_queue *q = w->queue;
    world_file(w, "n1", 5000);
    for (unsigned i = 0; i < 4; i++) { /* whole, a part, too much of it, too much that must be there */
        static const size_t lengths[] = {5000, 100, 6000, 6000};
        static const uint64_t bytes[] = {5000, 100, 4749, 4749};
        int64_t offset = i < 2 ? 0 : 251;
        REQUIRE_INT(errand_read_file(q,
                                     JOB(errand_read_file, .dir_fd = w->at, .path = "n1", .buffer = w->room,
                                         .length = lengths[i], .offset = offset, .flags = i == 3 ? ERRAND_EXACT : 0,
                                         .user_data = &w->tags[i]),
                                     NULL),
                    0);
        EXPECT(w, .tag = i, .error = i == 3 ? -ENODATA : 0, .step = 1, .of = ERRAND_STEP_READ, .bytes = bytes[i]);
        CHECK_BYTES(w->room, world_pattern(0), bytes[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE_INT(errand_load_file(q,
                                     JOB(errand_load_file, .dir_fd = w->at, .path = i < 2 ? "n1" : "n2",
                                         .most = i == 0 ? 5000 : 4999, .user_data = &w->tags[10 + i]),
                                     NULL),
                    0);
        EXPECT(w, .tag = 10 + i,
               .error = i == 0   ? 0
                        : i == 1 ? -EFBIG
                                 : -ENOENT,
               .step = i == 1, .of = i == 1 ? ERRAND_STEP_LOAD : ERRAND_STEP_OPEN, .bytes = i == 0 ? 5000 : 0,
               .data = i == 0);
    }
    REQUIRE_INT(errand_read_file(q,
                                 JOB(errand_read_file, .dir_fd = w->at, .path = "n1", .buffer = w->room, .length = 10,
                                     .finish = ERRAND_HAND_OVER, .user_data = &w->tags[20]),
                                 NULL),
                0);
    world_take(w, EXPECT(w, .tag = 20, .bytes = 10, .fd = true).fd);
}

static void write_one(struct world *w, unsigned tag, const char *path, size_t length, unsigned flags)
{
    REQUIRE_INT(errand_write_file(w->queue,
                                  JOB(errand_write_file, .dir_fd = w->at, .path = path, .data = world_pattern(0),
                                      .length = length, .mode = 0640, .flags = flags, .user_data = &w->tags[tag]),
                                  NULL),
                0);
}

SCENE(jobs_write_and_replace)
{
    write_one(w, 1, "n1", 200000, ERRAND_NEW | ERRAND_SYNC);
    EXPECT(w, .tag = 1, .bytes = 200000);
    CHECK_INT(world_size(w, "n1"), 200000);
    world_contents(w, "n1");
    write_one(w, 2, "n1", 10, ERRAND_NEW);
    EXPECT(w, .tag = 2, .error = -EEXIST, .of = ERRAND_STEP_OPEN);
    write_one(w, 3, "n1", 10, 0); /* emptied first */
    EXPECT(w, .tag = 3, .bytes = 10);
    CHECK_INT(world_size(w, "n1"), 10);
    for (unsigned i = 0; i < 2; i++) {
        world_file(w, i ? "d1/n3" : "n3", 5);
        REQUIRE_INT(
            errand_replace_file(w->queue,
                                JOB(errand_replace_file, .dir_fd = w->at, .path = i ? "d1/n3" : "n1", .mode = 0600,
                                    .data = world_pattern(0), .length = 3000, .user_data = &w->tags[4 + i]),
                                NULL),
            0);
        EXPECT(w, .tag = 4 + i, .bytes = 3000);
        CHECK_INT(world_size(w, i ? "d1/n3" : "n1"), 3000);
        CHECK_INT(world_mode(w, i ? "d1/n3" : "n1"), S_IFREG | 0600);
        CHECK_INT(world_links(w, i ? "d1/n3" : "n1"), 1);
        world_contents(w, i ? "d1/n3" : "n1");
    }
}

SCENE(jobs_copy)
{
    static const struct {
        const char *from, *to;
        unsigned flags;
        int error, step;
    } cases[] = {{"n1", "n2", ERRAND_NEW, 0, 0},       {"n1", "d1/n2", ERRAND_SYNC, 0, 0},
                 {"n1", "n2", ERRAND_NEW, -EEXIST, 2}, {"n1", "n3", 0, 0, 0},
                 {"n9", "n4", 0, -ENOENT, 0},          {"n5", "n3", 0, 0, 0}};
    world_file(w, "n1", 100000);
    world_file(w, "n3", 5);
    world_file(w, "n5", 0);
    world_file(w, "d1/n1", 0);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        REQUIRE_INT(
            errand_copy_file(w->queue,
                             JOB(errand_copy_file, .from_dir_fd = w->at, .to_dir_fd = w->at, .from = cases[i].from,
                                 .to = cases[i].to, .flags = cases[i].flags, .user_data = &w->tags[i]),
                             NULL),
            0);
        uint64_t bytes = cases[i].error || i == 5 ? 0 : 100000;
        EXPECT(w, .tag = i, .error = cases[i].error, .step = cases[i].step, .of = ERRAND_STEP_OPEN, .bytes = bytes);
        if (!cases[i].error) {
            CHECK_INT(world_size(w, cases[i].to), bytes);
            CHECK_INT(world_mode(w, cases[i].to), S_IFREG | 0644);
            world_contents(w, cases[i].to);
        }
    }
}

SCENE(jobs_send_and_receive)
{
    static const struct {
        const char *path;
        size_t head;
        int64_t offset, length;
        uint64_t bytes;
    } cases[] = {
        {"n1", 251, 0, 1000, 1251}, /* the stream goes on where the one before it ended: 1251 is 4 * 251 + 247 */
        {"n1", 0, 247, ERRAND_TO_END, 149753},
        {"n9", 0, 0, ERRAND_TO_END, 0}};
    world_file(w, "n1", 150000);
    int socket = world_socket(w, 120000, PEER_ENDS);
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE_INT(
            errand_send_file(w->queue,
                             JOB(errand_send_file, .dir_fd = w->at, .path = cases[i].path, .socket = socket,
                                 .head = world_pattern(0), .head_length = cases[i].head, .offset = cases[i].offset,
                                 .length = cases[i].length, .user_data = &w->tags[i]),
                             NULL),
            0);
        EXPECT(w, .tag = i, .error = i == 2 ? -ENOENT : 0, .of = ERRAND_STEP_OPEN, .bytes = cases[i].bytes);
    }
    CHECK_INT(world_got(w, socket), 151004);
    for (unsigned i = 0; i < 2; i++) { /* the first takes a part, the second the rest, behind it in the same file */
        REQUIRE_INT(
            errand_receive_file(w->queue,
                                JOB(errand_receive_file, .dir_fd = w->at, .path = "n2", .mode = 0600, .socket = socket,
                                    .offset = i * 20000, .length = i == 0 ? 20000 : ERRAND_TO_END,
                                    .flags = i == 0 ? ERRAND_NEW | ERRAND_EXACT : 0, .user_data = &w->tags[10 + i]),
                                NULL),
            0);
        EXPECT(w, .tag = 10 + i, .bytes = i == 0 ? 20000 : 100000);
    }
    CHECK_INT(world_size(w, "n2"), 120000);
    world_contents(w, "n2");
}
