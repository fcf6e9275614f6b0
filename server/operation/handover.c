/* SPDX-License-Identifier: MIT */
/* The handover as text and back. */
#include "handover.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE "ERRAND_HANDOVER"

static const struct handover empty = {.ready = -1, .config = -1};

/* ------------------------------------------------------------------------------------------ writing */

static void write_listener(FILE *out, const struct listener *listener)
{
    char name[LISTEN_URL_SPACE];
    listener_name(&listener->configured, name);
    fprintf(out, "listener %s %s ", listener_kinds[listener->kind],
            listener->given      ? "given"
            : listener->borrowed ? "borrowed"
                                 : "own");
    for (unsigned i = 0; i < listener->count; i++)
        fprintf(out, "%s%d", i > 0 ? "," : "", listener->sockets[i]);
    fprintf(out, " %s\n", name);
}

char *handover_write(const struct handover *handover)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    if (handover->supervisor > 0)
        fprintf(out, "supervisor %d\n", (int)handover->supervisor);
    if (handover->ready >= 0)
        fprintf(out, "ready %d\n", handover->ready);
    if (handover->config >= 0)
        fprintf(out, "config %d\n", handover->config);
    if (handover->serving > 0)
        fprintf(out, "serving %d\n", (int)handover->serving);
    for (unsigned i = 0; i < handover->draining_count; i++)
        fprintf(out, "draining %d\n", (int)handover->draining[i]);
    for (unsigned n = 0; n < handover->listeners.count; n++)
        write_listener(out, &handover->listeners.list[n]);
    bool good = !ferror(out);
    good = fclose(out) == 0 && good;
    if (good)
        return text;
    free(text);
    return NULL;
}

/* ------------------------------------------------------------------------------------------ reading */

/* A number that is not negative, up to the separator, behind which *at is moved. */
static bool take_number(const char **at, const char *separators, int *number)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    long value = strtol(*at, &end, 10);
    if (value > INT32_MAX || strchr(separators, *end) == NULL)
        return false;
    *number = (int)value;
    *at = *end == '\0' ? end : end + 1;
    return true;
}

static bool take_word(const char **at, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0 || (*at)[length] != ' ')
        return false;
    *at += length + 1;
    return true;
}

static bool take_sockets(const char **at, int **sockets, unsigned *count)
{
    for (char before = ','; before == ','; before = (*at)[-1]) {
        int *list = reallocarray(*sockets, *count + 1, sizeof *list);
        if (list == NULL)
            return false;
        *sockets = list;
        if (!take_number(at, ", ", &list[*count]) || (*at)[-1] == '\0')
            return false;
        ++*count;
    }
    return true;
}

static bool read_listener(struct listeners *listeners, const char *at)
{
    struct listener listener = {0};
    int *sockets = NULL;
    bool good = false;
    for (unsigned kind = 0; kind < LISTENER_KINDS && !good; kind++)
        if ((good = take_word(&at, listener_kinds[kind])))
            listener.kind = (uint8_t)kind;
    listener.given = take_word(&at, "given");
    listener.borrowed = listener.given || take_word(&at, "borrowed");
    good = good && (listener.borrowed || take_word(&at, "own")) && take_sockets(&at, &sockets, &listener.count) &&
           listen_address_read(&listener.configured, at);
    listener.address = listener.configured;
    if (good && !listen_is_local(&listener.address)) { /* with the port that it has in truth */
        socklen_t length = sizeof listener.address.v6;
        if (getsockname(sockets[0], &listener.address.any, &length) == 0)
            listener.address.length = length;
    }
    good = good && listeners_add(listeners, &listener, sockets);
    free(sockets);
    return good;
}

bool handover_add_draining(struct handover *handover, pid_t pid)
{
    pid_t *list = reallocarray(handover->draining, handover->draining_count + 1, sizeof *list);
    if (list == NULL)
        return false;
    handover->draining = list;
    list[handover->draining_count++] = pid;
    return true;
}

static bool read_line(struct handover *handover, const char *line)
{
    int number;
    if (take_word(&line, "listener"))
        return read_listener(&handover->listeners, line);
    if (take_word(&line, "ready"))
        return take_number(&line, "", &handover->ready);
    if (take_word(&line, "config"))
        return take_number(&line, "", &handover->config);
    if (take_word(&line, "supervisor"))
        return take_number(&line, "", &handover->supervisor);
    if (take_word(&line, "serving"))
        return take_number(&line, "", &handover->serving);
    return take_word(&line, "draining") && take_number(&line, "", &number) && handover_add_draining(handover, number);
}

bool handover_read(struct handover *handover, const char *text)
{
    *handover = empty;
    char *copy = strdup(text), *rest = NULL;
    bool good = copy != NULL;
    for (char *line = good ? strtok_r(copy, "\n", &rest) : NULL; line != NULL && good;
         line = strtok_r(NULL, "\n", &rest))
        good = read_line(handover, line);
    free(copy);
    if (!good)
        handover_free(handover);
    return good;
}

void handover_free(struct handover *handover)
{
    listeners_free(&handover->listeners);
    free(handover->draining);
    *handover = empty;
}

/* ------------------------------------------------------------------------------------------ passing on */

static void outlive_exec(int fd, bool lives)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, lives ? 0 : FD_CLOEXEC);
}

static void all_outlive_exec(const struct handover *handover, bool live)
{
    outlive_exec(handover->ready, live);
    outlive_exec(handover->config, live);
    for (unsigned n = 0; n < handover->listeners.count; n++)
        for (unsigned i = 0; i < handover->listeners.list[n].count; i++)
            outlive_exec(handover->listeners.list[n].sockets[i], live);
}

bool handover_offer(const struct handover *handover)
{
    char *text = handover_write(handover);
    bool good = text != NULL && setenv(VARIABLE, text, 1) == 0;
    free(text);
    if (good)
        all_outlive_exec(handover, true);
    return good;
}

void handover_withdraw(const struct handover *handover)
{
    unsetenv(VARIABLE);
    all_outlive_exec(handover, false);
}

bool handover_is_to_serve(void)
{
    const char *text = getenv(VARIABLE);
    return text != NULL && strncmp(text, "supervisor ", strlen("supervisor ")) == 0;
}

bool handover_take(struct handover *handover)
{
    *handover = empty;
    const char *text = getenv(VARIABLE);
    if (text == NULL)
        return true;
    if (!handover_read(handover, text))
        return false;
    handover_withdraw(handover);
    return true;
}
