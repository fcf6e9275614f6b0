/* SPDX-License-Identifier: MIT */
/* send_file DIR NAME: sends DIR/NAME to everyone who connects to a free port of 127.0.0.1, which it prints. */
#include <arpa/inet.h>
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_somewhere(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return -errno;
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static int add_root(errand_queue *queue, const char *directory, int *root)
{
    /* excerpt: errand_root_add */
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -errno : errand_root_add(queue, fd, 0, root);
    if (fd >= 0)
        close(fd); /* the queue has a duplicate */
    /* end */
    return result;
}

/* A new connection: the user_data of its chain is the descriptor, to be closed at the end. */
static void answer(errand_queue *queue, int client, int root,
                   const char *name)
{
    /* excerpt: errand_send_file */
    static const char head[] = "Here it is:\n";
    struct errand_send_file job = {
        .size = sizeof job,
        .dir_fd = root,
        .path = name,
        .length = ERRAND_TO_END,
        .socket = client,
        .head = head,
        .head_length = strlen(head),
        .timeout_ns = 60 * ERRAND_SECOND,
        .stall_ns = 10 * ERRAND_SECOND, /* a client that takes nothing */
        .user_data = (void *)(intptr_t)client,
    };
    if (errand_send_file(queue, &job, NULL) < 0)
        close(client); /* nothing was queued: no event will come */
    /* end */
}

static void serve(errand_queue *queue, int root, const char *name)
{
    for (;;) {
        /* excerpt: errand_source_accept */
        struct errand_event event;
        if (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) < 1)
            continue;
        if (event.kind == ERRAND_EVENT_ACCEPT && event.error == 0)
            answer(queue, event.fd, root,
                   name); /* event.fd is ours now */
        else if (event.kind == ERRAND_EVENT_ACCEPT)
            printf("accept: %s\n", errand_error_name(event.error));
        /* end */
        if (event.kind != ERRAND_EVENT_CHAIN)
            continue;
        printf("%llu bytes, %s\n", (unsigned long long)event.bytes,
               errand_error_name(event.error));
        close((int)(intptr_t)event.user_data);
    }
}

int main(int argc, char **argv)
{
    errand_queue *queue;
    errand_source *source;
    int root = 0, listener = listen_somewhere();
    int result = argc == 3 && listener >= 0
                     ? errand_queue_open(&queue, NULL)
                     : -EINVAL;
    if (result == 0)
        result = add_root(queue, argv[1], &root);
    if (result == 0)
        result = errand_source_accept(queue, listener, NULL, &source);
    if (result == 0)
        serve(queue, root, argv[2]);
    fprintf(stderr, "send_file DIR NAME: %s\n",
            errand_error_name(result));
    return 1;
}
