/* SPDX-License-Identifier: MIT */
/*
 * Sources that come and go, and what they tell: nothing lost, nothing twice. Those of messages, signals and readiness
 * have real descriptors, an eventfd, a signalfd and an epoll descriptor, which they read themselves; the simulation
 * only says now and then that one may be ready. Watches and children are not here: inotify tells of real files, which
 * worlds do not have, and of a child process there would be nothing to simulate.
 */
#include "campaign.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Each place has a signal of its own, one of those of which each that is sent is kept. */
static int signal_of(const struct world *world, const struct source *source)
{
    return SIGRTMIN + 1 + (int)(source - world->sources);
}

void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < SOURCES; i++)
        sigaddset(&set, SIGRTMIN + 1 + i);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* What its predecessor in this place has not fetched. */
static void forget_signals(const struct world *world, const struct source *source)
{
    sigset_t set;
    const struct timespec now = {0};
    sigemptyset(&set);
    sigaddset(&set, signal_of(world, source));
    while (sigtimedwait(&set, NULL, &now) > 0)
        ;
}

static void close_own(struct world *world, struct source *source)
{
    if (source->fd >= SIM_FIRST_FD)
        sim_close(world->sim, source->fd);
    else if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

static int make_source(struct world *world, struct source *source)
{
    errand_source **out = &source->source;
    switch (source->kind) {
    case ERRAND_EVENT_TIMER:
        return errand_source_timer(world->queue, upto(world, 1000000),
                                   one_in(world, 2) ? 1000 + upto(world, 2000000) : 0, source, out);
    case ERRAND_EVENT_ACCEPT:
    case ERRAND_EVENT_DATA: {
        bool accepts = source->kind == ERRAND_EVENT_ACCEPT;
        source->fd = accepts ? sim_listener(world->sim) : sim_socket(world->sim, upto(world, 20000));
        if (source->fd < 0)
            return -EAGAIN;
        return accepts ? errand_source_accept(world->queue, source->fd, source, out)
                       : errand_source_receive(world->queue, source->fd, source, out);
    }
    case ERRAND_EVENT_MESSAGE: return errand_source_post(world->queue, source, out);
    case ERRAND_EVENT_SIGNAL:
        forget_signals(world, source);
        return errand_source_signal(world->queue, signal_of(world, source), source, out);
    default:
        source->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        source->asked = one_in(world, 2) ? POLLIN : POLLIN | POLLOUT;
        return errand_source_ready(world->queue, source->fd, source->asked, source, out);
    }
}

static void add_source(struct world *world, struct source *source)
{
    static const uint8_t kinds[] = {ERRAND_EVENT_TIMER,   ERRAND_EVENT_ACCEPT, ERRAND_EVENT_DATA,
                                    ERRAND_EVENT_MESSAGE, ERRAND_EVENT_SIGNAL, ERRAND_EVENT_READY};
    *source = (struct source){.kind = kinds[upto(world, sizeof kinds)], .fd = -1};
    int result = make_source(world, source);
    if (result == -EAGAIN) { /* those that were stopped are not all back, or no descriptor is to be had */
        source->source = NULL;
        close_own(world, source);
    } else if (result < 0) {
        wrong(world, "a source is refused: %s", errand_error_name(result));
    }
}

void stop_source(struct world *world, struct source *source)
{
    if (!source->source)
        return;
    errand_source_stop(source->source);
    source->source = NULL;
    close_own(world, source);
}

/* The queue was closed, and has stopped it. */
void forget_source(struct world *world, struct source *source)
{
    if (source->source)
        close_own(world, source);
    source->source = NULL;
}

static void give_message(struct world *world, struct source *source)
{
    int result = errand_post(source->source, (const void *)(uintptr_t)(source->posted + 1));
    bool full = source->posted - source->received == MESSAGES;
    if (result != (full ? -EAGAIN : 0))
        wrong(world, "%llu messages wait, and posting another says %s",
              (unsigned long long)(source->posted - source->received), errand_error_name(result));
    source->posted += result == 0;
}

/* What the source is there for happens. */
static void happen(struct world *world, struct source *source)
{
    uint64_t one = 1;
    if (source->kind == ERRAND_EVENT_TIMER) {
        errand_source_set_timer(source->source, upto(world, 100000), 0);
    } else if (source->kind == ERRAND_EVENT_MESSAGE) {
        for (unsigned i = 1 + upto(world, 4); i > 0; i--)
            give_message(world, source);
    } else if (source->kind == ERRAND_EVENT_SIGNAL) {
        source->posted += raise(signal_of(world, source)) == 0;
    } else if (source->kind == ERRAND_EVENT_READY) {
        ssize_t n = source->readable ? read(source->fd, &one, sizeof one) : write(source->fd, &one, sizeof one);
        source->readable ^= n == sizeof one;
    }
}

void stir_sources(struct world *world)
{
    struct source *source = &world->sources[upto(world, SOURCES)];
    unsigned what = upto(world, 8);
    if (!source->source) {
        add_source(world, source);
    } else if (source->over || what == 0) {
        stop_source(world, source);
    } else if (what == 1) {
        source->paused = true;
        errand_source_pause(source->source);
    } else if (what < 4) {
        source->paused = false;
        errand_source_resume(source->source);
    } else {
        happen(world, source);
    }
}

bool sources_have_told(const struct world *world)
{
    for (unsigned i = 0; i < SOURCES; i++)
        if (world->sources[i].source && !world->sources[i].paused &&
            world->sources[i].received < world->sources[i].posted)
            return false;
    return true;
}

void tell_missing(struct world *world)
{
    for (unsigned i = 0; i < SOURCES; i++)
        if (world->sources[i].received < world->sources[i].posted)
            wrong(world, "%llu events of a source of kind %u do not come",
                  (unsigned long long)(world->sources[i].posted - world->sources[i].received), world->sources[i].kind);
}

/* Messages and signals come in order, each once. */
static void next_of_many(struct world *world, struct source *source, const struct errand_event *event)
{
    source->received++;
    if (source->received > source->posted)
        wrong(world, "an event of kind %u more than there were causes", event->kind);
    if (event->kind == ERRAND_EVENT_MESSAGE && (uintptr_t)event->data != source->received)
        wrong(world, "message %llu comes as number %llu", (unsigned long long)(uintptr_t)event->data,
              (unsigned long long)source->received);
    if (event->kind == ERRAND_EVENT_SIGNAL && event->bytes != (uint64_t)signal_of(world, source))
        wrong(world, "signal %llu comes, of another source", (unsigned long long)event->bytes);
}

/* What is so when it is told, once in each wait. */
static void is_ready(struct world *world, struct source *source, const struct errand_event *event)
{
    uint64_t now = (source->readable ? POLLIN : 0) | POLLOUT;
    if (event->bytes != (now & source->asked))
        wrong(world, "ready for %llu, but it is for %llu", (unsigned long long)event->bytes,
              (unsigned long long)(now & source->asked));
    if (source->told_in == world->waits)
        wrong(world, "one wait says twice that a descriptor is ready");
    source->told_in = world->waits;
}

void source_event(struct world *world, const struct errand_event *event)
{
    struct source *source = event->user_data;
    if (!source->source || source->kind != event->kind || source->over)
        wrong(world, "an event of kind %u of a source that has none to give", event->kind);
    if (source->paused)
        wrong(world, "an event of kind %u of a paused source", event->kind);
    if (event->error && event->kind != ERRAND_EVENT_DATA) { /* no connection, or no memory for a poll */
        source->paused = true;
    } else if (event->kind == ERRAND_EVENT_ACCEPT) {
        sim_take(world->sim, event->fd);
        sim_close(world->sim, event->fd);
    } else if (event->kind == ERRAND_EVENT_DATA) {
        source->over = event->bytes == 0;
        if (event->bytes && memcmp(event->data, sim_pattern(world->sim, source->received), event->bytes) != 0)
            wrong(world, "wrong bytes arrive");
        source->posted = source->received += event->bytes;
    } else if (event->kind == ERRAND_EVENT_TIMER) {
        if (event->bytes == 0)
            wrong(world, "a timer tells of no expiration");
    } else if (event->kind == ERRAND_EVENT_READY) {
        is_ready(world, source, event);
    } else {
        next_of_many(world, source, event);
    }
}
