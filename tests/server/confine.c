/* SPDX-License-Identifier: MIT */
/* A process that has confined itself: what its chains, its rings and its threads still reach, and what no more. */
#include "config/config.h"
#include "operation/confine.h"
#include "operation/landlock.h"
#include "support.h"
#include "users.h"

#include <arpa/inet.h>
#include <liburing.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

/*
 * In the test's directory, each folder with a file "f" and a folder "d":
 *     read/ a host, write/ a host that is writable, mixed/ one whose rule is, log/ with the access log, own/ with a
 *     listening socket, out/ outside of it all.
 */
static const char *const folders[] = {"read", "write", "mixed", "log", "own", "out"};

static const char text[] = "[Server]\nListen=unix:own/socket\n[Log]\nAccess=log/access\n[Ftp]\nListen=off\n"
                           "[Host]\nDirectory=read\n[Host write]\nDirectory=write\nWritable=yes\n"
                           "[Host mixed]\nDirectory=mixed\n[Path /d/**]\nWritable=yes\n";

static struct config *config;
static struct users *users;
static struct sites sites;

static const char *in(const char *folder, const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *at = path[turn++ % 4];
    snprintf(at, sizeof path[0], "%s/%s%s%s", harness_directory(), folder, *name ? "/" : "", name);
    return at;
}

static void write_file(const char *path, const char *what)
{
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fputs(what, file);
    fclose(file);
}

/* The configuration, and what it names. */
static void prepare(const char *what)
{
    char why[512] = "";
    for (unsigned i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        REQUIRE_CALL(mkdir(in(folders[i], ""), 0755));
        REQUIRE_CALL(mkdir(in(folders[i], "d"), 0755));
        write_file(in(folders[i], "f"), folders[i]);
    }
    write_file(path_of("errand.conf"), what);
    config = config_new();
    bool good = config_read(config, path_of("errand.conf"), why, sizeof why) &&
                config_finish(config, why, sizeof why) && sites_open(&sites, config, why, sizeof why);
    harness_note("%s", why);
    REQUIRE(good);
}

/* Ends the test as skipped where the kernel cannot. */
static void confine_to_files(void)
{
    char why[256] = "";
    struct listener own = {.address = config->http.list[0]};
    struct confine all = {config, &sites, &(struct listeners){&own, 1}, users};
    int result = confine_files(&all, why, sizeof why);
    harness_note("%s", why);
    if (result == 0)
        SKIP("%s", why);
    REQUIRE_INT(result, 1);
}

/* Those of what may be reached by its path, which are kept for the process's life. */
static void close_what_is_kept(void)
{
    unsigned closed = 0;
    for (int fd = 3; fd < 64; fd++)
        if (fcntl(fd, F_GETFL) >= 0 && (fcntl(fd, F_GETFL) & O_PATH))
            closed += close(fd) == 0;
    CHECK(closed > 0);
}

static void finish(void)
{
    sites_close(&sites);
    config_free(config);
    close_what_is_kept();
}

/* ------------------------------------------------------------------------------------------ by chains */

static int result_of(errand_queue *queue, errand_chain *chain)
{
    submit(chain, NULL, 0);
    return next_event(queue).error;
}

static int open_by_chain(errand_queue *queue, int dir_fd, const char *path, int flags)
{
    errand_chain *chain = new_chain(queue);
    errand_step_close(chain, ERRAND_SLOT(errand_step_open(chain, dir_fd, path, flags, 0644)));
    return result_of(queue, chain);
}

static int rename_by_chain(errand_queue *queue, const char *from, const char *to)
{
    errand_chain *chain = new_chain(queue);
    errand_step_rename(chain, AT_FDCWD, from, AT_FDCWD, to, 0);
    return result_of(queue, chain);
}

static int unlink_by_chain(errand_queue *queue, const char *path)
{
    errand_chain *chain = new_chain(queue);
    errand_step_unlink(chain, AT_FDCWD, path);
    return result_of(queue, chain);
}

static int mkdir_by_chain(errand_queue *queue, const char *path)
{
    errand_chain *chain = new_chain(queue);
    errand_step_mkdir(chain, AT_FDCWD, path, 0755);
    return result_of(queue, chain);
}

static int link_by_chain(errand_queue *queue, const char *from, const char *to)
{
    errand_chain *chain = new_chain(queue);
    errand_step_link(chain, AT_FDCWD, from, AT_FDCWD, to);
    return result_of(queue, chain);
}

/* As an upload does it: a file without a name, which then takes another's. */
static int replace_by_chain(errand_queue *queue, const char *folder, const char *path)
{
    errand_chain *chain = new_chain(queue);
    int file = ERRAND_SLOT(errand_step_open(chain, AT_FDCWD, folder, O_TMPFILE | O_WRONLY, 0644));
    errand_step_write(chain, file, "new", 3, 0);
    errand_step_replace(chain, file, AT_FDCWD, path);
    errand_step_close(chain, file);
    return result_of(queue, chain);
}

static int symlink_by_chain(errand_queue *queue, const char *path)
{
    errand_chain *chain = new_chain(queue);
    errand_step_symlink(chain, "../out/f", AT_FDCWD, path);
    return result_of(queue, chain);
}

static int device_by_chain(errand_queue *queue, const char *path)
{
    errand_chain *chain = new_chain(queue);
    errand_step_mknod(chain, AT_FDCWD, path, S_IFIFO | 0644, 0);
    return result_of(queue, chain);
}

/* What may be done in a folder, by name: 0 or the error that it has to be. */
static void check_folder(errand_queue *queue, const char *folder, int reading, int changing, int removing)
{
    harness_at("%s", folder);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in(folder, "f"), O_RDONLY), reading);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in(folder, "d"), O_RDONLY | O_DIRECTORY), reading);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in(folder, "f"), O_WRONLY), changing);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in(folder, "f"), O_WRONLY | O_TRUNC), changing);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in(folder, "new"), O_WRONLY | O_CREAT | O_EXCL), changing);
    CHECK_INT(mkdir_by_chain(queue, in(folder, "made")), changing);
    CHECK_INT(replace_by_chain(queue, in(folder, ""), in(folder, "f")), changing);
    CHECK_INT(link_by_chain(queue, in(folder, "f"), in(folder, "linked")), changing);
    CHECK_INT(rename_by_chain(queue, in(folder, "f"), in(folder, "g")), changing);
    CHECK_INT(rename_by_chain(queue, in(folder, changing ? "f" : "g"), in(folder, "d/f")), changing);
    CHECK_INT(unlink_by_chain(queue, in(folder, changing ? "f" : "d/f")), removing);
    CHECK_INT(device_by_chain(queue, in(folder, "fifo")), -EACCES);
}

/* A root is how the server opens: inline on a ring if the name is cached. */
static void check_roots(errand_queue *queue)
{
    harness_at("roots");
    int outside = (int)REQUIRE_CALL(open(in("out", ""), O_PATH | O_DIRECTORY | O_CLOEXEC)), root;
    REQUIRE_INT(errand_root_add(queue, outside, 0, &root), 0);
    CHECK_INT(access(in("out", "f"), R_OK), 0); /* cached now, and this user's */
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(open_by_chain(queue, root, "f", O_RDONLY), -EACCES);
    close(outside);
    REQUIRE_INT(errand_root_add(queue, sites.list[0].directory, 0, &root), 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(open_by_chain(queue, root, "f", O_RDONLY), 0);
}

TEST_EACH_BACKEND(chains_stay_within)
{
    prepare(text);
    confine_to_files();
    errand_queue *queue = open_queue(backend, NULL);
    check_roots(queue);
    check_folder(queue, "out", -EACCES, -EACCES, -EACCES);
    check_folder(queue, "read", 0, -EACCES, -EACCES);
    check_folder(queue, "own", -EACCES, -EACCES, 0);
    check_folder(queue, "write", 0, 0, 0);
    check_folder(queue, "mixed", 0, 0, 0);
    harness_at("across");
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("write", "new"), O_RDONLY), 0);
    CHECK_INT(rename_by_chain(queue, in("write", "new"), in("out", "new")), -EACCES);
    CHECK_INT(rename_by_chain(queue, in("out", "f"), in("write", "f")), -EACCES);
    CHECK_INT(link_by_chain(queue, in("out", "f"), in("write", "f")), -EXDEV); /* it would gain rights */
    CHECK_INT(link_by_chain(queue, in("read", "f"), in("write", "f")), -EXDEV);
    CHECK_INT(symlink_by_chain(queue, in("write", "link")), 0);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("write", "link"), O_RDONLY), -EACCES);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, "/etc/passwd", O_RDONLY), -EACCES);
    close_queue(queue);
    finish();
}

TEST_EACH_BACKEND(the_log_is_made_anew)
{
    prepare(text);
    write_file(in("log", "access"), "");
    confine_to_files();
    errand_queue *queue = open_queue(backend, NULL);
    int flags = O_WRONLY | O_APPEND | O_CREAT;
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("log", "access"), flags), 0);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("log", "another"), flags), 0); /* as when it was renamed */
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("log", "access"), O_RDONLY), -EACCES);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("log", "access"), flags | O_TRUNC), -EACCES);
    CHECK_INT(rename_by_chain(queue, in("log", "access"), in("log", "old")), -EACCES);
    CHECK_INT(unlink_by_chain(queue, in("log", "access")), -EACCES);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("out", "access"), flags), -EACCES);
    close_queue(queue);
    finish();
}

/* By a link to a folder, and there by one to a file elsewhere, as service managers and administrators make them. */
TEST_EACH_BACKEND(the_log_behind_symlinks)
{
    prepare("[Log]\nAccess=out/link/access\n[Host]\nDirectory=read\n");
    REQUIRE_CALL(symlink("../log", in("out", "link")));
    REQUIRE_CALL(symlink("../own/access", in("log", "access")));
    write_file(in("own", "access"), "");
    confine_to_files();
    errand_queue *queue = open_queue(backend, NULL);
    int flags = O_WRONLY | O_APPEND | O_CREAT;
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("out", "link/access"), flags), 0);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("own", "another"), flags), 0); /* made where the link led */
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("out", "link/another"), flags), 0);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("out", "access"), flags), -EACCES);
    close_queue(queue);
    finish();
}

/* What is no file that could be rotated is what it is, whoever else is in its folder. */
TEST(the_log_is_a_device)
{
    prepare("[Log]\nAccess=/dev/null\n[Host]\nDirectory=read\n");
    confine_to_files();
    CHECK_INT(close(open("/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640)), 0);
    CHECK_INT(open("/dev/zero", O_WRONLY | O_CLOEXEC), -1);
    finish();
}

/* A pipe with a name as standard output: record/sink.c opens it anew, so that it may wait there and others not. */
TEST(the_log_is_standard_output)
{
    prepare("[Log]\nAccess=-\n[Host]\nDirectory=read\n");
    REQUIRE_CALL(mkfifo(path_of("fifo"), 0600));
    int fifo = (int)REQUIRE_CALL(open(path_of("fifo"), O_RDWR | O_CLOEXEC)), kept = dup(STDOUT_FILENO);
    REQUIRE_CALL(dup2(fifo, STDOUT_FILENO));
    confine_to_files();
    CHECK_INT(close(open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC)), 0);
    CHECK_INT(open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK | O_CLOEXEC), -1);
    REQUIRE_CALL(dup2(kept, STDOUT_FILENO));
    close(kept);
    close(fifo);
    finish();
}

/* ------------------------------------------------------------------------------------------ by a ring of its own */

static int open_by_ring(struct io_uring *ring, const char *path, unsigned how)
{
    struct io_uring_cqe *cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_openat(sqe, AT_FDCWD, path, O_RDONLY, 0);
    io_uring_sqe_set_flags(sqe, how);
    REQUIRE_INT(io_uring_submit_and_wait(ring, 1), 1);
    REQUIRE_INT(io_uring_peek_cqe(ring, &cqe), 0);
    int result = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    if (result >= 0)
        close(result);
    return result < 0 ? result : 0;
}

/* The kernel's own workers have the rights of who submits, not those of the kernel. */
TEST(kernel_workers_stay_within)
{
    struct io_uring ring;
    if (io_uring_queue_init(4, &ring, 0) != 0)
        SKIP("no io_uring here");
    io_uring_queue_exit(&ring);
    prepare(text);
    confine_to_files();
    REQUIRE_INT(io_uring_queue_init(4, &ring, 0), 0);
    CHECK_INT(open_by_ring(&ring, in("read", "f"), IOSQE_ASYNC), 0);
    CHECK_INT(open_by_ring(&ring, in("out", "f"), IOSQE_ASYNC), -EACCES);
    CHECK_INT(open_by_ring(&ring, in("read", "f"), 0), 0);
    CHECK_INT(open_by_ring(&ring, in("out", "f"), 0), -EACCES);
    io_uring_queue_exit(&ring);
    finish();
}

/* ------------------------------------------------------------------------------------------ other than files */

static int connect_by_chain(errand_queue *queue, int fd, const void *address, size_t length)
{
    errand_chain *chain = new_chain(queue);
    errand_step_connect(chain, fd, address, length);
    return result_of(queue, chain);
}

static int program_starts(void)
{
    pid_t pid = (pid_t)REQUIRE_CALL(fork());
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(errno);
    }
    int status;
    REQUIRE_CALL(waitpid(pid, &status, 0));
    return WEXITSTATUS(status);
}

static void check_network(errand_queue *queue, int listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    REQUIRE_CALL(getsockname(listener, (struct sockaddr *)&address, &length));
    int fd = (int)REQUIRE_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_INT(connect_by_chain(queue, fd, &address, length), -EACCES);
    address.sin_port = 0;
    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), -1);
    CHECK_INT(errno, EACCES);
    close(fd);
}

static void check_abstract(errand_queue *queue, const struct sockaddr_un *address, socklen_t length)
{
    int fd = (int)REQUIRE_CALL(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_INT(connect_by_chain(queue, fd, address, length), -EPERM);
    close(fd);
}

/* What is open already goes on, connections that come among it. */
TEST_EACH_BACKEND(programs_ports_and_signals)
{
    uint16_t port;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                    (size_t)snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "errand-%d", (int)getpid()));
    prepare(text);
    int listener = make_listener(&port), abstract = (int)REQUIRE_CALL(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE_CALL(bind(abstract, (struct sockaddr *)&name, length));
    REQUIRE_CALL(listen(abstract, 1));
    int client = connect_to(port);
    CHECK_INT(program_starts(), 0);
    CHECK_INT(kill(getppid(), 0), 0);
    confine_to_files();
    errand_queue *queue = open_queue(backend, NULL);
    CHECK_INT(program_starts(), EACCES);
    if (landlock_version() >= 4)
        check_network(queue, listener);
    if (landlock_version() >= 6) {
        CHECK_INT(kill(getppid(), 0), -1);
        CHECK_INT(kill(getpid(), 0), 0);
        check_abstract(queue, &name, length);
    }
    errand_chain *chain = new_chain(queue);
    errand_step_close(chain, ERRAND_SLOT(errand_step_accept(chain, listener)));
    CHECK_INT(result_of(queue, chain), 0);
    close(client);
    close(listener);
    close(abstract);
    close_queue(queue);
    finish();
}

/* Homes of users, by what they may do there. */
TEST_EACH_BACKEND(homes)
{
    char why[512], *hash = "$2y$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.", lines[1024];
    prepare("[Server]\nListen=unix:own/socket\n[Host]\nDirectory=read\n");
    snprintf(lines, sizeof lines, "anna:%s:write:rw\nben:%s:mixed\n", hash, hash);
    write_file(path_of("users"), lines);
    users = users_open(path_of("users"), why, sizeof why);
    REQUIRE(users != NULL);
    confine_to_files();
    errand_queue *queue = open_queue(backend, NULL);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("write", "f"), O_RDWR), 0);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("write", "new"), O_CREAT | O_WRONLY), 0);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("mixed", "f"), O_RDONLY), 0);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("mixed", "f"), O_WRONLY), -EACCES);
    CHECK_INT(open_by_chain(queue, AT_FDCWD, in("out", "f"), O_RDONLY), -EACCES);
    close_queue(queue);
    users_close(users);
    finish();
}

/* ------------------------------------------------------------------------------------------ by the configuration */

TEST(sockets_are_removed_at_the_end)
{
    prepare(text);
    write_file(in("own", "socket"), "");
    confine_to_files();
    CHECK_INT(unlink(in("own", "socket")), 0);
    CHECK_INT(unlink(in("out", "f")), -1);
    finish();
}

/* From now on the kernel answers so to who asks for Landlock. */
static void forbid_landlock(int error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    REQUIRE(filter != NULL);
    REQUIRE_INT(seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)error), SCMP_SYS(landlock_create_ruleset), 0), 0);
    REQUIRE_INT(seccomp_load(filter), 0);
    seccomp_release(filter);
}

static void check_without_landlock(int error, const char *wanted)
{
    char words[CONFINE_WORDS] = "";
    prepare(text);
    struct confine all = {.config = config, .sites = &sites};
    forbid_landlock(error);
    config->landlock = CONFIG_UNSET;
    CHECK(confine(&all, words));
    CHECK(strstr(words, "not confined (") == words && strstr(words, wanted) != NULL);
    config->landlock = CONFIG_ON;
    CHECK(!confine(&all, words));
    CHECK(strstr(words, wanted) == words && strstr(words, "Landlock=no does without") != NULL);
    config->landlock = CONFIG_OFF;
    CHECK(confine(&all, words));
    CHECK_STR(words, "not confined");
    sites_close(&sites);
    config_free(config);
}

TEST(a_kernel_without)
{
    check_without_landlock(ENOSYS, "this kernel has no Landlock");
}

TEST(switched_off_at_boot)
{
    check_without_landlock(EOPNOTSUPP, "Landlock is not switched on in this kernel");
}

TEST(forbidden_by_a_container)
{
    check_without_landlock(EPERM, "something forbids Landlock here");
}

TEST(keys)
{
    char words[CONFINE_WORDS] = "";
    prepare(text);
    struct confine all = {.config = config, .sites = &sites};
    config->landlock = CONFIG_OFF;
    CHECK(confine(&all, words));
    CHECK_STR(words, "not confined");
    CHECK_INT(close((int)REQUIRE_CALL(open(in("out", "f"), O_RDONLY | O_CLOEXEC))), 0);
    config->landlock = CONFIG_UNSET;
    CHECK(confine(&all, words));
    if (landlock_version() < 2)
        SKIP("%s", words);
    CHECK_STR(words, "confined to its files");
    CHECK_INT(open(in("out", "f"), O_RDONLY | O_CLOEXEC), -1);
    finish();
}
