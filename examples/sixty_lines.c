/* SPDX-License-Identifier: MIT */
/* sixty_lines DIR PORT: a web server for files, by HTTP/1.0. */
#include <arpa/inet.h>
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client {
    int socket, root;
    char request[2048];
};

/* excerpt: answer */
/* The request is there, and what follows depends on it. */
static int answer(errand_chain *chain, void *context)
{
    static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";
    struct client *client = context;
    if (strncmp(client->request, "GET /", 5) != 0)
        return -EBADMSG;
    char *path = client->request + 5;
    path[strcspn(path, " ?\r\n")] = '\0';
    int file = errand_step_open(chain, client->root, path, O_RDONLY, 0);
    errand_step_sendfile(chain, client->socket, ERRAND_SLOT(file), 0,
                         ERRAND_TO_END, head, sizeof head - 1, 0);
    return 0;
}
/* end */

static void begin(errand_queue *queue, struct client *client)
{
    errand_chain *chain;
    struct errand_submit how = {.size = sizeof how,
                                .user_data = client,
                                .stall_ns = 20 * ERRAND_SECOND};
    if (errand_chain_new(queue, &chain) == 0) {
        errand_step_receive(chain, client->socket, client->request, 2047,
                            ERRAND_SOME);
        errand_step_call(chain, answer, client);
        if (errand_submit(chain, &how, NULL) == 0)
            return;
    }
    close(client->socket); /* too busy */
    free(client);
}

int main(int argc, char **argv)
{
    errand_queue *queue;
    errand_source *source;
    int root, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)strtoul(argv[argc - 1], NULL, 10));
    if (argc != 3 || bind(listener, (void *)&address, sizeof address) ||
        listen(listener, 511) < 0 ||
        errand_queue_open(&queue, NULL) < 0 ||
        errand_root_add(queue, open(argv[1], O_PATH), 0, &root) < 0 ||
        errand_source_accept(queue, listener, NULL, &source) < 0)
        return 1;
    socklen_t size = sizeof address;
    getsockname(listener, (void *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (struct errand_event event;;) {
        errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
        struct client *client = event.user_data;
        if (event.kind == ERRAND_EVENT_CHAIN) {
            close(client->socket);
            free(client);
        } else if (event.error == 0 &&
                   (client = calloc(1, sizeof *client))) {
            client->socket = event.fd;
            client->root = root;
            begin(queue, client);
        }
    }
}
