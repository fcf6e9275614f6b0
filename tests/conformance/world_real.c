/* SPDX-License-Identifier: MIT */
/* The real world of a scene: a directory of its own, a tmpfs as the other device, holdfs as the one that hangs, socket
 * pairs with peers that are seen to whenever the queue is waited for. */
#include "holdfs.h"
#include "scene.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

enum { peers_most = 24 };

struct other_end {
    int socket, of; /* of: the scene's descriptor */
    size_t to_send, sent;
    uint64_t got;
    enum peer_kind kind;
    bool shut, broken;
};

struct real {
    char path[300];
    struct other_end ends[peers_most];
    unsigned count;
    int own[4]; /* listeners that addresses name */
    unsigned own_count;
    uint16_t port; /* of the scene's own listener */
    struct holdfs *holdfs;
    bool mounted;
};

static void real_open(struct world *w, const struct errand_queue_options *options)
{
    static unsigned turn;
    char name[16], other[320];
    struct real *real = w->real = calloc(1, sizeof *real);
    REQUIRE(real != NULL);
    umask(0);
    snprintf(name, sizeof name, "w%u", turn++);
    snprintf(real->path, sizeof real->path, "%s", path_of(name));
    REQUIRE_CALL(mkdir(real->path, 0755));
    REQUIRE_CALL(chdir(real->path));
    REQUIRE_CALL(mkdir("d1", 0755));
    snprintf(other, sizeof other, "%s/d1", real->path);
    real->mounted = mount("tmpfs", other, "tmpfs", 0, "size=1m,mode=755") == 0;
    w->queue = open_queue(w->backend, options);
    w->directory = (int)REQUIRE_CALL(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void real_close(struct world *w)
{
    struct real *real = w->real;
    close(w->directory);
    for (unsigned i = 0; i < real->count; i++)
        close(real->ends[i].socket);
    for (unsigned i = 0; i < real->own_count; i++)
        close(real->own[i]);
    if (real->holdfs)
        holdfs_stop(real->holdfs);
    if (real->mounted)
        REQUIRE_CALL(umount2("d1", MNT_DETACH));
    REQUIRE_CALL(chdir("/"));
    free(real);
}

/* ---- files */

static void needs_other(struct world *w, const char *path)
{
    if (*path == 'd' && !w->real->mounted)
        SKIP("no mount here");
}

static void write_pattern(int fd, int64_t size)
{
    for (int64_t at = 0; at < size;) {
        size_t n = size - at < 65536 ? (size_t)(size - at) : 65536;
        REQUIRE(pwrite(fd, world_pattern((uint64_t)at), n, at) == (ssize_t)n);
        at += (int64_t)n;
    }
}

static void real_make(struct world *w, const char *path, unsigned mode, int64_t size, const char *target)
{
    needs_other(w, path);
    if (S_ISLNK(mode)) {
        REQUIRE_CALL(symlink(target, path));
        return;
    }
    REQUIRE_CALL(mknod(path, mode, 0));
    if (!S_ISREG(mode))
        return;
    int fd = (int)REQUIRE_CALL(open(path, O_WRONLY | O_CLOEXEC));
    write_pattern(fd, size);
    close(fd);
}

static int real_file(struct world *w, const char *path)
{
    needs_other(w, path);
    return (int)REQUIRE_CALL(open(path, O_RDWR | O_CLOEXEC));
}

static bool real_look(struct world *w, const char *path, struct errand_stat *out)
{
    struct stat about;
    needs_other(w, path);
    if (lstat(path, &about) < 0)
        return CHECK_INT(errno, ENOENT) && false;
    *out = (struct errand_stat){.bytes = (uint64_t)about.st_size,
                                .mode = about.st_mode,
                                .links = (uint32_t)about.st_nlink,
                                .user = about.st_uid,
                                .group = about.st_gid,
                                .modified_ns = about.st_mtim.tv_sec * ERRAND_SECOND + about.st_mtim.tv_nsec};
    return true;
}

static void real_contents(struct world *w, const char *path)
{
    static unsigned char piece[65536];
    int fd = real_file(w, path);
    ssize_t n;
    for (int64_t at = 0; (n = pread(fd, piece, sizeof piece, at)) > 0; at += n)
        CHECK_BYTES(piece, world_pattern((uint64_t)at), (size_t)n);
    close(fd);
}

/* ---- peers */

static void see_to(struct other_end *end)
{
    unsigned char piece[16384];
    while (end->sent < end->to_send) {
        size_t left = end->to_send - end->sent;
        ssize_t n = send(end->socket, world_pattern(end->sent), left < 65536 ? left : 65536, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        end->sent += (size_t)n;
    }
    if (end->sent == end->to_send && end->kind == PEER_ENDS && !end->shut) {
        shutdown(end->socket, SHUT_WR);
        end->shut = true;
    }
    ssize_t n;
    while (end->kind != PEER_DEAF && (n = recv(end->socket, piece, sizeof piece, MSG_DONTWAIT)) > 0) {
        CHECK_BYTES(piece, world_pattern(end->got), (size_t)n);
        end->got += (uint64_t)n;
    }
}

static struct other_end *add_end(struct world *w, int socket, int of, size_t to_send, enum peer_kind kind)
{
    REQUIRE(w->real->count < peers_most);
    struct other_end *end = &w->real->ends[w->real->count++];
    *end = (struct other_end){.socket = socket, .of = of, .to_send = to_send, .kind = kind};
    REQUIRE_CALL(fcntl(socket, F_SETFL, O_NONBLOCK));
    see_to(end);
    return end;
}

/* The peer of a deaf one's own socket is full from the beginning: it takes not one byte more. */
static void fill(int socket)
{
    for (size_t n = 65536; n > 0; n /= 2)
        while (send(socket, world_pattern(0), n, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
            continue;
}

static int real_socket(struct world *w, size_t to_receive, enum peer_kind peer)
{
    int sockets[2];
    make_pair(peer == PEER_DEAF || w->real->count % 2 ? PAIR_UNIX : PAIR_TCP, sockets);
    if (peer == PEER_DEAF)
        fill(sockets[0]);
    add_end(w, sockets[1], sockets[0], to_receive, peer);
    return sockets[0];
}

static uint64_t real_got(struct world *w, int socket)
{
    for (unsigned i = 0; i < w->real->count; i++) {
        struct other_end *end = &w->real->ends[i];
        int left = 1;
        for (unsigned turn = 0; end->of == socket && turn < 2000 && left > 0; turn++) {
            see_to(end);
            if (ioctl(socket, SIOCOUTQ, &left) < 0 || end->kind == PEER_DEAF)
                break;
            if (left > 0)
                poll(&(struct pollfd){.fd = end->socket, .events = POLLIN}, 1, 1);
        }
        see_to(end);
        if (end->of == socket)
            return end->got;
    }
    FAIL("a socket that is not the scene's");
    return 0;
}

static int real_listener(struct world *w)
{
    return make_listener(&w->real->port);
}

static void real_connect(struct world *w, int listener, size_t to_receive, enum peer_kind peer)
{
    (void)listener;
    add_end(w, connect_to(w->real->port), -1, to_receive, peer);
}

static void real_address(struct world *w, bool accepts, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    uint16_t port;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int own;
    if (accepts) {
        own = make_listener(&port);
        address->sin_port = htons(port);
    } else { /* a port that is taken, and where nobody listens */
        own = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE_CALL(bind(own, (struct sockaddr *)address, sizeof *address));
        REQUIRE_CALL(getsockname(own, (struct sockaddr *)address, &length));
    }
    REQUIRE(w->real->own_count < 4);
    w->real->own[w->real->own_count++] = own;
}

/* ---- what hangs */

static const char *real_hung(struct world *w)
{
    struct real *real = w->real;
    if (!real->holdfs) {
        char name[32];
        snprintf(name, sizeof name, "%s/d2", strrchr(real->path, '/') + 1);
        real->holdfs = holdfs_start(&(struct holdfs_options){.name = name, .files = 2});
    }
    holdfs_hold(real->holdfs, "lookup");
    return "d2/f1";
}

static bool real_is_hung(struct world *w)
{
    return holdfs_held(w->real->holdfs) > 0;
}

static void real_release(struct world *w)
{
    holdfs_pass(w->real->holdfs);
}

/* ---- descriptors, events */

static void real_close_fd(struct world *w, int fd)
{
    (void)w;
    REQUIRE_CALL(close(fd));
}

static void real_take(struct world *w, int fd)
{
    (void)w;
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
}

static int real_wait(struct world *w, struct errand_event *events, unsigned max)
{
    for (unsigned i = 0; i < w->real->count; i++)
        see_to(&w->real->ends[i]);
    int count = errand_queue_wait(w->queue, events, max, w->real->count ? ERRAND_MILLISECOND : ERRAND_SECOND);
    for (unsigned i = 0; i < w->real->count; i++)
        see_to(&w->real->ends[i]);
    return count;
}

const struct world_ops real_world = {
    .open = real_open,
    .close = real_close,
    .make = real_make,
    .file = real_file,
    .look = real_look,
    .contents = real_contents,
    .socket = real_socket,
    .got = real_got,
    .listener = real_listener,
    .connect = real_connect,
    .address = real_address,
    .hung = real_hung,
    .is_hung = real_is_hung,
    .release = real_release,
    .close_fd = real_close_fd,
    .take = real_take,
    .wait = real_wait,
};
