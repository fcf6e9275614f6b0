/* SPDX-License-Identifier: MIT */
/* HASH: see hash.h. */
#include "hash.h"
#include "closing.h"
#include "command.h"
#include "session.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { PIECE = 64 << 10 };

static const struct {
    const char *name;
    const EVP_MD *(*function)(void);
} hashes[] = {{"SHA-256", EVP_sha256}, {"SHA-512", EVP_sha512}, {"SHA-1", EVP_sha1}, {"MD5", EVP_md5}};

enum { HASHES = sizeof hashes / sizeof hashes[0] };

struct hashing {
    EVP_MD_CTX *state;
    uint64_t done;  /* bytes */
    size_t length;  /* of the piece */
    unsigned which; /* of hashes[] */
    int fd;
    unsigned out_length;
    unsigned char out[EVP_MAX_MD_SIZE];
    char piece[PIECE];
};

void ftp_hash_list(const struct ftp_session *session, char out[static FTP_HASH_LIST])
{
    int used = 0;
    for (unsigned i = 0; i < HASHES; i++)
        used += snprintf(out + used, FTP_HASH_LIST - (size_t)used, "%s%s%s", i > 0 ? ";" : "", hashes[i].name,
                         i == session->hash ? "*" : "");
}

void ftp_hash_choose(struct ftp_session *session, const char *name)
{
    unsigned i = 0;
    while (*name && i < HASHES && strcasecmp(hashes[i].name, name) != 0)
        i++;
    if (i == HASHES) {
        ftp_reply(session, 504, "That hash is not known; the choice stays what it was.");
        return;
    }
    if (*name)
        session->hash = (uint8_t)i;
    ftp_reply(session, 200, "%s", hashes[session->hash].name);
}

/* ------------------------------------------------------------------------------------------ hashing */

/* On a worker, one piece; one that is not full is the last. What libcrypto sets up at its first call it does there. */
static int64_t hash_piece(void *context)
{
    struct hashing *hashing = context;
    bool good = true;
    if (hashing->state == NULL) {
        OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* who is confined cannot read it */
        hashing->state = EVP_MD_CTX_new();
        good = hashing->state != NULL && EVP_DigestInit_ex(hashing->state, hashes[hashing->which].function(), NULL);
    }
    good = good && EVP_DigestUpdate(hashing->state, hashing->piece, hashing->length);
    if (hashing->length < PIECE)
        good = good && EVP_DigestFinal_ex(hashing->state, hashing->out, &hashing->out_length);
    return good ? 0 : -ENOMEM;
}

/* The call step: the piece was read. */
static int took_piece(errand_chain *chain, void *context)
{
    struct ftp_task *task = context;
    struct hashing *hashing = task->more;
    hashing->length = (size_t)errand_chain_result(chain, task->step);
    hashing->done += hashing->length;
    int step = errand_step_work(chain, hash_piece, hashing);
    return step < 0 ? step : 0;
}

static void tell(struct ftp_task *task)
{
    const struct hashing *hashing = task->more;
    char text[2 * EVP_MAX_MD_SIZE + 64];
    uint64_t last = hashing->done > 0 ? hashing->done - 1 : 0;
    int used = snprintf(text, sizeof text, "%s 0-%" PRIu64 " ", hashes[hashing->which].name, last);
    for (unsigned i = 0; i < hashing->out_length; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%02x", hashing->out[i]);
    snprintf(text + used, sizeof text - (size_t)used, " ");
    ftp_reply_name(task->session, 213, text, task->path);
}

/* The file was opened, or a piece hashed. */
static void went_on(struct ftp_task *task, const struct errand_event *event)
{
    struct hashing *hashing = task->more;
    int error = event->error;
    if (event->fd >= 0)
        hashing->fd = event->fd;
    if (error == 0 && hashing->out_length == 0)
        error = ftp_task_next(task);
    if (error == 0 && hashing->out_length == 0) {
        task->step = errand_step_read(task->chain, hashing->fd, hashing->piece, PIECE, (int64_t)hashing->done, 0);
        errand_step_call(task->chain, took_piece, task);
        ftp_task_submit(task);
        return;
    }
    if (error == 0)
        tell(task);
    else
        ftp_reply_error(task->session, error);
    ftp_task_end(task);
}

static void release(struct ftp_task *task)
{
    struct hashing *hashing = task->more;
    errand_queue *queue = ftp_session_queue(task->session);
    EVP_MD_CTX_free(hashing->state);
    if (hashing->fd >= 0 && queue != NULL)
        close_on_worker(queue, hashing->fd);
    else if (hashing->fd >= 0)
        close(hashing->fd);
}

void ftp_hash(struct ftp_session *session, char *argument)
{
    struct ftp_task *task = ftp_task_begin(session, argument, FTP_RIGHT_READ, sizeof(struct hashing), went_on);
    if (task == NULL)
        return;
    struct hashing *hashing = task->more;
    hashing->fd = -1;
    hashing->which = session->hash;
    task->release = release;
    int file = ERRAND_SLOT(errand_step_open(task->chain, task->root, ftp_task_file(task), O_RDONLY, 0));
    errand_step_expect(task->chain, file, ERRAND_REGULAR, NULL);
    errand_step_hand_over(task->chain, file);
    ftp_task_submit(task);
}
