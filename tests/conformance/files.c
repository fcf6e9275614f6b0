/* SPDX-License-Identifier: MIT */
/* Scenes of files and names: reading, writing, copying, operands that are results, alternatives, optional steps. */
#include "scene.h"

SCENE(a_file_is_read)
{
    world_file(w, "n1", 5000);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), &w->stat);
    errand_step_read(chain, ERRAND_SLOT(0), w->room, 4000, 0, 0);
    errand_step_read(chain, ERRAND_SLOT(0), w->room + 4000, 4000, 4000, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 5000);
    CHECK_INT(w->results[1], 5000);
    CHECK_INT(w->results[2], 4000);
    CHECK_INT(w->results[3], 1000);
    CHECK_INT(w->stat.bytes, 5000);
    CHECK_INT(w->stat.mode, S_IFREG | 0644);
    CHECK_BYTES(w->room, world_pattern(0), 5000);
}

/* What may go out as one segment, when it has been seen that it may. */
SCENE(open_read_close_again_and_again)
{
    static const int64_t sizes[] = {1, 100, 4096, 5000, 0, 70000};
    char name[4] = "n0";
    for (unsigned i = 0; i < 6; i++) {
        name[1] = (char)('0' + i);
        world_file(w, name, sizes[i]);
    }
    for (unsigned turn = 0; turn < 18; turn++) {
        uint64_t bytes = (uint64_t)sizes[turn % 6] < 6000 ? (uint64_t)sizes[turn % 6] : 6000;
        name[1] = (char)('0' + turn % 6);
        memset(w->room, 0xff, 6000);
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, name, O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(0), w->room, 6000, 0, 0);
        errand_step_close(chain, ERRAND_SLOT(0));
        world_submit(w, chain, turn);
        EXPECT(w, .tag = turn, .bytes = bytes);
        CHECK_BYTES(w->room, world_pattern(0), bytes);
        CHECK_INT(w->room[bytes], 0xff);
    }
}

SCENE(a_large_file_is_read_in_pieces)
{
    world_file(w, "n1", 600000);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(0), w->room, WORLD_ROOM, 0, 0);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 600000);
    CHECK_INT(w->results[1], 600000);
    CHECK_BYTES(w->room, world_pattern(0), 600000);
}

/* The length and the offset of a read are the results of steps before it. */
SCENE(results_are_operands)
{
    world_file(w, "n1", 251);
    world_file(w, "n2", 2000);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDWR, 0);
    errand_step_open(chain, w->at, "n2", O_RDWR, 0);
    errand_step_stat(chain, ERRAND_SLOT(0), NULL);
    errand_step_read(chain, ERRAND_SLOT(1), w->room, 500, ERRAND_RESULT(2), ERRAND_EXACT);
    errand_step_truncate(chain, ERRAND_SLOT(1), ERRAND_RESULT(3));
    errand_step_stat(chain, ERRAND_SLOT(1), &w->stat);
    errand_step_copy(chain, ERRAND_SLOT(0), ERRAND_RESULT(2), ERRAND_SLOT(1), 251, ERRAND_TO_END, 0);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 749);
    CHECK_INT(w->results[6], 249);
    CHECK_INT(w->stat.bytes, 500);
    CHECK_BYTES(w->room, world_pattern(251), 500);
    CHECK_INT(world_size(w, "n1"), 500);
    world_contents(w, "n1");
    /* The result of an optional step that failed is its error, and whoever needs it fails with that. */
    chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n3", O_RDONLY, 0);
    errand_step_optional(chain, 0);
    errand_step_open(chain, w->at, "n2", O_RDWR, 0);
    errand_step_truncate(chain, ERRAND_SLOT(1), ERRAND_RESULT(0));
    world_submit(w, chain, 2);
    EXPECT(w, .tag = 2, .error = -ENOENT, .step = 2, .of = ERRAND_STEP_TRUNCATE);
}

SCENE(an_exact_read_wants_it_all)
{
    static const int64_t sizes[] = {0, 99, 100, 70000, 150000};
    for (unsigned i = 0; i < 5; i++) {
        char name[4] = {'n', (char)('0' + i), 0};
        size_t want = i < 3 ? 100 : 140000;
        bool enough = (size_t)sizes[i] >= want;
        world_file(w, name, sizes[i]);
        for (unsigned turn = 0; turn < 2; turn++) { /* the second time it may be a segment */
            errand_chain *chain = new_chain(w->queue);
            errand_step_open(chain, w->at, name, O_RDONLY, 0);
            errand_step_read(chain, ERRAND_SLOT(0), w->room, want, 0, ERRAND_EXACT);
            errand_step_close(chain, ERRAND_SLOT(0));
            world_submit(w, chain, 1);
            uint64_t bytes = enough ? want : (uint64_t)sizes[i];
            EXPECT(w, .tag = 1, .error = enough ? 0 : -ENODATA, .step = 1, .of = ERRAND_STEP_READ, .bytes = bytes);
            CHECK_BYTES(w->room, world_pattern(0), bytes);
        }
    }
}

SCENE(a_file_is_written)
{
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDWR | O_CREAT | O_EXCL, 0640);
    errand_step_write(chain, ERRAND_SLOT(0), world_pattern(0), 300000, 0);
    errand_step_write(chain, ERRAND_SLOT(0), world_pattern(300000), 1000, 300000);
    errand_step_sync(chain, ERRAND_SLOT(0), ERRAND_DATA_ONLY);
    errand_step_read(chain, ERRAND_SLOT(0), w->room, 2000, 299900, 0);
    errand_step_close(chain, ERRAND_SLOT(0));
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 302100);
    CHECK_INT(w->results[4], 1100);
    CHECK_BYTES(w->room, world_pattern(299900), 1100);
    CHECK_INT(world_size(w, "n1"), 301000);
    CHECK_INT(world_mode(w, "n1"), S_IFREG | 0640);
    world_contents(w, "n1");
}

SCENE(what_is_appended_is_at_the_end)
{
    world_file(w, "n1", 1000);
    int own = world_open(w, "n1");
    for (unsigned i = 0; i < 3; i++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_write(chain, own, world_pattern(1000 + i * 100), 100, ERRAND_TO_END);
        world_submit(w, chain, i);
        EXPECT(w, .tag = i, .bytes = 100);
    }
    CHECK_INT(world_size(w, "n1"), 1300);
    world_contents(w, "n1");
    world_close(w, own);
}

SCENE(files_are_copied)
{
    world_file(w, "n1", 300000);
    world_file(w, "d1/n1", 10);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
    errand_step_open(chain, w->at, "n2", O_RDWR | O_CREAT, 0600);
    errand_step_open(chain, w->at, "d1/n2", O_RDWR | O_CREAT, 0600);
    errand_step_copy(chain, ERRAND_SLOT(1), 0, ERRAND_SLOT(0), 0, ERRAND_TO_END, 0);
    errand_step_copy(chain, ERRAND_SLOT(2), 0, ERRAND_SLOT(1), 0, 5000, ERRAND_EXACT);
    errand_step_copy(chain, ERRAND_SLOT(2), 5000, ERRAND_SLOT(0), 5000, 1000000, 0);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 600000);
    CHECK_INT(w->results[3], 300000);
    CHECK_INT(w->results[5], 295000);
    CHECK_INT(world_size(w, "n2"), 300000);
    CHECK_INT(world_size(w, "d1/n2"), 300000);
    world_contents(w, "n2");
    world_contents(w, "d1/n2");
    chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "d1/n1", O_RDONLY, 0);
    errand_step_open(chain, w->at, "n3", O_RDWR | O_CREAT, 0600);
    errand_step_copy(chain, ERRAND_SLOT(1), 0, ERRAND_SLOT(0), 0, 11, ERRAND_EXACT);
    world_submit(w, chain, 2);
    EXPECT(w, .tag = 2, .error = -ENODATA, .step = 2, .of = ERRAND_STEP_COPY, .bytes = 10);
}

/* The first of several paths that can be opened. */
SCENE(the_first_that_can_be_opened)
{
    static const char *const paths[] = {"n0", "n1/n2", "n2", "n3"};
    world_file(w, "n1", 1);
    world_file(w, "n3", 33);
    errand_chain *chain = new_chain(w->queue);
    int first = errand_step_open_first(chain, w->at, paths, 4, O_RDONLY);
    errand_step_stat(chain, ERRAND_SLOT(first), NULL);
    errand_step_read(chain, ERRAND_SLOT(first), w->room, 100, 0, 0);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 33);
    CHECK_INT(w->results[1], 33);
    for (unsigned count = 1; count < 4; count++) { /* with none, the error is the last one's */
        chain = new_chain(w->queue);
        errand_step_open_first(chain, w->at, paths, count, O_RDONLY);
        errand_step_read(chain, ERRAND_SLOT(0), w->room, 100, 0, 0);
        world_submit(w, chain, count);
        EXPECT(w, .tag = count, .error = count == 2 ? -ENOTDIR : -ENOENT, .of = ERRAND_STEP_OPEN);
    }
}

SCENE(optional_steps_may_fail)
{
    world_file(w, "n1", 100);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n0", O_RDONLY, 0);          /* ENOENT */
    errand_step_read(chain, ERRAND_SLOT(0), w->room, 10, 0, 0); /* EBADF: nothing is in the slot */
    errand_step_mkdir(chain, w->at, "n1", 0700);                /* EEXIST */
    errand_step_open(chain, w->at, "n1", O_RDWR, 0);
    errand_step_close(chain, ERRAND_SLOT(0));                               /* EINVAL */
    errand_step_rmdir(chain, w->at, "n1");                                  /* ENOTDIR */
    errand_step_read(chain, ERRAND_SLOT(3), w->room, 200, 0, ERRAND_EXACT); /* ENODATA, and the bytes count */
    errand_step_unlink(chain, w->at, "n5");                                 /* ENOENT */
    for (int i = 0; i < 8; i++)
        errand_step_optional(chain, i);
    errand_step_rename(chain, w->at, "n1", w->at, "n2", 0);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .bytes = 100);
    CHECK_INT(w->results[0], -ENOENT);
    CHECK_INT(w->results[1], -EBADF);
    CHECK_INT(w->results[4], -EINVAL);
    CHECK_INT(w->results[6], -ENODATA);
    CHECK_INT(world_size(w, "n2"), 100);
}

/* After the step that fails nothing is performed, and what the chain has opened is closed. */
SCENE(a_failure_ends_the_chain)
{
    world_file(w, "n1", 100);
    for (unsigned turn = 0; turn < 3; turn++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
        errand_step_open(chain, w->at, "n2", O_RDWR | O_CREAT, 0600);
        errand_step_read(chain, ERRAND_SLOT(0), w->room, 50, 0, 0);
        if (turn == 0)
            errand_step_read(chain, ERRAND_SLOT(0), w->room, 500, 0, ERRAND_EXACT);
        else if (turn == 1)
            errand_step_read(chain, w->directory, w->room, 500, 0, ERRAND_EXACT);
        else
            errand_step_mkdir(chain, w->at, "n1", 0700);
        errand_step_mkdir(chain, w->at, "n3", 0700);
        errand_step_unlink(chain, w->at, "n1");
        note_results(w, chain);
        world_submit(w, chain, turn);
        EXPECT(w, .tag = turn,
               .error = turn == 0   ? -ENODATA
                        : turn == 1 ? -EISDIR
                                    : -EEXIST,
               .step = 3, .of = turn == 2 ? ERRAND_STEP_MKDIR : ERRAND_STEP_READ, .bytes = turn == 0 ? 150 : 50);
        CHECK_INT(world_size(w, "n3"), -1);
        CHECK_INT(world_size(w, "n1"), 100);
    }
}

SCENE(a_slot_that_is_empty)
{
    world_file(w, "n1", 100);
    for (unsigned turn = 0; turn < 6; turn++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, "n1", O_RDWR, 0);
        errand_step_close(chain, ERRAND_SLOT(0));
        switch (turn) {
        case 0: errand_step_read(chain, ERRAND_SLOT(0), w->room, 1, 0, 0); break;
        case 1: errand_step_write(chain, ERRAND_SLOT(0), world_pattern(0), 1, 0); break;
        case 2: errand_step_stat(chain, ERRAND_SLOT(0), NULL); break;
        case 3: errand_step_copy(chain, ERRAND_SLOT(0), 0, w->directory, 0, 1, 0); break;
        case 4: errand_step_list_attributes(chain, ERRAND_SLOT(0), NULL, 0); break;
        default: errand_step_link_file(chain, ERRAND_SLOT(0), w->at, "n2"); break;
        }
        static const enum errand_step_kind kinds[] = {
            ERRAND_STEP_READ, ERRAND_STEP_WRITE,           ERRAND_STEP_STAT,
            ERRAND_STEP_COPY, ERRAND_STEP_LIST_ATTRIBUTES, ERRAND_STEP_LINK_FILE};
        world_submit(w, chain, turn);
        EXPECT(w, .tag = turn, .error = -EBADF, .step = 2, .of = kinds[turn]);
    }
}

SCENE(a_descriptor_is_handed_over)
{
    world_file(w, "n1", 100);
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "n1", O_RDWR, 0);
    errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
    errand_step_hand_over(chain, ERRAND_SLOT(0));
    errand_step_write(chain, ERRAND_SLOT(0), world_pattern(100), 100, 100);
    world_submit(w, chain, 1);
    struct errand_event event = EXPECT(w, .tag = 1, .bytes = 100, .fd = true);
    world_take(w, event.fd);
    chain = new_chain(w->queue); /* it is the scene's, and another chain may use it */
    errand_step_stat(chain, event.fd, NULL);
    note_results(w, chain);
    world_submit(w, chain, 2);
    EXPECT(w, .tag = 2);
    CHECK_INT(w->results[0], 200);
    world_close(w, event.fd);
    for (unsigned turn = 0; turn < 2; turn++) { /* not if the chain fails; nor is it closed by the chain then */
        chain = new_chain(w->queue);
        errand_step_open(chain, w->at, "n1", O_RDONLY, 0);
        errand_step_hand_over(chain, ERRAND_SLOT(0));
        if (turn == 0)
            errand_step_unlink(chain, w->at, "n9");
        else
            errand_step_close(chain, ERRAND_SLOT(0));
        world_submit(w, chain, 3);
        EXPECT(w, .tag = 3, .error = turn == 0 ? -ENOENT : -EINVAL, .step = 2,
               .of = turn == 0 ? ERRAND_STEP_UNLINK : ERRAND_STEP_CLOSE);
    }
}

/* ---- names */

SCENE(names_come_and_go)
{
    world_file(w, "n1", 100);
    errand_chain *chain = new_chain(w->queue);
    errand_step_link(chain, w->at, "n1", w->at, "n2");
    errand_step_rename(chain, w->at, "n1", w->at, "n3", 0);
    errand_step_open(chain, w->at, "n2", O_RDWR, 0);
    errand_step_link_file(chain, ERRAND_SLOT(2), w->at, "n4");
    errand_step_symlink(chain, "n4", w->at, "n5");
    errand_step_read_link(chain, w->at, "n5", (char *)w->room, 100);
    errand_step_open(chain, w->at, "n5", O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(6), &w->stat);
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1);
    CHECK_INT(w->stat.links, 3);
    CHECK_INT(w->results[5], 2);
    CHECK_BYTES(w->room, "n4", 2);
    CHECK_INT(world_size(w, "n1"), -1);
    CHECK_INT(world_links(w, "n3"), 3);
    chain = new_chain(w->queue);
    errand_step_mkdir(chain, w->at, "n6", 0750);
    errand_step_mknod(chain, w->at, "n7", S_IFIFO | 0620, 0);
    errand_step_unlink(chain, w->at, "n2");
    errand_step_rename(chain, w->at, "n3", w->at, "n4", 0); /* two names of one file: nothing happens */
    errand_step_unlink(chain, w->at, "n5");
    world_submit(w, chain, 2);
    EXPECT(w, .tag = 2);
    CHECK_INT(world_mode(w, "n6"), S_IFDIR | 0750);
    CHECK_INT(world_mode(w, "n7"), S_IFIFO | 0620);
    CHECK_INT(world_links(w, "n3"), 2);
    CHECK_INT(world_size(w, "n5"), -1);
}

/* A file that has no name gets one, at once in the place of another's. */
SCENE(a_file_is_replaced)
{
    world_file(w, "n1", 5000);
    for (unsigned turn = 0; turn < 2; turn++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, ".", O_TMPFILE | O_RDWR, 0600);
        errand_step_write(chain, ERRAND_SLOT(0), world_pattern(0), 300, 0);
        if (turn == 0)
            errand_step_replace(chain, ERRAND_SLOT(0), w->at, "n1");
        else
            errand_step_link_file(chain, ERRAND_SLOT(0), w->at, "n1");
        world_submit(w, chain, turn);
        EXPECT(w, .tag = turn, .error = turn == 0 ? 0 : -EEXIST, .step = 2, .of = ERRAND_STEP_LINK_FILE, .bytes = 300);
    }
    CHECK_INT(world_size(w, "n1"), 300);
    CHECK_INT(world_links(w, "n1"), 1);
    CHECK_INT(world_mode(w, "n1"), S_IFREG | 0600);
}

SCENE(across_devices)
{
    world_file(w, "n1", 100);
    world_file(w, "d1/n1", 200);
    errand_chain *chain = new_chain(w->queue);
    errand_step_rename(chain, w->at, "n1", w->at, "d1/n2", 0);
    errand_step_link(chain, w->at, "d1/n1", w->at, "n2");
    errand_step_optional(chain, 0);
    errand_step_optional(chain, 1);
    errand_step_rename(chain, w->at, "d1/n1", w->at, "d1/n3", 0);
    errand_step_mkdir(chain, w->at, "d1/n4", 0700);
    errand_step_open(chain, w->at, "d1/n3", O_RDONLY, 0);
    errand_step_read(chain, ERRAND_SLOT(4), w->room, 1000, 0, 0);
    errand_step_rmdir(chain, w->at, "d1");
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1, .error = -EBUSY, .step = 6, .of = ERRAND_STEP_RMDIR, .bytes = 200);
    CHECK_INT(world_size(w, "n1"), 100);
    CHECK_INT(world_size(w, "n2"), -1);
    CHECK_INT(world_size(w, "d1/n3"), 200);
    CHECK_INT(world_mode(w, "d1/n4"), S_IFDIR | 0700);
}

/* A root confines; a root that says so does not let a path leave its mount. */
SCENE(roots_confine)
{
    int root, one;
    world_file(w, "n1", 100);
    world_file(w, "d1/n1", 200);
    REQUIRE_INT(errand_root_add(w->queue, w->directory, 0, &root), 0);
    REQUIRE_INT(errand_root_add(w->queue, w->directory, ERRAND_ONE_MOUNT, &one), 0);
    const struct {
        int at;
        const char *path;
        int error;
        uint64_t bytes;
    } cases[] = {{root, "n1", 0, 100},       {root, "d1/n1", 0, 200}, {root, "../n1", -EXDEV, 0},
                 {root, "/n1", -EXDEV, 0},   {one, "n1", 0, 100},     {one, "d1/n1", -EXDEV, 0},
                 {root, "./n1", 0, 100},     {root, "", -ENOENT, 0},  {root, "n1/n1", -ENOTDIR, 0},
                 {root, "d1/../n1", 0, 100}, {one, "n9", -ENOENT, 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, cases[i].at, cases[i].path, O_RDONLY, 0);
        errand_step_read(chain, ERRAND_SLOT(0), w->room, 1000, 0, 0);
        world_submit(w, chain, i);
        EXPECT(w, .tag = i, .error = cases[i].error, .of = ERRAND_STEP_OPEN, .bytes = cases[i].bytes);
    }
    CHECK_INT(errand_root_remove(w->queue, root), 0);
    CHECK_INT(errand_root_remove(w->queue, one), 0);
}

SCENE(ways_to_open)
{
    world_file(w, "n1", 100);
    world_fifo(w, "n2");
    world_symlink(w, "n3", "n1");
    world_symlink(w, "n4", "n9");
    world_symlink(w, "n5", "n5");
    static const struct {
        const char *path;
        int flags, error;
    } cases[] = {{"n1", O_RDONLY, 0},
                 {"n1", O_RDWR | O_CREAT, 0},
                 {"n1", O_RDWR | O_CREAT | O_EXCL, -EEXIST},
                 {"n1", O_RDONLY | O_DIRECTORY, -ENOTDIR},
                 {".", O_RDONLY | O_DIRECTORY, 0},
                 {".", O_RDWR, -EISDIR},
                 {"n2", O_RDONLY, 0},
                 {"n2", O_WRONLY, -ENXIO},
                 {"n3", O_RDONLY, 0},
                 {"n3", O_RDONLY | O_NOFOLLOW, -ELOOP},
                 {"n3", O_PATH | O_NOFOLLOW, 0},
                 {"n4", O_RDONLY, -ENOENT},
                 {"n5", O_RDONLY, -ELOOP},
                 {"n1", O_RDWR | O_TRUNC, 0},
                 {"n6", O_RDONLY, -ENOENT},
                 {"n6", O_WRONLY | O_CREAT, 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        errand_chain *chain = new_chain(w->queue);
        errand_step_open(chain, w->at, cases[i].path, cases[i].flags, 0600);
        world_submit(w, chain, i);
        EXPECT(w, .tag = i, .error = cases[i].error, .of = ERRAND_STEP_OPEN);
    }
    CHECK_INT(world_size(w, "n1"), 0);
    CHECK_INT(world_size(w, "n6"), 0);
}

static int see(errand_chain *chain, const struct errand_entry *entry, void *context)
{
    uint64_t *seen = context;
    (void)chain;
    unsigned number = (unsigned)strtoul(entry->name + 1, NULL, 10);
    if (entry->name[0] == 'n')
        *seen |= UINT64_C(1) << number;
    return 0;
}

/* In whatever order. */
SCENE(a_directory_is_listed)
{
    uint64_t seen = 0;
    world_file(w, "d1/n1", 1);
    world_file(w, "d1/n5", 1);
    world_fifo(w, "d1/n63");
    errand_chain *chain = new_chain(w->queue);
    errand_step_open(chain, w->at, "d1", O_RDONLY | O_DIRECTORY, 0);
    errand_step_list(chain, ERRAND_SLOT(0), see, &seen);
    errand_step_list(chain, ERRAND_SLOT(0), see, &seen); /* again from the first entry on */
    note_results(w, chain);
    world_submit(w, chain, 1);
    EXPECT(w, .tag = 1);
    CHECK_INT(w->results[1], 3);
    CHECK_INT(w->results[2], 3);
    CHECK(seen == ((UINT64_C(1) << 1) | (UINT64_C(1) << 5) | (UINT64_C(1) << 63)));
}
