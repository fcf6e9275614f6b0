/* SPDX-License-Identifier: MIT */
/* The process that asks PAM: see pam.h. */
#include "pam.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WITHIN_MS = 30000 };

/* ------------------------------------------------------------------------------------------ PAM */

#ifdef SERVER_PAM

#include <pwd.h>
#include <security/pam_appl.h>

bool pam_is_there(void)
{
    return true;
}

/* What modules ask without showing it is the password; they ask for nothing else. */
static int converse(int count, const struct pam_message **messages, struct pam_response **out, void *password)
{
    struct pam_response *responses = calloc((size_t)count, sizeof *responses);
    bool good = responses != NULL;
    for (int i = 0; i < count && good; i++) {
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
            good = (responses[i].resp = strdup(password)) != NULL;
        else
            good = messages[i]->msg_style != PAM_PROMPT_ECHO_ON;
    }
    if (good) {
        *out = responses;
        return PAM_SUCCESS;
    }
    for (int i = 0; i < count && responses != NULL; i++)
        free(responses[i].resp);
    free(responses);
    return PAM_CONV_ERR;
}

/* Where services are described. */
static const char *directory(void)
{
#ifdef ERRAND_FAULTS
    return getenv("ERRAND_PAM_DIRECTORY"); /* tests have their own */
#else
    return NULL;
#endif
}

static bool is_good(const struct pam_question *question)
{
    const struct pam_conv conversation = {converse, (void *)question->said.password};
    const int quiet = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
    pam_handle_t *pam;
    if (pam_start_confdir("errand", question->said.name, &conversation, directory(), &pam) != PAM_SUCCESS)
        return false;
    int result = pam_set_item(pam, PAM_TTY, "ftp");
    if (result == PAM_SUCCESS && question->from[0] != '\0')
        result = pam_set_item(pam, PAM_RHOST, question->from);
    if (result == PAM_SUCCESS)
        result = pam_authenticate(pam, quiet);
    if (result == PAM_SUCCESS)
        result = pam_acct_mgmt(pam, quiet);
    pam_end(pam, result);
    return result == PAM_SUCCESS;
}

static void find_answer(const struct pam_question *question, struct pam_answer *answer)
{
    bool good = is_good(question);
    const struct passwd *entry = good ? getpwnam(question->said.name) : NULL;
    if (entry == NULL || entry->pw_uid == 0 || strlen(entry->pw_dir) >= sizeof answer->home)
        return;
    answer->good = true;
    memcpy(answer->home, entry->pw_dir, strlen(entry->pw_dir));
}

#else

bool pam_is_there(void)
{
    return false;
}

static void find_answer(const struct pam_question *question, struct pam_answer *answer)
{
    (void)question, (void)answer;
}

#endif

/* ------------------------------------------------------------------------------------------ its process */

/* With a question comes a pipe for the answer. Returns how long the question is; 0: nobody will ask any more. */
static ssize_t receive(int socket, struct pam_question *question, int *pipe)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {question, sizeof *question};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got;
    *pipe = -1;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    const struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(pipe, CMSG_DATA(header), sizeof *pipe);
    return got;
}

/* A child of its own: what a module leaves behind, or crashes, is its alone. */
static void answer_in_child(const struct pam_question *question, int pipe)
{
    struct pam_answer answer = {0};
    if (fork() != 0)
        return;
    signal(SIGCHLD, SIG_DFL); /* modules wait for their own */
    alarm(2 * WITHIN_MS / 1000);
    find_answer(question, &answer);
    ssize_t ignored = write(pipe, &answer, sizeof answer); /* at once: it is less than PIPE_BUF */
    (void)ignored;
    _exit(0);
}

static _Noreturn void be_process(int socket)
{
    struct pam_question question;
    int pipe, null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        dup2(null, fd);
    dup2(socket, 3);
    close_range(4, ~0u, 0); /* listening sockets, directories ... */
    signal(SIGCHLD, SIG_IGN);
    while (receive(3, &question, &pipe) == (ssize_t)sizeof question) {
        if (pipe >= 0) {
            answer_in_child(&question, pipe);
            close(pipe);
        }
        explicit_bzero(&question, sizeof question);
    }
    _exit(0);
}

int pam_open(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_process(ends[1]);
    }
    int error = errno;
    close(ends[1]);
    if (pid > 0)
        return ends[0];
    close(ends[0]);
    return -error;
}

/* ------------------------------------------------------------------------------------------ the question */

static bool ask(int socket, const struct pam_question *question, int pipe)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec piece = {(void *)question, sizeof *question};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.header), &pipe, sizeof pipe);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *question;
}

void pam_ask(int socket, const struct pam_question *question, struct pam_answer *answer)
{
    int ends[2];
    *answer = (struct pam_answer){0};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    bool asked = ask(socket, question, ends[1]);
    close(ends[1]);
    struct pollfd there = {.fd = ends[0], .events = POLLIN};
    if (!asked || poll(&there, 1, WITHIN_MS) != 1 || read(ends[0], answer, sizeof *answer) != (ssize_t)sizeof *answer)
        answer->good = false;
    close(ends[0]);
}
