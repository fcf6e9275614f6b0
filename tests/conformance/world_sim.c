/* SPDX-License-Identifier: MIT */
/* The simulated world of a scene: nothing fails, nothing hangs but what is made to; how things come about is drawn. */
#include "scene.h"

static void complain(void *context, const char *text)
{
    (void)context;
    FAIL("the simulation complains: %s", text);
    harness_give_up();
}

static void sim_world_open(struct world *w, const struct errand_queue_options *options)
{
    struct sim_options how = {.seed = w->seed,
                              .scene = true,
                              .defers = w->seed % 2,
                              .descriptors = 1000,
                              .caller = w->room,
                              .caller_size = WORLD_ROOM,
                              .complain = complain,
                              .context = w};
    w->sim = sim_new(&how);
    REQUIRE(w->sim != NULL);
    sim_install(w->sim);
    w->queue = open_queue(HARNESS_SIM, options);
    w->directory = sim_directory(w->sim, 0);
}

static void sim_world_close(struct world *w)
{
    sim_close(w->sim, w->directory);
    sim_settle(w->sim);
    CHECK_INT(sim_library_descriptors(w->sim), 0);
    CHECK_INT(sim_test_descriptors(w->sim), 0);
    sim_install(NULL);
    sim_free(w->sim);
}

/* "n7" or "d1/n7". */
static void place(const char *path, unsigned *directory, unsigned *name)
{
    *directory = *path == 'd' ? (unsigned)strtoul(path + 1, NULL, 10) : 0;
    const char *last = *path == 'd' ? strchr(path, '/') + 1 : path;
    REQUIRE(*last == 'n');
    *name = (unsigned)strtoul(last + 1, NULL, 10);
}

static void sim_world_make(struct world *w, const char *path, unsigned mode, int64_t size, const char *target)
{
    unsigned directory, name;
    place(path, &directory, &name);
    if (S_ISFIFO(mode))
        sim_make_fifo(w->sim, directory, name);
    else if (S_ISLNK(mode))
        sim_make_link(w->sim, directory, name, (unsigned)strtoul(target + 1, NULL, 10));
    else
        sim_make_file(w->sim, directory, name, size);
}

static int sim_world_file(struct world *w, const char *path)
{
    unsigned directory, name;
    place(path, &directory, &name);
    int fd = sim_file(w->sim, directory, name);
    REQUIRE(fd >= 0);
    return fd;
}

static bool sim_world_look(struct world *w, const char *path, struct errand_stat *out)
{
    unsigned directory, name;
    place(path, &directory, &name);
    return sim_look(w->sim, directory, name, out);
}

static void sim_world_contents(struct world *w, const char *path)
{
    (void)w;
    (void)path;
}

static int sim_world_socket(struct world *w, size_t to_receive, enum peer_kind peer)
{
    int fd = sim_socket(w->sim, to_receive);
    REQUIRE(fd >= 0);
    sim_peer(w->sim, fd, peer != PEER_ENDS, peer == PEER_DEAF);
    return fd;
}

static uint64_t sim_world_got(struct world *w, int socket)
{
    return sim_sent(w->sim, socket);
}

static int sim_world_listener(struct world *w)
{
    return sim_listener(w->sim);
}

static void sim_world_connect(struct world *w, int listener, size_t to_receive, enum peer_kind peer)
{
    sim_connect(w->sim, listener, to_receive, peer != PEER_ENDS);
}

static void sim_world_address(struct world *w, bool accepts, struct sockaddr_in *address)
{
    (void)w;
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons(accepts ? SIM_REFUSED_PORT + 1 : SIM_REFUSED_PORT),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static const char *sim_world_hung(struct world *w)
{
    struct errand_stat there;
    if (!sim_look(w->sim, 2, 1, &there))
        sim_make_file(w->sim, 2, 1, 8192);
    sim_hang(w->sim, 2);
    return "d2/n1";
}

/* In virtual time it is: the queue has been waited for. */
static bool sim_world_is_hung(struct world *w)
{
    struct errand_event event;
    return errand_queue_wait(w->queue, &event, 1, ERRAND_MILLISECOND) == 0;
}

static void sim_world_release(struct world *w)
{
    sim_release(w->sim);
}

static void sim_world_close_fd(struct world *w, int fd)
{
    sim_close(w->sim, fd);
}

static void sim_world_take(struct world *w, int fd)
{
    sim_take(w->sim, fd);
}

static int sim_world_wait(struct world *w, struct errand_event *events, unsigned max)
{
    return errand_queue_wait(w->queue, events, max, ERRAND_SECOND);
}

const struct world_ops simulated_world = {
    .open = sim_world_open,
    .close = sim_world_close,
    .make = sim_world_make,
    .file = sim_world_file,
    .look = sim_world_look,
    .contents = sim_world_contents,
    .socket = sim_world_socket,
    .got = sim_world_got,
    .listener = sim_world_listener,
    .connect = sim_world_connect,
    .address = sim_world_address,
    .hung = sim_world_hung,
    .is_hung = sim_world_is_hung,
    .release = sim_world_release,
    .close_fd = sim_world_close_fd,
    .take = sim_world_take,
    .wait = sim_world_wait,
};
