/* SPDX-License-Identifier: MIT */
/* Unit tests of the lowest floor, slab, heap, transfer buffers, and of the record of paths seen. */
#include "support.h"

#include "base/buffer.h"
#include "base/heap.h"
#include "base/slab.h"
#include "chain/seen.h"

#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;
static unsigned random_below(unsigned limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state % limit);
}

TEST(slab)
{
    enum { limit = 100 };
    struct slab slab;
    void *records[limit];
    uint64_t handles[limit];
    REQUIRE_INT(slab_open(&slab, limit, 40), 0);
    for (unsigned turn = 0; turn < 5; turn++) {
        for (unsigned i = 0; i < limit; i++) {
            records[i] = slab_take(&slab);
            REQUIRE(records[i] != NULL);
            memset(records[i], (int)i, 40);
            handles[i] = slab_handle(&slab, records[i]);
            CHECK(handles[i] != 0);
        }
        CHECK(slab_take(&slab) == NULL);
        for (unsigned i = 0; i < limit; i++) {
            CHECK(slab_find(&slab, handles[i]) == records[i]);
            CHECK_INT(*(unsigned char *)records[i], i); /* no two overlap */
            slab_free(&slab, records[i]);
            CHECK(slab_find(&slab, handles[i]) == NULL);
        }
    }
    CHECK(slab_find(&slab, 0) == NULL);
    CHECK(slab_find(&slab, UINT64_MAX) == NULL);
    slab_close(&slab);
}

TEST(heap)
{
    enum { count = 500 };
    static struct heap_node nodes[count];
    struct heap heap = {0};
    REQUIRE_INT(heap_reserve(&heap, count), 0);
    CHECK(heap_due(&heap) == HEAP_NEVER);
    for (unsigned turn = 0; turn < 20000 && !harness_failures(); turn++) {
        struct heap_node *node = &nodes[random_below(count)];
        if (random_below(3))
            heap_set(&heap, node, random_below(1000));
        else
            heap_remove(&heap, node);
        int64_t least = HEAP_NEVER;
        unsigned in = 0;
        for (unsigned i = 0; i < count; i++) {
            if (nodes[i].index) {
                in++;
                least = nodes[i].due < least ? nodes[i].due : least;
            }
        }
        CHECK_INT(heap_due(&heap), least);
        CHECK_INT(heap.count, in);
    }
    int64_t last = 0;
    while (heap.count) {
        CHECK(heap.nodes[0]->due >= last);
        last = heap.nodes[0]->due;
        heap_remove(&heap, heap.nodes[0]);
    }
    heap_close(&heap);
}

TEST(seen)
{
    struct seen *seen = calloc(1, sizeof *seen);
    uint64_t hash = seen_hash(1, "some/path");
    int64_t now = 1000000 * ERRAND_SECOND;
    CHECK(hash != seen_hash(2, "some/path") && hash != seen_hash(1, "some/pat") && hash != seen_hash(1, "some/path2"));
    CHECK(!seen_holds(seen, hash, now));
    seen_note(seen, hash, now);
    CHECK(seen_holds(seen, hash, now));
    CHECK(seen_holds(seen, hash, now + (SEEN_SECONDS - 1) * ERRAND_SECOND));
    CHECK(!seen_holds(seen, hash, now + SEEN_SECONDS * ERRAND_SECOND));
    CHECK(!seen_holds(seen, hash, now + 65536 * ERRAND_SECOND)); /* nor a day later */
    /* A bucket that is full forgets the oldest. */
    for (unsigned i = 1; i <= SEEN_WAYS; i++)
        seen_note(seen, hash + ((uint64_t)i << 40), now + i * ERRAND_SECOND);
    CHECK(!seen_holds(seen, hash, now + 9 * ERRAND_SECOND));
    CHECK(seen_holds(seen, hash + (UINT64_C(1) << 40), now + 9 * ERRAND_SECOND));
    free(seen);
}

TEST(buffers)
{
    struct buffer_pool pool = {.limit = MIB};
    enum { most = 200 };
    void *buffers[most];
    size_t sizes[most];
    unsigned count = 0;
    uint64_t sum = 0;
    for (; count < most; count++) {
        sizes[count] = buffer_grant(&pool, BUFFER_LARGE);
        buffers[count] = buffer_take(&pool, sizes[count]);
        REQUIRE(buffers[count] != NULL);
        memset(buffers[count], 1, sizes[count]);
        sum += sizes[count];
        CHECK_INT(pool.used, sum);
    }
    CHECK_INT(sizes[0], BUFFER_LARGE);        /* memory is there */
    CHECK_INT(sizes[most - 1], BUFFER_SMALL); /* nobody goes without */
    CHECK(sum <= pool.limit + BUFFER_LARGE + most * BUFFER_SMALL);
    CHECK_INT(buffer_grant(&pool, 1), BUFFER_SMALL);
    buffer_return(&pool, BUFFER_SMALL);
    while (count-- > 0)
        buffer_free(&pool, buffers[count], sizes[count]);
    CHECK_INT(pool.used, 0);
    uint64_t kept = 0;
    for (int i = 0; i < BUFFER_CLASSES; i++)
        kept += pool.spares[i];
    CHECK(kept > 0);
    buffer_trim(&pool);
}
