/* SPDX-License-Identifier: MIT */
/* Sends back what arrives on a pair of sockets: a source receives, a chain sends, and meanwhile the source pauses. */
#include <errand.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
    int socket;
    errand_source *source;
    char text[4096]; /* as large as the queue's receive_size */
};

static int send_back(errand_queue *queue, struct client *client,
                     size_t length)
{
    /* excerpt: errand_step_send */
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    errand_step_send(chain, client->socket, client->text, length, 0);
    struct errand_submit options = {
        .size = sizeof options,
        .user_data = client,
        .stall_ns = 10 * ERRAND_SECOND,
    };
    return errand_submit(chain, &options, NULL);
    /* end */
}

/* Returns 1 when the client is done, or an error. */
static int take(errand_queue *queue, const struct errand_event *event)
{
    struct client *client = event->user_data;
    if (event->error)
        return event->error;
    /* excerpt: errand_source_receive */
    if (event->kind == ERRAND_EVENT_CHAIN) /* sent */
        return errand_source_resume(client->source);
    if (event->bytes == 0) /* end of the stream */
        return 1;
    /* event->data is valid until we wait again. */
    memcpy(client->text, event->data, event->bytes);
    errand_source_pause(client->source);
    return send_back(queue, client, event->bytes);
    /* end */
}

int main(void)
{
    static struct client client;
    errand_queue *queue;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   ends) != 0 ||
        errand_queue_open(&queue, NULL) < 0)
        return 1;
    client.socket = ends[0];
    int result =
        errand_source_receive(queue, ends[0], &client, &client.source);
    if (write(ends[1], "hello\n", 6) != 6 ||
        shutdown(ends[1], SHUT_WR) != 0)
        return 1;
    while (result == 0) {
        struct errand_event event;
        if (errand_queue_wait(queue, &event, 1, ERRAND_FOREVER) == 1)
            result = take(queue, &event);
    }
    errand_queue_close(queue); /* now nothing uses the sockets */
    char text[16];
    ssize_t length = read(ends[1], text, sizeof text);
    printf("%.*s", length < 0 ? 0 : (int)length, text);
    return result == 1 ? 0 : 1;
}
