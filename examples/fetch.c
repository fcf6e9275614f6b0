/* SPDX-License-Identifier: MIT */
/* fetch PORT TEXT FILE: connects to 127.0.0.1, sends TEXT, and writes to FILE what comes, in capitals. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errand.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* excerpt: errand_step_filter */
static int capitals(void *context, struct errand_pieces *pieces)
{
    (void)context;
    for (; pieces->in_length > 0 && pieces->out_room > 0;
         pieces->in_length--, pieces->out_room--)
        *pieces->out++ = (char)toupper((unsigned char)*pieces->in++);
    return 0;
}
/* end */

static int submit(errand_queue *queue, const struct sockaddr_in *peer,
                  const char *text, const char *path)
{
    /* excerpt: errand_step_accept */
    errand_chain *chain;
    int result = errand_chain_new(queue, &chain);
    if (result < 0)
        return result;
    int socket =
        ERRAND_SLOT(errand_step_connect(chain, -1, peer, sizeof *peer));
    errand_step_send(chain, socket, text, strlen(text), 0);
    errand_step_shutdown(chain, socket, SHUT_WR);
    /* end */
    /* excerpt: errand_step_sendfile */
    int file = ERRAND_SLOT(errand_step_open(
        chain, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    int step = errand_step_receive_file(chain, socket, file, 0,
                                        ERRAND_TO_END, 0);
    /* end */
    errand_step_filter(chain, step, capitals, NULL, 0);
    /* excerpt: errand_submit */
    struct errand_submit options = {
        .size = sizeof options,
        .timeout_ns = 60 * ERRAND_SECOND,
        .stall_ns = 10 * ERRAND_SECOND,
        .bytes_per_second = 1 << 20,
    };
    return errand_submit(chain, &options, NULL);
    /* end */
}

int main(int argc, char **argv)
{
    struct errand_event event = {0};
    struct sockaddr_in peer = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    errand_queue *queue = NULL;
    int result = argc == 4 ? errand_queue_open(&queue, NULL) : -EINVAL;
    if (result == 0) {
        peer.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
        result = submit(queue, &peer, argv[2], argv[3]);
    }
    while (result == 0 && event.kind != ERRAND_EVENT_CHAIN)
        errand_queue_wait(queue, &event, 1, ERRAND_FOREVER);
    if (result == 0)
        result = event.error;
    if (result < 0)
        fprintf(stderr, "%s: %s\n", errand_step_name(event.step_kind),
                errand_error_name(result));
    if (queue)
        errand_queue_close(queue);
    return result == 0 ? 0 : 1;
}
