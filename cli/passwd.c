/* SPDX-License-Identifier: MIT */
/* errand passwd: one line of a file of users, made, changed or taken out. The others stay as they are. */
#include "cli.h"
#include "errand.h"
#include "server/config/config.h"
#include "server/users.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static const char usage[] =
    "Usage: errand passwd [OPTION]... FILE NAME\n"
    "Sets the password of NAME in FILE, a file of users for errand serve (FTP: Users= in [Ftp]; HTTP: Users= in\n"
    "[Path ...]), which is made if there is none. It is asked for on a terminal, else read from standard input.\n"
    "\n"
    "  --home DIR         where he is when he has logged in by FTP; a relative one begins in the folder of FILE\n"
    "  --read-only        he may fetch files (default)\n"
    "  --read-write       he may change them, too\n"
    "  --rate SIZE        bytes a second of all his transfers, as in 512K; off: without limit (default)\n"
    "  --sessions N       at once; 0: as many as all may have (default)\n"
    "  -k, --keep         keep his password, and change only the rest\n"
    "  --delete           take him out\n"
    "  -V, --version      print the version\n"
    "  -h, --help         print this\n"
    "\n"
    "What is not said stays as it was. A running server reads FILE again when it is reloaded.\n";

enum { OPTION_HOME = 256, OPTION_READ_ONLY, OPTION_READ_WRITE, OPTION_RATE, OPTION_SESSIONS, OPTION_DELETE };

static const struct option long_options[] = {
    {"home", required_argument, NULL, OPTION_HOME},
    {"read-only", no_argument, NULL, OPTION_READ_ONLY},
    {"read-write", no_argument, NULL, OPTION_READ_WRITE},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"sessions", required_argument, NULL, OPTION_SESSIONS},
    {"keep", no_argument, NULL, 'k'},
    {"delete", no_argument, NULL, OPTION_DELETE},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* What is to be done, and the file while it is. */
struct passwd {
    const char *file, *name;
    const char *home, *rights, *rate, *sessions; /* NULL: not said */
    bool keep, delete;
    char *hash; /* the new one; NULL: as it was */
    char *text; /* the file's; NULL: there is none */
    struct stat before;
    size_t begin, end; /* the line of the name in it; end 0: it has none */
};

static int wrong(const char *what, const char *remedy)
{
    fprintf(stderr, "errand passwd: '%s': %s\n", what, remedy);
    return EXIT_USAGE;
}

static int bad(const char *what, int error)
{
    fprintf(stderr, "errand passwd: %s: %s\n", what, strerror(error));
    return EXIT_BAD;
}

/* ------------------------------------------------------------------------------------------ the password */

/* A line without its end, byte by byte: stdio would read on behind ^C. False: there is none, or too long a one. */
static bool read_line(char *line, size_t size)
{
    size_t length = 0;
    ssize_t got = 0;
    while (length < size && (got = read(STDIN_FILENO, line + length, 1)) == 1 && line[length] != '\n')
        if (line[length++] == '\003')
            return false;
    if (length == size || got < 0)
        return false;
    line[length] = '\0';
    return strlen(line) == length;
}

/* What is typed is not shown. That includes ^C, which ends the line and is seen there: a signal would leave the
 * terminal as it is. */
static bool ask(const char *prompt, char *line, size_t size)
{
    struct termios before, quiet;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    quiet.c_cc[VEOL] = '\003';
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0)
        return false;
    fprintf(stderr, "%s", prompt);
    bool good = read_line(line, size);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return good;
}

static int read_password(char password[USERS_PASSWORD_SPACE])
{
    char again[USERS_PASSWORD_SPACE];
    bool terminal = isatty(STDIN_FILENO);
    bool good =
        terminal ? ask("New password: ", password, USERS_PASSWORD_SPACE) : read_line(password, USERS_PASSWORD_SPACE);
    if (!good || *password == '\0') {
        fprintf(stderr, "errand passwd: no password was given: want a line of 1 to %d bytes\n",
                USERS_PASSWORD_SPACE - 1);
        return EXIT_BAD;
    }
    good = !terminal || (ask("Again: ", again, sizeof again) && strcmp(password, again) == 0);
    explicit_bzero(again, sizeof again);
    if (!good)
        fprintf(stderr, "errand passwd: that was another one; nothing was changed\n");
    return good ? EXIT_GOOD : EXIT_BAD;
}

static int make_hash(struct passwd *passwd)
{
    char password[USERS_PASSWORD_SPACE] = "", salt[CRYPT_GENSALT_OUTPUT_SIZE];
    int code = read_password(password);
    struct crypt_data *data = calloc(1, sizeof *data);
    if (code == EXIT_GOOD && data != NULL && crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof salt) != NULL) {
        const char *hash = crypt_r(password, salt, data);
        passwd->hash = hash != NULL && *hash != '*' ? strdup(hash) : NULL;
    }
    explicit_bzero(password, sizeof password);
    free(data);
    if (code == EXIT_GOOD && passwd->hash == NULL)
        code = bad("cannot make a hash", errno);
    return code;
}

/* ------------------------------------------------------------------------------------------ the file */

/* All of it, and where the line is. Returns an exit code. */
static int load(struct passwd *passwd)
{
    FILE *file = fopen(passwd->file, "re");
    if (file == NULL)
        return errno == ENOENT ? EXIT_GOOD : bad(passwd->file, errno);
    size_t room = 0;
    ssize_t got = fstat(fileno(file), &passwd->before) == 0 ? getdelim(&passwd->text, &room, '\0', file) : -1;
    int error = got < 0 && ferror(file) ? errno : 0;
    fclose(file);
    if (error)
        return bad(passwd->file, error);
    if (got != passwd->before.st_size && passwd->before.st_size > 0)
        return wrong(passwd->file, "is no file of users: it has bytes that are 0");
    if (got < 0) /* it is empty */
        return EXIT_GOOD;
    size_t size = strlen(passwd->name);
    for (size_t at = 0; passwd->text[at] != '\0';) {
        size_t length = strcspn(passwd->text + at, "\n");
        length += passwd->text[at + length] == '\n';
        if (strncmp(passwd->text + at, passwd->name, size) == 0 && passwd->text[at + size] == ':') {
            passwd->begin = at;
            passwd->end = at + length;
        }
        at += length;
    }
    return EXIT_GOOD;
}

/* What the line says now, changed by what was said. */
static int write_line(const struct passwd *passwd, FILE *out)
{
    static const char *const rights[] = {"ro", "rw"};
    struct user user = {0};
    char *line = strndup(passwd->text != NULL ? passwd->text + passwd->begin : "", passwd->end - passwd->begin);
    if (line == NULL)
        return bad("cannot make the new file", errno);
    line[strcspn(line, "\r\n")] = '\0';
    const char *problem = users_read_line(line, &user);
    if (problem != NULL && passwd->keep) { /* else it is mended now */
        free(line);
        return wrong(passwd->name, problem);
    }
    const char *home = passwd->home != NULL ? passwd->home : user.home;
    if (passwd->rights != NULL)
        user.writable = strcmp(passwd->rights, "rw") == 0;
    if (passwd->rate != NULL)
        config_read_size(passwd->rate, &user.rate);
    if (passwd->sessions != NULL)
        user.sessions = (uint32_t)strtoul(passwd->sessions, NULL, 10);
    fprintf(out, "%s:%s", passwd->name, passwd->hash != NULL ? passwd->hash : user.hash);
    if (home != NULL || user.writable || user.rate != 0 || user.sessions != 0)
        fprintf(out, ":%s:%s", home != NULL ? home : "", rights[user.writable]);
    if (user.rate != 0)
        fprintf(out, ",rate=%llu", (unsigned long long)user.rate);
    if (user.sessions != 0)
        fprintf(out, ",sessions=%u", user.sessions);
    fputc('\n', out);
    free(line);
    return EXIT_GOOD;
}

/* Its owner, if it was another's: only root can, and had better, because a server that reads it may be his. */
static int append_owner(errand_queue *queue, const struct passwd *passwd)
{
    errand_chain *chain;
    int error = errand_chain_new(queue, &chain);
    if (error)
        return error;
    int file = errand_step_open(chain, AT_FDCWD, passwd->file, O_RDONLY, 0);
    errand_step_chown(chain, ERRAND_SLOT(file), passwd->before.st_uid, passwd->before.st_gid);
    return errand_submit(chain, NULL, NULL);
}

static int finish(errand_queue *queue, int submitted)
{
    struct errand_event event = {0};
    if (submitted == 0 && errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) != 1)
        submitted = -EIO;
    return submitted ? submitted : event.error;
}

static int replace(const struct passwd *passwd, const char *text, size_t length)
{
    struct errand_queue_options options = {.size = sizeof options, .chains = 2, .workers = 1};
    errand_queue *queue;
    int error = errand_queue_open(&queue, &options);
    if (error)
        return bad("cannot open a queue", -error);
    bool is_there = passwd->before.st_nlink > 0;
    struct errand_replace_file job = {.size = sizeof job,
                                      .dir_fd = AT_FDCWD,
                                      .path = passwd->file,
                                      .mode = is_there ? passwd->before.st_mode & 0777 : 0600,
                                      .data = text,
                                      .length = length};
    umask(0); /* the mode is as it was */
    error = finish(queue, errand_replace_file(queue, &job, NULL));
    if (error == 0 && is_there && (passwd->before.st_uid != geteuid() || passwd->before.st_gid != getegid()))
        error = finish(queue, append_owner(queue, passwd));
    errand_queue_close(queue);
    return error ? bad(passwd->file, -error) : EXIT_GOOD;
}

static int edit(struct passwd *passwd)
{
    int code = load(passwd);
    if (code != EXIT_GOOD)
        return code;
    if ((passwd->delete || passwd->keep) && passwd->end == 0)
        return wrong(passwd->name, "is not in the file");
    char *text = NULL;
    size_t length = 0, all = passwd->text != NULL ? strlen(passwd->text) : 0;
    size_t begin = passwd->end != 0 ? passwd->begin : all, end = passwd->end != 0 ? passwd->end : all;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return bad("cannot make the new file", errno);
    fwrite(passwd->text != NULL ? passwd->text : "", 1, begin, out);
    if (begin > 0 && passwd->text[begin - 1] != '\n')
        fputc('\n', out);
    if (!passwd->delete)
        code = write_line(passwd, out);
    if (end < all)
        fputs(passwd->text + end, out);
    if (fclose(out) != 0)
        code = bad("cannot make the new file", errno);
    if (code == EXIT_GOOD)
        code = replace(passwd, text, length);
    free(text);
    return code;
}

/* Two at once, on files in one folder, wait for each other: the file itself is another one after each. */
static int edit_alone(struct passwd *passwd)
{
    char real[PATH_MAX], folder[PATH_MAX];
    if (realpath(passwd->file, real) != NULL) /* not the symlink is replaced */
        passwd->file = real;
    snprintf(folder, sizeof folder, "%s", passwd->file);
    int lock = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = lock < 0 || flock(lock, LOCK_EX) != 0 ? bad(folder, errno) : edit(passwd);
    if (lock >= 0)
        close(lock);
    return code;
}

/* ------------------------------------------------------------------------------------------ options */

/* A colon, or a byte below the blank, would make another line of it. */
static bool fits_a_line(const char *text)
{
    for (; *text; text++)
        if (*text == ':' || (unsigned char)*text < ' ')
            return false;
    return true;
}

static int check(const struct passwd *passwd)
{
    uint64_t size;
    char *end = NULL;
    const char *name = passwd->name;
    if (*name == '\0' || *name == '#' || !fits_a_line(name) || strlen(name) >= USERS_NAME_SPACE)
        return wrong(name, "want a name of at most 255 bytes, without a colon, and no # at its beginning");
    if (passwd->home != NULL && (!fits_a_line(passwd->home) || strlen(passwd->home) >= PATH_MAX))
        return wrong(passwd->home, "want the path of a directory, without a colon");
    if (passwd->rate != NULL && !config_read_size(passwd->rate, &size))
        return wrong(passwd->rate, "want bytes a second, as in 512K or 10M; or off");
    if (passwd->sessions != NULL && (passwd->sessions[0] < '0' || passwd->sessions[0] > '9' ||
                                     strtoul(passwd->sessions, &end, 10) > USERS_SESSIONS_MAX || *end != '\0'))
        return wrong(passwd->sessions, "want a number of sessions, at most 1000000");
    return EXIT_GOOD;
}

/* Returns -1 to go on, or the exit code. */
static int take_options(struct passwd *passwd, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "hVk", long_options, NULL)) >= 0) {
        switch (option) {
        case OPTION_HOME: passwd->home = optarg; break;
        case OPTION_READ_ONLY: passwd->rights = "ro"; break;
        case OPTION_READ_WRITE: passwd->rights = "rw"; break;
        case OPTION_RATE: passwd->rate = optarg; break;
        case OPTION_SESSIONS: passwd->sessions = optarg; break;
        case OPTION_DELETE: passwd->delete = true; break;
        case 'k': passwd->keep = true; break;
        case 'V': printf("errand %s\n", errand_version()); return cli_finish_output();
        case 'h': fputs(usage, stdout); return cli_finish_output();
        default: fprintf(stderr, "errand passwd: errand passwd --help shows the options\n"); return EXIT_USAGE;
        }
    }
    if (argc - optind != 2) {
        fprintf(stderr, "errand passwd: want FILE and NAME; errand passwd --help shows the options\n");
        return EXIT_USAGE;
    }
    passwd->file = argv[optind];
    passwd->name = argv[optind + 1];
    int code = check(passwd);
    return code == EXIT_GOOD ? -1 : code;
}

int cli_passwd(int argc, char **argv)
{
    struct passwd passwd = {0};
    int code = take_options(&passwd, argc, argv);
    if (code >= 0)
        return code;
    code = passwd.delete || passwd.keep ? EXIT_GOOD : make_hash(&passwd);
    if (code == EXIT_GOOD)
        code = edit_alone(&passwd);
    free(passwd.hash);
    free(passwd.text);
    return code;
}
