/* SPDX-License-Identifier: MIT */
/* file_server DIR PORT: a web server for files, a chain a connection. */
#include <arpa/inet.h>
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* excerpt: client */
struct client {
    int socket, root;
    int received, opened; /* numbers of steps */
    struct errand_stat stat;
    char request[2048], head[128];
};
/* end */

/* excerpt: answer */
/* The file is open and was looked at: chooses the answer. */
static int answer(errand_chain *chain, void *context)
{
    struct client *client = context;
    if (!S_ISREG(client->stat.mode))
        return -EISDIR;
    long long size = (long long)client->stat.bytes;
    int length =
        snprintf(client->head, sizeof client->head,
                 "HTTP/1.0 200 OK\r\nContent-Length: %lld\r\n\r\n", size);
    int file = ERRAND_SLOT(client->opened);
    errand_step_sendfile(chain, client->socket, file, 0, size,
                         client->head, (size_t)length, ERRAND_EXACT);
    return 0;
}
/* end */

/* excerpt: parse */
/* The request is there: takes the path out of "GET /path HTTP/1.x". */
static int parse(errand_chain *chain, void *context)
{
    struct client *client = context;
    client->request[errand_chain_result(chain, client->received)] = '\0';
    if (strncmp(client->request, "GET /", 5) != 0)
        return -EBADMSG;
    char *path = client->request + 5;
    path[strcspn(path, " ?\r\n")] = '\0';
    client->opened =
        errand_step_open(chain, client->root, path, O_RDONLY, 0);
    errand_step_stat(chain, ERRAND_SLOT(client->opened), &client->stat);
    errand_step_call(chain, answer, client);
    return 0;
}
/* end */

/* excerpt: begin */
static void begin(errand_queue *queue, int root, int socket)
{
    errand_chain *chain = NULL;
    struct client *client = malloc(sizeof *client);
    if (!client || errand_chain_new(queue, &chain) < 0) {
        free(client); /* too busy */
        close(socket);
        return;
    }
    *client = (struct client){.socket = socket, .root = root};
    client->received =
        errand_step_receive(chain, socket, client->request,
                            sizeof client->request - 1, ERRAND_SOME);
    errand_step_call(chain, parse, client);
    struct errand_submit options = {
        .size = sizeof options,
        .user_data = client,
        .timeout_ns = 600 * ERRAND_SECOND,
        .stall_ns = 20 * ERRAND_SECOND,
    };
    if (errand_submit(chain, &options, NULL) < 0) {
        free(client);
        close(socket);
    }
}
/* end */

/* excerpt: finish */
static void finish(const struct errand_event *event)
{
    static const char sorry[] = "HTTP/1.0 404 Not Found\r\n\r\n";
    struct client *client = event->user_data;
    unsigned step = event->step_kind;
    if (event->error &&
        (step == ERRAND_STEP_OPEN || step == ERRAND_STEP_CALL))
        send(client->socket, sorry, strlen(sorry),
             MSG_DONTWAIT | MSG_NOSIGNAL);
    printf("%llu bytes, %s\n", (unsigned long long)event->bytes,
           errand_error_name(event->error));
    close(client->socket);
    free(client);
}
/* end */

/* Port 0 takes a free one. */
static int listen_on(const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    socklen_t length = sizeof address;
    int one = 1;
    int fd =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 511) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        perror("listen");
        exit(1);
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    errand_queue *queue;
    errand_source *source;
    int root, directory =
                  argc == 3
                      ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                      : -1;
    if (directory < 0) {
        fprintf(stderr, "usage: file_server DIR PORT\n");
        return 2;
    }
    /* excerpt: main */
    int listener = listen_on(argv[2]);
    if (errand_queue_open(&queue, NULL) < 0 ||
        errand_root_add(queue, directory, 0, &root) < 0 ||
        errand_source_accept(queue, listener, NULL, &source) < 0)
        return 1;
    for (;;) {
        struct errand_event events[64];
        int n = errand_queue_wait(queue, events, 64, ERRAND_FOREVER);
        for (int i = 0; i < n; i++) {
            if (events[i].kind == ERRAND_EVENT_CHAIN)
                finish(&events[i]);
            else if (events[i].error == 0)
                begin(queue, root, events[i].fd);
        }
        errand_source_resume(source); /* paused, if descriptors ran out */
    }
    /* end */
}
