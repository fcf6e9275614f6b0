/* SPDX-License-Identifier: MIT */
/* Addresses, their prefixes, and the table of who is connected: counts, tokens, and that it does not grow for ever. */
#include "errand.h"
#include "harness.h"
#include "peers.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NOW (1000 * ERRAND_SECOND)

static struct address address(const char *text)
{
    struct address_prefix prefix;
    REQUIRE(address_prefix_read(&prefix, text, strlen(text)) && prefix.bits == 128);
    return prefix.address;
}

static struct address numbered(uint32_t number)
{
    number = htonl(number);
    return address_of_ipv4(&number);
}

TEST(prefixes)
{
    static const struct {
        const char *prefix, *address;
        bool has;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"10.0.0.7/29", "10.0.0.1", true},
        {"10.0.0.7/29", "10.0.0.8", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "203.0.113.9", true},
        {"::/0", "2001:db8::1", true},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"2001:db8::/127", "2001:db8::1", true},
        {"2001:db8::/127", "2001:db8::2", false},
        {"::ffff:10.0.0.0/104", "10.1.1.1", true},
        {"::1", "::1", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address_prefix prefix;
        struct address one = address(rows[i].address);
        harness_at("%s in %s", rows[i].address, rows[i].prefix);
        if (CHECK(address_prefix_read(&prefix, rows[i].prefix, strlen(rows[i].prefix))))
            CHECK_INT(address_prefix_has(&prefix, &one), rows[i].has);
    }
    static const char *const bad[] = {
        "",        "10.0.0", "10.0.0.0/", "10.0.0.0/33",  "10.0.0.0/-1", "10.0.0.0/+1", "10.0.0.0/8 ", "::/129",
        "::/1000", "::g",    "/8",        "10.0.0.0/8/8", "localhost",   "10.0.0.0/x",  "::1%lo"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        harness_at("%s", bad[i]);
        CHECK(!address_prefix_read(&(struct address_prefix){0}, bad[i], strlen(bad[i])));
    }
}

TEST(guesses)
{
    struct peers *peers = peers_open(0, 0);
    REQUIRE(peers != NULL);
    struct address one = address("192.0.2.1"), other = address("2001:db8::1"), near = address("2001:db8::2");
    for (unsigned i = 0; i < 3; i++)
        CHECK(peers_guess(peers, &one, 3, NOW));
    CHECK(!peers_guess(peers, &one, 3, NOW));
    CHECK(!peers_guess(peers, &one, 3, NOW + PEERS_FORGIVE_NS - 1));
    CHECK(peers_guess(peers, &one, 3, NOW + PEERS_FORGIVE_NS));
    CHECK(!peers_guess(peers, &one, 3, NOW + PEERS_FORGIVE_NS));
    CHECK(peers_guess(peers, &other, 2, NOW) && peers_guess(peers, &near, 2, NOW)); /* one client's */
    CHECK(!peers_guess(peers, &other, 2, NOW));
    peers_guessed_right(peers, &near);
    CHECK(peers_guess(peers, &other, 2, NOW));
    CHECK(!peers_guess(peers, &other, 2, NOW));
    CHECK_INT(peers_count(peers), 2);
    /* Of who is forgiven nothing stays. */
    struct address third = address("192.0.2.3");
    CHECK(peers_guess(peers, &third, 1, NOW + 100 * PEERS_FORGIVE_NS));
    for (uint32_t i = 0; i < 10000; i++) {
        struct address many = numbered(i);
        CHECK(peers_guess(peers, &many, 1, NOW + (200 + i) * PEERS_FORGIVE_NS));
    }
    CHECK(peers_count(peers) < 200);
    /* Of a flood of addresses some are forgotten. */
    for (uint32_t i = 0; i < 100000; i++) {
        struct address many = numbered(i);
        CHECK(peers_guess(peers, &many, 1, NOW + 100000 * PEERS_FORGIVE_NS));
    }
    CHECK(peers_count(peers) <= 70000);
    peers_close(peers);
}

TEST(connections_are_counted)
{
    struct peers *peers = peers_open(3, 0);
    struct address one = address("192.0.2.1"), other = address("192.0.2.2");
    struct peer *joined[3];
    for (unsigned i = 0; i < 3; i++)
        REQUIRE((joined[i] = peers_join(peers, &one, NOW)) != NULL);
    CHECK(peers_join(peers, &one, NOW) == NULL);
    struct peer *third = peers_join(peers, &other, NOW);
    CHECK(third != NULL && third != joined[0]);
    CHECK_INT(peers_count(peers), 2);
    peers_leave(peers, joined[0], NOW);
    CHECK((joined[0] = peers_join(peers, &one, NOW)) != NULL);
    CHECK(peers_join(peers, &one, NOW) == NULL);
    for (unsigned i = 0; i < 3; i++)
        peers_leave(peers, joined[i], NOW);
    peers_leave(peers, third, NOW);
    CHECK_INT(peers_count(peers), 0);
    peers_close(peers);
}

/* Who has a network to himself is one client; neighbours of an IPv4 address are not. */
TEST(networks)
{
    struct peers *peers = peers_open(1, 0);
    struct address first = address("2001:db8:0:1::1"), same = address("2001:db8:0:1:ffff::2"),
                   next = address("2001:db8:0:2::1"), mapped = address("::ffff:192.0.2.1"),
                   plain = address("192.0.2.1");
    struct peer *joined = peers_join(peers, &first, NOW);
    CHECK(peers_join(peers, &same, NOW) == NULL);
    struct peer *other = peers_join(peers, &next, NOW), *four = peers_join(peers, &mapped, NOW);
    CHECK(joined != NULL && other != NULL && four != NULL);
    CHECK(peers_join(peers, &plain, NOW) == NULL);
    peers_leave(peers, joined, NOW);
    peers_leave(peers, other, NOW);
    peers_leave(peers, four, NOW);
    peers_close(peers);
}

static unsigned granted(struct peers *peers, struct peer *peer, unsigned asked, int64_t now)
{
    unsigned count = 0;
    for (unsigned i = 0; i < asked; i++)
        count += peers_request(peers, peer, now);
    return count;
}

TEST(requests_a_second)
{
    static const unsigned rates[] = {1, 3, 7, 100, 1000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        unsigned rate = rates[i];
        harness_at("%u a second", rate);
        struct peers *peers = peers_open(0, rate);
        struct address one = address("192.0.2.1");
        struct peer *peer = peers_join(peers, &one, NOW);
        CHECK_INT(granted(peers, peer, 2 * rate + 10, NOW), rate);                       /* a second's worth at once */
        CHECK_INT(granted(peers, peer, rate, NOW + ERRAND_SECOND / rate), 1);            /* then one after the other */
        CHECK_INT(granted(peers, peer, 2 * rate + 10, NOW + 100 * ERRAND_SECOND), rate); /* not more is saved up */
        unsigned count = 0;
        for (unsigned ms = 0; ms < 10000; ms++)
            count += granted(peers, peer, 3, NOW + 200 * ERRAND_SECOND + ms * ERRAND_MILLISECOND);
        CHECK(count >= 10 * rate && count <= 11 * rate + 1);
        peers_leave(peers, peer, NOW + 300 * ERRAND_SECOND);
        CHECK_INT(peers_count(peers), 0);
        peers_close(peers);
    }
}

/* Who hangs up and comes again does not get a full bucket. */
TEST(used_up_is_remembered)
{
    struct peers *peers = peers_open(0, 10);
    struct address one = address("192.0.2.1"), other = address("192.0.2.2");
    struct peer *peer = peers_join(peers, &one, NOW);
    CHECK_INT(granted(peers, peer, 20, NOW), 10);
    peers_leave(peers, peer, NOW);
    CHECK_INT(peers_count(peers), 1);
    peer = peers_join(peers, &one, NOW + 200 * ERRAND_MILLISECOND);
    CHECK_INT(granted(peers, peer, 20, NOW + 200 * ERRAND_MILLISECOND), 2);
    peers_leave(peers, peer, NOW + 200 * ERRAND_MILLISECOND);
    for (unsigned i = 0; i < 1000; i++) { /* somebody in each part of the table */
        other = numbered(i);
        peers_leave(peers, peers_join(peers, &other, NOW + 2 * ERRAND_SECOND), NOW + 2 * ERRAND_SECOND);
    }
    CHECK_INT(peers_count(peers), 0);
    peers_close(peers);
}

TEST(bounded)
{
    struct peers *peers = peers_open(1, 1);
    for (uint32_t i = 0; i < 300 * 1000; i++) {
        struct address one = numbered(i);
        struct peer *peer = peers_join(peers, &one, NOW);
        REQUIRE(peer != NULL && peers_request(peers, peer, NOW));
        peers_leave(peers, peer, NOW);
    }
    CHECK(peers_count(peers) > 32 * 1024 && peers_count(peers) <= 65 * 1024);
    enum { MANY = 200 * 1000 };
    struct peer **joined = calloc(MANY, sizeof *joined);
    REQUIRE(joined != NULL);
    for (uint32_t i = 0; i < MANY; i++) {
        struct address one = numbered(1000 * 1000 + i);
        REQUIRE((joined[i] = peers_join(peers, &one, NOW + 5 * ERRAND_SECOND)) != NULL);
        CHECK(peers_join(peers, &one, NOW + 5 * ERRAND_SECOND) == NULL);
    }
    CHECK_INT(peers_count(peers), MANY);
    for (uint32_t i = 0; i < MANY; i++)
        peers_leave(peers, joined[i], NOW + 5 * ERRAND_SECOND);
    CHECK_INT(peers_count(peers), 0);
    free(joined);
    peers_close(peers);
}

struct shared {
    struct peers *peers;
    atomic_uint inside[4], most, granted;
};

static void *come_and_go(void *context)
{
    struct shared *shared = context;
    for (uint32_t i = 0; i < 20000; i++) {
        struct address one = numbered(i % 4);
        struct peer *peer = peers_join(shared->peers, &one, NOW);
        if (peer == NULL)
            continue;
        unsigned inside = atomic_fetch_add(&shared->inside[i % 4], 1) + 1, most = atomic_load(&shared->most);
        while (inside > most && !atomic_compare_exchange_weak(&shared->most, &most, inside))
            continue;
        atomic_fetch_add(&shared->granted, peers_request(shared->peers, peer, NOW));
        atomic_fetch_sub(&shared->inside[i % 4], 1);
        peers_leave(shared->peers, peer, NOW);
    }
    return NULL;
}

TEST(threads)
{
    static struct shared shared;
    pthread_t threads[4];
    shared.peers = peers_open(2, 50);
    for (unsigned i = 0; i < 4; i++)
        REQUIRE_INT(pthread_create(&threads[i], NULL, come_and_go, &shared), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&shared.most) <= 2);
    CHECK_INT(atomic_load(&shared.granted), 4 * 50);
    peers_close(shared.peers);
}
